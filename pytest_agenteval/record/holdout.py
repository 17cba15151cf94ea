"""Looks at held-out tasks: how often real agents have met them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_agenteval.record.figures import plural

__all__ = ["Look"]


@dataclass(frozen=True, slots=True)
class Look:
    """How often held-out tasks have been looked at, with the run that says so."""

    number: int
    """From 1."""
    tasks: int
    """How many of the run's tasks are held out."""
    unreadable: int = 0
    """Logs in the store that cannot be read, and may be of further looks."""

    def __str__(self) -> str:
        these = "this held-out task" if self.tasks == 1 else f"these {self.tasks} held-out tasks"
        text = f"look {self.number} at {these}: with every look they say less about new tasks"
        return f"{text} ({plural(self.unreadable, 'log')} could not be read)" if self.unreadable else text
