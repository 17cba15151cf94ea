"""Runs a policy on outcomes that are known in advance: which attempts it would start, and how long it would take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.gates import GridGate
from pytest_agenteval.estimate.early_stop.grid import Bools
from pytest_agenteval.estimate.early_stop.policy import ExactStop, SchedulingPolicy

__all__ = ["Replay", "expected_attempts", "replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a policy did."""

    started: tuple[tuple[str, int], ...]
    """The attempts it started, in order, including those abandoned at the end."""
    seconds: float
    """When it finished, in the unit of the durations."""


def replay(
    policy: SchedulingPolicy,
    outcome: Callable[[str, int], bool | None],
    in_flight: int,
    duration: Callable[[str, int], float] = lambda task, attempt: 1.0,
) -> Replay:
    """Run a policy to its end with up to `in_flight` attempts at once.

    Args:
        policy: the policy; it cannot be used again.
        outcome: the result of an attempt; None for one that says nothing about the agent.
        in_flight: how many attempts run at once, at least 1.
        duration: how long an attempt takes.

    Raises:
        RuntimeError: the policy is not finished and nothing is in flight, yet it names no attempt.
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


def expected_attempts(
    tasks: Sequence[str],
    k: int,
    gates: Sequence[GridGate],
    in_flight: int,
    history: Mapping[str, tuple[int, int]] | None = None,
    policy: Callable[[Curtailment, Mapping[str, tuple[int, int]]], SchedulingPolicy] = ExactStop,
    simulations: int = 50,
    seed: int = 0,
) -> float:
    """How many of the `len(tasks) * k` attempts of the full grid a policy that stops early is expected to start.

    Simulated with the policy's own assumptions: in every simulation each task's pass rate is drawn from Beta(1/2 +
    passes, 1/2 + failures) of its history.
    """
    rng = np.random.default_rng(seed)
    known = dict(history or {})
    counts = [known.get(task, (0, 0)) for task in tasks]
    passes = np.array([c for _, c in counts]) + 0.5
    fails = np.array([n - c for n, c in counts]) + 0.5
    rows = {task: row for row, task in enumerate(tasks)}
    started = 0
    for _ in range(simulations):
        grid = rng.random((len(tasks), k)) < rng.beta(passes, fails)[:, None]
        run = replay(policy(Curtailment(tasks, k, gates), known), _outcomes(grid, rows), in_flight)
        started += len(run.started)
    return started / simulations


def _outcomes(grid: Bools, rows: Mapping[str, int]) -> Callable[[str, int], bool]:
    return lambda task, attempt: bool(grid[rows[task], attempt - 1])
