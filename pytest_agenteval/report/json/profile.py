"""The reliability profile of a cell in the JSON report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pytest_agenteval.estimate import profile as estimate
from pytest_agenteval.record.conduct import Severity
from pytest_agenteval.report.json.parts import Count, Number, Part, Rate

__all__ = ["Profile", "profile_report"]

Signed = Annotated[float, Field(ge=-1, le=1)]


class ProfileInterval(Part):
    """A two-sided interval of a figure that may lie below 0."""

    question: Literal["this suite, re-run", "tasks like these"]
    """Whether other attempts at these tasks are meant, or other tasks of the kind."""
    low: Signed
    """Its lower end."""
    high: Signed
    """Its upper end."""
    confidence: Rate
    """How often such an interval holds the truth."""
    method: str
    """How it was computed."""


class Figure(Part):
    """A figure of the profile, in the unbiased form."""

    value: float | None
    """null where it cannot be computed: lacks says why."""
    tasks: Count
    """Tasks that it is made of."""
    intervals: list[ProfileInterval]
    """Each answers a question of its own."""
    lacks: list[str]
    """What is not in it, a phrase each."""
    published: float | None
    """The same by the formula of Rabanser et al. 2026, for comparison with the tables of others."""


class Resource(Part):
    """How alike the amounts of one resource are."""

    resource: str
    """Which one."""
    figure: Figure
    """1: all attempts at a task use the same; 0: one uses nothing."""


class Parting(Part):
    """Tasks whose attempts part at one step."""

    step: Number
    """The first step, from 1, at which not all attempts call the same tool."""
    tasks: Count
    """How many tasks."""


class Consistency(Part):
    """How alike attempts at the same task are."""

    outcome: Figure
    """How much likelier two attempts agree in passing than differ, from -1 to 1 (C_out)."""
    actions: Figure
    """Of passed attempts: how alike the shares of their tool calls are (C_traj^d)."""
    order: Figure
    """Of passed attempts: how alike the sequences of their tool calls are (C_traj^s)."""
    resources: Figure
    """How alike the amounts are that attempts use (C_res)."""
    by_resource: list[Resource]
    """The same for each resource."""
    distinct_sequences: float | None
    """Distinct sequences of tool calls a task; null where no task has two attempts."""
    parting: list[Parting]
    """Where the attempts at a task part."""
    published: float | None
    """R_Con of the paper, in its published forms."""


class Predictability(Part):
    """What the agent's own confidence is worth."""

    overconfidence: Figure
    """Mean confidence less pass rate, from -1 to 1 (P_cal)."""
    squared_calibration_error: Figure
    """Without the part that chance adds; published: 1 - ECE, from 200 attempts."""
    auroc: Figure
    """How often a passed attempt has more confidence than a failed one (P_AUROC)."""
    auroc_within_tasks: Figure
    """The same among attempts at the same task."""
    brier: Figure
    """1 less the mean squared difference of confidence and outcome (P_Brier)."""
    brier_skill: float | None
    """Against the suite's own pass rate; null where all attempts ended alike."""
    calibrated_agent_reads: Rate | None
    """What 1 - ECE would read for a calibrated agent with these confidences; null below 200 attempts."""
    attempts: Count
    """Attempts that count."""
    attempts_without_number: Count
    """Of them those that gave none: nobody asked, no answer came, or it could not be read."""


class BrokenRule(Part):
    """A rule that was broken."""

    rule: str
    """Its name."""
    severity: Severity
    """How bad that is."""
    attempts: Count
    """How many attempts broke it."""


class Safety(Part):
    """How the agent kept its rules."""

    compliance: Figure
    """The share of attempts without a violation (S_comp)."""
    harm: Figure
    """1 less the mean severity of the worst violation, over attempts with one (S_harm)."""
    risk_free: Rate | None
    """R_Saf of the paper: 1 less the mean severity over all attempts; null where no task has rules."""
    compliance_at_worst: Rate | None
    """If every rule that could not be judged was broken; null where all were judged."""
    compliance_at_best: Rate | None
    """If every one was kept."""
    worst: list[BrokenRule]
    """The worst severity first."""


class Profile(Part):
    """How reliable the agent is beside passing. Robustness has a place of its own."""

    consistency: Consistency
    """Do attempts at the same task end alike?"""
    predictability: Predictability
    """Is it as often right as it says?"""
    safety: Safety
    """Does it keep its rules?"""


def profile_report(found: estimate.Profile) -> Profile:
    """The profile of a cell."""
    alike, sure, safe = found.consistency, found.predictability, found.safety
    low, high = safe.bounds or (None, None)
    return Profile(
        consistency=Consistency(
            outcome=_figure(alike.outcome),
            actions=_figure(alike.actions),
            order=_figure(alike.order),
            resources=_figure(alike.resources),
            by_resource=[Resource(resource=name, figure=_figure(each)) for name, each in alike.by_resource.items()],
            distinct_sequences=alike.sequences,
            parting=[Parting(step=step, tasks=tasks) for step, tasks in alike.parting.items()],
            published=alike.published,
        ),
        predictability=Predictability(
            overconfidence=_figure(sure.overconfidence),
            squared_calibration_error=_figure(sure.calibration),
            auroc=_figure(sure.knows_tasks),
            auroc_within_tasks=_figure(sure.knows_attempts),
            brier=_figure(sure.brier),
            brier_skill=sure.skill,
            calibrated_agent_reads=sure.calibrated_reads,
            attempts=sure.asked,
            attempts_without_number=sure.silent,
        ),
        safety=Safety(
            compliance=_figure(safe.compliance),
            harm=_figure(safe.harm),
            risk_free=safe.risk_free,
            compliance_at_worst=low,
            compliance_at_best=high,
            worst=[BrokenRule(rule=rule, severity=severity, attempts=n) for severity, rule, n in safe.worst],
        ),
    )


def _figure(found: estimate.Figure) -> Figure:
    intervals = [each for each in (found.this_suite, found.tasks_like_these) if each is not None]
    return Figure.of(found, intervals=intervals, lacks=list(found.lacks))
