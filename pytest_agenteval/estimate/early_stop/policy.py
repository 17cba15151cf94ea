"""The policies that run only what can still change a verdict, and stop once every gate's verdict is fixed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Protocol

import numpy as np

from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.gates import PassAt1, PassHatK, open_rows
from pytest_agenteval.estimate.early_stop.grid import Bools, Ints
from pytest_agenteval.estimate.early_stop.order import Foresight, Units, next_units

__all__ = ["ExactStop", "ExactStopAfterFirst", "SchedulingPolicy"]


class SchedulingPolicy(Protocol):
    """Decides which attempts run next; attempts count from 1."""

    @property
    def finished(self) -> bool:
        """Whether nothing more needs to run; attempts still in flight may then be abandoned."""

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """At most `in_flight_slots` (task, attempt) pairs to start now; they are in flight until recorded or skipped.

        Fewer, or none, if the policy waits for attempts in flight. While the policy is not finished and nothing is in
        flight, it always names at least one.
        """

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter the final result of an attempt; None if it will never say anything about the agent."""

    def skip(self, task: str) -> None:
        """Skip the task: none of its attempts needs to run or be recorded."""


class ExactStop:
    """Runs what can still change a verdict, and stops when nothing can. The verdicts are those of the full grid.

    First come attempts that a task's own gate needs in any case. Then come those for pass^k, by the k-out-of-n rule
    over tasks. Only one attempt of a task is in flight at a time, because its first failure settles it. Then come those
    for pass@1: as many attempts as it needs in any case, from the tasks that favour the likelier verdict. History and
    costs change the order, and with it the cost, never a verdict.

    Pass rates c/n of the attempts it ran are biased, because they stop at failures. So is pass@1 of the first attempts,
    unless every task was certain to get one, as with :class:`ExactStopAfterFirst`.
    """

    def __init__(
        self,
        curtailment: Curtailment,
        history: Mapping[str, tuple[int, int]] | None = None,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """A policy that updates this curtailment.

        Args:
            curtailment: the grid and its gates; attempts already recorded in it are not run again.
            history: `(n, c)` of earlier runs, by task.
            costs: the expected cost of an attempt by task, in any unit; a task without one gets the mean of the others.
        """
        self.curtailment = curtailment
        self._grid = curtailment.grid
        self._foresight = Foresight(self._grid, history, costs)
        numbers = range(1, self._grid.k + 1)
        self._waiting = [
            deque(attempt for attempt in numbers if not self._grid.is_recorded(task, attempt))
            for task in self._grid.tasks
        ]
        self._running: set[tuple[int, int]] = set()
        self._in_flight: Ints = np.zeros(len(self._grid.tasks), np.int64)
        self._held: Bools = np.zeros(len(self._grid.tasks), np.bool_)
        self._needed: Bools | None = None

    @property
    def finished(self) -> bool:
        """Whether every gate's verdict is fixed."""
        return self.curtailment.decided

    def hold(self, task: str) -> None:
        """Name no attempt of the task until it is released, because it cannot run yet.

        Held tasks are assumed to run after all others have ended, so any attempt that the others might need is run
        first.
        """
        self._held[self._grid.row(task)] = True

    def release(self, task: str) -> None:
        """The task can run from now on."""
        self._held[self._grid.row(task)] = False

    def needs(self, task: str) -> bool:
        """Whether an unfinished attempt of the task may still change a verdict."""
        return bool(self._needed_rows()[self._grid.row(task)])

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """The attempts worth starting now; fewer than the slots if more would be a guess."""
        picks: list[tuple[str, int]] = []
        if self.finished or in_flight_slots < 1:
            return picks
        self._serve_task_gates(picks, in_flight_slots)
        gates = self.curtailment.open_suite_gates
        for gate in gates:
            if isinstance(gate, PassHatK) and len(picks) < in_flight_slots:
                self._serve_pass_hat_k(gate, picks, in_flight_slots)
        for gate in gates:
            if isinstance(gate, PassAt1) and len(picks) < in_flight_slots:
                self._serve_pass_at_1(gate, picks, in_flight_slots)
        if len(picks) < in_flight_slots and (self._needed_rows() & self._held).any():
            self._serve_before_held(picks, in_flight_slots)
        if not picks and not self._running:
            # Only a skip could still change the verdict that the rest depends on: wait and see whether one comes.
            for row in self._rows_of_use()[:1]:
                self._start(int(row), picks)
        return picks

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter the final result of an attempt, as in :meth:`Grid.record`, even of one that was not started here."""
        self.curtailment.record(task, attempt, passed)
        self._needed = None
        row = self._grid.row(task)
        if (row, attempt) in self._running:
            self._running.discard((row, attempt))
            self._in_flight[row] -= 1
        elif attempt in self._waiting[row]:
            self._waiting[row].remove(attempt)
        self._foresight.update(row)

    def skip(self, task: str) -> None:
        """Take a skipped task out of the grid, including its attempts in flight."""
        self.curtailment.skip(task)
        self._needed = None
        row = self._grid.row(task)
        self._waiting[row].clear()
        self._running = {running for running in self._running if running[0] != row}
        self._in_flight[row] = 0

    def _start(self, row: int, picks: list[tuple[str, int]]) -> None:
        attempt = self._waiting[row].popleft()
        self._running.add((row, attempt))
        self._in_flight[row] += 1
        picks.append((self._grid.tasks[row], attempt))

    def _serve_task_gates(self, picks: list[tuple[str, int]], slots: int) -> None:
        for row, gates in self.curtailment.open_task_gates.items():
            if len(picks) >= slots:
                return
            if self._held[row]:
                continue
            needed = max(gate.race(self._grid).least for gate in gates)
            while self._in_flight[row] < needed and self._waiting[row] and len(picks) < slots:
                self._start(row, picks)

    def _serve_pass_hat_k(self, gate: PassHatK, picks: list[tuple[str, int]], slots: int) -> None:
        race = gate.race(self._grid)
        rows = np.flatnonzero(open_rows(self._grid) & (self._grid.failed == 0))
        units = Units(
            rows,
            self._foresight.all_pass_chance[rows],
            self._foresight.cost_to_settle[rows],
            self._grid.missing[rows] == 0,
            (self._in_flight[rows] == 0) & ~self._held[rows],
        )
        for row in next_units(units, race.to_pass, race.to_fail, slots - len(picks)):
            self._start(row, picks)

    def _serve_pass_at_1(self, gate: PassAt1, picks: list[tuple[str, int]], slots: int) -> None:
        race = gate.race(self._grid)
        room = min(slots - len(picks), race.least - int(self._in_flight.sum()))
        if room < 1:
            return
        chance, cost = self._foresight.pass_chance, self._foresight.cost
        likely_pass = float((chance * self._grid.open).sum()) >= race.to_pass
        order = np.argsort(cost / chance if likely_pass else cost / (1.0 - chance), kind="stable")
        waiting = np.where(self._held, 0, self._grid.open - self._in_flight)[order]
        for row in order[waiting > 0]:
            while self._waiting[row] and room:
                self._start(int(row), picks)
                room -= 1
            if not room:
                return

    def _serve_before_held(self, picks: list[tuple[str, int]], slots: int) -> None:
        at_once = any(isinstance(gate, PassAt1) for gate in self.curtailment.open_suite_gates)
        for row in self._rows_of_use():
            while self._waiting[row] and len(picks) < slots and (at_once or not self._in_flight[row]):
                self._start(int(row), picks)

    def _rows_of_use(self) -> Ints:
        """The rows that can run and may still change a verdict, those of open task gates first."""
        rows = np.flatnonzero(self._needed_rows() & ~self._held & (self._grid.open > self._in_flight))
        own = np.isin(rows, list(self.curtailment.open_task_gates))
        return np.concatenate((rows[own], rows[~own]))

    def _needed_rows(self) -> Bools:
        if self._needed is None:
            still_open = open_rows(self._grid)
            needed = np.zeros(still_open.size, np.bool_)
            needed[list(self.curtailment.open_task_gates)] = True
            for gate in self.curtailment.open_suite_gates:
                needed |= (self._grid.failed == 0) if isinstance(gate, PassHatK) else True
            self._needed = needed & still_open
        return self._needed


class ExactStopAfterFirst(ExactStop):
    """:class:`ExactStop` that gives every task its first attempt, so that pass@1 of the first attempts is unbiased."""

    def __init__(
        self,
        curtailment: Curtailment,
        history: Mapping[str, tuple[int, int]] | None = None,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(curtailment, history, costs)
        self._not_started = {task: None for task in self._grid.tasks if not self._grid.is_recorded(task, 1)}
        self._unseen = set(self._not_started)

    @property
    def finished(self) -> bool:
        """Whether every task's first attempt has ended and every gate's verdict is fixed."""
        return not self._unseen and super().finished

    def needs(self, task: str) -> bool:
        """Whether the task's first attempt is unfinished, or another may still change a verdict."""
        return task in self._unseen or super().needs(task)

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """First attempts while there are any, then those worth starting."""
        able = (task for task in self._not_started if not self._held[self._grid.row(task)])
        picks: list[tuple[str, int]] = []
        for task in list(islice(able, max(0, in_flight_slots))):
            self._start(self._grid.row(task), picks)
            del self._not_started[task]
        return picks + super().next_attempts(in_flight_slots - len(picks))

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter the final result of an attempt, as in :meth:`ExactStop.record`."""
        super().record(task, attempt, passed)
        if attempt == 1:
            self._seen(task)

    def skip(self, task: str) -> None:
        """Take a skipped task out of the grid, as in :meth:`ExactStop.skip`."""
        super().skip(task)
        self._seen(task)

    def _seen(self, task: str) -> None:
        self._unseen.discard(task)
        self._not_started.pop(task, None)
