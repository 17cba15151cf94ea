"""How long a run takes, and how many drivers and sandboxes it wants to be done sooner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil

from pytest_agenteval.plan.expect import PlannedTask

__all__ = ["Duration", "Fleet", "plan_duration"]

SANDBOXES_OF_A_DRIVER = 200
"""So many sandboxes one pytest process looks after at once, as a rule of thumb: each is a connection and its frames."""
ATTEMPTS_OF_A_DRIVER = 10.0
"""So many attempts a second one process starts and ends at most: half of what a processor can do (bench_driver.py)."""
AIMS = (600.0, 3600.0)
"""Seconds in which one may want a run to be done."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What it takes to be done in a given time."""

    seconds: float
    sandboxes: int
    """Up at once, on all drivers together."""
    drivers: int
    """pytest processes, each with a shard of the tasks."""


@dataclass(frozen=True, slots=True)
class Duration:
    """The time of a run, on one driver."""

    attempts: int
    tasks: int
    known: int
    """Tasks whose attempts have a known length; the others are assumed to take the mean of these."""
    at_once: int
    """Attempts that run at once."""
    busy: float | None
    """Seconds of all attempts one after another; None if none is known."""
    longest: float
    """Seconds of an attempt at the longest task: no number of sandboxes makes a run shorter."""

    @property
    def seconds(self) -> float | None:
        """How long the run takes; None if that is unknown."""
        if self.busy is None or self.at_once == 0:
            return None
        return max(self.busy / self.at_once, self.longest, self.attempts / ATTEMPTS_OF_A_DRIVER)

    def fleets(self) -> list[Fleet]:
        """What shorter times take, for those that can be had."""
        if self.seconds is None or self.busy is None:
            return []
        return [self._fleet(aim, self.busy) for aim in AIMS if self.longest < aim < self.seconds]

    def _fleet(self, seconds: float, busy: float) -> Fleet:
        sandboxes = ceil(busy / seconds)
        rate = self.attempts / seconds
        drivers = max(ceil(sandboxes / SANDBOXES_OF_A_DRIVER), ceil(rate / ATTEMPTS_OF_A_DRIVER))
        return Fleet(seconds, sandboxes, min(drivers, self.tasks))


def plan_duration(tasks: Collection[PlannedTask], k: int, at_once: int) -> Duration:
    """The time that k attempts at each of the tasks take, `at_once` of them at the same time."""
    known = [task.mean_seconds for task in tasks if task.mean_seconds is not None]
    busy = None if not known else k * len(tasks) * sum(known) / len(known)
    attempts = k * len(tasks)
    return Duration(attempts, len(tasks), len(known), min(at_once, attempts), busy, max(known, default=0.0))
