"""The order in which attempts start: all of them as they come, or only those that can still change a verdict.

A dispatcher knows attempts by (task, number). It learns of a task when pytest arms it, and never starts an attempt
before that. Fixtures that tasks do not share keep pytest from arming all tasks at once; it arms the next ones only when
every attempt of the earlier ones has ended or is decided.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Protocol

from pytest_agenteval.estimate.early_stop.policy import ExactStop

__all__ = ["AsTheyCome", "Dispatcher", "Key", "StopWhenDecided"]

Key = tuple[str, int]
"""A task, and the number of an attempt from 1."""


class Dispatcher(Protocol):
    """Chooses among the attempts of armed tasks.

    If no attempt is in flight, and some attempt of an armed task is neither started nor reported by :meth:`decided`,
    then :meth:`next` or :meth:`decided` names at least one. So the run cannot hang.
    """

    def arm(self, task: str, numbers: Collection[int]) -> None:
        """These attempts at the task can run from now on."""

    def next(self, places: int) -> list[Key]:
        """At most `places` attempts to start now; they are in flight until recorded."""

    def record(self, key: Key, passed: bool | None) -> None:
        """Enter the final result of an attempt; None if it will never say anything about the agent.

        It was started here, or an earlier invocation ran it and it is not among the armed ones.
        """

    def skipped(self, key: Key) -> None:
        """An attempt that was started here skipped itself. The task's other attempts show whether the task is skipped.

        So all of them run. If they skip too, no verdict depends on the task; otherwise the attempt says nothing.
        """

    def withdraw(self, task: str) -> None:
        """The task will never be armed, so no verdict depends on it."""

    def decided(self) -> list[Key]:
        """Attempts of armed tasks that need not run, as every verdict is fixed without them; each is returned once."""


class AsTheyCome:
    """Every attempt, first come, first served."""

    def __init__(self) -> None:
        self._queue: deque[Key] = deque()

    def arm(self, task: str, numbers: Collection[int]) -> None:
        """Queue the task's attempts."""
        self._queue.extend((task, number) for number in numbers)

    def next(self, places: int) -> list[Key]:
        """The oldest attempts."""
        return [self._queue.popleft() for _ in range(min(places, len(self._queue)))]

    def record(self, key: Key, passed: bool | None) -> None:
        """Nothing depends on the result."""

    def skipped(self, key: Key) -> None:
        """Nothing depends on the skip."""

    def withdraw(self, task: str) -> None:
        """Nothing waits for the task."""

    def decided(self) -> list[Key]:
        """Always empty."""
        return []


class StopWhenDecided:
    """Runs what the policy of each cell asks for; the other attempts are decided."""

    def __init__(self, policies: Sequence[ExactStop]) -> None:
        """A dispatcher over these policies, one per cell. Their grids hold all tasks that pytest may arm."""
        self._policies = tuple(policies)
        self._policy_of = {task: policy for policy in policies for task in policy.curtailment.grid.tasks}
        for task, policy in self._policy_of.items():
            policy.hold(task)
        self._left: dict[str, set[int]] = {}
        """By armed task, the attempts that are neither started nor decided."""
        self._armed: dict[str, set[int]] = {}
        """By armed task, the attempts that have not ended, whether or not they are decided."""
        self._skips: dict[str, set[int]] = {}
        """By task, the attempts that skipped themselves, while it is unknown whether all do."""
        self._ran: set[str] = set()
        """Tasks with an attempt that ended in another way."""
        self._withdrawn: set[str] = set()
        self._late = AsTheyCome()
        """Attempts that run whatever the policies say: those of tasks that were withdrawn and can run after all, and
        those of tasks with an attempt that skipped itself."""

    def arm(self, task: str, numbers: Collection[int]) -> None:
        """The task can run."""
        if task in self._withdrawn:
            self._late.arm(task, numbers)
        else:
            self._left[task], self._armed[task] = set(numbers), set(numbers)
            self._policy_of[task].release(task)

    def next(self, places: int) -> list[Key]:
        """What the policies ask for, the first cells first."""
        started = self._late.next(places)
        for policy in self._policies:
            for task, number in policy.next_attempts(places - len(started)):
                self._left[task].discard(number)
                started.append((task, number))
        return started

    def record(self, key: Key, passed: bool | None) -> None:
        """Pass the result to the policy."""
        task, number = key
        if task in self._withdrawn:
            return
        self._ran.add(task)
        self._policy_of[task].record(task, number, passed)
        self._ended(key)

    def skipped(self, key: Key) -> None:
        """Hold the task back from the policy, and run its other attempts."""
        task, number = key
        if task in self._withdrawn:
            return
        if not self._skips.setdefault(task, set()):
            self._policy_of[task].hold(task)
            self._late.arm(task, sorted(self._left.pop(task, ())))
        self._skips[task].add(number)
        self._ended(key)

    def _ended(self, key: Key) -> None:
        task, number = key
        left = self._armed.get(task, set())
        left.discard(number)
        if left:
            return
        skips = self._skips.pop(task, set())
        if skips and task not in self._ran:
            self.withdraw(task)
        else:
            for skip in sorted(skips):
                self._policy_of[task].record(task, skip, None)

    def withdraw(self, task: str) -> None:
        """Tell the policy. To hear it again changes nothing."""
        self._withdrawn.add(task)
        self._policy_of[task].skip(task)

    def decided(self) -> list[Key]:
        """The remaining attempts of tasks that can no longer change a verdict."""
        settled = {task: self._left[task] for task in self._left if not self._policy_of[task].needs(task)}
        for task, numbers in settled.items():
            del self._left[task]
            self._armed[task] -= numbers
            self._ran.update([task] if numbers else [])  # partly decided, so it is no longer a skipped task
        return [(task, number) for task, numbers in settled.items() for number in sorted(numbers)]
