"""How each task did in earlier runs: the history that orders attempts and plans, and the baseline's figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_agenteval.record.records import Cell, TaskRecord, total_of
from pytest_agenteval.record.tool_calls import ToolCalls

__all__ = ["EarlierAttempt", "EarlierRun", "EarlierTask", "by_task"]


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """One attempt of an earlier run that counts; None means that its log does not say."""

    cell: Cell
    task: str
    """Its name without the cell (`records.name_of`): the same in runs of one cell and of several."""
    passed: bool
    cost: float | None
    """US dollars, for its last try."""
    tool_calls: ToolCalls
    source: str | None
    """A digest of the test function's source."""
    seconds: float | None = None
    """How long it took, repeated tries included."""


@dataclass(frozen=True, slots=True)
class EarlierTask:
    """All attempts of one task in one cell that count."""

    n: int
    c: int
    cost: float | None
    """The mean in US dollars; None if any is unknown."""
    tool_calls: ToolCalls
    source: str | None
    """None if it is unknown, or changed between the attempts."""
    seconds: float | None = None
    """The mean time of an attempt; None if any is unknown."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """One run, as its logs describe it."""

    name: str
    """Its name in reports, for example `the run of 2026-05-01 12:30 (11 logs)`."""
    attempts: tuple[EarlierAttempt, ...]
    records: tuple[TaskRecord, ...] = ()
    """The records behind them, for what these do not hold."""

    @property
    def tasks(self) -> dict[tuple[str, Cell], EarlierTask]:
        """By the task's name and cell."""
        return by_task(self.attempts)


def by_task(attempts: Iterable[EarlierAttempt]) -> dict[tuple[str, Cell], EarlierTask]:
    """Attempts added up by the task's name and cell."""
    groups: dict[tuple[str, Cell], list[EarlierAttempt]] = {}
    for attempt in attempts:
        groups.setdefault((attempt.task, attempt.cell), []).append(attempt)
    return {key: _task(group) for key, group in groups.items()}


def _task(group: list[EarlierAttempt]) -> EarlierTask:
    cost = total_of(attempt.cost for attempt in group)
    seconds = total_of(attempt.seconds for attempt in group)
    sources = {attempt.source for attempt in group}
    return EarlierTask(
        n=len(group),
        c=sum(attempt.passed for attempt in group),
        cost=None if cost is None else cost / len(group),
        tool_calls=ToolCalls.sum(attempt.tool_calls for attempt in group),
        source=sources.pop() if len(sources) == 1 else None,
        seconds=None if seconds is None else seconds / len(group),
    )
