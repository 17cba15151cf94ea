"""What the page shows of each attempt: its square in the grid and its evidence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, TaskRecord, ToolCall, name_of
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.report.html.text import first_line, shown
from pytest_agenteval.report.log_places import logged

__all__ = ["LETTERS", "AttemptView", "RowView", "legend", "rows"]

LETTERS = {
    Outcome.PASSED: "P",
    Outcome.FAILED: "F",
    Outcome.LIMIT: "L",
    Outcome.ENVIRONMENT_ERROR: "E",
    Outcome.BROKEN: "B",
    Outcome.NOT_RUN: "N",
    Outcome.SKIPPED: "S",
}
"""How an outcome is written in the grid."""

_WHY = 160
_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"\s*[\w.]*(?:Error|Exception|Exit|Interrupt|Warning)\b(?::|$)")
_CALLS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt, or a wanted one without a record."""

    anchor: str
    number: int
    epoch: int
    """Its number in its log."""
    outcome: str
    letter: str
    why: str
    """A line: how it ended and why."""
    message: str = ""
    where: str = ""
    """The exception and the line of the suite it passed through; empty if there is none."""
    brief: str = ""
    """Cost, seconds and tool calls."""
    facts: tuple[tuple[str, str], ...] = ()
    retries: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, str], ...] = ()
    """Tool, arguments and failure of its tool calls, if it did not pass; for pages without its conversation."""
    more_calls: int = 0
    last_steps: tuple[str, ...] = ()
    log: str | None = None
    logged_task: str | None = None
    """The node id of its task in its log, if different."""
    passed: bool = False


@dataclass(frozen=True, slots=True)
class RowView:
    """One task, with its attempts by cell."""

    task: str
    anchor: str
    cells: tuple[tuple[AttemptView, ...], ...]
    """In the order of the cells; empty if a cell has no such task."""
    passes: tuple[str, ...]
    """`c/n` by cell."""
    notes: tuple[str, ...]
    identities: tuple[str, ...]
    """The node ids by cell, as the run used them; empty if a cell has no such task."""


def rows(records: Sequence[TaskRecord], cells: Sequence[Cell]) -> list[RowView]:
    """The tasks, those with the smallest share of passes first, otherwise in the order of the run."""
    by_task: dict[str, dict[Cell, TaskRecord]] = {}
    for record in records:
        by_task.setdefault(name_of(record), {})[record.cell] = record
    ordered = sorted(by_task.items(), key=lambda item: _share(item[1]))
    return [_row(f"t{i}", task, found, cells) for i, (task, found) in enumerate(ordered)]


def legend(found: Sequence[RowView]) -> list[tuple[str, str, int]]:
    """Letter, outcome and number of all attempts of the outcomes that occur."""
    counts = Counter(attempt.outcome for row in found for cell in row.cells for attempt in cell)
    return [(letter, outcome.value, counts[outcome.value]) for outcome, letter in LETTERS.items() if counts[outcome]]


def _share(found: Mapping[Cell, TaskRecord]) -> float:
    n = sum(record.n for record in found.values())
    wanted = any(
        record.missing or any(a.outcome is Outcome.BROKEN for a in record.attempts) for record in found.values()
    )
    return sum(record.passes for record in found.values()) / n - wanted * 1e-9 if n else -1.0


def _row(anchor: str, task: str, found: Mapping[Cell, TaskRecord], cells: Sequence[Cell]) -> RowView:
    records = [found.get(cell) for cell in cells]
    return RowView(
        task=task,
        anchor=anchor,
        cells=tuple(() if r is None else tuple(_attempts(r, f"{anchor}c{i}")) for i, r in enumerate(records)),
        passes=tuple("" if r is None else f"{r.passes}/{r.n}" for r in records),
        notes=tuple(dict.fromkeys(note for r in records if r is not None for note in r.notes)),
        identities=tuple("" if r is None else r.task for r in records),
    )


def _attempts(record: TaskRecord, anchor: str) -> Iterator[AttemptView]:
    by_number = {attempt.number: attempt for attempt in record.attempts}
    numbers = set(by_number) if record.skipped else set(by_number) | set(range(1, record.k + 1))
    for number in sorted(numbers):
        attempt = by_number.get(number)
        yield _lost(f"{anchor}a{number}", number) if attempt is None else _attempt(attempt, f"{anchor}a{number}")


