"""Which attempts to run next: the policies an engine can ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from pytest_agenteval.stats.curtailment import Curtailment
from pytest_agenteval.stats.grid import Grid, Ints
from pytest_agenteval.stats.grid_gates import PassAt1, PassHatK, open_rows
from pytest_agenteval.stats.k_of_n import Units, next_units

__all__ = ["ExactStop", "ExactStopAfterFirst", "FullGrid", "SchedulingPolicy"]


class SchedulingPolicy(Protocol):
    """Decides which attempts run next; tasks are named as the engine names them, attempts count from 1."""

    @property
    def finished(self) -> bool:
        """Whether nothing more needs to run; attempts in flight may be abandoned then."""
        ...

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """Up to so many (task, attempt) to start now; they are in flight until recorded.

        Fewer, or none, where the policy waits for attempts in flight. While the policy is not finished and nothing is
        in flight it always names at least one.
        """
        ...

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """How an attempt ended for good: None where it will never say anything about the agent."""
        ...

    def skip(self, task: str) -> None:
        """The task is skipped: none of its attempts needs to run."""
        ...


class FullGrid:
    """Every attempt of every task, in order."""

    def __init__(self, tasks: Sequence[str], k: int) -> None:
        """A policy that runs the whole grid.

        Raises:
            ValueError: k is below 1, or a task is named twice.
        """
        self._grid = Grid(tasks, k)
        self._waiting = deque((task, attempt) for task in tasks for attempt in range(1, k + 1))

    @property
    def finished(self) -> bool:
        """Whether every attempt was recorded, or its task skipped."""
        return not open_rows(self._grid).any()

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """The next attempts in order."""
        picks: list[tuple[str, int]] = []
        while self._waiting and len(picks) < in_flight_slots:
            task, attempt = self._waiting.popleft()
            if not self._grid.skipped[self._grid.row(task)]:
                picks.append((task, attempt))
        return picks

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter an attempt, as :meth:`Grid.record` has it."""
        self._grid.record(task, attempt, passed)

    def skip(self, task: str) -> None:
        """Leave out what the task has not started."""
        self._grid.skip(task)


class ExactStop:
    """Runs what can still change a verdict, and stops when nothing can: the verdicts are those of the full grid.

    Attempts that a gate needs whatever they show go first: a task's own gate, then pass^k by the k-out-of-n rule with
    one attempt of a task in flight (its first failure settles it), then pass@1. Chances come from a
    Beta(1/2 + passes, 1/2 + failures) of each task, its history included. History and costs change what is spent,
    never a verdict.
    """

    def __init__(
        self,
        curtailment: Curtailment,
        history: Mapping[str, tuple[int, int]] | None = None,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """A policy over an empty curtailment, which it feeds.

        Args:
            curtailment: the grid and its gates.
            history: `(n, c)` of earlier runs, by task; tasks without one are taken as unknown.
            costs: what an attempt is expected to cost, by task, in any unit, above 0; without one it is the mean of
                those given.

        Raises:
            ValueError: impossible counts, a cost that is not above 0, or a task that is not in the grid.
        """
        self.curtailment = curtailment
        self.grid = curtailment.grid
        size, k = len(self.grid.tasks), self.grid.k
        self._started: Ints = np.zeros(size, np.int64)
        self._in_flight: Ints = np.zeros(size, np.int64)
        self._passes = np.full(size, 0.5)
        self._fails = np.full(size, 0.5)
        for task, (n, c) in (history or {}).items():
            if not 0 <= c <= n:
                raise ValueError(f"the history of {task} has {c} passes in {n} attempts: give 0 <= passes <= attempts")
            row = self.grid.row(task)
            self._passes[row] += c
            self._fails[row] += n - c
        given = costs or {}
        if any(not cost > 0 for cost in given.values()):
            raise ValueError("an attempt that costs nothing can not be weighed: give costs above 0, or none")
        self._cost = np.full(size, sum(given.values()) / len(given) if given else 1.0)
        for task, cost in given.items():
            self._cost[self.grid.row(task)] = cost
        self._all_pass = np.empty(size)
        self._cost_to_end = np.empty(size)
        for row in range(size):
            self._foresee(row)
        assert k >= 1

    @property
    def finished(self) -> bool:
        """Whether every gate's verdict is fixed."""
        return self.curtailment.decided

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """The attempts worth starting now."""
        picks: list[tuple[str, int]] = []
        if self.finished or in_flight_slots < 1:
            return picks
        self._for_task_gates(picks, in_flight_slots)
        for kind in (PassHatK, PassAt1):
            for gate in self.curtailment.open_suite_gates:
                if isinstance(gate, kind) and len(picks) < in_flight_slots:
                    choose = self._for_pass_hat_k if isinstance(gate, PassHatK) else self._for_pass_at_1
                    choose(gate, picks, in_flight_slots)
        if not picks and not self._in_flight.any():
            picks.append(self.start(self.grid.tasks[int(np.flatnonzero(self._relevant())[0])]))
        return picks
