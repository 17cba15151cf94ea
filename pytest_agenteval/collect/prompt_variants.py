"""Other wordings of a prompt: seeded ones that need no model, and stored ones that a person has reviewed.

What carries the meaning is protected: code, quotes, paths, numbers, identifiers. Seeded changes leave it alone, and a
stored text must have all of it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["StoredPrompt", "changed_prompt", "prompt_digest", "protected", "read_prompts", "why_no_variant", "written"]

_PROTECTED = re.compile(
    r"```.*?```|`[^`]*`|\"[^\"]*\"|'[^'\s][^']*'|\S*[/\\_@=<>{}()\[\]]\S*|\S*\w\.\w\S*|\S*\d\S*"
    r"|\b[A-Z]{2,}\b|\b\w+[A-Z]\w*\b",
    re.DOTALL,
)
_NEAR = dict(zip("abcdefghijklmnopqrstuvwxyz", "snxfrdguojklnmipwtdrycezts", strict=True))
"""The neighbour of each key."""
_TYPO_RATE = 0.08
_OPTION = re.compile(r"(?m)^(?P<mark>[ \t]*(?:[-*•])[ \t]+)(?P<text>.+)$")
_DIGEST = 16
_LENGTHS = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """A stored wording."""

    name: str
    of: str
    """The digest of the prompt that it belongs to, as `sha256:...`."""
    text: str
    made_by: str = ""
    reviewed: str = ""
    """Who read it, and when; empty if nobody has."""


def prompt_digest(text: str) -> str:
    """What a stored prompt names its base by."""
    return f"sha256:{sha256(text.encode()).hexdigest()[:_DIGEST]}"


def protected(text: str) -> list[str]:
    """The spans that carry the meaning."""
    return [part for part, kept in _parts(text) if kept]


def changed_prompt(change: str, text: str, random: Random) -> str:
    """The text after a seeded change; the same text where there is nothing to change."""
    if change == "option-order":
        return _options_in_another_order(text, random)
    if change == "markdown":
        return f"## Task\n\n{text}\n"
    changes = {"typos": lambda part: _with_typos(part, random), "lowercase": str.lower, "whitespace": _spaced}
    return "".join(part if kept else changes[change](part) for part, kept in _parts(text))


def why_no_variant(base: str, variant: str) -> str | None:
    """Why a text cannot stand for the base, in a phrase; None if it can, as far as a machine can tell."""
    if variant == base:
        return "it is the base itself"
    low, high = _LENGTHS
    if not low * len(base) <= len(variant) <= high * len(base):
        return f"it has {len(variant)} characters and the base {len(base)}: half to twice as many are allowed"
    for span in protected(base):
        inner = span.strip(".,;:!?")
        if inner and inner not in variant:
            return f"it lacks {inner!r}"
    return None


def read_prompts(path: Path) -> tuple[StoredPrompt, ...]:
    """The prompts stored in a file, checked against its base where it names one.

    Raises:
        ValueError: it cannot be used, with the reason in a sentence.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    base = content.pop("base", None)
    found = [_prompt(name, table, path) for name, table in content.items()]
    seen: dict[str, str] = {}
    for one in found:
        if other := seen.get(one.text):
            raise ValueError(f"{path}: {one.name} and {other} are the same text")
        seen[one.text] = one.name
        if isinstance(base, str) and (one.of != prompt_digest(base) or (why := why_no_variant(base, one.text))):
            reason = "it is of another text than `base`" if one.of != prompt_digest(base) else why
            raise ValueError(f"{path}: {one.name} is no variant of the base: {reason}")
    return tuple(found)


def written(base: str, prompts: list[StoredPrompt]) -> str:
    """The content of a file with these prompts."""
    lines = [f"base = {_toml(base)}"]
    for one in prompts:
        lines += ["", f"[{one.name}]", f"of = {_toml(one.of)}", f"text = {_toml(one.text)}"]
        lines += [f"{key} = {_toml(getattr(one, key))}" for key in ("made_by", "reviewed") if getattr(one, key)]
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped)
    return f'"""\n{escaped}"""' if "\n" in text else f'"{escaped}"'


def _prompt(name: str, table: Any, path: Path) -> StoredPrompt:
    known = ("of", "text", "made_by", "reviewed")
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ValueError(f"{path}: {name!r} is no name: use letters, digits, - and _")
    if not isinstance(table, Mapping) or not {"of", "text"} <= set(table) <= set(known):
        raise ValueError(f"{path}: [{name}] must have `of` and `text`, and may have `made_by` and `reviewed`")
    if not all(isinstance(value, str) and value.strip() for value in table.values()):
        raise ValueError(f"{path}: [{name}] has a value that is empty or no text")
    return StoredPrompt(name, **table)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is protected."""
    at = 0
    for found in _PROTECTED.finditer(text):
        yield text[at : found.start()], False
        yield found[0], True
        at = found.end()
    yield text[at:], False


def _with_typos(text: str, random: Random) -> str:
    def word(found: re.Match[str]) -> str:
        letters = found[0]
        if len(letters) < 4 or random.random() >= _TYPO_RATE:
            return letters
        at, kind = random.randrange(1, len(letters) - 2), random.choice("sdrn")
        if kind == "s":
            return letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :]
        if kind == "d":
            return letters[:at] + letters[at + 1 :]
        if kind == "r":
            return letters[:at] + letters[at] + letters[at:]
        return letters[:at] + _NEAR.get(letters[at], letters[at]) + letters[at + 1 :]

    return re.sub(r"[a-z]+", word, text)


def _spaced(text: str) -> str:
    """Two spaces for one, and an empty line more between paragraphs."""
    return re.sub(r"\n\n", "\n\n\n", re.sub(r"(?<=\S) (?=\S)", "  ", text))


def _options_in_another_order(text: str, random: Random) -> str:
    """The items of each list of bullets, shuffled; numbered lists have an order that means something."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and _OPTION.fullmatch(lines[end]):
            end += 1
        if end - at > 1:
            items = lines[at:end]
            shuffled = items[:]
            random.shuffle(shuffled)
            lines[at:end] = shuffled if shuffled != items else [*items[1:], items[0]]
        at = max(end, at + 1)
    return "\n".join(lines)