def _lost(anchor: str, number: int) -> AttemptView:
    letter = LETTERS[Outcome.NOT_RUN]
    return AttemptView(anchor, number, number, "not_run", letter, "did not run, no record")


def _attempt(attempt: AttemptRecord, anchor: str) -> AttemptView:
    passed = attempt.outcome is Outcome.PASSED
    told = () if passed else attempt.tool_calls[:_CALLS_SHOWN]
    return AttemptView(
        anchor=anchor,
        number=attempt.number,
        epoch=attempt.epoch,
        logged_task=attempt.logged_task,
        outcome=attempt.outcome.value,
        letter=LETTERS[attempt.outcome],
        why=_why(attempt),
        message=attempt.message,
        where=" at ".join(part for part in (attempt.exception, attempt.where) if part),
        brief=" · ".join(_brief(attempt)),
        facts=tuple(_facts(attempt)),
        retries=tuple(_retries(attempt)),
        calls=tuple((call.tool, first_line(call.arguments, 300), _failure(call)) for call in told),
        more_calls=len(attempt.tool_calls) - len(told),
        last_steps=() if passed else attempt.last_steps,
        log=attempt.log,
        passed=passed,
    )


def _why(attempt: AttemptRecord) -> str:
    word = attempt.outcome.value.replace("_", " ")
    if attempt.cause is not None:
        word += f" ({attempt.cause.value.replace('_', ' ')})"
    message = first_line(_without_traceback(attempt.message), _WHY)
    return f"{word}: {message}" if message else word


def _without_traceback(message: str) -> str:
    """The message; if it begins with a traceback, the line that says what happened."""
    first, _, rest = message.partition("\n")
    if not first.endswith(_TRACEBACK):
        return message
    raised = next((line.strip() for line in rest.splitlines() if _RAISED.match(line)), "")
    return first.removesuffix(_TRACEBACK) + raised if raised else message


def _brief(attempt: AttemptRecord) -> Iterator[str]:
    if attempt.outcome in (Outcome.NOT_RUN, Outcome.SKIPPED) and not attempt.model_calls:
        return
    yield figures.cost(Cost.of_attempt(attempt))
    yield _seconds(attempt.wall_seconds)
    yield figures.plural(len(attempt.tool_calls), "call")
    if failed := ToolCalls.of(attempt.tool_calls).failed:
        yield f"{failed} failed"
    if attempt.retries:
        yield f"repeated {len(attempt.retries)}x"


def _facts(attempt: AttemptRecord) -> Iterator[tuple[str, str]]:
    if attempt.answer:
        yield "answer", attempt.answer if len(attempt.answer) <= 2_000 else f"{shown(attempt.answer)[:2_000]}…"
    if attempt.model_calls:
        tokens = "unknown" if attempt.tokens is None else f"{attempt.tokens:,}"
        yield "model calls", f"{len(attempt.model_calls)}, {tokens} tokens"
    if attempt.confidence is not None:
        said, answer = attempt.confidence.value, first_line(attempt.confidence.answer, _WHY)
        yield "confidence", f"{said:g} of 100" if said is not None else f"no number: {answer or 'no answer'}"
    if attempt.model_versions:
        yield "model version", ", ".join(attempt.model_versions)
    if failures := ToolCalls.of(attempt.tool_calls).failures:
        yield "tool-call failures", ", ".join(f"{each.tool} {each.type} {each.count}" for each in failures)
    for violation in () if attempt.rules is None else attempt.rules.violations:
        yield f"broke a rule ({violation.severity})", f"{violation.rule}: {violation.evidence}"
    if attempt.working_seconds is not None:
        yield "working time", _seconds(attempt.working_seconds)
    if attempt.ended:
        yield "ended", attempt.ended
    if attempt.reused:
        yield "reused", "run and paid by an earlier invocation"
    if attempt.image:
        yield "image", attempt.image
    if attempt.sandbox_kept:
        yield "enter its sandbox by", attempt.sandbox_kept
    for log in logged([attempt]):
        yield "log", log


def _retries(attempt: AttemptRecord) -> Iterator[str]:
    for retry in attempt.retries:
        cost = figures.cost(Cost.of_try(retry))
        yield f"environment error ({retry.cause.value}), {cost}: {first_line(retry.message, 2 * _WHY)}"


def _failure(call: ToolCall) -> str:
    if call.error is not None:
        return f"{call.error}: {first_line(call.message or '', _WHY)}"
    return f"exit {call.exit_code}" if call.exit_code else ""


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
