"""The policy without early stopping, to hold the others against."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pytest_agenteval.estimate.early_stop.gates import open_rows
from pytest_agenteval.estimate.early_stop.grid import Grid


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
        """Enter an attempt, as :meth:`Grid.record` has it."""
        self._grid.record(task, attempt, passed)

    def skip(self, task: str) -> None:
        """Leave out what the task has not started."""
        self._grid.skip(task)
