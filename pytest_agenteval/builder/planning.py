"""What a build is going to cost at most, before the first call. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outlook", "outlook"]

_REPAIRS = 0.5
"""Repairs per draft to plan with, and drafts that are given up, as a share."""
_GIVEN_UP = 0.25
_PLAYS = 60
_SECONDS = 0.8
"""Plays of a task at the level deep, and seconds of a play in Docker with two processors."""
_SUBTASKS = 6


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected."""

    calls: int
    """Of the proposer and the judge."""
    at_most: float | None
    """Dollars for these calls, each at its worst case; None where a price is not known."""
    solves: int
    """Blind attempts, which are priced by `pytest --agent-plan`."""
    plays: int
    minutes: float


def outlook(
    size: int, *, free: bool, call_at_most: float | None, judge_at_most: float | None = 0.0, judged: bool = False,
    solves: int = 0,
) -> Outlook:  # fmt: skip
    """The outlook for a suite.

    Args:
        size: tasks.
        free: whether the proposer costs nothing.
        call_at_most: dollars for a call of the proposer, at its worst case; None if unknown.
        judge_at_most: likewise of the judge.
        judged: whether there is a judge.
        solves: blind attempts at each task.
    """
    drafts = size * (1 + _GIVEN_UP) * (1 + _REPAIRS)
    proposing = 0 if free else round(1 + _SUBTASKS + drafts)
    judging = 3 * size if judged else 0
    costs = [(proposing, call_at_most), (judging, judge_at_most)]
    known = [count * each for count, each in costs if count and each is not None]
    unknown = any(count and each is None for count, each in costs)
    plays = round(size * (1 if free else 1 + _GIVEN_UP) * _PLAYS)
    return Outlook(proposing + judging, None if unknown else sum(known), solves * size, plays, plays * _SECONDS / 60)
