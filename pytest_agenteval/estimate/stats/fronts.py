"""Which points of cost and gain are worth having: the convex front and the staircase.

Two agents can be mixed by choosing one at random for each task. The mixture's cost and pass@1 lie on the straight line
between theirs, so the front for pass@1 is the upper convex hull (Kapoor et al. 2024, "AI Agents That Matter"). This
does not hold for pass^k if the choice is made for every attempt, so the front for pass^k is the staircase of the points
that no other point beats.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Point", "convex_front", "staircase"]

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
    """For each point, whether it is on the staircase and not below a straight line between two others on it."""
    hull: list[Point] = []
    for point in sorted({point for point, kept in zip(points, staircase(points), strict=True) if kept}):
        while len(hull) > 1 and _below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return tuple(point in hull for point in points)


def _below(left: Point, middle: Point, right: Point) -> bool:
    return (middle[1] - left[1]) * (right[0] - left[0]) < (right[1] - left[1]) * (middle[0] - left[0])
