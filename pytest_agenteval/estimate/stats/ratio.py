"""The ratio of two mean pass rates over the same tasks, with an interval: MOVER-R (Donner and Zou 2012).

It is made of the intervals of the two means, so it needs no variance of a ratio and stays sensible where the base is
small; where that may be 0 there is no upper end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from pytest_agenteval.estimate.stats.distributions import normal_quantile
from pytest_agenteval.estimate.stats.estimators import Counts
from pytest_agenteval.estimate.stats.intervals import (
    TASKS_LIKE_THESE,
    THIS_SUITE,
    Interval,
    tasks_like_these_pass_hat_k,
    wilson,
)

__all__ = ["mover_ratio", "ratio_like_these", "ratio_of_suite", "suite_interval"]

_METHOD = "MOVER-R"
_MOST_ALIKE = 0.99


def mover_ratio(
    over: tuple[float, float, float], under: tuple[float, float, float], correlation: float = 0.0
) -> tuple[float, float]:
    """The interval of the ratio of two estimates, each given as (value, low, high).

    Args:
        over: the numerator.
        under: the denominator, above 0.
        correlation: of the two estimates.

    Returns:
        (low, high); high is infinite where the denominator may be 0.
    """
    (q, l1, u1), (p, l2, u2) = over, under
    a = q * p - correlation * (q - l1) * (u2 - p)
    b = q * p - correlation * (u1 - q) * (p - l2)
    root_low = math.sqrt(max(0.0, a * a - l1 * u2 * (2 * q - l1) * (2 * p - u2)))
    low = l1 * (2 * q - l1) / (a + root_low) if a + root_low > 0 else 0.0
    if l2 <= 0.0:
        return low, math.inf
    root_high = math.sqrt(max(0.0, b * b - u1 * l2 * (2 * q - u1) * (2 * p - l2)))
    return low, (b + root_high) / (l2 * (2 * p - l2))


def ratio_of_suite(base: Counts, under: Counts, confidence: float = 0.95) -> Interval | None:
    """The ratio that endless re-runs of these tasks would show; None where the base passed nothing.

    Args:
        base: `(n, c)` of each task, all with n above 0.
        under: the same tasks in the same order, perturbed.
        confidence: how often such an interval contains the true value.
    """
    p, q = suite_interval(base, confidence), suite_interval(under, confidence)
    if p[0] == 0.0:
        return None
    return Interval(*mover_ratio(q, p), confidence, THIS_SUITE, _METHOD)


def ratio_like_these(base: Counts, under: Counts, confidence: float = 0.95) -> Interval | None:
    """The ratio that other tasks of the same kind would show; None with fewer than two tasks, or a base of 0."""
    p = tasks_like_these_pass_hat_k(base, 1, confidence)
    q = tasks_like_these_pass_hat_k(under, 1, confidence)
    before, after = _rates(base), _rates(under)
    if p is None or q is None or not any(before):
        return None
    found = mover_ratio((fmean(after), q.low, q.high), (fmean(before), p.low, p.high), _correlation(before, after))
    return Interval(*found, confidence, TASKS_LIKE_THESE, _METHOD)


def suite_interval(counts: Counts, confidence: float) -> tuple[float, float, float]:
    """The mean pass rate of these very tasks with its interval: Wilson, sized by the variance within tasks.

    That variance is the mean of the plug-in one and of one at smoothed rates, which is not 0 where tasks always pass.
    """
    rates = _rates(counts)
    mean, tasks = fmean(rates), len(rates)
    plain = sum(rate * (1 - rate) / (n - 1) for rate, (n, _) in zip(rates, counts, strict=True) if n > 1)
    smooth = [((c + 0.5) / (n + 1), n) for n, c in counts]
    variance = (plain + sum(rate * (1 - rate) / n for rate, n in smooth)) / 2 / tasks**2
    spread, attempts = mean * (1 - mean), sum(n for n, _ in counts)
    size = max(spread / variance, attempts) if spread > 0 else attempts
    low, high = wilson(mean, size, normal_quantile(0.5 + confidence / 2))
    return mean, low, high


def _rates(counts: Counts) -> list[float]:
    return [c / n for n, c in counts]


def _correlation(before: Sequence[float], after: Sequence[float]) -> float:
    """Of the tasks' rates, from 0 to 0.99; 0 where one of them does not vary."""
    x, y = fmean(before), fmean(after)
    both = math.fsum((one - x) * (two - y) for one, two in zip(before, after, strict=True))
    spread = math.fsum((one - x) ** 2 for one in before) * math.fsum((two - y) ** 2 for two in after)
    return min(max(both / math.sqrt(spread), 0.0), _MOST_ALIKE) if spread > 0 else 0.0
