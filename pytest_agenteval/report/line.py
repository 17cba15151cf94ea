"""One line of a terminal report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pytest_agenteval.texts import inert

__all__ = ["BAD", "GOOD", "PLAIN", "TITLE", "UNSURE", "Line", "plain"]

Markup = Mapping[str, bool]

PLAIN: Markup = MappingProxyType({})
TITLE: Markup = MappingProxyType({"bold": True})
GOOD: Markup = MappingProxyType({"green": True})
BAD: Markup = MappingProxyType({"red": True})
UNSURE: Markup = MappingProxyType({"yellow": True})


@dataclass(frozen=True, slots=True)
class Line:
    """Text without a line break, with the markup that `TerminalReporter.write_line` takes as keywords.

    Whoever wrote the text (a model, a tool, another machine's log), no terminal and no CI job obeys it.
    """

    text: str
    markup: Markup = field(default_factory=lambda: PLAIN)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", inert(self.text).replace("\n", "\\n"))


def plain(texts: Iterable[str]) -> list[Line]:
    """Lines without markup."""
    return [Line(text) for text in texts]
