"""A task and its attempts in the JSON report."""

from __future__ import annotations

from collections import Counter

from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.record import records
from pytest_agenteval.record.conduct import Kind, Severity
from pytest_agenteval.record.cost import Cost as Costs
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import total_of
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.record.verdict import Verdict
from pytest_agenteval.report.json.parts import (
    Amount,
    Cost,
    Count,
    EnvironmentErrors,
    Failures,
    Number,
    Part,
    Percent,
    Rate,
    environment_errors,
)
from pytest_agenteval.report.log_places import log_place

__all__ = ["Attempt", "Task", "task_report"]


class Tokens(Part):
    """Tokens of an attempt\'s last try."""

    input: Count | None
    """Read afresh."""
    output: Count | None
    """Written."""
    cache_read: Count | None
    """Read from the provider's cache."""
    cache_write: Count | None
    """Written to it."""


class ToolCallCount(Part):
    """Calls of one tool that ended in one way."""

    tool: str
    """The tool."""
    error: str | None
    """The type of the tool-call failure; null for calls that did not fail."""
    count: Count
    """How many calls."""


class Retry(Part):
    """A try that ended in an environment error and was repeated in a fresh sandbox."""

    cause: Cause
    """What broke."""
    message: str
    """What happened."""
    cost: Cost
    """What it cost."""
    wall_seconds: Amount
    """How long it took."""


class Fault(Part):
    """One injected fault."""

    plane: str
    """exec, tool or model."""
    kind: str
    """For example timeout."""
    call: Number
    """Which call of its plane it hit."""
    target: str
    """The command, tool or model that it hit."""
    delivered: bool
    """Whether the agent saw it; if not, a retry below the agent absorbed it, or it changed nothing."""


class Violation(Part):
    """One rule that the agent broke."""

    rule: str
    """Its name."""
    kind: Kind
    """instruction or safety."""
    severity: Severity
    """low, medium, high or critical."""
    evidence: str
    """What was seen."""


class Rules(Part):
    """What the rules of a task say about an attempt."""

    checked: list[str]
    """All rules, those that could not be judged too."""
    violations: list[Violation]
    """What was broken; it changes no outcome unless the rule must hold."""
    unknown: list[str]
    """Rules that could not be judged."""


class Attempt(Part):
    """One attempt."""

    number: Number
    """From 1."""
    outcome: Outcome
    """How it ended. passed, limit and failed count in n."""
    counts: bool
    """Whether it is one of the n of an estimate."""
    cause: Cause | None
    """What stands behind the outcome; null for a plain success or failure."""
    message: str
    """Why it did not pass."""
    exception: str | None
    """The type of the exception."""
    where: str | None
    """file:line of the suite that the exception came through."""
    cost: Cost
    """With all its tries."""
    model_calls: Count
    """Answered calls of its last try."""
    tokens: Tokens
    """Of its last try."""
    tool_calls: list[ToolCallCount]
    """Of its last try, by tool and failure."""
    nonzero_exits: Count
    """Commands that ended with a non-zero exit status."""
    unknown_exits: Count
    """Tool calls of which nobody knows how their command ended, or whether they ran one."""
    retries: list[Retry]
    """Earlier tries, which ended in an environment error, oldest first."""
    wall_seconds: Amount
    """How long its last try took."""
    working_seconds: Amount | None
    """The same without waits, as Inspect counts it."""
    sandbox_wait_seconds: Amount | None
    """How long it waited for a place to start its sandbox."""
    confidence: Percent | None
    """How sure its agent said it was, in per cent; null where it gave no number."""
    confidence_answer: str | None
    """Its answer as it came; null where nobody asked."""
    asking_cost: Cost
    """What it cost to ask: not in its cost."""
    model_versions: list[str]
    """As what the provider said it answered."""
    image: str | None
    """The image of its sandbox, by digest or id."""
    log: str | None
    """The .eval log that holds it; relative to the working directory where it is below that."""
    number_in_log: Number | None
    """Its number in that log (Inspect's epoch): attempts of several runs put together are numbered anew."""
    run: str | None
    """The run that ran it."""
    ended: str | None
    """When it ended, in UTC (ISO 8601)."""
    faults: list[Fault] | None
    """What its perturbation injected, in order; null where it injects none."""
    rules: Rules | None
    """null where the task has no rules."""
    reused: bool
    """It was run, and paid, by an earlier invocation."""


