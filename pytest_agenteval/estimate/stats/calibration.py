"""What an agent's own confidence is worth: is it too high on average, and is it higher where the agent is right?

A *claim* is a pair of the confidence, in [0, 1], and whether the attempt passed. Claims come by task, because the
attempts at one task resemble each other: intervals that ignore it are too narrow.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp, log, sqrt
from statistics import fmean, variance

from pytest_agenteval.estimate.stats.distributions import t_quantile
from pytest_agenteval.estimate.stats.intervals import TASKS_LIKE_THESE, Interval

__all__ = [
    "Claims",
    "Ranking",
    "calibrated_reading",
    "calibration_error",
    "excess",
    "mean_excess_interval",
    "ranking",
    "ranking_within_tasks",
    "squared_calibration_error",
]

Claims = Sequence[Sequence[tuple[float, bool]]]
"""By task."""

_BINS = 10
_REDRAWS = 200
_EDGE = 1e-3
"""How near to 0 and 1 a ranking may come before its logit is taken."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """How often a passed attempt was claimed with more confidence than a failed one (AUROC); ties count half."""

    value: float | None
    """None without both a passed and a failed attempt."""
    interval: Interval | None
    tasks: int
    """Tasks that contribute to it."""


def excess(claims: Sequence[tuple[float, bool]]) -> float:
    """The mean confidence less the pass rate, in [-1, 1]: above 0 the agent is over-confident."""
    return fmean(confidence - passed for confidence, passed in claims)


def mean_excess_interval(by_task: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The mean excess that other tasks of the kind would show: Student's t over tasks; None with fewer than two."""
    if len(by_task) < 2:
        return None
    half = t_quantile(0.5 + confidence / 2, len(by_task) - 1) * sqrt(variance(by_task) / len(by_task))
    mean = fmean(by_task)
    return Interval(max(-1.0, mean - half), min(1.0, mean + half), confidence, TASKS_LIKE_THESE, "t over tasks")


def ranking(claims: Claims, confidence: float = 0.95) -> Ranking:
    """Over all attempts: does the agent know which tasks are hard? Delete-one-task jackknife, on the logit scale."""
    parts = _parts(claims)
    passes, fails = sum(part.passes for part in parts), sum(part.fails for part in parts)
    wins = sum(part.as_passes for part in parts)
    if not passes * fails:
        return Ranking(None, None, len(parts))
    value = wins / (passes * fails)
    error = _jackknife_error(
        [
            (wins - part.as_passes - part.as_fails + part.within, (passes - part.passes) * (fails - part.fails))
            for part in parts
        ]
    )
    if error is None:
        return Ranking(value, None, len(parts))
    inside = min(max(value, _EDGE), 1 - _EDGE)
    half = t_quantile(0.5 + confidence / 2, len(parts) - 1) * error / (inside * (1 - inside))
    middle = log(inside / (1 - inside))
    low, high = min(value, _logistic(middle - half)), max(value, _logistic(middle + half))
    method = "delete-one-task jackknife on the logit scale, t"
    return Ranking(value, Interval(low, high, confidence, TASKS_LIKE_THESE, method), len(parts))


def ranking_within_tasks(claims: Claims, confidence: float = 0.95) -> Ranking:
    """Only pairs of the same task: does the agent know which of its attempts failed? Delete-one-task jackknife."""
    mixed = [part for part in _parts(claims) if part.passes and part.fails]
    wins, pairs = sum(part.within for part in mixed), sum(part.passes * part.fails for part in mixed)
    if not pairs:
        return Ranking(None, None, 0)
    value = wins / pairs
    error = _jackknife_error([(wins - part.within, pairs - part.passes * part.fails) for part in mixed])
    if error is None:
        return Ranking(value, None, len(mixed))
    half = t_quantile(0.5 + confidence / 2, len(mixed) - 1) * error
    low, high = max(0.0, value - half), min(1.0, value + half)
    method = "delete-one-task jackknife, t"
    return Ranking(value, Interval(low, high, confidence, TASKS_LIKE_THESE, method), len(mixed))


def calibration_error(claims: Sequence[tuple[float, bool]]) -> float:
    """The published ECE: how far confidence and pass rate lie apart in ten bins. Too high for few attempts."""
    return sum(len(each) / len(claims) * abs(excess(each)) for each in _bins(claims))


def squared_calibration_error(claims: Sequence[tuple[float, bool]]) -> float | None:
    """The squared calibration error, with each bin's sampling variance taken off (Kumar et al. 2019).

    It may be below 0. Bins of one are left out; None if there is no other.
    """
    bins = [[confidence - passed for confidence, passed in each] for each in _bins(claims) if len(each) > 1]
    weight = sum(map(len, bins))
    squares = [len(each) * (fmean(each) ** 2 - variance(each) / len(each)) for each in bins]
    return sum(squares) / weight if weight else None


def calibrated_reading(claims: Sequence[tuple[float, bool]]) -> float:
    """What :func:`calibration_error` would read on average, were every confidence exactly right. Seeded."""
    import numpy as np

    confidence, random = np.array([each for each, _ in claims]), np.random.default_rng(0)
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    read = []
    for _ in range(_REDRAWS):
        gaps = np.bincount(bins, confidence - (random.random(len(claims)) < confidence), _BINS)
        read.append(float(np.abs(gaps).sum()) / len(claims))
    return fmean(read)


@dataclass(frozen=True, slots=True)
class _Part:
    """One task's part in a ranking: its attempts, and the pairs with them that are ranked right, ties counted half."""

    passes: int
    fails: int
    as_passes: float
    """Its passes against the fails of all tasks."""
    as_fails: float
    """Its fails against the passes of all tasks."""
    within: float
    """Its passes against its own fails."""


def _parts(claims: Claims) -> list[_Part]:
    passes, fails = _sorted(chain.from_iterable(claims))
    parts = []
    for task in claims:
        if not task:
            continue
        own_passes, own_fails = _sorted(task)
        parts.append(
            _Part(
                len(own_passes),
                len(own_fails),
                sum(_below(each, fails) for each in own_passes),
                sum(len(passes) - _below(each, passes) for each in own_fails),
                sum(_below(each, own_fails) for each in own_passes),
            )
        )
    return parts


def _sorted(claims: Iterable[tuple[float, bool]]) -> tuple[list[float], list[float]]:
    """The confidences of passes and of fails."""
    claims = sorted(claims)
    return [each for each, passed in claims if passed], [each for each, passed in claims if not passed]


def _below(confidence: float, among: Sequence[float]) -> float:
    """How many lie below it; equal ones count half."""
    return (bisect_left(among, confidence) + bisect_right(among, confidence)) / 2


def _jackknife_error(left: Sequence[tuple[float, int]]) -> float | None:
    """From the wins and pairs without each task; None if one of them leaves no pair."""
    if len(left) < 2 or not all(pairs for _, pairs in left):
        return None
    values = [wins / pairs for wins, pairs in left]
    return sqrt((len(left) - 1) ** 2 / len(left) * variance(values))


def _bins(claims: Sequence[tuple[float, bool]]) -> list[list[tuple[float, bool]]]:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, passed in claims:
        bins.setdefault(min(int(confidence * _BINS), _BINS - 1), []).append((confidence, passed))
    return list(bins.values())


def _logistic(x: float) -> float:
    return 1 / (1 + exp(-x))
