"""Which attempts to run next: what an engine asks."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SchedulingPolicy"]


class SchedulingPolicy(Protocol):
    """Decides which attempts run next; attempts count from 1."""

    @property
    def finished(self) -> bool:
        """Whether nothing more needs to run; attempts still in flight may then be abandoned."""
        ...

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """At most `in_flight_slots` (task, attempt) pairs to start now; they are in flight until recorded or skipped.

        Fewer, or none, if the policy waits for attempts in flight. While the policy is not finished and nothing is in
        flight, it always names at least one.
        """
        ...

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter the final result of an attempt; None if it will never say anything about the agent."""
        ...

    def skip(self, task: str) -> None:
        """Skip the task: none of its attempts needs to run or be recorded."""
        ...