class Task(Part):
    """One task in one cell."""

    task: str
    """pytest's node id."""
    model: str
    """Inspect's name of the model, for example openai/gpt-5-mini."""
    scaffold: str
    """The agent program around the model, for example react."""
    k: Count
    """How many attempts were asked for."""
    n: Count
    """Attempts that count."""
    c: Count
    """Attempts that passed."""
    verdict: Verdict | None
    """null where the task is measured, not judged."""
    min_pass_rate: Rate | None
    """What the task itself asks for."""
    skipped: bool
    """It is in no estimate."""
    pass_at_1: Rate | None
    """null where no attempt counts, and where early stopping chose them."""
    pass_hat_k: Rate | None
    """null where n < k."""
    broken_attempts: list[Number]
    """Their numbers."""
    missing_attempts: list[Number]
    """Their numbers."""
    decided_attempts: Count
    """Attempts that early stopping did not need."""
    cost: Cost
    """Everything."""
    own_cost: Cost
    """The attempts that count, each without its earlier tries."""
    cost_per_attempt: Cost | None
    """By attempts that count; null without any."""
    tool_calls: Count
    """Of the attempts that count."""
    tool_call_failures: Failures
    nonzero_exits: Count
    """Commands that ended with a non-zero exit status."""
    unknown_exits: Count
    """Tool calls of which nobody knows how their command ended, or whether they ran one."""
    environment_errors: EnvironmentErrors
    """Tries that ended in an environment error."""
    identical_attempts: bool
    """The model did exactly the same in all attempts: k is effectively 1."""
    perturbation: str | None
    """Its variant; null for the task itself."""
    base: str | None
    """The name of the task that it is a variant of; null for the task itself."""
    source: str | None
    """A digest of the test function's source."""
    notes: list[str]
    """What a reader should know, a sentence each."""
    attempts: list[Attempt]
    """In the order of their numbers."""


def task_report(record: records.TaskRecord, summary: TaskSummary, verdict: Verdict | None) -> Task:
    """A task with its attempts.

    Args:
        record: its attempts.
        summary: what they come to.
        verdict: on the task; None where it is measured, not judged.
    """
    return Task.of(
        summary,
        model=summary.cell.model,
        scaffold=summary.cell.scaffold,
        c=summary.passes,
        verdict=verdict,
        broken_attempts=summary.broken,
        missing_attempts=[attempt.number for attempt in summary.missing],
        decided_attempts=summary.decided,
        tool_calls=summary.tool_calls.calls,
        tool_call_failures=summary.tool_calls.failures,
        nonzero_exits=summary.tool_calls.nonzero_exits,
        unknown_exits=summary.tool_calls.unknown_exits,
        environment_errors=environment_errors(summary.environment_errors, [record]),
        identical_attempts=summary.identical,
        perturbation=None if record.perturbed is None else record.perturbed.name,
        base=None if record.perturbed is None else record.perturbed.of,
        notes=[*summary.notes, *([summary.bug_hint] if summary.bug_hint is not None else [])],
        attempts=[_attempt(attempt) for attempt in record.attempts],
    )


def _attempt(attempt: records.AttemptRecord) -> Attempt:
    kinds = Counter((call.tool, call.error) for call in attempt.tool_calls)
    usage, tools = attempt.model_calls, ToolCalls.of(attempt.tool_calls)
    return Attempt.of(
        attempt,
        counts=attempt.outcome.counts,
        cost=Costs.of_attempt(attempt),
        confidence=None if attempt.confidence is None else attempt.confidence.value,
        confidence_answer=None if attempt.confidence is None else attempt.confidence.answer,
        asking_cost=Costs.of_asking(attempt),
        model_calls=len(usage),
        tokens=Tokens(
            input=total_of(call.input_tokens for call in usage),
            output=total_of(call.output_tokens for call in usage),
            cache_read=total_of(call.cache_read_tokens for call in usage),
            cache_write=total_of(call.cache_write_tokens for call in usage),
        ),
        tool_calls=[
            ToolCallCount(tool=tool, error=error, count=count)
            for (tool, error), count in sorted(kinds.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or ""))
        ],
        nonzero_exits=tools.nonzero_exits,
        unknown_exits=tools.unknown_exits,
        retries=[Retry.of(retry, cost=Costs.of_try(retry)) for retry in attempt.retries],
        log=None if attempt.log is None else log_place(attempt.log),
        number_in_log=None if attempt.log is None else attempt.epoch,
    )
