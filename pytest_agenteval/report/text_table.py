"""Tables and paragraphs of plain text that fit a width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from pytest_agenteval.texts import inert

__all__ = ["columns", "shorten_middle", "wrap"]

_GAP = "  "
_LONGEST_WORD = 300
_LONG_WORD = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")


def shorten_middle(text: str, width: int) -> str:
    """The text, with `...` in place of its middle if it is wider than `width`; more is kept of the end than of the
    start."""
    if len(text) <= width:
        return text
    if width <= 3:
        return text[:width]
    head = (width - 3) // 3
    tail = width - 3 - head
    return f"{text[:head]}...{text[len(text) - tail :]}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with the same number of words as lines: the first and the last column left-aligned, the others
    right-aligned."""
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
    """A paragraph as lines of at most `width`; a wider word is cut. `hanging` starts the lines after the first.

    If a word would fill the screen, such as a name that a model made up, its middle is left out.
    """
    text = _LONG_WORD.sub(lambda found: shorten_middle(found[0], _LONGEST_WORD), inert(text))
    return textwrap.wrap(
        text, max(width, 20), initial_indent=indent, subsequent_indent=hanging, break_on_hyphens=False
    ) or [indent.rstrip()]
