"""Tables and paragraphs of plain text that fit a width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

__all__ = ["columns", "shorten_middle", "wrap"]

_GAP = "  "


def shorten_middle(text: str, width: int) -> str:
    """The text, with `...` for its middle where it is wider than `width`; the end is kept longer than the start."""
    if len(text) <= width:
        return text
    if width <= 3:
        return text[:width]
    head = (width - 3) // 3
    tail = width - 3 - head
    return f"{text[:head]}...{text[len(text) - tail :]}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many words as lines: the first and the last column to the left, the others to the right."""
    if not rows:
        return []
    last = len(rows[0]) - 1
    widths = [max(len(row[i]) for row in rows) for i in range(last + 1)]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if i in (0, last) else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(_GAP.join(cells).rstrip())
    return lines


def wrap(text: str, width: int, indent: str = "", hanging: str = "") -> list[str]:
    """A paragraph as lines of at most `width`, a word that is wider cut; `hanging` begins the lines after the first."""
    return textwrap.wrap(
        text, max(width, 20), initial_indent=indent, subsequent_indent=hanging, break_on_hyphens=False
    ) or [indent.rstrip()]
