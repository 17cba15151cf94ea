"""What the profile is made of: the attempts of a cell that count, by task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_agenteval.estimate.stats.agreement import Actions
from pytest_agenteval.estimate.task import identical_attempts
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, TaskRecord, name_of

__all__ = ["Seen", "actions", "passed", "seen_in"]

_SUBMIT = "submit"
"""The tool by which an agent ends: no action."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The attempts of a cell that count, by the task's name without the cell. Skipped tasks are left out."""

    attempts: Mapping[str, tuple[AttemptRecord, ...]]
    thinned: bool
    """Whether early stopping chose the attempts, so that they are no fair sample."""
    identical: int
    """At how many tasks the model did exactly the same in all attempts: they say nothing about consistency."""


def seen_in(records: Iterable[TaskRecord]) -> Seen:
    """What the records of one cell show."""
    records = [record for record in records if not record.skipped]
    thinned = any(a.cause is Cause.DECIDED for record in records for a in record.attempts)
    counted = {name_of(record): tuple(a for a in record.attempts if a.outcome.counts) for record in records}
    identical = sum(map(identical_attempts, records))
    return Seen({task: found for task, found in counted.items() if found}, thinned, identical)


def actions(attempt: AttemptRecord) -> Actions:
    """The names of the tools that the agent called, in order."""
    return tuple(call.tool for call in attempt.tool_calls if call.tool != _SUBMIT)


def passed(attempt: AttemptRecord) -> bool:
    """Whether it passed."""
    return attempt.outcome is Outcome.PASSED
