"""Which of several points of cost and gain are worth having: the convex front and the staircase.

Two agents can be mixed, each task given to one of them by lot, and the mixture's cost and pass@1 lie on the straight
line between theirs. So of pass@1 the front is the upper convex hull (Kapoor et al. 2024, "AI Agents That Matter"). A
mixture has no such pass^k where the lot is drawn for every attempt, so of pass^k the front is the staircase of the
points that no other point beats.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Point", "convex_front", "staircase"]

Point = tuple[float, float]
"""Cost, the less the better, and gain, the more the better."""


def staircase(points: Sequence[Point]) -> tuple[bool, ...]:
    """Of each point whether no other costs at most as much and gains at least as much, one of the two strictly."""
    return tuple(
        not any(
            cost <= own[0] and gain >= own[1] and (cost, gain) != own  # equal points both stay
            for cost, gain in points
        )
        for own in points
    )


def convex_front(points: Sequence[Point]) -> tuple[bool, ...]:
    """Of each point whether it is on the staircase and not below a straight line between two others on it."""
    hull: list[Point] = []
    for point in sorted({point for point, kept in zip(points, staircase(points), strict=True) if kept}):
        while len(hull) > 1 and _below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return tuple(point in hull for point in points)


def _below(left: Point, middle: Point, right: Point) -> bool:
    return (middle[1] - left[1]) * (right[0] - left[0]) < (right[1] - left[1]) * (middle[0] - left[0])
