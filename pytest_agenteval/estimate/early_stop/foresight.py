"""Expectations for each task's open attempts, from its recorded ones and its history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pytest_agenteval.estimate.early_stop.grid import Grid
from pytest_agenteval.estimate.early_stop.k_of_n import Floats
from pytest_agenteval.estimate.stats.estimators import check_counts

__all__ = ["Foresight"]


class Foresight:
    """A Beta(1/2 + passes, 1/2 + failures) for every task's pass rate, and what follows for its open attempts."""

    def __init__(
        self,
        grid: Grid,
        history: Mapping[str, tuple[int, int]] | None = None,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Expectations for a grid.

        Args:
            grid: the grid; call :meth:`update` when a row of it has changed.
            history: `(n, c)` of earlier runs, by task.
            costs: the expected cost of an attempt by task, in any unit; a task without one gets the mean of the others.

        Raises:
            ValueError: impossible counts, a cost that is not above 0, or a task that is not in the grid.
        """
        self._grid = grid
        size = len(grid.tasks)
        self._passes, self._fails = np.full(size, 0.5), np.full(size, 0.5)
        for task, (n, c) in (history or {}).items():
            check_counts(n, c)
            row = grid.row(task)
            self._passes[row] += c
            self._fails[row] += n - c
        given = dict(costs or {})
        if not all(cost > 0.0 for cost in given.values()):
            raise ValueError("costs of attempts are weighed by their ratios: give costs above 0, or none for a task")
        self.cost: Floats = np.full(size, sum(given.values()) / len(given) if given else 1.0)
        """The expected cost of one attempt at each task."""
        for task, cost in given.items():
            self.cost[grid.row(task)] = cost
        self.pass_chance: Floats = np.empty(size)
        """The chance that one open attempt passes."""
        self.all_pass_chance: Floats = np.empty(size)
        """The chance that all open attempts pass, kept inside (0, 1)."""
        self.cost_to_settle: Floats = np.empty(size)
        """The expected cost of running a task until its first failure or its last attempt."""
        for row in range(size):
            self.update(row)

    def update(self, row: int) -> None:
        """Update a row whose counts have changed."""
        passes = float(self._passes[row] + self._grid.passed[row])
        total = passes + float(self._fails[row] + self._grid.failed[row])
        chance, attempts = 1.0, 0.0
        for later in range(int(self._grid.open[row])):
            attempts += chance
            chance *= (passes + later) / (total + later)
        self.pass_chance[row] = passes / total
        self.all_pass_chance[row] = min(max(chance, 1e-9), 1.0 - 1e-9)
        self.cost_to_settle[row] = self.cost[row] * attempts
