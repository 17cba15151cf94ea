"""What several parts of the JSON report have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from pytest_agenteval.estimate.task import EnvironmentErrors as Errors
from pytest_agenteval.record import records
from pytest_agenteval.record.outcomes import Cause, Outcome

__all__ = [
    "Amount",
    "CellName",
    "Cost",
    "Count",
    "Counts",
    "EnvironmentErrors",
    "Failures",
    "Interval",
    "Number",
    "Part",
    "Percent",
    "Rate",
    "ToolCallFailure",
    "counts",
    "environment_errors",
]

Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Part(BaseModel):
    """A JSON object with exactly these fields, each described by the text below it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, from_attributes=True, populate_by_name=True, use_attribute_docstrings=True
    )

    @classmethod
    def of(cls, source: object, **given: object) -> Self:
        """The object with the values that are given, and for all other fields the source's attributes of that name."""
        others = {name: getattr(source, name) for name in cls.model_fields if name not in given}
        return cls.model_validate({**others, **given})


class CellName(Part):
    """One model in one scaffold."""

    model: str
    """Inspect's name of the model, for example openai/gpt-5-mini."""
    scaffold: str
    """The agent program around the model, for example react."""


class Counts(Part):
    """Attempts of a task that count."""

    n: Count
    """All of them."""
    c: Count
    """Those that passed."""


class Cost(Part):
    """US dollars."""

    usd: Annotated[Amount | None, Field(validation_alias="total")]
    """What the answered calls cost; null as soon as the cost of one is unknown. Never 0 for unknown."""
    usd_at_least: Annotated[Amount, Field(validation_alias="priced")]
    """The sum of the calls whose cost is known."""
    usd_at_most: Annotated[Amount | None, Field(validation_alias="at_most")]
    """With calls whose answer was lost or does not say what it took, as reserved; null where nobody knows."""
    unpriced_calls: Count
    """Answered calls of unknown cost: without a known price, or uncounted."""
    uncounted_calls: Count
    """Of the unpriced calls those whose answer does not say how many tokens they took."""
    lost_calls: Count
    """Calls whose answer never came: perhaps billed."""


class Interval(Part):
    """A two-sided interval, named by the question that it answers."""

    question: Literal["this suite, re-run", "tasks like these", "this task, re-run"]
    """Whether other attempts at these tasks are meant, or other tasks of the kind."""
    low: Rate
    """Its lower end."""
    high: Rate
    """Its upper end."""
    confidence: Rate
    """How often such an interval holds the truth."""
    method: str
    """How it was computed."""


class ToolCallFailure(Part):
    """Calls of one tool that failed in one way."""

    tool: str
    """The tool."""
    error: Annotated[str, Field(validation_alias="type")]
    """Inspect's type of the failure: parsing, timeout, permission, ..."""
    count: Count
    """How many calls."""


Failures = Annotated[
    list[ToolCallFailure],
    Field(description="Tool-call failures of the attempts that count, by tool and type, the most frequent first."),
]


class CauseCount(Part):
    """Environment errors of one cause."""

    cause: Cause
    """What broke."""
    count: Count
    """How many tries."""


class EnvironmentErrors(Part):
    """Environment errors."""

    count: Count
    """Tries of attempts that ended in an environment error, repeated or not."""
    rate: Rate | None
    """The share of all tries; null where nothing ran."""
    retried: Count
    """Tries that were repeated in a fresh sandbox."""
    stayed: Count
    """Attempts that ended in an environment error."""
    tries: Count
    """All tries that ran to an end, whatever it was."""
    by_cause: list[CauseCount]
    """The same by cause."""


def counts(found: tuple[int, int]) -> Counts:
    """n and c of a task."""
    return Counts(n=found[0], c=found[1])


def environment_errors(found: Errors, tasks: Iterable[records.TaskRecord]) -> EnvironmentErrors:
    """The environment errors of these tasks, with their causes."""
    attempts = [attempt for task in tasks for attempt in task.attempts]
    causes = Counter(retry.cause for attempt in attempts for retry in attempt.retries)
    causes.update(a.cause for a in attempts if a.outcome is Outcome.ENVIRONMENT_ERROR and a.cause is not None)
    return EnvironmentErrors.of(
        found, by_cause=[CauseCount(cause=cause, count=count) for cause, count in sorted(causes.items())]
    )
