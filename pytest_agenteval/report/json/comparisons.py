"""A comparison with the baseline in the JSON report."""

from __future__ import annotations

from pytest_agenteval.judge import baseline
from pytest_agenteval.report.json.parts import Amount, CellName, Counts, Part, Rate, counts

__all__ = ["Comparison", "comparison_report"]


class InBoth(Part):
    """One task in both runs."""

    task: str
    """pytest's node id."""
    before: Counts
    """In the baseline."""
    after: Counts
    """In this run."""


class ComparedTask(InBoth):
    """One task beside the same task of the baseline."""

    p: Rate
    """Of its own one-sided test."""
    p_corrected: Rate
    """Corrected for having looked at every task."""


class RegressedTask(InBoth):
    """A task that regressed by its own test."""

    p_corrected: Rate
    """Corrected for having looked at every task."""
    usd_per_attempt_before: Amount | None
    """US dollars."""
    usd_per_attempt_after: Amount | None
    """US dollars."""
    tool_call_failure_rate_before: Rate | None
    """null where unknown."""
    tool_call_failure_rate_after: Rate | None
    """null where unknown."""


class Comparison(CellName):
    """One cell beside the baseline."""

    baseline: str
    """How the earlier run is called."""
    new: bool
    """Whether the baseline has no cell to compare this one with: it is measured, and not judged."""
    baseline_model: str | None
    """Its model; null where the cell is new."""
    baseline_scaffold: str | None
    """Its scaffold; null where the cell is new."""
    regressed: bool | None
    """Whether the agent is worse; null where nothing could be compared."""
    regressed_at_worst: bool | None
    """The same had every unmeasured attempt failed."""
    regressed_at_best: bool | None
    """The same had every one passed."""
    pass_at_1_before: Rate | None
    """Of the compared tasks."""
    pass_at_1_after: Rate | None
    """Of the compared tasks."""
    p: Rate | None
    """One-sided and exact, over all compared tasks."""
    tasks: list[ComparedTask]
    """The compared tasks, smallest p first."""
    regressed_tasks: list[RegressedTask]
    """Those that regressed by their own test."""
    changed_tasks: list[str]
    """Tasks whose test function changed: not compared."""
    added_tasks: list[str]
    """Not in the baseline."""
    removed_tasks: list[str]
    """Only in the baseline."""
    silent_tasks: list[str]
    """Without an attempt that counts in this run."""


def comparison_report(found: baseline.Comparison) -> Comparison:
    """One cell beside the baseline."""
    other = None if found.new else found.other or found.cell
    return Comparison.of(
        found,
        model=found.cell.model,
        scaffold=found.cell.scaffold,
        baseline_model=None if other is None else other.model,
        baseline_scaffold=None if other is None else other.scaffold,
        regressed=found.test.regressed,
        regressed_at_worst=found.worst,
        regressed_at_best=found.best,
        p=found.test.p_all_tasks,
        tasks=[
            ComparedTask.of(change, before=counts(change.before), after=counts(change.after))
            for change in found.test.tasks
        ],
        regressed_tasks=[
            RegressedTask(
                task=task.task,
                before=counts(task.before),
                after=counts(task.after),
                p_corrected=task.p,
                usd_per_attempt_before=task.cost_before,
                usd_per_attempt_after=task.cost_after,
                tool_call_failure_rate_before=task.tool_failures_before,
                tool_call_failure_rate_after=task.tool_failures_after,
            )
            for task in found.regressed
        ],
        changed_tasks=found.changed,
        added_tasks=found.added,
        removed_tasks=found.removed,
        silent_tasks=found.silent,
    )
