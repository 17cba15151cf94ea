"""Which attempts to run next: the protocol that the engine uses, and the policy that runs everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from pytest_agenteval.estimate.early_stop.gates import open_rows
from pytest_agenteval.estimate.early_stop.grid import Grid

__all__ = ["FullGrid", "SchedulingPolicy"]


class SchedulingPolicy(Protocol):
    """Decides which attempts run next; attempts count from 1."""

    @property
    def finished(self) -> bool:
        """Whether nothing more needs to run; attempts still in flight may then be abandoned."""
        ...

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """At most `in_flight_slots` (task, attempt) pairs to start now; they are in flight until recorded or skipped.

        Fewer, or none, if the policy waits for attempts in flight. While the policy is not finished and nothing is in
        flight, it always names at least one.
        """
        ...

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter the final result of an attempt; None if it will never say anything about the agent."""
        ...

    def skip(self, task: str) -> None:
        """Skip the task: none of its attempts needs to run or be recorded."""
        ...


class FullGrid:
    """Every attempt of every task, in order."""

    def __init__(self, tasks: Sequence[str], k: int) -> None:
        """A policy that runs the whole grid.

        Raises:
            ValueError: k is below 1, or a task is named twice.
        """
        self._grid = Grid(tasks, k)
        self._waiting = deque((task, attempt) for task in tasks for attempt in range(1, k + 1))

    @property
    def finished(self) -> bool:
        """Whether every attempt was recorded, or its task skipped."""
        return not open_rows(self._grid).any()

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """The next attempts in order."""
        picks: list[tuple[str, int]] = []
        while self._waiting and len(picks) < in_flight_slots:
            task, attempt = self._waiting.popleft()
            if not self._grid.skipped[self._grid.row(task)] and not self._grid.is_recorded(task, attempt):
                picks.append((task, attempt))
        return picks

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter an attempt, as in :meth:`Grid.record`."""
        self._grid.record(task, attempt, passed)

    def skip(self, task: str) -> None:
        """Leave out the attempts of the task that have not started."""
        self._grid.skip(task)
