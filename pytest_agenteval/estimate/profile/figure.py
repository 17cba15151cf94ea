"""One figure of the reliability profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pytest_agenteval.estimate.stats.intervals import Interval

__all__ = ["Figure", "mean_of", "unknown"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a cell, in the unbiased form; it is an average over tasks with equal weight where tasks have one."""

    value: float | None
    """None if it cannot be computed: `lacks` says why."""
    tasks: int
    """How many tasks it is made of."""
    this_suite: Interval | None = None
    tasks_like_these: Interval | None = None
    lacks: tuple[str, ...] = ()
    """What is not in it, a phrase each."""
    published: float | None = None
    """The same by the formula of Rabanser et al. 2026, for comparison with the tables of others."""
    by_task: Mapping[str, float] = field(default_factory=dict)
    """By the task's name without its cell; empty if tasks have no value of their own."""

    def over(self, tasks: Sequence[str]) -> float | None:
        """The average over these tasks alone; None if one has no value."""
        values = [self.by_task[task] for task in tasks if task in self.by_task]
        return fmean(values) if values and len(values) == len(tasks) else None


def unknown(*why: str) -> Figure:
    """A figure that cannot be computed, and why."""
    return Figure(None, 0, lacks=why)


def mean_of(
    by_task: Mapping[str, float],
    *,
    this_suite: Interval | None = None,
    tasks_like_these: Interval | None = None,
    lacks: Sequence[str] = (),
    published: Sequence[float] = (),
) -> Figure:
    """The mean over tasks, of which there is one at least; `published` has a value for each task too."""
    return Figure(
        fmean(by_task.values()),
        len(by_task),
        this_suite,
        tasks_like_these,
        tuple(lacks),
        fmean(published) if published else None,
        by_task,
    )
