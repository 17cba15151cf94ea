"""What the records of a run add up to, per cell and for the run: the numbers, before anybody judges them.

A skipped task is counted and left out of every estimate of its cell. Attempts that were wanted and do not count in n
(missing and broken ones) stay in sight: worst and best case are taken over them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.estimates import Estimates, of_first_attempts, of_full_grid
from pytest_agenteval.estimate.stats.estimators import SuiteEstimate
from pytest_agenteval.estimate.stats.missing import MissingRange, pass_at_1_range, pass_hat_k_range
from pytest_agenteval.estimate.task import (
    EnvironmentErrors,
    RoleCost,
    TaskSummary,
    ToolCallFailures,
    known_sum,
    summarize_task,
)
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import Cell, TaskRecord

__all__ = ["CellSummary", "RunSummary", "TaskSummary", "summarize"]


@dataclass(frozen=True, slots=True)
class CellSummary:
    """All tasks of one model in one scaffold. Estimates are averages over tasks; every task weighs the same."""

    cell: Cell
    k: int
    """The largest k among the tasks."""
    tasks: tuple[TaskSummary, ...]
    """In the order of their records."""
    estimates: Estimates
    pass_at_1_range: MissingRange
    """pass@1 had every unmeasured attempt failed, and had every one passed."""
    pass_hat_k_range: MissingRange
    """The same for pass^k."""
    skipped: int
    """Tasks that are skipped."""
    attempts: int
    """Attempts that count, of tasks that are not skipped."""
    passes: int
    reliable: int
    """Tasks of which all of at least k attempts passed."""
    broken: int
    """Broken attempts."""
    missing: int
    """Missing attempts."""
    not_run: int
    """Missing attempts that never ran to an end; the others are environment errors."""
    decided: int
    """Attempts that did not run because every verdict was already fixed."""
    unmeasured: int
    """Wanted attempts that do not count in n."""
    tool_calls: int
    """Of the attempts that count, like the failures and exits below."""
    tool_failures: tuple[ToolCallFailures, ...]
    """The most frequent first."""
    nonzero_exits: int
    environment_errors: EnvironmentErrors
    cost: Cost
    """Everything: retries and attempts that do not count included."""
    own_cost: Cost
    """The attempts that count, each without its earlier tries: what the agent itself spent."""
    roles: tuple[RoleCost, ...] = ()
    """The cost by role, the agent's first; without calls whose answer was lost."""
    wall_seconds: float = 0.0
    """Of the attempts that count, in sum, each without its earlier tries."""
    sandbox_wait_seconds: float | None = None
    """How long attempts waited for places to start their sandboxes, in sum; None where there is no such queue."""
    unknown_tool_calls: int = 0
    """Of the tool calls those of which nobody knows whether they failed: they are no successes."""
    unknown_exits: int = 0
    """Tool calls of which nobody knows how their command ended, or whether they ran one."""
    sandbox_waits: int = 0
    """How many attempts that sum is over."""

    @property
    def pass_at_1(self) -> SuiteEstimate:
        """The estimate of pass@1."""
        return self.estimates.pass_at_1

    @property
    def pass_hat_k(self) -> SuiteEstimate:
        """The estimate of pass^k."""
        return self.estimates.pass_hat_k

    @property
    def gap(self) -> float | None:
        """pass@1 minus pass^k."""
        return self.estimates.gap

    @property
    def curve(self) -> tuple[SuiteEstimate, ...]:
        """pass^1 to pass^k."""
        return self.estimates.curve

    @property
    def saved_cost(self) -> float | None:
        """What the decided attempts would have cost at the mean of those that count, in US dollars: an estimate."""
        if not self.decided or not self.attempts or self.own_cost.total is None:
            return None
        return self.own_cost.total / self.attempts * self.decided

    @property
    def saved_seconds(self) -> float | None:
        """How long the decided attempts would have taken, one after the other, at the mean of those that count.

        An estimate, and of attempts, not of the run: what the run was shortened by depends on how many were in flight
        at once. None where nothing was decided, or where nobody measured how long attempts took.
        """
        if not self.decided or not self.attempts or not self.wall_seconds:
            return None
        return self.wall_seconds / self.attempts * self.decided

    @property
    def sandbox_wait_per_attempt(self) -> float | None:
        """The mean of the waits for a place to start a sandbox, in seconds; None where there is no such queue."""
        if self.sandbox_wait_seconds is None or not self.sandbox_waits:
            return None
        return self.sandbox_wait_seconds / self.sandbox_waits

    @property
    def tool_failure_count(self) -> int:
        """All tool-call failures."""
        return sum(failures.count for failures in self.tool_failures)

    @property
    def tool_failure_rate(self) -> float | None:
        """The share of the tool calls that failed, or None where no tool was called."""
        return self.tool_failure_count / self.tool_calls if self.tool_calls and not self.unknown_tool_calls else None

    @property
    def tool_failure_range(self) -> tuple[float, float] | None:
        """The share of tool calls that failed, where of the unknown ones none did and where all did."""
        if not self.tool_calls:
            return None
        best, worst = self.tool_failure_count, self.tool_failure_count + self.unknown_tool_calls
        return best / self.tool_calls, worst / self.tool_calls

    @property
    def cost_per_attempt(self) -> Cost | None:
        """Everything the cell cost, by attempts that count; None without any."""
        return self.cost.per(self.attempts)

    @property
    def cost_per_success(self) -> Cost | None:
        """Everything the cell cost, by attempts that passed; None without any, and where early stopping chose them."""
        return None if self.decided else self.cost.per(self.passes)

    @property
    def cost_per_reliable_task(self) -> Cost | None:
        """The same by tasks that passed all k attempts."""
        return None if self.decided else self.cost.per(self.reliable)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The whole run."""

    cells: tuple[CellSummary, ...]
    """In the order of their first records."""
    incomplete: tuple[str, ...]
    """Why the run did less than was asked of it, a phrase each; empty where it did everything."""

    @property
    def tasks(self) -> tuple[TaskSummary, ...]:
        """All tasks of all cells."""
        return tuple(task for cell in self.cells for task in cell.tasks)

    @property
    def evaluated(self) -> int:
        """How many tasks, counted per cell, are not skipped and have an attempt that counts."""
        return sum(task.n > 0 for task in self.tasks if not task.skipped)

    @property
    def broken(self) -> int:
        """How many attempts are broken."""
        return sum(cell.broken for cell in self.cells)

    @property
    def budget_stopped(self) -> int:
        """How many attempts did not run to an end because the run's budget could not pay for them."""
        return sum(attempt.cause is Cause.BUDGET for task in self.tasks for attempt in task.missing)

    @property
    def cost(self) -> Cost:
        """Everything the run cost, what earlier invocations of it paid included."""
        return Cost.of(cell.cost for cell in self.cells)

    @property
    def paid_now(self) -> Cost:
        """What this invocation paid."""
        return Cost.of(task.paid_now for task in self.tasks)


