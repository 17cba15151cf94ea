"""Unbiased estimates of pass@k, pass^k and G-Pass@k from n attempts with c passes, and their averages over tasks.

With n < k no unbiased estimate exists: every statistic of n attempts has an expectation of degree n or less in the
task's pass rate p, and p^k has degree k. Such an estimate is None here, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

from pytest_agenteval.estimate.stats.thresholds import passes_needed

__all__ = [
    "Counts",
    "PassHatBounds",
    "SuiteEstimate",
    "check_counts",
    "g_pass_at_k",
    "moment_bounds",
    "pass_at_k",
    "pass_hat_bounds",
    "pass_hat_curve",
    "pass_hat_k",
    "suite_g_pass_at_k",
    "suite_pass_at_1",
    "suite_pass_at_k",
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
    tasks_used: int
    tasks_left_out: int
    """Tasks without any attempt that counts."""


def pass_at_k(n: int, c: int, k: int) -> float | None:
    """The chance that at least one of k fresh attempts passes: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021).

    Returns:
        The unbiased estimate, or None when n < k.

    Raises:
        ValueError: the counts are impossible, or k is below 1.
    """
    return _rounded(_at_k(n, c, k))


def pass_hat_k(n: int, c: int, k: int) -> float | None:
    """pass^k, the chance that all of k fresh attempts pass: C(c, k) / C(n, k) (Yao et al. 2024).

    Returns:
        The unbiased estimate, or None when n < k.

    Raises:
        ValueError: the counts are impossible, or k is below 1.
    """
    return _rounded(_hat_k(n, c, k))


def g_pass_at_k(n: int, c: int, k: int, tau: float) -> float | None:
    """G-Pass@k, the chance that at least ceil(tau * k) of k fresh attempts pass (Liu et al. 2024, arXiv 2412.13147).

    tau = 1 gives pass^k, a tau of 1/k or less gives pass@k, and j/k means j of k.

    Returns:
        The unbiased estimate, or None when n < k.

    Raises:
        ValueError: the counts are impossible, k is below 1, or tau is not in (0, 1].
    """
    return _rounded(_g_at_k(n, c, k, tau))


def suite_pass_at_k(counts: Counts, k: int) -> SuiteEstimate:
    """pass@k, averaged over the tasks with at least k attempts."""
    return _suite(counts, lambda n, c: _at_k(n, c, k))


def suite_pass_hat_k(counts: Counts, k: int) -> SuiteEstimate:
    """pass^k, averaged over the tasks with at least k attempts. All attempts at a task are used, not just its first
    k."""
    return _suite(counts, lambda n, c: _hat_k(n, c, k))


def suite_g_pass_at_k(counts: Counts, k: int, tau: float) -> SuiteEstimate:
    """G-Pass@k, averaged over the tasks with at least k attempts."""
    return _suite(counts, lambda n, c: _g_at_k(n, c, k, tau))


def suite_pass_at_1(counts: Counts) -> SuiteEstimate:
    """pass@1, averaged over the tasks with at least one attempt."""
    return suite_pass_hat_k(counts, 1)


def pass_hat_curve(counts: Counts, k: int) -> tuple[SuiteEstimate, ...]:
    """pass^1, pass^2, ..., pass^k of a suite, each over the tasks with enough attempts for it.

    Raises:
        ValueError: the counts are impossible, or k is below 1.
    """
    _check_k(k)
    return tuple(suite_pass_hat_k(counts, j) for j in range(1, k + 1))


def pass_hat_bounds(counts: Counts, k: int) -> PassHatBounds | None:
    """Bounds of a suite's pass^k if tasks have fewer than k attempts.

    They are the :func:`moment_bounds` of the estimates pass^m and pass^(m-1), where m is the smallest number of
    attempts at any task. They are estimated bounds and err like any estimate; they are not a confidence interval. When
    every task has k attempts, both are the unbiased estimate itself.

    Returns:
        The bounds, or None if no task has an attempt that counts.

    Raises:
        ValueError: the counts are impossible, or k is below 1.
    """
    _check_k(k)
    used = [(n, c) for n, c in counts if n > 0]
    if not used:
        return None
    attempts = min(n for n, _ in used)
    left_out = len(counts) - len(used)
    if k <= attempts:
        value = suite_pass_hat_k(used, k).value
        assert value is not None
        return PassHatBounds(value, value, k, len(used), left_out)
    last = suite_pass_hat_k(used, attempts).value
    previous = suite_pass_hat_k(used, attempts - 1).value if attempts > 1 else 1.0
    assert last is not None
    assert previous is not None
    low, high = moment_bounds(previous, last, attempts, k)
    return PassHatBounds(low, high, attempts, len(used), left_out)


def moment_bounds(previous: float, last: float, m: int, k: int) -> tuple[float, float]:
    """Bounds of the moment E[p^k], k >= m, from E[p^(m-1)] and E[p^m] of a p in [0, 1].

    The moments fall (upper bound: the last one) and are log-convex (Lyapunov; lower bound: the last ratio continues).
    """
    if last <= 0.0 or previous <= 0.0:
        return 0.0, max(last, 0.0)
    return last * (last / previous) ** (k - m), last


def check_counts(n: int, c: int) -> None:
    """Refuse impossible counts.

    Raises:
        ValueError: n is negative, or c is not between 0 and n.
    """
    if n < 0:
        raise ValueError(f"a task cannot have {n} attempts: give a number from 0")
    if not 0 <= c <= n:
        raise ValueError(f"{c} passes in {n} attempts is impossible: give a number of passes from 0 to {n}")


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k = {k} asks for no attempt at all: give a k of at least 1")


def _check(n: int, c: int, k: int) -> None:
    check_counts(n, c)
    _check_k(k)


def _at_k(n: int, c: int, k: int) -> Fraction | None:
    _check(n, c, k)
    return None if n < k else 1 - Fraction(comb(n - c, k), comb(n, k))


def _hat_k(n: int, c: int, k: int) -> Fraction | None:
    _check(n, c, k)
    return None if n < k else Fraction(comb(c, k), comb(n, k))


def _g_at_k(n: int, c: int, k: int, tau: float) -> Fraction | None:
    _check(n, c, k)
    if not 0.0 < tau <= 1.0:
        raise ValueError(f"tau = {tau} is no share of the k attempts: give a number above 0 and up to 1")
    if n < k:
        return None
    # Not ceil(tau * k): 0.07 of 100 attempts are 7 and 5/6 of 6 are 5, but as floats they are slightly larger.
    least = passes_needed(tau, k)
    ways = sum(comb(c, j) * comb(n - c, k - j) for j in range(least, min(c, k) + 1))
    return Fraction(ways, comb(n, k))


def _rounded(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _suite(counts: Counts, estimate: Callable[[int, int], Fraction | None]) -> SuiteEstimate:
    # Exact until the last step, and once per distinct pair, so the result does not depend on the order of the tasks.
    total, used = Fraction(0), 0
    for (n, c), tasks in Counter(counts).items():
        value = estimate(n, c)
        if value is not None:
            total += value * tasks
            used += tasks
    return SuiteEstimate(float(total / used) if used else None, used, len(counts) - used)
