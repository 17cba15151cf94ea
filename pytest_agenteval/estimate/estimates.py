"""The estimates of a cell from its tasks' counts: of the whole grid, or of one thinned out by early stopping.

Attempts that stop at failures are not a fair sample: for an agent that passes half the time, the share of passes is
0.31. So neither pass@1 nor pass^k is estimated from a thinned grid. pass@1 may come from first attempts if every task
was certain to get one. The certain part of pass^k is given by its worst and best case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_agenteval.estimate.stats.estimators import (
    Counts,
    PassHatBounds,
    SuiteEstimate,
    pass_hat_bounds,
    pass_hat_curve,
    suite_at_least,
    suite_pass_at_1,
    suite_pass_hat_k,
)
from pytest_agenteval.estimate.stats.intervals import (
    Interval,
    tasks_like_these_pass_hat_k,
    this_suite_pass_at_1,
    this_suite_pass_hat_k,
)

__all__ = ["Estimates", "of_first_attempts", "of_full_grid"]


@dataclass(frozen=True, slots=True)
class Estimates:
    """The estimates from a cell's attempts, averaged over tasks; None or empty if they cannot be estimated."""

    pass_at_1: SuiteEstimate
    pass_hat_k: SuiteEstimate
    gap: float | None
    """pass@1 minus pass^k, both over the tasks that have a pass^k; None if no task has one."""
    curve: tuple[SuiteEstimate, ...]
    """pass^1 to pass^k, all over the same tasks. A value is None if one of those tasks has too few attempts for it."""
    at_least: tuple[SuiteEstimate, ...]
    """The chance that at least 1, 2, ..., k of k attempts pass: G-Pass@k, from pass@k to pass^k."""
    pass_at_1_intervals: tuple[Interval, ...]
    """At 95%; each is named after the question it answers."""
    pass_hat_k_intervals: tuple[Interval, ...]
    pass_hat_k_bounds: PassHatBounds | None
    """Point bounds of pass^k, without a confidence, if a task has fewer than k attempts; otherwise None."""
    counts: Counts
    """`(n, c)` by task, of the attempts that may be used for estimates: their number was fixed in advance."""
    first_attempts: int | None = None
    """The number of first attempts, if pass@1 is estimated from these alone."""

    def pass_hat(self, j: int) -> SuiteEstimate:
        """pass^j, the chance that all of j attempts pass: over the tasks with at least j attempts.

        Raises:
            ValueError: j is below 1.
        """
        return suite_pass_hat_k(self.counts, j)


def of_full_grid(counts: Counts, k: int) -> Estimates:
    """The estimates from all attempts that count, with every task's number of them fixed in advance."""
    hat_k = suite_pass_hat_k(counts, k)
    at_1 = suite_pass_at_1([(n, c) for n, c in counts if n >= k])
    return Estimates(
        pass_at_1=suite_pass_at_1(counts),
        pass_hat_k=hat_k,
        gap=None if hat_k.value is None or at_1.value is None else at_1.value - hat_k.value,
        curve=_of_the_same_tasks(pass_hat_curve(counts, k)),
        at_least=tuple(suite_at_least(counts, j, k) for j in range(1, k + 1)),
        pass_at_1_intervals=_some(this_suite_pass_at_1(counts), tasks_like_these_pass_hat_k(counts, 1)),
        pass_hat_k_intervals=_some(this_suite_pass_hat_k(counts, k), tasks_like_these_pass_hat_k(counts, k)),
        pass_hat_k_bounds=pass_hat_bounds(counts, k) if hat_k.tasks_left_out else None,
        counts=tuple(counts),
    )


def of_first_attempts(passed: Sequence[bool | None], k: int) -> Estimates:
    """The estimates for a thinned grid: pass@1 from the first attempts alone.

    Args:
        passed: by task, whether its first attempt passed; None if it does not count, or if not every task was certain
            to get one.
        k: the grid's.
    """
    counts = [(int(first is not None), int(bool(first))) for first in passed]
    nothing = SuiteEstimate(None, 0, len(counts))
    used = sum(n for n, _ in counts)
    return Estimates(
        pass_at_1=suite_pass_at_1(counts),
        pass_hat_k=nothing,
        gap=None,
        curve=(nothing,) * k,
        at_least=(nothing,) * k,
        pass_at_1_intervals=_some(this_suite_pass_at_1(counts), tasks_like_these_pass_hat_k(counts, 1)),
        pass_hat_k_intervals=(),
        pass_hat_k_bounds=None,
        counts=tuple(counts),
        first_attempts=used or None,
    )


def _of_the_same_tasks(curve: Sequence[SuiteEstimate]) -> tuple[SuiteEstimate, ...]:
    """The curve, without the values over other tasks than its first: they would make it seem to rise or fall."""
    most = curve[0].tasks_used
    return tuple(point if point.tasks_used == most else replace(point, value=None) for point in curve)


def _some(*intervals: Interval | None) -> tuple[Interval, ...]:
    return tuple(interval for interval in intervals if interval is not None)
