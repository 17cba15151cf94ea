"""The summary of a run's records, per cell and for the whole run: the numbers before they are judged.

A skipped task is counted, but left out of every estimate of its cell. Attempts that were wanted and do not count in n
(missing and broken ones) are not dropped: worst and best case are taken over them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_agenteval.estimate.estimates import Estimates, of_first_attempts, of_full_grid
from pytest_agenteval.estimate.robustness import Robustness, robustness_of
from pytest_agenteval.estimate.rules import RulesSummary, summarize_rules
from pytest_agenteval.estimate.stats.estimators import SuiteEstimate
from pytest_agenteval.estimate.stats.missing import MissingRange, pass_at_1_range, pass_hat_k_range
from pytest_agenteval.estimate.task import EnvironmentErrors, RoleCost, TaskSummary, known_sum, summarize_task
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.record.tool_calls import ToolCalls

__all__ = ["CellSummary", "RunSummary", "TaskSummary", "run_of", "summarize"]


@dataclass(frozen=True, slots=True)
class CellSummary:
    """All tasks of one model in one scaffold. Estimates are averages over tasks with equal weight."""

    cell: Cell
    k: int
    """The largest k among the tasks."""
    tasks: tuple[TaskSummary, ...]
    """In the order of their records."""
    estimates: Estimates
    pass_at_1_range: MissingRange
    """pass@1 if every unmeasured attempt had failed, and if every one had passed."""
    pass_hat_k_range: MissingRange
    """The same for pass^k."""
    skipped: int
    """Tasks that are skipped."""
    attempts: int
    """Attempts that count, of tasks that are not skipped."""
    passes: int
    reliable: int
    """Tasks with at least k attempts that all passed."""
    broken: int
    """Broken attempts."""
    missing: int
    """Missing attempts."""
    not_run: int
    """Missing attempts that did not finish; the other missing ones are environment errors."""
    decided: int
    """Attempts that did not run because every verdict was already fixed."""
    unmeasured: int
    """Wanted attempts that do not count in n."""
    tool_calls: ToolCalls
    """Of the attempts that count."""
    environment_errors: EnvironmentErrors
    cost: Cost
    """Everything, including retries and attempts that do not count."""
    work_cost: Cost
    """The same without the questions how sure the agents were: what attempts, successes and reliable tasks cost."""
    asking_cost: Cost
    """What these questions cost."""
    own_cost: Cost
    """For the attempts that count, without their earlier tries: what the agent itself spent."""
    roles: tuple[RoleCost, ...] = ()
    """The cost by role, the agent's first; without calls whose answer was lost."""
    wall_seconds: float = 0.0
    """The total over the attempts that count, without their earlier tries."""
    sandbox_wait_seconds: float | None = None
    """The total time that attempts waited for free places to start their sandboxes; None if there is no such queue."""
    sandbox_waits: int = 0
    """How many attempts contribute to that sum."""
    rules: RulesSummary | None = None
    """What the tasks' rules say; None if no task has any."""
    robustness: tuple[Robustness, ...] = ()
    """What is left of the pass rate under each perturbation. No other figure of the cell knows of perturbed tasks."""

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
        """How long the decided attempts would have taken, one after another, at the mean of those that count.

        This is an estimate about attempts, not about the run: how much shorter the run became depends on how many
        attempts were in flight at once. None if no attempt was decided, or if the durations were not measured.
        """
        if not self.decided or not self.attempts or not self.wall_seconds:
            return None
        return self.wall_seconds / self.attempts * self.decided

    @property
    def sandbox_wait_per_attempt(self) -> float | None:
        """The mean wait for a free place to start a sandbox, in seconds; None if there is no such queue."""
        if self.sandbox_wait_seconds is None or not self.sandbox_waits:
            return None
        return self.sandbox_wait_seconds / self.sandbox_waits

    @property
    def cost_per_attempt(self) -> Cost | None:
        """The cost of the cell's work per attempt that counts; None if there is none."""
        return self.work_cost.per(self.attempts)

    @property
    def cost_per_success(self) -> Cost | None:
        """The cost of the cell's work per attempt that passed; None if there is none or early stopping chose them."""
        return None if self.decided else self.work_cost.per(self.passes)

    @property
    def cost_per_reliable_task(self) -> Cost | None:
        """The cost of the cell's work per task that passed all k attempts; None in the same cases."""
        return None if self.decided else self.work_cost.per(self.reliable)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The whole run."""

    cells: tuple[CellSummary, ...]
    """In the order of their first records."""
    incomplete: tuple[str, ...]
    """Why the run did less than it was asked to do, one phrase each; empty if it did everything."""
    perturbed: tuple[TaskSummary, ...] = ()
    """Tasks under perturbations. They are in no cell's figures, and in what the run cost."""

    @property
    def tasks(self) -> tuple[TaskSummary, ...]:
        """All tasks of all cells."""
        return tuple(task for cell in self.cells for task in cell.tasks)

    @property
    def everything(self) -> tuple[TaskSummary, ...]:
        """All tasks of all cells, and those under perturbations."""
        return (*self.tasks, *self.perturbed)

    @property
    def evaluated(self) -> int:
        """How many tasks, counted per cell, are not skipped and have an attempt that counts."""
        return sum(task.n > 0 for task in self.tasks if not task.skipped)

    @property
    def broken(self) -> int:
        """How many attempts are broken."""
        return sum(cell.broken for cell in self.cells) + sum(len(task.broken) for task in self.perturbed)

    @property
    def budget_stopped(self) -> int:
        """How many attempts did not finish because the run's budget could not pay for them."""
        return sum(attempt.cause is Cause.BUDGET for task in self.everything for attempt in task.missing)

    @property
    def unrecorded(self) -> int:
        """How many wanted attempts left no record, so that nobody knows what they cost."""
        return sum(task.unrecorded for task in self.everything)

    @property
    def cost(self) -> Cost:
        """The whole cost of the run, including what its earlier invocations paid."""
        return Cost.of([*(cell.cost for cell in self.cells), *(task.cost for task in self.perturbed)])

    @property
    def paid_now(self) -> Cost:
        """What this invocation paid."""
        return Cost.of(task.paid_now for task in self.everything)


