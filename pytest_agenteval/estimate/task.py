"""The summary of one task's record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

from pytest_agenteval.estimate.conduct import Claimed, Kept
from pytest_agenteval.estimate.rules import Ruled
from pytest_agenteval.estimate.stats.estimators import pass_hat_k
from pytest_agenteval.estimate.stats.missing import pass_at_1_range
from pytest_agenteval.record.conduct import Fault
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.perturbed import Perturbed
from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, TaskRecord
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.record.verdict import Verdict

__all__ = [
    "EnvironmentErrors",
    "Expectation",
    "RoleCost",
    "TaskSummary",
    "bug_hint",
    "identical_attempts",
    "known_sum",
    "summarize_task",
]

_ASSERTIONS = ("AssertionError", "Failed")
"""The exceptions by which a test says that the agent did not solve the task; `Failed` is pytest.fail's."""
_MISSING_FILE = "FileNotFoundError"
"""What reading a file raises if the agent did not write it: the most ordinary way not to solve a task."""


@dataclass(frozen=True, slots=True)
class EnvironmentErrors:
    """How many tries of attempts ended in an environment error."""

    retried: int = 0
    """Tries that were repeated in a fresh sandbox."""
    stayed: int = 0
    """Attempts whose last try ended in an environment error."""
    tries: int = 0
    """All tries that finished, whatever their outcome."""

    @property
    def count(self) -> int:
        """Tries that ended in an environment error, repeated or not."""
        return self.retried + self.stayed

    @property
    def rate(self) -> float | None:
        """The share of the tries, or None if nothing ran."""
        return self.count / self.tries if self.tries else None

    @classmethod
    def of(cls, errors: Iterable[EnvironmentErrors]) -> EnvironmentErrors:
        """The sum."""
        parts = list(errors)
        return cls(sum(p.retried for p in parts), sum(p.stayed for p in parts), sum(p.tries for p in parts))


@dataclass(frozen=True, slots=True)
class RoleCost:
    """What the answered calls of one role cost: the agent's role, or another."""

    role: str
    calls: int
    cost: Cost

    @classmethod
    def of(cls, parts: Iterable[RoleCost]) -> tuple[RoleCost, ...]:
        """The sums by role, the agent's first."""
        by_role: dict[str, list[RoleCost]] = {}
        for part in parts:
            by_role.setdefault(part.role, []).append(part)
        sums = [cls(role, sum(p.calls for p in of), Cost.of(p.cost for p in of)) for role, of in by_role.items()]
        return tuple(sorted(sums, key=lambda each: (each.role != "agent", each.role)))

    @classmethod
    def of_attempts(cls, attempts: Iterable[AttemptRecord]) -> tuple[RoleCost, ...]:
        """The sums over all calls of the attempts, including those of repeated tries."""
        calls: dict[str, list[ModelCall]] = {}
        for attempt in attempts:
            for call in chain.from_iterable((*each.model_calls, *each.asking) for each in attempt.tries):
                calls.setdefault(call.role, []).append(call)
        return cls.of(cls(role, len(of), Cost.of_calls(of)) for role, of in calls.items())


