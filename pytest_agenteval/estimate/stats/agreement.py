"""How alike the attempts at one task are: in outcome, in the tools they call, and in what they use.

A mean over all pairs of attempts is an unbiased estimate of what two fresh attempts would show (a U-statistic). The
published forms of Rabanser et al. 2026 (arXiv 2602.16666) are not; they stand here beside ours, for comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations
from math import log2
from statistics import fmean, stdev
from typing import TypeVar

from pytest_agenteval.estimate.stats.estimators import check_counts

__all__ = [
    "Actions",
    "mean_over_pairs",
    "outcome_consistency",
    "outcome_consistency_spread",
    "outcome_consistency_variance",
    "parting_step",
    "published_outcome_consistency",
    "same_order",
    "same_tools",
    "same_use",
    "variation",
]

Actions = tuple[str, ...]
"""The names of the tools that an attempt called, in order."""

T = TypeVar("T")

_COMPARED = 64


def outcome_consistency(n: int, c: int) -> float | None:
    """How much likelier two attempts agree than differ: 1 for 0 or n passes of n, below 0 near n/2; None if n < 2.

    It estimates 1 - 4p(1-p), and equals 1 - 4(pass^1 - pass^2).
    """
    check_counts(n, c)
    return None if n < 2 else 1.0 - 4 * c * (n - c) / (n * (n - 1))


def published_outcome_consistency(n: int, c: int) -> float:
    """The published (2c/n - 1)^2, n at least 1. It is too high: for p = 0.5 and n = 5 it reads 0.2, not 0."""
    check_counts(n, c)
    return (2 * c / n - 1) ** 2


def outcome_consistency_variance(n: int, c: int) -> float:
    """The variance of :func:`outcome_consistency` over re-runs, exact for a pass rate of (c + 1/2) / (n + 1); n >= 2.

    That of a U-statistic (Hoeffding 1948) whose kernel is the product of two outcomes, each 1 or -1.
    """
    square = (2 * (c + 0.5) / (n + 1) - 1) ** 2
    return float((4 * (n - 2) * square * (1 - square) + 2 * (1 - square * square)) / (n * (n - 1)))


def outcome_consistency_spread(n: int, c: int, missing: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The counts `(n, c)` with the least and with the greatest consistency that missing attempts can still lead to."""
    total = n + missing
    passes = range(c, c + missing + 1)
    middle = min(passes, key=lambda each: abs(2 * each - total))
    edge = max(passes, key=lambda each: abs(2 * each - total))
    return (total, middle), (total, edge)


def mean_over_pairs(items: Sequence[T], alike: Callable[[T, T], float]) -> float | None:
    """The mean likeness of all pairs; None with fewer than two items.

    Of more than 64 items the first 64 are compared, for the number of pairs grows with its square. Attempts come in no
    order of their kind, so the estimate stays unbiased.
    """
    pairs = combinations(items[:_COMPARED], 2)
    return fmean(alike(one, other) for one, other in pairs) if len(items) > 1 else None


@lru_cache(maxsize=16_384)
def same_tools(one: Actions, other: Actions) -> float:
    """1 less the Jensen-Shannon divergence, to base 2, of how often each tool is called: 1 for the same shares.

    Two attempts without a call are alike (1), one without and one with calls are not (0).
    """
    if not one or not other:
        return float(one == other)
    first, second = Counter(one), Counter(other)
    divergence = 0.0
    for tool in first.keys() | second.keys():
        p, q = first[tool] / len(one), second[tool] / len(other)
        middle = (p + q) / 2
        divergence += (p * log2(p / middle) if p else 0.0) / 2 + (q * log2(q / middle) if q else 0.0) / 2
    return 1.0 - min(1.0, max(0.0, divergence))


@lru_cache(maxsize=16_384)
def same_order(one: Actions, other: Actions) -> float:
    """1 less the share of the longer sequence that has to be edited to make it the other (Levenshtein)."""
    return 1.0 if one == other else 1.0 - _edits(one, other) / max(len(one), len(other))


def _edits(one: Actions, other: Actions) -> int:
    """The Levenshtein distance by Myers' bit vectors (1999), which hold a column of the usual table in two numbers."""
    if not one:
        return len(other)
    places: dict[str, int] = {}
    for place, action in enumerate(one):
        places[action] = places.get(action, 0) | 1 << place
    every, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    more, less, edits = every, 0, len(one)
    for action in other:
        equal = places.get(action, 0)
        diagonal = (((equal & more) + more) ^ more) | equal
        up, down = less | ~(diagonal | more) & every, more & diagonal
        edits += bool(up & last) - bool(down & last)
        up, down = (up << 1 | 1) & every, down << 1 & every
        equal |= less
        more, less = down | ~(equal | up) & every, up & equal
    return edits


def same_use(one: float, other: float) -> float:
    """1 less the difference of two amounts as a share of their sum; 1 if both are 0."""
    return 1.0 if one == other else 1.0 - abs(one - other) / (one + other)


def variation(amounts: Sequence[float]) -> float | None:
    """The coefficient of variation, which the published consistency of resources is made of; None without a mean."""
    mean = fmean(amounts) if len(amounts) > 1 else 0.0
    return stdev(amounts) / mean if mean > 0 else None


def parting_step(runs: Sequence[Actions]) -> int | None:
    """The first step, from 1, at which not all runs do the same; None if all runs are the same."""
    if len(set(runs)) < 2:
        return None
    longest = max(map(len, runs))
    return next(step for step in range(1, longest + 1) if len({run[step - 1 : step] for run in runs}) > 1)
