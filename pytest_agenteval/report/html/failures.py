"""Tool-call failures by tool and type, and environment errors by cause, a column for each cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.record import figures
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.report.html.text import first_line

__all__ = ["CauseRow", "CountRow", "environment_errors", "tool_failures"]


@dataclass(frozen=True, slots=True)
class CountRow:
    """A number for each cell."""

    words: tuple[str, ...]
    counts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CauseRow:
    """Environment errors of one cause in one cell."""

    cell: Cell
    cause: str
    repeated: int
    """Tries that were repeated in a fresh sandbox."""
    stayed: int
    """Attempts that ended in this way."""
    example: str
    """The message of one of them."""


def tool_failures(cells: Sequence[CellSummary]) -> list[CountRow]:
    """A row for each tool and type, the most frequent first, then the non-zero exits and the calls of all tools."""
    by_cell = [{(failed.tool, failed.type): failed.count for failed in cell.tool_calls.failures} for cell in cells]
    kinds = [(failed.tool, failed.type) for failed in ToolCalls.sum(cell.tool_calls for cell in cells).failures]
    rows = [CountRow(kind, tuple(str(counts.get(kind, 0)) for counts in by_cell)) for kind in kinds]
    rows.append(CountRow(("all tools", "all failures"), tuple(str(cell.tool_calls.failed) for cell in cells)))
    exits = tuple(figures.exits(cell.tool_calls.nonzero_exits, cell.tool_calls.unknown_exits) for cell in cells)
    rows.append(CountRow(("commands", "non-zero exits, often no failure"), exits))
    rows.append(CountRow(("all tools", "calls"), tuple(str(cell.tool_calls.calls) for cell in cells)))
    return rows


def environment_errors(records: Sequence[TaskRecord]) -> list[CauseRow]:
    """A row for each cell and cause, the most frequent first."""
    repeated: Counter[tuple[Cell, str]] = Counter()
    stayed: Counter[tuple[Cell, str]] = Counter()
    examples: dict[tuple[Cell, str], str] = {}
    for record in records:
        for attempt in record.attempts:
            for retry in attempt.retries:
                kind = (record.cell, _words(retry.cause))
                repeated[kind] += 1
                examples.setdefault(kind, retry.message)
            if attempt.outcome is Outcome.ENVIRONMENT_ERROR:
                kind = (record.cell, _words(attempt.cause))
                stayed[kind] += 1
                examples.setdefault(kind, attempt.message)
    ordered = sorted(examples, key=lambda kind: -(repeated[kind] + stayed[kind]))
    return [CauseRow(*kind, repeated[kind], stayed[kind], first_line(examples[kind], 300)) for kind in ordered]


def _words(cause: object) -> str:
    return "not known" if cause is None else str(cause).replace("_", " ")