class Expectation(StrEnum):
    """The result of a task that was expected to fail."""

    XFAILED = "xfail"
    """It failed, and every attempt that did not pass was expected to fail."""
    XPASSED = "xpass"
    """It passed nevertheless."""


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task in one cell."""

    task: str
    cell: Cell
    k: int
    n: int
    """Attempts that count."""
    passes: int
    pass_at_1: float | None
    """None if no attempt counts, or if early stopping chose those that do."""
    pass_hat_k: float | None
    """None if n < k."""
    min_pass_rate: float | None
    skipped: bool
    missing: tuple[AttemptRecord, ...]
    """The wanted attempts that say nothing about the agent, those without a record as not run. Empty for a skipped
    task, because it wanted none."""
    broken: tuple[int, ...]
    """The numbers of the broken attempts."""
    decided: int
    """Attempts that did not run because every verdict was already fixed; they are not missing."""
    unmeasured: int
    """Wanted attempts that do not count in n, for whatever reason: each could have passed or failed."""
    unrecorded: int
    """Wanted attempts that left no record, as those of a shard that is missing."""
    tool_calls: ToolCalls
    """Of the attempts that count."""
    environment_errors: EnvironmentErrors
    cost: Cost
    """Everything, including retries and attempts that do not count."""
    work_cost: Cost
    """The same without the questions how sure the agent was."""
    asking_cost: Cost
    """What these questions cost."""
    own_cost: Cost
    """For the attempts that count, without their earlier tries: what the agent itself spent."""
    paid_now: Cost
    """The part of the cost that no earlier invocation paid."""
    bug_hint: str | None
    notes: tuple[str, ...]
    roles: tuple[RoleCost, ...] = ()
    """The cost by role, the agent's first; without calls whose answer was lost."""
    wall_seconds: float = 0.0
    """The total over the attempts that count, without their earlier tries."""
    sandbox_wait_seconds: float | None = None
    """The total time its attempts waited for free places to start their sandboxes; None if there is no such queue."""
    sandbox_waits: int = 0
    """How many attempts contribute to that sum."""
    source: str | None = None
    """A digest of the test function's source; None if unknown."""
    first_passed: bool | None = None
    """Whether attempt 1 passed; None if it does not count."""
    expected: Expectation | None = None
    """None if no failure was expected, or if the attempts do not settle it."""
    strict: bool = False
    """Whether passing is a failure when it is expected to fail."""
    identical: bool = False
    """Whether the model did exactly the same in all attempts that count (at least two): k is then effectively 1."""
    name: str | None = None
    """Its name without the cell; None if its log does not say."""
    claimed: Claimed = field(default_factory=Claimed)
    """How sure its agent was."""
    ruled: tuple[Ruled, ...] = ()
    """What rules say about the attempts that count; empty without rules."""
    perturbed: Perturbed | None = None
    """Which perturbation of which task it is; None for the base."""
    met: int = 0
    """Attempts that count and met their perturbation."""
    faults: tuple[Fault, ...] = ()
    """All faults that were injected."""
    turns: int = 0
    """Model calls of the agent in the attempts that count."""

    @property
    def kept(self) -> Kept | None:
        """How its rules were kept; None if it has none, or no attempt that counts."""
        return Kept.of([each.results for each in self.ruled], self.n)

    @property
    def reliable(self) -> bool:
        """Whether it had at least k attempts that count, and all passed."""
        return not self.skipped and self.n >= self.k and self.passes == self.n

    @property
    def mixed(self) -> bool:
        """Whether some attempts passed and some did not."""
        return 0 < self.passes < self.n

    @property
    def cost_per_attempt(self) -> Cost | None:
        """The cost of the task's work per attempt that counts; None if there is none."""
        return self.work_cost.per(self.n)


def summarize_task(record: TaskRecord) -> TaskSummary:
    """Summarize one task."""
    attempts = record.attempts
    counted = [attempt for attempt in attempts if attempt.outcome.counts]
    n, passes, skipped = record.n, record.passes, record.skipped
    own = [Cost.of_try(attempt) for attempt in attempts]
    costs = [Cost.of([cost, *map(Cost.of_try, a.retries)]) for a, cost in zip(attempts, own, strict=True)]
    asking = [Cost.of_asking(attempt) for attempt in attempts]
    asked = Cost.of([*asking, *map(Cost.of_asking, record.discarded)])
    work = Cost.of([*costs, *(Cost.of_attempt(attempt) for attempt in record.discarded)])
    return TaskSummary(
        task=record.task,
        cell=record.cell,
        k=record.k,
        n=n,
        passes=passes,
        pass_at_1=passes / n if n and not any(_decided(attempt) for attempt in attempts) else None,
        pass_hat_k=pass_hat_k(n, passes, record.k),
        min_pass_rate=record.min_pass_rate,
        skipped=skipped,
        missing=() if skipped else _missing(record),
        broken=tuple(attempt.number for attempt in attempts if attempt.outcome is Outcome.BROKEN),
        decided=sum(_decided(attempt) for attempt in attempts),
        unmeasured=0 if skipped else max(record.k, len(attempts)) - n,
        unrecorded=max(0, record.k - len(attempts)),
        tool_calls=ToolCalls.of(call for attempt in counted for call in attempt.tool_calls),
        environment_errors=_environment_errors(attempts),
        cost=Cost.of([work, asked]),
        work_cost=work,
        asking_cost=asked,
        paid_now=Cost.of(
            cost
            for attempt, *parts in zip(attempts, costs, asking, strict=True)
            for cost in parts
            if not attempt.reused
        ),
        own_cost=Cost.of(cost for attempt, cost in zip(attempts, own, strict=True) if attempt.outcome.counts),
        bug_hint=bug_hint(record),
        notes=record.notes,
        roles=RoleCost.of_attempts((*attempts, *record.discarded)),
        wall_seconds=math.fsum(attempt.wall_seconds for attempt in counted),
        sandbox_wait_seconds=known_sum(attempt.sandbox_wait_seconds for attempt in attempts),
        sandbox_waits=sum(attempt.sandbox_wait_seconds is not None for attempt in attempts),
        source=record.source,
        first_passed=next((a.outcome is Outcome.PASSED for a in counted if a.number == 1), None),
        identical=identical_attempts(record),
        expected=_expected(record, counted),
        strict=record.strict,
        name=record.name,
        claimed=Claimed.of(counted),
        perturbed=record.perturbed,
        met=sum(bool(a.met) or any(fault.delivered for fault in a.faults or ()) for a in counted),
        faults=tuple(fault for attempt in attempts for fault in attempt.faults or ()),
        turns=sum(call.role == "agent" for attempt in counted for call in attempt.model_calls),
        ruled=tuple(Ruled(a.outcome is Outcome.PASSED, a.rules) for a in counted if a.rules is not None),
    )


