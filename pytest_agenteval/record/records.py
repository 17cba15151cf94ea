"""The records of attempts: plain frozen data, the same in memory, between processes and on disk.

Costs are US dollars, durations are seconds. `None` means unknown; it is never written as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

from pytest_agenteval.record.conduct import Confidence, Fault, RuleResults
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.perturbed import Perturbed
from pytest_agenteval.record.task_names import from_text
from pytest_agenteval.texts import OURS

__all__ = [
    "AttemptRecord",
    "Cell",
    "ModelCall",
    "Retry",
    "TaskRecord",
    "ToolCall",
    "name_of",
    "settle_skips",
    "total_of",
]

Number = TypeVar("Number", int, float)


def total_of(numbers: Iterable[Number | None]) -> Number | None:
    """The sum, or None if any part is unknown. The sum of nothing is 0, which is known."""
    parts = list(numbers)
    total = None if None in parts else sum(parts)  # type: ignore[arg-type]
    return math.fsum(parts) if isinstance(total, float) else total


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a comparison: a model in a scaffold."""

    model: str
    """Inspect's name for the model, for example `openai/gpt-5-mini`."""
    scaffold: str
    """The agent program around the model, for example `react`."""

    def __str__(self) -> str:
        return f"{self.model} · {self.scaffold}"

    @property
    def rehearsed(self) -> bool:
        """Whether the model is a built-in one, which plays the tasks' declared solutions."""
        return self.model.startswith("agenteval/")


class _OneTask(Protocol):
    @property
    def task(self) -> str: ...
    @property
    def cell(self) -> Cell: ...
    @property
    def name(self) -> str | None: ...


