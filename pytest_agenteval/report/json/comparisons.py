"""A comparison with the baseline in the JSON report."""

from __future__ import annotations

from pytest_agenteval.judge import baseline
from pytest_agenteval.report.json.parts import Amount, Counts, Part, Rate, cell_name, counts

__all__ = ["Comparison", "comparison_report"]


class ComparedTask(Part):
    """One task beside the same task of the baseline."""

    task: str
    """pytest's node id."""
    before: Counts
    """In the baseline."""
    after: Counts
    """In this run."""
    p: Rate
    """Of its own one-sided test."""
    p_corrected: Rate
    """Corrected for having looked at every task."""


class RegressedTask(Part):
    """A task that regressed by its own test."""

    task: str
    """pytest's node id."""
    before: Counts
    """In the baseline."""
    after: Counts
    """In this run."""
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


class Comparison(Part):
    """One cell beside the baseline."""

    model: str
    """Inspect's name of the model, for example openai/gpt-5-mini."""
    scaffold: str
    """The agent program around the model, for example react."""
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
    return Comparison(
        **cell_name(found.cell).model_dump(),
        baseline=found.baseline,
        new=found.new,
        baseline_model=None if other is None else other.model,
        baseline_scaffold=None if other is None else other.scaffold,
        regressed=found.test.regressed,
        regressed_at_worst=found.worst,
        regressed_at_best=found.best,
        pass_at_1_before=found.pass_at_1_before,
        pass_at_1_after=found.pass_at_1_after,
        p=found.test.p_all_tasks,
        tasks=[
            ComparedTask(
                task=change.task,
                before=counts(change.before),
                after=counts(change.after),
                p=change.p,
                p_corrected=change.p_holm,
            )
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
        changed_tasks=list(found.changed),
        added_tasks=list(found.added),
        removed_tasks=list(found.removed),
        silent_tasks=list(found.silent),
    )
