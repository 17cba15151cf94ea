"""Texts from outside (models, tools, tests, logs), made safe for a log, another process or a terminal."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

__all__ = ["OURS", "beginning", "encodable", "inert", "map_texts", "shortened"]

Data = TypeVar("Data")
_Change = Callable[[str], str]

OURS: Mapping[str, bool] = MappingProxyType({"ours": True})
"""The metadata of a dataclass field that holds a name of our own making, such as the path of a log."""

_COLOURS = re.compile(r"\x1b\[[0-9;:]{0,40}m")
_KEPT = frozenset("\n\t\u200c\u200d")
"""Line breaks, tabs, and the two joiners used in some languages and in emoji."""
_COMMAND = re.compile(r"(?m)^([^\S\n]*):(?=:)|#(?=#\w{0,20}\[)")
"""Where a line could be a command to the CI system: `::error::` and `##[error]` (GitHub), `##vso[` (Azure)."""


def encodable(text: str) -> str:
    r"""The text with lone surrogates escaped as `\ud800`, as Inspect writes them: no encoding can represent them."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def inert(text: str) -> str:
    r"""The text, of one or several lines, in a form that a terminal shows and does not obey. Applying it twice is safe.

    Colours are dropped. Other control characters, marks that change the direction of writing and invisible characters
    are escaped as Python writes them (`\x1b`, `\u202e`). A carriage return before a line break counts as part of the
    break. A command to GitHub Actions or Azure Pipelines gets a backslash in front, which disables it.
    """
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    if not text.isprintable():
        text = "".join(map(_shown, text.replace("\r\n", "\n")))
    if "::" in text or "##" in text:
        text = _COMMAND.sub(lambda found: f"{found[1]}\\:" if found[1] is not None else "#\\", text)
    return text


def shortened(text: str, longest: int) -> str:
    """A name in one line, with `...` in place of its middle if it is too long."""
    most = 4 * longest  # enough of each end; the middle is cut in any case
    whole = len(text) <= 2 * most
    line = " ".join((text if whole else text[:most] + text[-most:]).split())
    if whole and len(line) <= longest:
        return line
    head = (longest - 3) // 2
    return f"{line[:head]}...{line[len(line) - (longest - 3 - head) :]}"


def beginning(text: str, longest: int) -> str:
    """The text, or where it is longer its beginning with ` ...` behind it."""
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."


def map_texts(data: Data, change: Callable[[str], str], ours: Callable[[str], str] | None = None) -> Data:
    """The same data with every text in it changed. Unchanged parts are not copied.

    Args:
        data: texts, numbers, dataclasses, tuples, lists, sets and mappings of them, nested to any depth.
        change: applied to each text, including keys.
        ours: applied instead to fields of dataclasses that are marked :data:`OURS`.
    """
    changed: Data = _mapped(data, change, ours or change)
    return changed


def _mapped(data: Any, change: _Change, ours: _Change) -> Any:
    if isinstance(data, str):
        return data if isinstance(data, Enum) else change(data)
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        changed = {}
        for field in dataclasses.fields(data):
            old = getattr(data, field.name)
            new = _mapped(old, ours if field.metadata.get("ours") else change, ours)
            if new is not old:
                changed[field.name] = new
        return dataclasses.replace(data, **changed) if changed else data
    if isinstance(data, Mapping):
        pairs = {_mapped(key, change, ours): _mapped(value, change, ours) for key, value in data.items()}
        return pairs if any(pairs.get(key) is not value for key, value in data.items()) else data
    if isinstance(data, tuple | list | set | frozenset):
        parts = [_mapped(part, change, ours) for part in data]
        return data if all(new is old for new, old in zip(parts, data, strict=True)) else type(data)(parts)
    return data


def _shown(character: str) -> str:
    if character.isprintable() or character in _KEPT or unicodedata.category(character) in ("Zs", "Co", "Cn"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