def summarize(records: Iterable[TaskRecord], *, every_first: bool = False) -> RunSummary:
    """Everything a gate or a report needs to know about a run.

    Args:
        records: of all tasks.
        every_first: whether every task was certain to get its first attempt, though the run may have stopped early.
    """
    return run_of(map(summarize_task, records), every_first=every_first)


def run_of(tasks: Iterable[TaskSummary], *, every_first: bool) -> RunSummary:
    """The same from the summaries of all tasks."""
    by_cell: dict[Cell, list[TaskSummary]] = {}
    perturbed: list[TaskSummary] = []
    for task in tasks:
        if task.perturbed is None:
            by_cell.setdefault(task.cell, []).append(task)
        else:
            perturbed.append(task)
    cells = tuple(
        _summarize_cell(cell, tuple(of), [task for task in perturbed if task.cell == cell], every_first)
        for cell, of in by_cell.items()
    )
    run = RunSummary(cells, (), tuple(perturbed))
    return replace(run, incomplete=_incomplete(run.everything))


def _summarize_cell(
    cell: Cell, tasks: tuple[TaskSummary, ...], perturbed: Sequence[TaskSummary], every_first: bool
) -> CellSummary:
    unskipped = [task for task in tasks if not task.skipped]
    k = max(task.k for task in tasks)
    counts = [(task.n, task.passes) for task in unskipped]
    wanted = [(task.n, task.passes, task.unmeasured) for task in unskipped]
    # A task with a smaller k of its own says nothing about the attempts between its k and the cell's: they are open.
    wanted_of_k = [(n, c, max(u, k - n)) for n, c, u in wanted]
    if any(task.decided for task in unskipped):
        estimates = of_first_attempts([task.first_passed if every_first else None for task in unskipped], k)
    else:
        estimates = of_full_grid(counts, k)
    missing = [attempt for task in unskipped for attempt in task.missing]
    return CellSummary(
        cell=cell,
        k=k,
        tasks=tasks,
        estimates=estimates,
        pass_at_1_range=pass_at_1_range(wanted),
        pass_hat_k_range=pass_hat_k_range(wanted_of_k, k),
        skipped=len(tasks) - len(unskipped),
        attempts=sum(task.n for task in unskipped),
        passes=sum(task.passes for task in unskipped),
        reliable=sum(task.n >= k and task.passes == task.n for task in unskipped),
        broken=sum(len(task.broken) for task in tasks),
        missing=len(missing),
        not_run=sum(attempt.outcome is Outcome.NOT_RUN for attempt in missing),
        decided=sum(task.decided for task in unskipped),
        unmeasured=sum(task.unmeasured for task in unskipped),
        tool_calls=ToolCalls.sum(task.tool_calls for task in unskipped),
        environment_errors=EnvironmentErrors.of(task.environment_errors for task in tasks),
        cost=Cost.of(task.cost for task in tasks),
        work_cost=Cost.of(task.work_cost for task in tasks),
        asking_cost=Cost.of(task.asking_cost for task in tasks),
        own_cost=Cost.of(task.own_cost for task in unskipped),
        roles=RoleCost.of(part for task in tasks for part in task.roles),
        wall_seconds=math.fsum(task.wall_seconds for task in unskipped),
        sandbox_wait_seconds=known_sum(task.sandbox_wait_seconds for task in tasks),
        sandbox_waits=sum(task.sandbox_waits for task in tasks),
        rules=summarize_rules([task.ruled for task in unskipped]),
        robustness=robustness_of(unskipped, perturbed),
    )


def _incomplete(tasks: Iterable[TaskSummary]) -> tuple[str, ...]:
    causes = Counter(attempt.cause for task in tasks for attempt in task.missing if attempt.outcome is Outcome.NOT_RUN)
    phrases = []
    for cause, count in causes.items():
        what = plural(count, "attempt")
        if cause is Cause.BUDGET:
            phrases.append(f"the run's budget could not pay for {what}")
        elif cause is Cause.CANCELLED:
            phrases.append(f"{what} {'was' if count == 1 else 'were'} cancelled")
        elif cause is Cause.OUTDATED:
            phrases.append(f"{what} of earlier invocations met another version of the model")
        else:
            phrases.append(f"{what} did not run")
    return tuple(phrases)
