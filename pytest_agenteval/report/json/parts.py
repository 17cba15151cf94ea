"""What several parts of the JSON report have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_agenteval.estimate.stats import intervals
from pytest_agenteval.estimate.task import EnvironmentErrors as Errors
from pytest_agenteval.record import cost, records
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.tool_calls import ToolCalls

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
    "Rate",
    "ToolCallFailure",
    "cell_name",
    "cost_of",
    "counts",
    "environment_errors",
    "failures",
    "intervals_of",
]

Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class Part(BaseModel):
    """A JSON object with exactly these fields, each described by the text below it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, from_attributes=True, populate_by_name=True, use_attribute_docstrings=True
    )


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

    usd: Amount | None
    """What the answered calls cost; null as soon as the cost of one is unknown. Never 0 for unknown."""
    usd_at_least: Amount
    """The sum of the calls whose cost is known."""
    usd_at_most: Amount | None
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
    error: str
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


def cell_name(cell: records.Cell) -> CellName:
    """The names of a cell."""
    return CellName(model=cell.model, scaffold=cell.scaffold)


def counts(found: tuple[int, int]) -> Counts:
    """n and c of a task."""
    return Counts(n=found[0], c=found[1])


def cost_of(found: cost.Cost) -> Cost:
    """What something cost."""
    return Cost(
        usd=found.total,
        usd_at_least=found.priced,
        usd_at_most=found.at_most,
        unpriced_calls=found.unpriced_calls,
        uncounted_calls=found.uncounted_calls,
        lost_calls=found.lost_calls,
    )


def intervals_of(found: Iterable[intervals.Interval]) -> list[Interval]:
    """Intervals, each with its question."""
    return [Interval.model_validate(each) for each in found]


def failures(calls: ToolCalls) -> list[ToolCallFailure]:
    """Tool-call failures by tool and type."""
    return [ToolCallFailure(tool=each.tool, error=each.type, count=each.count) for each in calls.failures]


def environment_errors(found: Errors, tasks: Iterable[records.TaskRecord]) -> EnvironmentErrors:
    """The environment errors of these tasks, with their causes."""
    attempts = [attempt for task in tasks for attempt in task.attempts]
    causes = Counter(retry.cause for attempt in attempts for retry in attempt.retries)
    causes.update(a.cause for a in attempts if a.outcome is Outcome.ENVIRONMENT_ERROR and a.cause is not None)
    return EnvironmentErrors(
        count=found.count,
        rate=found.rate,
        retried=found.retried,
        stayed=found.stayed,
        tries=found.tries,
        by_cause=[CauseCount(cause=cause, count=count) for cause, count in sorted(causes.items())],
    )
