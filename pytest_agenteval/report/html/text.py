"""Text for the page: without secrets, and without anything that could hide or reorder what is shown."""

from __future__ import annotations

import json
import re
from typing import Any

from pytest_agenteval.redaction import redact

__all__ = ["embedded_json", "first_line", "shown"]

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_LINE_ENDS = re.compile(r"\r\n|[\u0085\u2028\u2029]")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Control characters, embeddings and overrides of the writing direction, and code points that are not characters."""


def shown(text: str) -> str:
    """The text without secrets and colour codes, with visible signs for characters that cannot be seen.

    Control characters become their pictures (`␛`), those that change the writing direction their numbers (`⟨U+202E⟩`),
    and halves of surrogate pairs `�`.
    """
    return redact(_UNSEEN.sub(_picture, _LINE_ENDS.sub("\n", _COLOURS.sub("", text))))


def first_line(text: str, longest: int) -> str:
    """The first line with content, cut to `longest` characters after secrets are removed."""
    line = next((line.strip() for line in shown(text).splitlines() if line.strip()), "")
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def embedded_json(data: Any) -> str:
    """JSON that may be in a script element of a page: no character in it can end or open anything there."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if code >= 0xD800 else f"\u27e8U+{code:04X}\u27e9"
