"""Gates on the full grid, and when the verdict is certain, whatever the open attempts show.

A missing attempt could have passed or failed. A gate on the finished grid is PASS if its rate reaches the threshold
even with every missing attempt failed, FAIL if it does not even with every one passed, and otherwise UNDECIDED. It is
also UNDECIDED if no attempt counts. While attempts are open, the verdict is fixed as soon as all their possible results
(passed, failed, missing, or the task skipped) lead to the same one.

Skipping can remove an open task. Removing a task that passes lowers a rate and removing one that fails raises it, but
never further than failing or passing would have done. The exception is a task with nothing but missing attempts so far:
skipping it would undo them, so those attempts are treated as still able to pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pytest_agenteval.estimate.early_stop.grid import Bools, Grid
from pytest_agenteval.estimate.stats.estimators import passes_needed
from pytest_agenteval.record.verdict import Verdict

__all__ = ["GridGate", "PassAt1", "PassHatK", "Race", "TaskPassRate", "open_rows"]


@dataclass(frozen=True, slots=True)
class Race:
    """A gate as a race between PASS and FAIL over units that pass or fail: tasks for pass^k, otherwise attempts."""

    to_pass: int
    """How many more units must pass for PASS; 0 or less once PASS is certain."""
    to_fail: int
    """How many more units must fail for FAIL."""
    can_pass: int
    """How many open units may still pass. The others are open only because they may fail."""
    open: int
    """How many units are open."""
    undone_by_skipping: int
    """How many units treated as missing would be open again if their task turned out to be skipped."""
    evaluated: bool
    """Whether any attempt counts."""

    @property
    def fixed(self) -> Verdict | None:
        """The verdict that every way to finish the grid leads to, or None while there are several."""
        if self.evaluated and self.to_pass <= 0:
            return Verdict.PASS
        if self.to_fail <= 0:
            return Verdict.FAIL
        neither = self.to_pass > self.can_pass + self.undone_by_skipping and self.to_fail > self.open
        silent = not self.evaluated and not self.open
        return Verdict.UNDECIDED if neither or silent else None

    @property
    def least(self) -> int:
        """The smallest number of units that must end before the verdict is fixed; at least 1."""
        ways = [self.to_pass] if self.to_pass <= self.can_pass else []
        if self.to_fail <= self.open:
            ways.append(self.to_fail)
        neither = max(0, self.can_pass - self.to_pass + 1) + max(0, self.open - self.to_fail + 1)
        if neither <= self.open:
            ways.append(neither)
        return max(1, min(ways, default=1))


class GridGate(Protocol):
    """A gate whose verdict depends only on the full grid."""

    def race(self, grid: Grid) -> Race:
        """The gate's current race."""


@dataclass(frozen=True, slots=True)
class PassHatK:
    """pass^k >= threshold, with the grid's k: the share of tasks in which every attempt passes."""

    threshold: float

    def race(self, grid: Grid) -> Race:
        """Tasks race: one passes when all its attempts have passed, and fails at its first failure."""
        tasks = _kept_tasks(grid)
        reliable, failed = int(np.count_nonzero(grid.passed == grid.k)), int(np.count_nonzero(grid.failed))
        undecided = open_rows(grid) & (grid.failed == 0)
        unspoilt = undecided & (grid.missing == 0)
        silent = undecided & (grid.missing > 0) & (grid.passed == 0)
        needed = passes_needed(self.threshold, tasks) if tasks else 0
        return Race(
            needed - reliable,
            tasks - failed - needed + 1,
            int(np.count_nonzero(unspoilt)),
            int(np.count_nonzero(undecided)),
            int(np.count_nonzero(silent)),
            bool(grid.passed.any() or grid.failed.any()),
        )


@dataclass(frozen=True, slots=True)
class PassAt1:
    """pass@1 >= threshold: the share of attempts that pass, with the same number of attempts at every task."""

    threshold: float

    def race(self, grid: Grid) -> Race:
        """Attempts race."""
        attempts = grid.k * _kept_tasks(grid)
        passes, fails, left = int(grid.passed.sum()), int(grid.failed.sum()), int(grid.open.sum())
        needed = passes_needed(self.threshold, attempts) if attempts else 0
        silent = open_rows(grid) & (grid.passed + grid.failed == 0)
        undone = int(grid.missing[silent].sum())
        return Race(needed - passes, attempts - fails - needed + 1, left, left, undone, passes + fails > 0)


@dataclass(frozen=True, slots=True)
class TaskPassRate:
    """The share of one task's attempts that pass >= threshold (its `min_pass_rate`)."""

    task: str
    threshold: float

    def race(self, grid: Grid) -> Race:
        """The task's attempts race."""
        row = grid.row(self.task)
        passed, failed, missing, left = (
            int(counts[row]) for counts in (grid.passed, grid.failed, grid.missing, grid.open)
        )
        needed = passes_needed(self.threshold, grid.k)
        undone = missing if left and not passed + failed else 0
        return Race(needed - passed, grid.k - failed - needed + 1, left, left, undone, passed + failed > 0)


def open_rows(grid: Grid) -> Bools:
    """Which tasks have attempts that were not recorded."""
    return grid.open > 0


def _kept_tasks(grid: Grid) -> int:
    return len(grid.tasks) - int(np.count_nonzero(grid.skipped))
