"""A run of a policy on outcomes that are known beforehand: what it would have started, and how long it would take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from pytest_agenteval.stats.scheduling import SchedulingPolicy

__all__ = ["Replay", "replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a policy did."""

    started: tuple[tuple[str, int], ...]
    """The attempts it started, in order; those abandoned at the end among them."""
    seconds: float
    """When it was finished, in the unit of the durations."""


def replay(
    policy: SchedulingPolicy,
    outcome: Callable[[str, int], bool | None],
    in_flight: int,
    duration: Callable[[str, int], float] = lambda task, attempt: 1.0,
) -> Replay:
    """Drive a policy to its end with up to `in_flight` attempts at once.

    Args:
        policy: the policy; it is used up.
        outcome: how an attempt ends; None for one that says nothing about the agent.
        in_flight: how many attempts run at once, at least 1.
        duration: how long an attempt takes.

    Raises:
        RuntimeError: the policy names no attempt though it is not finished and nothing is in flight.
    """
    started: list[tuple[str, int]] = []
    ends: list[tuple[float, int, str, int]] = []
    now = 0.0
    while not policy.finished:
        for task, attempt in policy.next_attempts(in_flight - len(ends)):
            heappush(ends, (now + duration(task, attempt), len(started), task, attempt))
            started.append((task, attempt))
        if not ends:
            raise RuntimeError(
                "the policy waits for attempts though none is in flight: it must name one or be finished"
            )
        now, _, task, attempt = heappop(ends)
        policy.record(task, attempt, outcome(task, attempt))
    return Replay(tuple(started), now)
