"""What a build has come to: accepted tasks, rejected drafts, and what it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_agenteval.builder.gate import Candidate, Reason, Verdict
from pytest_agenteval.builder.intent import Ground, Intent, Quota, Slot, Subtask
from pytest_agenteval.builder.solving import Solved

__all__ = ["Accepted", "Build", "Rejected", "Status"]


class Status(StrEnum):
    """How a build ended."""

    COMPLETE = "complete"
    """Every sub-task has its tasks."""
    SHORT = "short"
    """Some have fewer, although drafts were replaced as often as they may be."""
    INCOMPLETE = "incomplete"
    """The budget is spent, a model does not answer, the environment failed, or --stop-after was given."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task of the suite."""

    candidate: Candidate
    slot: Slot
    version: int
    verdict: Verdict
    solved: Solved | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A draft that is no task."""

    draft: str
    versions: int
    reason: Reason
    review: bool = False
    """Whether its plays are right and only a person can decide."""


@dataclass(slots=True)
class Build:
    """What a build has come to."""

    intent: Intent
    status: Status = Status.INCOMPLETE
    why: str = ""
    """Why it is not complete, in a sentence."""
    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    grounds: Sequence[Ground] = ()
    subtasks: Sequence[Subtask] = ()
    quota: Mapping[str, Quota] = field(default_factory=dict)
    plays: int = 0
    play_seconds: float = 0.0
    open: list[str] = field(default_factory=list)
    """Drafts that the environment left undecided."""

    @property
    def lacking(self) -> dict[str, int]:
        """How many tasks each sub-task lacks, where it lacks some."""
        have = {name: sum(each.slot.subtask == name for each in self.accepted) for name in self.quota}
        return {name: quota.tasks - have[name] for name, quota in self.quota.items() if quota.tasks > have[name]}
