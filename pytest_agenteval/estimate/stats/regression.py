"""Whether the agent is worse than in the baseline: exact tests within tasks, over all tasks and for each one.

If nothing changed, the attempts at a task are exchangeable between the two runs. Given how many attempts passed in both
runs together, the number that passed in the new run is hypergeometric. The distribution of the sum over all tasks is
the convolution of these, exact for any numbers of attempts. The per-task tests, with Holm's correction, name the tasks.
Each of the two uses alpha/2, so an unchanged agent is called worse in at most a share alpha of comparisons.

The tests compare pass@1 counts, not which tasks passed every attempt, because the latter loses most of the power. Both
runs must have a fixed number of attempts at every task; attempts that stopped at a failure do not qualify.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb

import numpy as np

from pytest_agenteval.estimate.stats.estimators import check_counts

__all__ = ["Regression", "TaskChange", "holm", "p_of_all_tasks", "p_of_task", "regression_test"]

Count = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task in both runs."""

    task: str
    before: Count
    """`(n, c)` in the baseline."""
    after: Count
    """`(n, c)` in the new run."""
    p: float
    """One-sided: how often an unchanged agent would pass at most this many of the new attempts."""
    p_holm: float
    """The same, corrected for testing every task."""

    @property
    def drop(self) -> float:
        """By how much the pass rate fell; negative if it rose."""
        return self.before[1] / self.before[0] - self.after[1] / self.after[0]


@dataclass(frozen=True, slots=True)
class Regression:
    """The result of the comparison with a baseline."""

    alpha: float
    p_all_tasks: float | None
    """One-sided and exact, over all compared tasks; None if there are none."""
    tasks: tuple[TaskChange, ...]
    """The compared tasks, smallest p first."""
    not_compared: tuple[str, ...]
    """Tasks with attempts that count in only one of the runs, or in neither; sorted."""

    @property
    def regressed_tasks(self) -> tuple[TaskChange, ...]:
        """The tasks that regressed by their own test."""
        return tuple(change for change in self.tasks if change.p_holm <= self.alpha / 2)

    @property
    def fell_overall(self) -> bool:
        """Whether the agent passes less often by the test over all tasks."""
        return self.p_all_tasks is not None and self.p_all_tasks <= self.alpha / 2

    @property
    def regressed(self) -> bool | None:
        """Whether the agent is worse than the baseline by either test; None if nothing could be compared."""
        if self.p_all_tasks is None:
            return None
        return self.fell_overall or bool(self.regressed_tasks)


def regression_test(before: Mapping[str, Count], after: Mapping[str, Count], alpha: float = 0.05) -> Regression:
    """Compare two runs of the same tasks, each given as `(n, c)` by task."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha = {alpha} is no rate of false alarms to test at: give one inside (0, 1)")
    for n, c in (*before.values(), *after.values()):
        check_counts(n, c)
    nothing = (0, 0)
    names = sorted({*before, *after})
    compared = [name for name in names if before.get(name, nothing)[0] and after.get(name, nothing)[0]]
    ps = [p_of_task(before[name], after[name]) for name in compared]
    changes = [
        TaskChange(name, before[name], after[name], p, corrected)
        for name, p, corrected in zip(compared, ps, holm(ps), strict=True)
    ]
    left = set(compared)
    return Regression(
        alpha,
        p_of_all_tasks([(before[name], after[name]) for name in compared]) if compared else None,
        tuple(sorted(changes, key=lambda change: (change.p, change.task))),
        tuple(name for name in names if name not in left),
    )


@lru_cache(maxsize=65536)
def p_of_task(before: Count, after: Count) -> float:
    """The exact one-sided p-value that a task's pass rate did not fall: P(passes <= observed), hypergeometric.

    Fisher's exact test of the two runs' passes and failures.
    """
    (n_before, c_before), (n_after, c_after) = before, after
    total = c_before + c_after
    ways = sum(comb(n_after, x) * comb(n_before, total - x) for x in range(max(0, total - n_before), c_after + 1))
    return float(Fraction(ways, comb(n_before + n_after, total)))


def p_of_all_tasks(pairs: Sequence[tuple[Count, Count]]) -> float:
    """The exact one-sided p-value that the passes of all tasks together did not fall.

    Args:
        pairs: `(before, after)` of each task, both as `(n, c)`.
    """
    chance = np.ones(1)
    # Sorted, so that the order of the tasks does not change the last digit.
    for (n_before, c_before), (n_after, c_after) in sorted(pairs):
        chance = np.convolve(chance, _passes_after(n_before, n_after, c_before + c_after))
    observed = sum(after[1] for _, after in pairs)
    return min(1.0, float(chance[: observed + 1].sum()))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down correction (Holm 1979): p-values that can each be compared with the same alpha, in order."""
    corrected = [1.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, ps[index] * (len(ps) - rank)))
        corrected[index] = highest
    return tuple(corrected)


@lru_cache(maxsize=65536)
def _passes_after(n_before: int, n_after: int, total: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The chances of 0, 1, ..., n_after passes in the new run, given the passes of both runs together."""
    ways = comb(n_before + n_after, total)
    chance = np.zeros(n_after + 1)
    for x in range(max(0, total - n_before), min(n_after, total) + 1):
        chance[x] = comb(n_after, x) * comb(n_before, total - x) / ways
    chance.setflags(write=False)
    return chance