def summarize(records: Sequence[TaskRecord], *, every_first: bool = False) -> RunSummary:
    """Everything a gate or a report needs to know about a run.

    Args:
        records: of all tasks.
        every_first: whether every task was certain to get its first attempt, though the run may have stopped early.
    """
    by_cell: dict[Cell, list[TaskSummary]] = {}
    for record in records:
        by_cell.setdefault(record.cell, []).append(summarize_task(record))
    cells = tuple(_summarize_cell(cell, tuple(tasks), every_first) for cell, tasks in by_cell.items())
    return RunSummary(cells, _incomplete(task for cell in cells for task in cell.tasks))


def _summarize_cell(cell: Cell, tasks: tuple[TaskSummary, ...], every_first: bool) -> CellSummary:
    kept = [task for task in tasks if not task.skipped]
    k = max(task.k for task in tasks)
    counts = [(task.n, task.passes) for task in kept]
    wanted = [(task.n, task.passes, task.unmeasured) for task in kept]
    # A task with a smaller k of its own says nothing about the attempts between its k and the cell's: they are open.
    wanted_of_k = [(n, c, max(u, k - n)) for n, c, u in wanted]
    if any(task.decided for task in kept):
        estimates = of_first_attempts([task.first_passed if every_first else None for task in kept], k)
    else:
        estimates = of_full_grid(counts, k)
    missing = [attempt for task in kept for attempt in task.missing]
    failures: Counter[tuple[str, str]] = Counter()
    for task in kept:
        failures.update({(failed.tool, failed.type): failed.count for failed in task.tool_failures})
    return CellSummary(
        cell=cell,
        k=k,
        tasks=tasks,
        estimates=estimates,
        pass_at_1_range=pass_at_1_range(wanted),
        pass_hat_k_range=pass_hat_k_range(wanted_of_k, k),
        skipped=len(tasks) - len(kept),
        attempts=sum(task.n for task in kept),
        passes=sum(task.passes for task in kept),
        reliable=sum(task.n >= k and task.passes == task.n for task in kept),
        broken=sum(len(task.broken) for task in tasks),
        missing=len(missing),
        not_run=sum(attempt.outcome is Outcome.NOT_RUN for attempt in missing),
        decided=sum(task.decided for task in kept),
        unmeasured=sum(task.unmeasured for task in kept),
        tool_calls=sum(task.tool_calls for task in kept),
        unknown_tool_calls=sum(task.unknown_tool_calls for task in kept),
        unknown_exits=sum(task.unknown_exits for task in kept),
        tool_failures=ToolCallFailures.of(failures),
        nonzero_exits=sum(task.nonzero_exits for task in kept),
        environment_errors=EnvironmentErrors.of(task.environment_errors for task in tasks),
        cost=Cost.of(task.cost for task in tasks),
        own_cost=Cost.of(task.own_cost for task in kept),
        roles=RoleCost.of(part for task in tasks for part in task.roles),
        wall_seconds=math.fsum(task.wall_seconds for task in kept),
        sandbox_wait_seconds=known_sum(task.sandbox_wait_seconds for task in tasks),
        sandbox_waits=sum(task.sandbox_waits for task in tasks),
    )


def _incomplete(tasks: Iterable[TaskSummary]) -> tuple[str, ...]:
    causes = Counter(attempt.cause for task in tasks for attempt in task.missing if attempt.outcome is Outcome.NOT_RUN)
    phrases = []
    for cause, count in causes.items():
        what = f"{count} {'attempt' if count == 1 else 'attempts'}"
        if cause is Cause.BUDGET:
            phrases.append(f"the run's budget could not pay for {what}")
        elif cause is Cause.CANCELLED:
            phrases.append(f"{what} {'was' if count == 1 else 'were'} cancelled")
        elif cause is Cause.OUTDATED:
            phrases.append(f"{what} of earlier invocations met another version of the model")
        else:
            phrases.append(f"{what} did not run")
    return tuple(phrases)
