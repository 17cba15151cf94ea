"""The order in which attempts are worth running: what they are expected to cost and to show, and a k-out-of-n rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_agenteval.estimate.early_stop.grid import Bools, Grid, Ints
from pytest_agenteval.estimate.stats.estimators import check_counts

__all__ = ["Foresight", "Units", "next_units"]

Floats = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True)
class Units:
    """The open units of a race, one entry each."""

    rows: Ints
    chance: Floats
    """The chance of passing, inside (0, 1)."""
    cost: Floats
    """The expected cost of testing the unit to its end."""
    can_pass: Bools
    """Whether the unit may still pass. A unit that cannot is worth testing only for its failure."""
    idle: Bools
    """Whether the unit is not being tested already."""


def next_units(units: Units, to_pass: int, to_fail: int, slots: int) -> list[int]:
    """The rows of up to `slots` idle units to test next, best first, to find out whether at least m of n units pass.

    Every PASS needs `to_pass` more passing units, every FAIL `to_fail` more failing ones. Take the first `to_pass`
    units in the order of cost / P(pass), and the first `to_fail` in the order of cost / P(fail). The two sets must
    overlap, and a unit in both is worth testing whatever the answer will be. With known, independent chances this is
    optimal (Salloum 1979, Ben-Dov 1981, Chang et al. 1990). Wrong chances cost money, never correctness.

    Units that serve both answers come first; further slots go to units that serve the likelier answer. Units that serve
    neither are not picked: an empty slot is better than a guess.
    """
    by_pass = np.argsort(units.cost / units.chance, kind="stable")
    by_pass = by_pass[units.can_pass[by_pass]]
    by_fail = np.argsort(units.cost / (1.0 - units.chance), kind="stable")
    # A side that can no longer be reached needs no units.
    for_pass = by_pass[:to_pass] if 0 < to_pass <= by_pass.size else by_pass[:0]
    for_fail = by_fail[:to_fail] if 0 < to_fail <= by_fail.size else by_fail[:0]
    if not for_pass.size:
        ordered = for_fail
    elif not for_fail.size:
        ordered = for_pass
    else:
        serves_pass = np.zeros(units.rows.size, np.bool_)
        serves_pass[for_pass] = True
        both = for_fail[serves_pass[for_fail]]
        likely_pass = float(units.chance[by_pass].sum()) >= to_pass
        rest = for_pass if likely_pass else for_fail
        ordered = np.concatenate((both, rest[~np.isin(rest, both)]))
    picks = ordered[units.idle[ordered]][:slots]
    return [int(row) for row in units.rows[picks]]