def name_of(one: _OneTask) -> str:
    """The task's name without its cell, the same in all cells and runs; read from the node id if its log lacks it."""
    return from_text(one.task, (str(one.cell), one.cell.model, one.cell.scaffold)) if one.name is None else one.name


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool by the agent."""

    tool: str
    arguments: str
    """The arguments as JSON text."""
    seconds: float | None = None
    error: str | None = None
    """The type of the tool-call failure (Inspect's `ToolCallError.type`: parsing, timeout, permission, ...) or None."""
    message: str | None = None
    """The failure's message, cut to a few hundred characters."""
    exit_code: int | None = None
    """The exit status if the tool ran a command. A non-zero one is not a failure; it is counted separately."""
    known_by: Literal["inspect", "messages", "recorded"] = "inspect"
    """Inspect ran the tool, the messages of an own agent show the call, or the own agent recorded it."""
    failure_known: bool = True
    """Whether it is known if the call failed. If not, `error` is None and means nothing."""
    exit_known: bool = True
    """Whether it is known how its command ended, or that it ran none. If not, `exit_code` is None."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One answered call of a model."""

    model: str
    role: str
    """`agent`, or the name of the model role that was called (a judge, a simulated user)."""
    input_tokens: int | None
    """Fresh input tokens, without those read from or written to the provider's cache. This and the other counts are
    None if the answer does not say how many tokens the call used, or gives numbers that cannot be right."""
    output_tokens: int | None
    cache_read_tokens: int | None = 0
    cache_write_tokens: int | None = 0
    cost: float | None = None
    seconds: float | None = None
    retries: int = 0
    """How often the provider refused or failed before it answered."""
    version: str | None = None
    """The model's name in the provider's answer, which may be more specific than the requested name."""
    cost_uncached: float | None = None
    """What the same tokens would have cost without the provider's cache, with cached tokens priced as fresh input."""
    cost_at_most: float | None = None
    """If the cost is unknown, the most that was reserved for it; None if nothing was."""

    @property
    def tokens(self) -> int | None:
        """All tokens of the call: input, output and cached; None if any count is unknown."""
        return total_of((self.input_tokens, self.output_tokens, self.cache_read_tokens, self.cache_write_tokens))


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that ended in an environment error and was repeated in a fresh sandbox. It was paid for, and is kept."""

    cause: Cause
    message: str
    model_calls: tuple[ModelCall, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    wall_seconds: float = 0.0
    lost_calls: int = 0
    """Model calls whose answer never came. They may have been billed; the amount is unknown."""
    lost_cost: float = 0.0
    """The most that the lost calls can have cost, as reserved from the run's budget; 0.0 without a budget."""
    asking: tuple[ModelCall, ...] = ()
    """The calls that asked how sure the agent was; they are paid, and no part of what the try did."""

    @property
    def cost(self) -> float | None:
        """What the try cost, or None if the cost of a call is unknown."""
        return total_of(call.cost for call in self.model_calls)


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt at a task, as it ended."""

    number: int
    """From 1 to k."""
    outcome: Outcome
    cause: Cause | None = None
    message: str = ""
    """Why it did not pass, in one or a few lines."""
    exception: str | None = None
    """The name of the exception's type."""
    where: str | None = None
    """`file:line` in the test or a fixture where the exception passed through."""
    model_calls: tuple[ModelCall, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    retries: tuple[Retry, ...] = ()
    """Earlier tries of this attempt, oldest first."""
    wall_seconds: float = 0.0
    working_seconds: float | None = None
    """Wall time without the time spent waiting for rate limits, retries and other attempts, as Inspect counts it."""
    answer: str | None = None
    """What the agent submitted."""
    last_steps: tuple[str, ...] = ()
    """The agent's last steps, newest last, one line each."""
    log: str | None = field(default=None, metadata=OURS)
    """The `.eval` log that holds the attempt."""
    lost_calls: int = 0
    """Model calls whose answer never came. They may have been billed; the amount is unknown."""
    lost_cost: float = 0.0
    """The most that the lost calls can have cost, as reserved from the run's budget; 0.0 without a budget."""
    image: str | None = None
    """The image of its sandbox: the registry's digest, or else the daemon's id; None if it ran in no container."""
    sandbox_wait_seconds: float | None = None
    """How long it waited for a free place to start its sandbox, in all tries; None if there is no such queue."""
    sandbox_kept: str | None = field(default=None, metadata=OURS)
    """The shell command that enters its sandbox, if the sandbox was kept."""
    fingerprint: str | None = None
    """A digest of what the model said and of its tool calls with their arguments; None if it said nothing."""
    run: str | None = None
    """The run that ran it; a resumed run keeps its name."""
    ended: str | None = None
    """When it ended, in UTC (ISO 8601)."""
    reused: bool = False
    """Whether an earlier invocation ran it and paid for it."""
    logged_as: int | None = None
    """Its number in its log, if different."""
    logged_task: str | None = None
    """The node id of its task in its log, if different."""
    excused: bool | None = None
    """Whether its failure was expected: True by `pytest.xfail`, False if the mark `xfail` expects another exception
    (`raises`), None if the mark decides, or there is none."""
    confidence: Confidence | None = None
    """How sure its agent was; None if nobody asked."""
    asking: tuple[ModelCall, ...] = ()
    """The calls that asked how sure the agent was; they are paid, and no part of what the attempt did: neither of its
    cost nor of its tokens."""
    rules: RuleResults | None = None
    """What its task's rules said about it; None if it has none."""
    faults: tuple[Fault, ...] | None = None
    """The faults that its perturbation injected, in order; None if it was not perturbed by faults."""
    met: bool | None = None
    """Whether a perturbation other than faults changed what its agent saw; None without one."""

    @property
    def cost(self) -> float | None:
        """What the attempt cost with all its retries, or None if the cost of a call is unknown."""
        return total_of([*(call.cost for call in self.model_calls), *(retry.cost for retry in self.retries)])

    @property
    def tries(self) -> tuple[AttemptRecord | Retry, ...]:
        """All its tries, the last one first."""
        return self, *self.retries

    @property
    def epoch(self) -> int:
        """Its number in its log."""
        return self.number if self.logged_as is None else self.logged_as

    def of_task(self, then: str, now: str) -> AttemptRecord:
        """The same attempt under the task's present node id."""
        return self if then == now else replace(self, logged_task=then)

    def renumbered(self, number: int) -> AttemptRecord:
        """The same attempt with another number: attempts of several runs are numbered afresh."""
        return self if number == self.number else replace(self, number=number, logged_as=self.epoch)

    @property
    def model_versions(self) -> tuple[str, ...]:
        """The versions of the agent's models, from the provider's answers, for example `gpt-5-mini-2025-08-07`."""
        return tuple(sorted({call.version for call in self.model_calls if call.version and call.role == "agent"}))

    @property
    def tokens(self) -> int | None:
        """All tokens of the attempt, without its retries; None if an answer does not say how many it used."""
        return total_of(call.tokens for call in self.model_calls)


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """All attempts at one task in one cell."""

    task: str
    """pytest's node id."""
    cell: Cell
    k: int
    """How many attempts were asked for at this task."""
    attempts: tuple[AttemptRecord, ...] = ()
    min_pass_rate: float | None = None
    """The pass rate that the task itself asks for, or None if it declares none."""
    notes: tuple[str, ...] = ()
    """What a reader should know, one sentence each (a hint at a bug in the test, "not isolated", ...)."""
    source: str | None = None
    """A digest of the test function's source; None if unknown."""
    discarded: tuple[AttemptRecord, ...] = ()
    """Attempts that earlier invocations began and that do not count. Only their cost still matters."""
    expected_failure: bool = False
    """Whether a mark `xfail` expects it to fail."""
    strict: bool = False
    """Whether passing is a failure when the mark expects it to fail."""
    name: str | None = None
    """Its name without the cell; None if its log does not say."""
    perturbed: Perturbed | None = None
    """Which perturbation of which task it is; None for the base."""

    @property
    def n(self) -> int:
        """How many attempts count."""
        return sum(attempt.outcome.counts for attempt in self.attempts)

    @property
    def passes(self) -> int:
        """How many attempts passed (c)."""
        return sum(attempt.outcome is Outcome.PASSED for attempt in self.attempts)

    @property
    def missing(self) -> int:
        """How many wanted attempts say nothing about the agent: they ended in environment errors, or never ran."""
        return sum(attempt.outcome.missing for attempt in self.attempts) + self.k - len(self.attempts)

    @property
    def not_needed(self) -> bool:
        """Whether none of its attempts ran, for every verdict was fixed without them."""
        return all(attempt.cause is Cause.DECIDED for attempt in self.attempts)

    @property
    def skipped(self) -> bool:
        """Whether the task as a whole is skipped: all its attempts skipped themselves."""
        return sum(each.outcome is Outcome.SKIPPED for each in self.attempts) == max(self.k, len(self.attempts))

    def excuses(self, attempt: AttemptRecord) -> bool:
        """Whether an attempt that did not pass was expected to fail."""
        return self.expected_failure if attempt.excused is None else attempt.excused

    @property
    def cost(self) -> float | None:
        """What the task cost, including retries, or None if the cost of a call is unknown."""
        return total_of(attempt.cost for attempt in (*self.attempts, *self.discarded))


def settle_skips(attempts: Iterable[AttemptRecord]) -> tuple[AttemptRecord, ...]:
    """A task is skipped in every attempt or in none. Otherwise a task could leave every gate by skipping the attempts
    that would fail. While all other attempts are missing, the skip stays as it is, because nobody knows yet."""
    known = tuple(attempts)
    if not any(each.outcome.counts or each.outcome is Outcome.BROKEN for each in known):
        return known
    half = "skipped, while other attempts of the task ran: "
    return tuple(
        replace(each, outcome=Outcome.BROKEN, message=half + each.message) if each.outcome is Outcome.SKIPPED else each
        for each in known
    )


def to_json(record: TaskRecord) -> Any:
    """The record as JSON types, to send to another process or write to a file."""
    return _adapter().dump_python(record, mode="json")


def from_json(data: Any) -> TaskRecord:
    """The record that :func:`to_json` wrote; pydantic's ValidationError for any other data."""
    record: TaskRecord = _adapter().validate_python(data)
    return record


def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(TaskRecord)
