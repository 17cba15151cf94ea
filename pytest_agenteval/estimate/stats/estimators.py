"""Unbiased estimates of pass^k and G-Pass@k from n attempts with c passes, and their averages over tasks.

With n < k no unbiased estimate exists: every statistic of n attempts has an expectation of degree n or less in the
task's pass rate p, and p^k has degree k. Such an estimate is None here, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, comb

__all__ = [
    "Counts",
    "PassHatBounds",
    "SuiteEstimate",
    "check_counts",
    "moment_bounds",
    "pass_hat_bounds",
    "pass_hat_curve",
    "pass_hat_k",
    "passes_needed",
    "suite_at_least",
    "suite_pass_at_1",
    "suite_pass_hat_k",
]

Counts = Sequence[tuple[int, int]]
"""One `(n, c)` per task: n attempts that count, c of which passed."""


@dataclass(frozen=True, slots=True)
class SuiteEstimate:
    """The average of an estimate over the tasks that have enough attempts for it, with equal weight."""

    value: float | None
    """The average, rounded once from the exact fraction, or None if no task has enough attempts."""
    tasks_used: int
    tasks_left_out: int
    """Tasks with fewer attempts than the estimate needs."""


@dataclass(frozen=True, slots=True)
class PassHatBounds:
    """Bounds of pass^k for a k above the number of attempts: point bounds, without a confidence."""

    low: float
    high: float
    attempts: int
    """The m in the pass^m and pass^(m-1) from which the bounds are made."""


def pass_hat_k(n: int, c: int, k: int) -> float | None:
    """pass^k, the chance that all of k fresh attempts pass: C(c, k) / C(n, k) (Yao et al. 2024); None when n < k."""
    value = _at_least(n, c, k, k)
    return None if value is None else float(value)


def suite_pass_hat_k(counts: Counts, k: int) -> SuiteEstimate:
    """pass^k, averaged over the tasks with at least k attempts; all attempts at a task count, not just the first k."""
    return suite_at_least(counts, k, k)


def suite_at_least(counts: Counts, j: int, k: int) -> SuiteEstimate:
    """The chance that at least j of k fresh attempts pass, averaged over the tasks with at least k attempts.

    G-Pass@k (Liu et al. 2024, arXiv 2412.13147) with tau = j/k: pass@k (Chen et al. 2021) for j = 1, pass^k for j = k.
    """
    # Exact until the last step, and once per distinct pair, so the result does not depend on the order of the tasks.
    total, used = Fraction(0), 0
    for (n, c), tasks in Counter(counts).items():
        value = _at_least(n, c, j, k)
        if value is not None:
            total += value * tasks
            used += tasks
    return SuiteEstimate(float(total / used) if used else None, used, len(counts) - used)


def suite_pass_at_1(counts: Counts) -> SuiteEstimate:
    """pass@1, averaged over the tasks with at least one attempt."""
    return suite_pass_hat_k(counts, 1)


def pass_hat_curve(counts: Counts, k: int) -> tuple[SuiteEstimate, ...]:
    """pass^1, pass^2, ..., pass^k of a suite, each over the tasks with enough attempts for it."""
    _check_k(k)
    return tuple(suite_pass_hat_k(counts, j) for j in range(1, k + 1))


def pass_hat_bounds(counts: Counts, k: int) -> PassHatBounds | None:
    """Bounds of a suite's pass^k if tasks have fewer than k attempts.

    They are the :func:`moment_bounds` of the estimates pass^m and pass^(m-1), where m is the smallest number of
    attempts at any task. They are estimated bounds and err like any estimate; they are not a confidence interval. When
    every task has k attempts, both are the unbiased estimate itself. None if no task has an attempt that counts.
    """
    _check_k(k)
    used = [(n, c) for n, c in counts if n > 0]
    if not used:
        return None
    attempts = min(n for n, _ in used)
    if k <= attempts:
        value = suite_pass_hat_k(used, k).value
        assert value is not None
        return PassHatBounds(value, value, k)
    last = suite_pass_hat_k(used, attempts).value
    previous = suite_pass_hat_k(used, attempts - 1).value if attempts > 1 else 1.0
    assert last is not None
    assert previous is not None
    return PassHatBounds(*moment_bounds(previous, last, attempts, k), attempts)


def moment_bounds(previous: float, last: float, m: int, k: int) -> tuple[float, float]:
    """Bounds of the moment E[p^k], k >= m, from E[p^(m-1)] and E[p^m] of a p in [0, 1].

    The moments fall (upper bound: the last one) and are log-convex (Lyapunov; lower bound: the last ratio continues).
    """
    if last <= 0.0 or previous <= 0.0:
        return 0.0, max(last, 0.0)
    return last * (last / previous) ** (k - m), last


def check_counts(n: int, c: int) -> None:
    """Refuse impossible counts: a negative n, or a c that is not between 0 and n."""
    if n < 0:
        raise ValueError(f"a task cannot have {n} attempts: give a number from 0")
    if not 0 <= c <= n:
        raise ValueError(f"{c} passes in {n} attempts is impossible: give a number of passes from 0 to {n}")


def passes_needed(threshold: float, total: int) -> int:
    """The smallest whole number s with `s / total >= threshold`, compared as floats.

    Every estimate here is a fraction rounded once, so this rule and `estimate >= threshold` always agree: 7 of 10 reach
    0.7.
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"a threshold of {threshold} cannot be compared with a rate: give one between 0 and 1")
    if total < 1:
        raise ValueError(f"a threshold needs something to count, not a total of {total}: give a total of at least 1")
    needed = ceil(threshold * total)
    while needed > 0 and (needed - 1) / total >= threshold:
        needed -= 1
    while needed / total < threshold:
        needed += 1
    return needed


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k = {k} asks for no attempt at all: give a k of at least 1")


def _at_least(n: int, c: int, j: int, k: int) -> Fraction | None:
    check_counts(n, c)
    _check_k(k)
    if n < k:
        return None
    return Fraction(sum(comb(c, x) * comb(n - c, k - x) for x in range(j, min(c, k) + 1)), comb(n, k))
