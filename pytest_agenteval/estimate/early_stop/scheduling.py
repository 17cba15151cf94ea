"""Which attempts to run next: what an engine asks."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SchedulingPolicy"]


class SchedulingPolicy(Protocol):
    """Decides which attempts run next; attempts count from 1."""

    @property
    def finished(self) -> bool:
        """Whether nothing more needs to run; attempts in flight may be abandoned then."""
        ...

    def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
        """Up to so many (task, attempt) to start now; they are in flight until recorded or skipped.

        Fewer, or none, where the policy waits for attempts in flight. While the policy is not finished and nothing is
        in flight it always names at least one.
        """
        ...

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """How an attempt ended for good: None where it will never say anything about the agent."""
        ...

    def skip(self, task: str) -> None:
        """The task is skipped: none of its attempts needs to run, or to be recorded."""
        ...
