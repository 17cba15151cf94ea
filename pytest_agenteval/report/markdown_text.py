"""Texts from outside in GitHub's and GitLab's Markdown: whatever a model wrote, it stays text."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

__all__ = ["MORE", "code", "fitting", "html_code", "link", "name", "preformatted", "prose", "size", "wrapping"]

_BREAK = "\u200b"
"""Zero width space: it keeps a name after @ from being a mention, a number after # a reference, an address a link."""
_TRIGGERS = re.compile(r"(?<=@)(?<!pass@)(?=\w)|(?<=#)(?=\d)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=GH-)(?=\d)", re.IGNORECASE)
_SPECIAL = re.compile(r"[\\`*\[\]~|$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ADDRESS = re.compile(r"https?://[\w.~:/?#@!$&'()*+,;=%-]+", re.ASCII)
_NOT_IN_CODE = frozenset("`|\\")
_MAY_BREAK = re.compile(r"[/_:.,=\[\]-]+(?=[^/_:.,=\[\]-])|[^/_:.,=\[\]-]{12}(?=.)")
"""Where a browser may break a name: after its separators, and within what has none."""

MORE = "{} more"
"""Replaces lines that were cut, with their number."""


def prose(text: str, longest: int = 600) -> str:
    """Text for a paragraph or a table's field: one line in which nothing formats, links, mentions or is HTML."""
    return _escaped(_one_line(text, longest))


def code(text: str, longest: int = 300) -> str:
    """A name as code: one line, in a table too."""
    flat = _one_line(text, longest)
    if not flat or _NOT_IN_CODE & set(flat):
        return html_code(flat, longest)
    return f"`{flat}`"


def html_code(text: str, longest: int = 300) -> str:
    """A name as code where Markdown is not interpreted, as in a summary of folded details."""
    return f"<code>{prose(text, longest)}</code>"


def name(text: str, longest: int = 300) -> str:
    """A name as code for a narrow column: it breaks between its parts, and is copied without them."""
    flat = _one_line(text, longest)
    parts = _MAY_BREAK.sub(lambda found: f"{found[0]}\n", flat).split("\n")
    return f"<code>{'<wbr>'.join(map(_escaped, parts))}</code>"


def link(text: str, address: str) -> str:
    """A link; text alone where the address is none of the web."""
    return f"[{text}](<{address}>)" if _ADDRESS.fullmatch(address) else f"{text} {prose(address)}"


def wrapping(line: str) -> str:
    """A line of indented text in an HTML block, which wraps where the page is narrow."""
    text = _printable(line).rstrip()
    bare = text.lstrip()
    return f"{'&nbsp;' * (len(text) - len(bare))}{prose(bare, 2_000)}<br>"


def preformatted(line: str) -> str:
    """A line within `<pre>`."""
    return html.escape(_printable(line).rstrip(), quote=False)


def size(text: str) -> int:
    """In bytes of UTF-8, which is never less than the number of characters."""
    return len(text.encode("utf-8", "replace"))


def fitting(lines: Sequence[str], room: int, more: str = f"- {MORE}") -> list[str]:
    """As many lines from the start as fit into `room` bytes. If some are cut, the last line says how many."""
    sizes = [size(line) + 1 for line in lines]
    if sum(sizes) <= room:
        return list(lines)
    last = more.format(len(lines))  # the longest that it can become
    left, kept = room - size(last) - 1, 0
    while left >= 0 and sizes[kept] <= left:
        left -= sizes[kept]
        kept += 1
    return [] if left < 0 else [*lines[:kept], more.format(len(lines) - kept)]


def _escaped(text: str) -> str:
    plain = html.escape(_TRIGGERS.sub(_BREAK, text), quote=False)
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", plain)


def _one_line(text: str, longest: int) -> str:
    flat = " ".join(_printable(text).split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def _printable(text: str) -> str:
    """Without characters that control the display (bell, escape, right-to-left override) or are not characters."""
    return "".join(
        " " if character.isspace() else "" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character
        for character in text
    )
