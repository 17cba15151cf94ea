"""What cells are compared by: fronts of cost and gain, a paired test, and the shares of a spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Point", "Shares", "convex_front", "sign_flip_p", "staircase", "two_way_shares"]

Point = tuple[float, float]
"""Cost (lower is better) and gain (higher is better)."""


def staircase(points: Sequence[Point]) -> tuple[bool, ...]:
    """For each point, whether no other costs at most as much and gains at least as much, one of the two strictly."""
    return tuple(
        not any(
            cost <= own[0] and gain >= own[1] and (cost, gain) != own  # equal points both stay
            for cost, gain in points
        )
        for own in points
    )


def convex_front(points: Sequence[Point]) -> tuple[bool, ...]:
    """For each point, whether it is on the staircase and not below a straight line between two others on it.

    Two agents can be mixed by choosing one at random for each task. The mixture's cost and pass@1 lie on the straight
    line between theirs, so the front for pass@1 is this upper convex hull (Kapoor et al. 2024, "AI Agents That
    Matter"). That does not hold for pass^k, if the choice is made for every attempt: its front is the staircase.
    """
    hull: list[Point] = []
    for point in sorted({point for point, kept in zip(points, staircase(points), strict=True) if kept}):
        while len(hull) > 1 and _below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return tuple(point in hull for point in points)


def _below(left: Point, middle: Point, right: Point) -> bool:
    return (middle[1] - left[1]) * (right[0] - left[0]) < (right[1] - left[1]) * (middle[0] - left[0])


_EXACT = 36
"""Up to this many differences, all choices of signs are counted: two halves of 2^18 sums each."""
_DRAWS = 99_999
"""Above that, this many choices are drawn, always the same ones; p is then (1 + hits) / (1 + draws), never too
small."""
_BLOCK = 9_999

_Sums = np.ndarray[tuple[int], np.dtype[np.float64]]


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """The one-sided p-value for the sum of the differences being above 0; None if there are no differences.

    The exact sign-flip test (Fisher 1935): if two things did not differ, each task's difference could equally have the
    other sign, so all 2^n choices of signs are equally likely, and p is the share of them whose sum is at least the
    observed one. A difference of 0 changes nothing.
    """
    if not differences:
        return None
    sizes = np.abs(np.array([each for each in differences if each], dtype=np.float64))
    if not sizes.size:
        return 1.0
    # Sums that are equal on paper may differ in their last digits. They count as equal, which makes p larger.
    least = float(np.sum(differences)) - 1e-9 * float(sizes.sum())
    if sizes.size <= _EXACT:
        half = sizes.size // 2
        one, other = _sums(sizes[:half]), np.sort(_sums(sizes[half:]))
        reached = other.size - np.searchsorted(other, least - one, side="left")
        return float(reached.sum() / 2.0**sizes.size)
    random, hits = np.random.default_rng(0), 0
    for start in range(0, _DRAWS, _BLOCK):
        signs = random.choice(np.array([-1.0, 1.0]), size=(min(_BLOCK, _DRAWS - start), sizes.size))
        hits += int((signs @ sizes >= least).sum())
    return (1 + hits) / (1 + _DRAWS)


def _sums(sizes: _Sums) -> _Sums:
    """Every sum over all choices of signs of the parts."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of the sum of squares; they add up to 1."""

    rows: float
    columns: float
    together: float
    """Their interaction: what the sum of a row effect and a column effect does not explain."""


def two_way_shares(tables: Sequence[Sequence[Sequence[float]]]) -> Shares | None:
    """The two-way decomposition of the variance within each table, one value per place, pooled over all tables.

    Args:
        tables: all with the same rows and columns.

    None if nothing varies or there is no table.
    """
    rows = columns = total = 0.0
    for table in tables:
        values = np.array(table, dtype=np.float64)
        values = values - values.mean()
        rows += values.shape[1] * float((values.mean(axis=1) ** 2).sum())
        columns += values.shape[0] * float((values.mean(axis=0) ** 2).sum())
        total += float((values**2).sum())
    if total <= 1e-12:  # equal values differ by rounding only
        return None
    return Shares(rows / total, columns / total, max(0.0, (total - rows - columns) / total))