def known_sum(seconds: Iterable[float | None]) -> float | None:
    """The sum of what is known; None if nothing is."""
    known = [each for each in seconds if each is not None]
    return sum(known) if known else None


def bug_hint(record: TaskRecord) -> str | None:
    """A sentence if all attempts, at least two, failed with the same non-assertion exception on the same line."""
    counted = [attempt for attempt in record.attempts if attempt.outcome.counts]
    signs = {(attempt.exception, attempt.where) for attempt in counted}
    blameless = all(
        a.outcome is Outcome.FAILED and a.cause not in (Cause.SANDBOX_EXHAUSTED, Cause.REFUSED) for a in counted
    )
    if len(counted) < 2 or len(signs) > 1 or not blameless:
        return None
    exception, where = signs.pop()
    if exception is None or where is None or exception.rpartition(".")[2] in (*_ASSERTIONS, _MISSING_FILE):
        return None
    return f"looks like a bug in the test: {exception} at {where} in every attempt"


def identical_attempts(record: TaskRecord) -> bool:
    """Whether the model did exactly the same in all attempts that count, two at least. The built-in models are meant to
    repeat themselves."""
    counted = [attempt for attempt in record.attempts if attempt.outcome.counts]
    prints = {attempt.fingerprint for attempt in counted}
    return len(counted) > 1 and len(prints) == 1 and None not in prints and not record.cell.rehearsed


def _expected(record: TaskRecord, counted: Sequence[AttemptRecord]) -> Expectation | None:
    """Judged by the task's own pass rate (all attempts if it asks for none), even if a gate decides instead."""
    failures = [attempt for attempt in counted if attempt.outcome is not Outcome.PASSED]
    if not record.expected_failure and not any(attempt.excused for attempt in failures):
        return None
    if any(attempt.outcome is Outcome.BROKEN for attempt in record.attempts):
        return None
    n = len(counted)
    counts = (n, n - len(failures), max(record.k, len(record.attempts)) - n)
    verdict = pass_at_1_range([counts]).verdict(1.0 if record.min_pass_rate is None else record.min_pass_rate)
    if verdict is Verdict.FAIL and all(record.excuses(attempt) for attempt in failures):
        return Expectation.XFAILED
    return Expectation.XPASSED if verdict is Verdict.PASS and record.expected_failure else None


def _decided(attempt: AttemptRecord) -> bool:
    return attempt.outcome is Outcome.NOT_RUN and attempt.cause is Cause.DECIDED


def _missing(record: TaskRecord) -> tuple[AttemptRecord, ...]:
    missing = [attempt for attempt in record.attempts if attempt.outcome.missing and not _decided(attempt)]
    recorded = {attempt.number for attempt in record.attempts}
    missing += [AttemptRecord(i, Outcome.NOT_RUN) for i in range(1, record.k + 1) if i not in recorded]
    return tuple(sorted(missing, key=lambda attempt: attempt.number))


def _environment_errors(attempts: Iterable[AttemptRecord]) -> EnvironmentErrors:
    retried = stayed = ended = 0
    for attempt in attempts:
        retried += len(attempt.retries)
        stayed += attempt.outcome is Outcome.ENVIRONMENT_ERROR
        ended += attempt.outcome not in (Outcome.NOT_RUN, Outcome.SKIPPED)
    return EnvironmentErrors(retried, stayed, retried + ended)
