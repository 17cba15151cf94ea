"""A cell in the JSON report."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf
from typing import Annotated

from pydantic import Field

from pytest_agenteval.estimate import robustness
from pytest_agenteval.estimate.profile import profile_of
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats import intervals
from pytest_agenteval.record.conduct import Kind, Severity
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.report.json.parts import (
    Amount,
    CellName,
    Cost,
    Count,
    EnvironmentErrors,
    Failures,
    Interval,
    Part,
    Rate,
    environment_errors,
)
from pytest_agenteval.report.json.profile import Profile, profile_report

__all__ = ["Cell", "cell_report"]

Difference = Annotated[float, Field(ge=-1, le=1)]


class Bounds(Part):
    """Point bounds where a task has fewer than k attempts, without a confidence."""

    low: Rate
    """The lower one."""
    high: Rate
    """The upper one."""
    attempts: Count
    """The number of attempts they are made of."""


class Estimate(Part):
    """An estimate of a cell."""

    value: Rate | None
    """The average over the tasks used; null where no task has enough attempts."""
    tasks_used: Count
    """Tasks with enough attempts."""
    tasks_left_out: Count
    """Tasks with too few attempts."""
    worst: Rate | None
    """Had every unmeasured attempt failed."""
    best: Rate | None
    """Had every unmeasured attempt passed."""
    intervals: list[Interval]
    """Each answers a question of its own."""


class PassAt1(Estimate):
    """The share of attempts that pass."""

    first_attempts: Count | None
    """How many first attempts it is estimated from, where it is from these alone."""


class PassHatK(Estimate):
    """pass^k, the chance that all k attempts pass. null where no task has n >= k."""

    bounds: Bounds | None
    """null where every task has k attempts."""


class CurvePoint(Part):
    """pass^j for one j."""

    j: Count
    """How many attempts."""
    value: Rate | None
    """The average over the tasks used; null where fewer tasks have enough attempts than for pass^1."""
    tasks_used: Count
    """Tasks with enough attempts."""
    tasks_left_out: Count
    """Tasks with too few attempts."""


class AtLeastPoint(Part):
    """The chance that at least j of k attempts pass."""

    j: Count
    """How many of the k."""
    value: Rate | None
    """The average over the tasks used; null where no task has enough attempts."""
    tasks_used: Count
    """Tasks with enough attempts."""
    tasks_left_out: Count
    """Tasks with too few attempts."""


class FaultCount(Part):
    """How often a kind of fault was injected."""

    plane: str
    """exec, tool or model."""
    kind: str
    """For example timeout."""
    delivered: Count
    """Those that the agent saw."""
    absorbed: Count
    """Those that a retry below the agent kept from it, or that changed nothing."""


class RatioInterval(Part):
    """An interval of R."""

    low: Amount
    """The lower end."""
    high: Amount | None
    """The upper end; null where there is none, because the base may be 0."""
    confidence: Rate
    """How often such an interval contains the true value."""


class Robustness(Part):
    """What is left of the pass rate under one perturbation, over the tasks that have both."""

    perturbation: str
    """Its name."""
    tasks: Count
    """Tasks that are compared."""
    not_compared: list[str]
    """Tasks without an attempt that counts, of the base or perturbed."""
    base: Rate | None
    """The mean pass rate of the tasks themselves."""
    under: Rate | None
    """The same under the perturbation."""
    lost: Difference | None
    """base minus under."""
    ratio: Amount | None
    """R, under by base; may be above 1; null where the base passed nothing."""
    this_suite: RatioInterval | None
    """For these tasks, re-run."""
    tasks_like_these: RatioInterval | None
    """For other tasks of the kind."""
    attempts: Count
    """Perturbed attempts that count."""
    met: Count
    """Those of them that met the perturbation."""
    p_worse: Rate | None
    """How often an agent that the perturbation does not touch would do as badly."""
    faults: list[FaultCount]
    """By plane and kind."""
    worst_variant: str | None
    """Of several variants the one with the lowest pass rate."""
    extra_turns: float | None
    """Model calls of a perturbed attempt beyond those of a base attempt."""
    extra_usd: float | None
    """The same in US dollars; null where a cost is unknown."""


class Broken(Part):
    """In how many attempts something was broken."""

    attempts: Count
    """All there are."""
    violated: Count
    """Those in which it was."""
    unknown: Count
    """Those for which nobody knows, and which are not among the violated ones."""
    interval: Interval | None
    """Of the share, by tasks; null with fewer than two tasks, and where an attempt is unknown."""


class Rule(Part):
    """One rule, or all rules of one kind."""

    name: str
    """Of the rule, or instruction or safety."""
    kind: Kind | None
    """null where it is unknown."""
    severity: Severity | None
    """null where it is unknown, and for a kind."""
    failed: Broken
    """In attempts that did not pass."""
    passed: Broken
    """In attempts that passed."""


class Rules(Part):
    """How often rules were broken."""

    attempts: Count
    """Attempts that count and have rules."""
    kinds: list[Rule]
    """All instructions, and all safety rules."""
    rules: list[Rule]
    """Rule by rule."""


class Cell(CellName):
    """All tasks of one model in one scaffold.

    Estimates are averages over tasks that are not skipped; every task weighs the same.
    """

    k: Count
    """The largest number of attempts wanted of a task."""
    tasks: Count
    """All tasks."""
    skipped_tasks: Count
    """Tasks that are in no estimate."""
    reliable_tasks: Count
    """Tasks of which all of at least k attempts passed."""
    attempts: Count
    """Attempts that count."""
    passes: Count
    """Attempts that passed."""
    broken_attempts: Count
    """Attempts that show the test to be wrong."""
    missing_attempts: Count
    """Wanted attempts that say nothing about the agent."""
    attempts_not_run: Count
    """The missing attempts that never ran to an end."""
    decided_attempts: Count
    """Attempts that early stopping did not need."""
    unmeasured_attempts: Count
    """Wanted attempts that do not count, for whatever reason."""
    pass_at_1: PassAt1
    """The share of attempts that pass."""
    pass_hat_k: PassHatK
    """pass^k, the chance that all k attempts pass. null where no task has n >= k."""
    gap: Difference | None
    """pass@1 minus pass^k, both over the tasks that have a pass^k."""
    pass_hat_curve: list[CurvePoint]
    """pass^1 to pass^k, all over the tasks of the first."""
    at_least_j_of_k: list[AtLeastPoint]
    """The chance that at least j of k attempts pass: pass@k for j = 1, pass^k for j = k."""
    cost: Cost
    """Everything, retries and attempts that do not count included."""
    asking_cost: Cost
    """The part of it that asked how sure the agents were: in none of the costs below."""
    own_cost: Cost
    """The attempts that count, each without its earlier tries."""
    cost_per_attempt: Cost | None
    """By attempts that count; null without any."""
    cost_per_success: Cost | None
    """By attempts that passed; null without any, and where early stopping chose them."""
    cost_per_reliable_task: Cost | None
    """By reliable tasks; null without any, and where early stopping chose them."""
    saved_usd: Amount | None
    """What the decided attempts would have cost: an estimate."""
    tool_calls: Count
    """Of the attempts that count."""
    tool_call_failures: Failures
    tool_call_failure_rate: Rate | None
    """null where no tool was called."""
    nonzero_exits: Count
    """Commands that ended with a non-zero exit status, which is often no failure."""
    unknown_exits: Count
    """Tool calls of which nobody knows how their command ended, or whether they ran one."""
    environment_errors: EnvironmentErrors
    """Tries that ended in an environment error."""
    robustness: list[Robustness]
    """One per perturbation. No other figure of the cell knows of perturbed attempts."""
    rules: Rules | None
    """How often rules were broken; null where no task has any."""
    sandbox_wait_seconds: Amount | None
    """How long attempts waited for places to start their sandboxes, in sum."""
    profile: Profile
    """How reliable the agent is beside passing."""


def cell_report(cell: CellSummary, records: Sequence[TaskRecord]) -> Cell:
    """A cell with its estimates.

    Args:
        cell: its summary.
        records: the tasks of the run, of other cells too.
    """
    estimates, at_1, hat_k = cell.estimates, cell.pass_at_1_range, cell.pass_hat_k_range
    return Cell.of(
        cell,
        model=cell.cell.model,
        scaffold=cell.cell.scaffold,
        tasks=len(cell.tasks),
        skipped_tasks=cell.skipped,
        reliable_tasks=cell.reliable,
        broken_attempts=cell.broken,
        missing_attempts=cell.missing,
        attempts_not_run=cell.not_run,
        decided_attempts=cell.decided,
        unmeasured_attempts=cell.unmeasured,
        pass_at_1=PassAt1.of(
            cell.pass_at_1,
            worst=at_1.worst,
            best=at_1.best,
            intervals=estimates.pass_at_1_intervals,
            first_attempts=estimates.first_attempts,
        ),
        pass_hat_k=PassHatK.of(
            cell.pass_hat_k,
            worst=hat_k.worst,
            best=hat_k.best,
            intervals=estimates.pass_hat_k_intervals,
            bounds=estimates.pass_hat_k_bounds,
        ),
        pass_hat_curve=[CurvePoint.of(point, j=j) for j, point in enumerate(cell.curve, 1)],
        at_least_j_of_k=[AtLeastPoint.of(point, j=j) for j, point in enumerate(estimates.at_least, 1)],
        saved_usd=cell.saved_cost,
        tool_calls=cell.tool_calls.calls,
        tool_call_failures=cell.tool_calls.failures,
        tool_call_failure_rate=cell.tool_calls.rate,
        nonzero_exits=cell.tool_calls.nonzero_exits,
        unknown_exits=cell.tool_calls.unknown_exits,
        robustness=[_robustness(each) for each in cell.robustness],
        environment_errors=environment_errors(
            cell.environment_errors, (record for record in records if record.cell == cell.cell)
        ),
        profile=profile_report(profile_of(cell.cell, records)),
    )


def _robustness(found: robustness.Robustness) -> Robustness:
    return Robustness.of(
        found,
        perturbation=found.group,
        tasks=len(found.pairs),
        not_compared=found.not_paired,
        this_suite=_ratio_interval(found.this_suite),
        tasks_like_these=_ratio_interval(found.tasks_like_these),
        worst_variant=None if found.worst is None else found.worst[0],
        extra_usd=found.extra_cost,
    )


def _ratio_interval(found: intervals.Interval | None) -> RatioInterval | None:
    if found is None:
        return None
    high = None if isinf(found.high) else found.high
    return RatioInterval(low=found.low, high=high, confidence=found.confidence)
