"""Values as TOML, for the files that people edit. Pure; reading is `tomllib`'s."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["toml_document", "toml_value"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: Any) -> str:
    """A text, number, truth value, list or mapping in one line. TOML has no null: leave such a key out."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {toml_value(each)}" for key, each in value.items() if each is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no form in TOML")


def toml_document(top: Mapping[str, Any], tables: Sequence[tuple[str, Mapping[str, Any]]] = (), about: str = "") -> str:
    """A document: a comment, the keys at its top, then tables under headers such as `[a]` or `[[a]]`."""
    lines = [f"# {line}".rstrip() for line in about.splitlines()]
    lines += [f"{_key(key)} = {toml_value(value)}" for key, value in top.items() if value is not None]
    for header, table in tables:
        lines += [
            "",
            header,
            *(f"{_key(key)} = {toml_value(value)}" for key, value in table.items() if value is not None),
        ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else toml_value(key)
