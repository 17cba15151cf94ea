"""In which order attempts start: all of them as they come, or only those that can still change a verdict.

A dispatcher knows attempts by (task, number). It learns of tasks when pytest arms them, and never starts one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from pytest_agenteval.stats.exact_stop import ExactStop, ExactStopAfterFirst
from pytest_agenteval.stats.grid_gates import PassAt1

__all__ = ["AsTheyCome", "Dispatcher", "Key", "StopWhenDecided"]

Key = tuple[str, int]
"""A task and the number of an attempt, from 1."""


class Dispatcher(Protocol):
    """Chooses among the attempts of armed tasks."""

    def arm(self, task: str, k: int) -> None:
        """The task can run from now on."""

    def next(self, places: int) -> list[Key]:
        """Up to so many attempts to start now; they are in flight until recorded."""

    def record(self, key: Key, passed: bool | None) -> None:
        """How an attempt ended for good: None where it will never say anything about the agent."""

    def skip(self, task: str) -> None:
        """The task is skipped as a whole."""

    def decided(self) -> list[Key]:
        """Attempts of armed tasks that will not run, because every verdict is fixed without them; each is told once."""


class AsTheyCome:
    """Every attempt, first come first served."""

    def __init__(self) -> None:
        self._queue: deque[Key] = deque()

    def arm(self, task: str, k: int) -> None:
        """Queue the task's attempts."""
        self._queue.extend((task, number) for number in range(1, k + 1))

    def next(self, places: int) -> list[Key]:
        """The oldest attempts."""
        return [self._queue.popleft() for _ in range(min(places, len(self._queue)))]

    def record(self, key: Key, passed: bool | None) -> None:
        """Nothing depends on it."""

    def skip(self, task: str) -> None:
        """A skip is found out by each attempt for itself."""

    def decided(self) -> list[Key]:
        """None ever."""
        return []


class StopWhenDecided:
    """What the policy of each cell asks for; the rest is decided.

    Where tasks cannot all run at once (pytest sets up a shared fixture between them), a policy may ask for one that is not
    armed yet. It is kept for later. So that pytest gets there, the armed tasks then run what they have left.
    """

    def __init__(self, policies: Sequence[ExactStop | ExactStopAfterFirst], cell_of: Mapping[str, int]) -> None:
        """A dispatcher over these policies.

        Args:
            policies: one per cell.
            cell_of: for every task the index of its policy.
        """
        self._policies, self._cell_of = policies, cell_of
        self._left: dict[str, list[int]] = {}
        """Per armed task the attempts that did not start."""
        self._kept: dict[str, list[int]] = {}
        """Attempts that a policy asked for before their task was armed."""
        self._ready: deque[Key] = deque()
        self._in_flight: set[Key] = set()
        self._skipped: set[str] = set()

    def arm(self, task: str, k: int) -> None:
        """The task can run; what its policy asked for before is ready."""
        self._left[task] = list(range(1, k + 1))
        self._ready.extend((task, number) for number in self._kept.pop(task, ()))

    def next(self, places: int) -> list[Key]:
        """What the policies ask for, and where that is nothing that can run, what brings pytest on."""
        started = [self._start(self._ready.popleft()) for _ in range(min(places, len(self._ready)))]
        for policy in self._policies:
            for task, number in policy.next_attempts(places - len(started)):
                if task in self._left:
                    started.append(self._start((task, number)))
                else:
                    self._kept.setdefault(task, []).append(number)
        if not started and not self._in_flight and places:
            started += self._forced()
        return started

    def record(self, key: Key, passed: bool | None) -> None:
        """Tell the policy."""
        self._in_flight.discard(key)
        task, number = key
        if task not in self._skipped:
            self._policy(task).record(task, number, passed)

    def skip(self, task: str) -> None:
        """Tell the policy, once."""
        if task not in self._skipped:
            self._skipped.add(task)
            self._policy(task).skip(task)

    def decided(self) -> list[Key]:
        """The rest of the tasks that nothing can come of any more."""
        found = []
        for task, left in self._left.items():
            if left and self._settled(task):
                found += [(task, number) for number in left]
                self._ready = deque(key for key in self._ready if key[0] != task)
                left.clear()
        return found

    def _settled(self, task: str) -> bool:
        policy = self._policy(task)
        if task in self._skipped or policy.finished:
            return True
        grid = policy.curtailment.grid
        row = grid.row(task)
        waiting = any(number == 1 for number in self._left[task]) and isinstance(policy, ExactStopAfterFirst)
        pass_at_1 = any(isinstance(gate, PassAt1) for gate in policy.curtailment.open_suite_gates)
        own = row in policy.curtailment.open_task_gates
        return bool(grid.failed[row]) and not (waiting or pass_at_1 or own)

    def _forced(self) -> list[Key]:
        for task, left in self._left.items():
            if left and not self._settled(task):
                return [self._start(self._policy(task).start(task))]
        return []

    def _start(self, key: Key) -> Key:
        self._left[key[0]].remove(key[1])
        self._in_flight.add(key)
        return key

    def _policy(self, task: str) -> ExactStop | ExactStopAfterFirst:
        return self._policies[self._cell_of[task]]
