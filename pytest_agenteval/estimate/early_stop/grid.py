"""The grid of tasks x k attempts as counts: what was recorded for every task, and what is still open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Grid:
    """Counts of the attempts recorded so far, one row per task. Read the arrays; write through the methods."""

    def __init__(self, tasks: Sequence[str], k: int) -> None:
        """An empty grid."""
        if k < 1:
            raise ValueError(f"k = {k} asks for no attempt at all: give a k of at least 1")
        self.tasks = tuple(tasks)
        self.k = k
        self.rows = {task: row for row, task in enumerate(self.tasks)}
        if len(self.rows) < len(self.tasks):
            raise ValueError("a task is in the grid twice: name every task once")
        size = len(self.tasks)
        self.passed: Ints = np.zeros(size, np.int64)
        self.failed: Ints = np.zeros(size, np.int64)
        self.missing: Ints = np.zeros(size, np.int64)
        """Attempts that will never have a result: they could have passed or failed."""
        self.open: Ints = np.full(size, k, np.int64)
        """Attempts not recorded yet; none in a skipped task."""
        self.skipped: Bools = np.zeros(size, np.bool_)
        self._recorded: set[tuple[int, int]] = set()

    def row(self, task: str) -> int:
        """The row of a task."""
        try:
            return self.rows[task]
        except KeyError:
            raise ValueError(f"{task} is not in the grid: record only its own tasks") from None

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter the final result of an attempt: True or False, or None if it will never have one.

        An attempt that will be repeated after an environment error has not ended: do not enter it. Attempts of a
        skipped task are accepted and change nothing.
        """
        row = self.row(task)
        if not 1 <= attempt <= self.k:
            raise ValueError(f"{task} has no attempt {attempt}: its attempts are 1 to {self.k}")
        if (row, attempt) in self._recorded:
            raise ValueError(f"attempt {attempt} of {task} was entered before: enter every attempt once")
        self._recorded.add((row, attempt))
        if self.skipped[row]:
            return
        counts = self.missing if passed is None else self.passed if passed else self.failed
        counts[row] += 1
        self.open[row] -= 1

    def is_recorded(self, task: str, attempt: int) -> bool:
        """Whether the attempt was entered."""
        return (self.row(task), attempt) in self._recorded

    def skip(self, task: str) -> None:
        """Take a task out of the grid. It is skipped in every attempt, and no estimate counts it."""
        row = self.row(task)
        self.skipped[row] = True
        for counts in (self.passed, self.failed, self.missing, self.open):
            counts[row] = 0
