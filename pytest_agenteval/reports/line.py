"""One line of a terminal report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["BAD", "GOOD", "PLAIN", "TITLE", "UNSURE", "Line", "plain"]

Markup = Mapping[str, bool]

PLAIN: Markup = MappingProxyType({})
TITLE: Markup = MappingProxyType({"bold": True})
GOOD: Markup = MappingProxyType({"green": True})
BAD: Markup = MappingProxyType({"red": True})
UNSURE: Markup = MappingProxyType({"yellow": True})


@dataclass(frozen=True, slots=True)
class Line:
    """Text without a line break, with the markup that `TerminalReporter.write_line` takes as keywords."""

    text: str
    markup: Markup = field(default_factory=lambda: PLAIN)


def plain(texts: Iterable[str]) -> list[Line]:
    """Lines without markup."""
    return [Line(text) for text in texts]
