"""Who ended a container: the words that Docker's autopsy and the cluster's share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Death", "EndedBy"]


class EndedBy(StrEnum):
    """Who ended a container."""

    RUNNING = "running"
    """Nobody: it is running."""
    OUTSIDE = "outside"
    """An order to the daemon, or the daemon's own end: never the agent."""
    EXHAUSTED = "exhausted"
    """The container's own memory limit."""
    INSIDE = "inside"
    """A process in it: the agent did it."""
    UNKNOWN = "unknown"
    """It is impossible to tell."""


@dataclass(frozen=True, slots=True)
class Death:
    """Who ended a container, and the evidence."""

    by: EndedBy
    reason: str
    exit_code: int | None = None
    """The exit status of the container's first process, if that ended by itself."""
