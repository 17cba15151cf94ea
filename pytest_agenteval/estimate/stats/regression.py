"""Whether the agent is worse than in the baseline: exact tests within tasks, over all tasks and for each one.

If nothing changed, the attempts at a task are exchangeable between the two runs. Given how many attempts passed in both
runs together, the number that passed in the new run is hypergeometric. The distribution of the sum over all tasks is
the convolution of these, exact for any numbers of attempts.

The per-task tests name tasks at alpha/2, each p corrected by step-down minP (Westfall and Young 1993, algorithm 2.8).
That is exact here, because tasks are independent: a task that could not have shown so small a p does not count. The
test over all tasks has what these leave of alpha: its p counts every outcome in which a task would be named or fewer
attempts would pass in all. So an unchanged agent is called worse in at most a share alpha of comparisons.

Few outcomes are exactly as likely as alpha, which costs power. So among outcomes with equally many passes, those count
as worse in which single tasks fell further: their own p-values, multiplied, are smaller.

The tests compare pass@1 counts, not which tasks passed every attempt, because the latter loses most of the power. Both
runs must have a fixed number of attempts at every task; attempts that stopped at a failure do not qualify.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import comb, log, prod

import numpy as np

from pytest_agenteval.estimate.stats.estimators import check_counts

__all__ = [
    "TIES_BROKEN",
    "Regression",
    "TaskChange",
    "corrected",
    "naming_limit",
    "p_of_all_tasks",
    "p_of_task",
    "regression_test",
]

Count = tuple[int, int]
TIES_BROKEN = 256
"""Equal sums are told apart up to this many attempts in the new run. With more, a tie is too rare to matter."""
_TRIED_OUT = 64
"""Missing attempts that could have ended in more ways than this are not tried out one by one."""
_STEP = 0.5
"""The weight of a fall is -ln(p) in steps of this size."""


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
    p_corrected: float
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
    """One-sided and exact, over all compared tasks; None if there are none. How often an unchanged agent would have
    a task named, or do as badly in all."""
    tasks: tuple[TaskChange, ...]
    """The compared tasks, smallest p first."""
    not_compared: tuple[str, ...]
    """Tasks with attempts that count in only one of the runs, or in neither; sorted."""

    @property
    def regressed_tasks(self) -> tuple[TaskChange, ...]:
        """The tasks that regressed by their own test."""
        return tuple(change for change in self.tasks if change.p_corrected <= self.alpha / 2)

    @property
    def fell_overall(self) -> bool:
        """Whether the agent passes less often by the test over all tasks."""
        return self.p_all_tasks is not None and self.p_all_tasks <= self.alpha

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
    pairs = [(before[name], after[name]) for name in compared]
    changes = [
        TaskChange(name, *pair, p_of_task(*pair), p)
        for name, pair, p in zip(compared, pairs, corrected(pairs), strict=True)
    ]
    left = set(compared)
    return Regression(
        alpha,
        _p_of_being_worse(tuple(sorted(pairs)), alpha) if compared else None,
        tuple(sorted(changes, key=lambda change: (change.p, change.task))),
        tuple(name for name in names if name not in left),
    )


def regression_bounds(
    before: Mapping[str, Count], after: Mapping[str, Count], missing: Mapping[str, int], alpha: float = 0.05
) -> tuple[bool | None, bool | None]:
    """Whether :func:`regression_test` could call the agent worse, and whether it must, whatever was missing.

    The corrections depend on how many attempts pass in both runs, so one more pass can turn a verdict either way. If
    few attempts are missing, every way in which they could have ended is tried. If many are, there are bounds: tests
    that one more pass turns one way only.

    - Must: at best, Bonferroni's correction and half of alpha for either part, of which each part has no less.
    - Could: at worst, all of alpha for fewer passes than there were; or a task whose p is small enough beside those of
      the tasks that lack nothing.

    Args:
        before: `(n, c)` by task.
        after: the same for the new run.
        missing: how many attempts of the new run are not in `after`, by task.
        alpha: as in :func:`regression_test`.

    Returns:
        (could, must); None if nothing can be compared.
    """
    tasks = [task for task in before if before[task][0] and after[task][0] + missing[task]]
    if not tasks:
        return None, None
    if prod(missing[task] + 1 for task in tasks) <= _TRIED_OUT:
        ends = product(*(range(missing[task] + 1) for task in tasks))
        all_after = [
            {t: (after[t][0] + missing[t], after[t][1] + x) for t, x in zip(tasks, end, strict=True)} for end in ends
        ]
        found = [
            bool(regression_test({task: before[task] for task in tasks}, each, alpha).regressed) for each in all_after
        ]
        return any(found), all(found)
    worst = [(before[task], (after[task][0] + missing[task], after[task][1])) for task in tasks]
    best = [(b, (n, c + missing[task])) for task, (b, (n, c)) in zip(tasks, worst, strict=True)]
    sure = Counter(_margins(pair) for task, pair in zip(tasks, worst, strict=True) if not missing[task])
    smallest, ties = min(p_of_task(*pair) for pair in worst), sum(n for _, (n, _) in worst) <= TIES_BROKEN
    named = max(smallest, _chance_of_one(sure, smallest)) <= alpha / 2
    fell = _chance_of_passes(worst, sum(c for _, (_, c) in worst) - ties) <= alpha
    must = p_of_all_tasks(best) <= alpha / 2 or min(p_of_task(*pair) for pair in best) * len(best) <= alpha / 2
    return named or fell, must


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
    return _chance_of_passes(pairs, sum(after[1] for _, after in pairs))


def _chance_of_passes(pairs: Sequence[tuple[Count, Count]], most: int) -> float:
    """How often an unchanged agent would pass at most so many of the new attempts."""
    chance = np.ones(1)
    # Sorted, so that the order of the tasks does not change the last digit.
    for (n_before, c_before), (n_after, c_after) in sorted(pairs):
        chance = np.convolve(chance, _passes_after(n_before, n_after, c_before + c_after))
    return min(1.0, float(chance[: most + 1].sum()))


@lru_cache(maxsize=256)
def _p_of_being_worse(pairs: tuple[tuple[Count, Count], ...], alpha: float) -> float:
    """How often an unchanged agent would have one of these tasks named, or do as badly in all of them together."""
    breaks_ties = sum(n_after for _, (n_after, _) in pairs) <= TIES_BROKEN
    limit = naming_limit(pairs, alpha / 2)
    chance = np.ones((1, 1))
    """Of outcomes in which no task is named, by the passes of all tasks and the weight of their falls."""
    passes = weight = 0
    for (n_before, c_before), (n_after, c_after) in pairs:
        likely = _passes_after(n_before, n_after, total := c_before + c_after)
        ps = {x: p_of_task((n_before, total - x), (n_after, x)) for x in np.flatnonzero(likely).tolist()}
        weights = {x: round(-log(p) / _STEP) if breaks_ties else 0 for x, p in ps.items()}
        unnamed = [x for x, p in ps.items() if p > limit]
        rows, columns = chance.shape
        grown = np.zeros((rows + n_after, columns + max(weights[x] for x in unnamed)))
        for x in unnamed:
            grown[x : x + rows, weights[x] : weights[x] + columns] += likely[x] * chance
        chance, passes, weight = grown, passes + c_after, weight + weights[c_after]
    better = chance[passes + 1 :].sum() + chance[passes, :weight].sum()
    return min(1.0, max(0.0, 1.0 - float(better)))


def corrected(pairs: Sequence[tuple[Count, Count]]) -> tuple[float, ...]:
    """The p of each task, corrected for testing all of them: each can be compared with the same alpha, in order.

    How often one of the tasks that are no clearer would show so small a p in an unchanged agent.

    Args:
        pairs: `(before, after)` of each task, both as `(n, c)`.
    """
    ps = [p_of_task(before, after) for before, after in pairs]
    made, highest, left = [1.0] * len(ps), 0.0, Counter(map(_margins, pairs))
    for index in sorted(range(len(ps)), key=ps.__getitem__):
        made[index] = highest = max(highest, _chance_of_one(left, ps[index]))
        left -= Counter([_margins(pairs[index])])
    return tuple(made)


def naming_limit(pairs: Sequence[tuple[Count, Count]], level: float) -> float:
    """The largest p that a task can have and be named at this level, corrected; 0.0 if none can be named."""
    margins = Counter(map(_margins, pairs))
    possible = sorted({p for each in margins for p in _possible_ps(*each) if p <= level}, reverse=True)
    return next((p for p in possible if _chance_of_one(margins, p) <= level), 0.0)


def _margins(pair: tuple[Count, Count]) -> tuple[int, int, int]:
    """What does not change when attempts are dealt to the two runs in another way: their numbers, and all passes."""
    (n_before, c_before), (n_after, c_after) = pair
    return n_before, n_after, c_before + c_after


def _chance_of_one(margins: Counter[tuple[int, int, int]], p: float) -> float:
    """How often at least one of these tasks would have so small a p."""
    none = 1.0
    for each, tasks in sorted(margins.items()):
        possible = _possible_ps(*each)
        none *= (1.0 - possible[at - 1]) ** tasks if (at := bisect_right(possible, p)) else 1.0
    return 1.0 - none


@lru_cache(maxsize=65536)
def _possible_ps(n_before: int, n_after: int, passes: int) -> tuple[float, ...]:
    """The ps that a task can have, ascending. Each is also the chance of one that is as small."""
    fewest, most = max(0, passes - n_before), min(n_after, passes)
    return tuple(p_of_task((n_before, passes - x), (n_after, x)) for x in range(fewest, most + 1))


@lru_cache(maxsize=65536)
def _passes_after(n_before: int, n_after: int, total: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The chances of 0, 1, ..., n_after passes in the new run, given the passes of both runs together."""
    ways = comb(n_before + n_after, total)
    chance = np.zeros(n_after + 1)
    for x in range(max(0, total - n_before), min(n_after, total) + 1):
        chance[x] = comb(n_after, x) * comb(n_before, total - x) / ways
    chance.setflags(write=False)
    return chance
