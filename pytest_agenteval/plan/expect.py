"""What a run would cost and could show, before anything runs: figures of one cell from its tasks and their history.

For a task with a history, the pass rate is assumed to be (passes + 1/2) / (attempts + 1). Tasks without one are spread
evenly over Beta(1/2, 1/2), most of them near 0 and 1, as is usual for agents' tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.early_stop.gates import GridGate
from pytest_agenteval.estimate.early_stop.policy import ExactStop, ExactStopAfterFirst
from pytest_agenteval.estimate.early_stop.replay import expected_attempts
from pytest_agenteval.estimate.stats.distributions import beta_quantile
from pytest_agenteval.estimate.stats.estimators import Counts
from pytest_agenteval.estimate.stats.power import (
    chance_pass_at_1_reached,
    chance_pass_hat_k_reached,
    power_of_gate,
    smallest_detectable_drop,
    smallest_ratio_found,
)
from pytest_agenteval.judge import GateSettings, Verdict
from pytest_agenteval.judge.pass_rates import Shown, show_pass_at_1, show_pass_hat_k
from pytest_agenteval.judge.thresholds import BASELINE, MIN_PASS_AT_1, MIN_PASS_K, MIN_PASS_RATE

__all__ = [
    "POWER",
    "CostPlan",
    "Detection",
    "EarlyStopPlan",
    "PerturbPlan",
    "PlannedTask",
    "detections",
    "plan_costs",
    "plan_early_stop",
    "plan_perturbation",
]

POWER = 0.8
"""How often a gate must find a regression for it to count as detectable."""
_BISECTIONS = 12
_GATE_SIMULATIONS = 100
_ATTEMPTS_SIMULATED = 4000


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task that would run."""

    task: str
    min_pass_rate: float | None
    earlier: tuple[int, int] | None
    """`(n, c)` of earlier runs, None if there are none."""
    mean_cost: float | None
    """The mean cost of an attempt in earlier runs, in US dollars; 0.0 if the model costs nothing; None if unknown."""
    most_cost: float | None
    """The most that an attempt can cost by the task's limits, in US dollars; None if it states none."""
    mean_seconds: float | None = None
    """The mean time of an attempt in earlier runs, repeated tries included; None if unknown."""


@dataclass(frozen=True, slots=True)
class CostPlan:
    """Costs in US dollars. Attempts at a task are alike, so k attempts cost exactly k times one attempt."""

    k: int
    tasks: int
    known: int
    """Tasks of known cost; the others are assumed to cost the mean of these."""
    once: float | None
    """The expected cost of one attempt at every task; None if no cost is known."""
    limited: int
    """Tasks that limit what an attempt can cost."""
    most_once: float | None
    """The most that one attempt at every task can cost; None if a task states no limit."""

    @property
    def expected(self) -> float | None:
        """The expected cost of k attempts at every task."""
        return None if self.once is None else self.k * self.once

    @property
    def most(self) -> float | None:
        """The most that k attempts at every task can cost, without repeated tries."""
        return None if self.most_once is None else self.k * self.most_once


@dataclass(frozen=True, slots=True)
class EarlyStopPlan:
    """How much exact early stopping is expected to run."""

    attempts: float
    of: int
    with_history: int
    """Tasks whose pass rate is drawn from their history; that of the others is drawn from Beta(1/2, 1/2)."""
    simulations: int


@dataclass(frozen=True, slots=True)
class PerturbPlan:
    """What one perturbation of a cell would run, and could show."""

    group: str
    tasks: int
    attempts: int
    """Of all its tasks."""
    expected: float | None
    """What they cost, as the bases do; None if no cost is known."""
    smallest: float | None
    """The largest R whose loss is found with a chance of :data:`POWER`; None if none is."""


@dataclass(frozen=True, slots=True)
class Detection:
    """The smallest regression that a gate finds with a chance of :data:`POWER`: all pass rates fall by one factor."""

    gate: str
    before: float | None
    """The expected pass@1; None for a gate on single tasks, because their pass rates differ."""
    after: float | None
    """The pass@1 (or one task's pass rate) that is detected; None if even an agent that never passes is not."""
    unchanged_passes: float | None
    """How often the gate says PASS if nothing changed; None if that differs between tasks."""
    tasks: int
    """How many tasks the gate covers."""


def plan_costs(tasks: Sequence[PlannedTask], k: int) -> CostPlan:
    """What k attempts at each task cost."""
    known = [task.mean_cost for task in tasks if task.mean_cost is not None]
    most = [task.most_cost for task in tasks if task.most_cost is not None]
    once = sum(known) / len(known) * len(tasks) if known else None
    return CostPlan(k, len(tasks), len(known), once, len(most), sum(most) if len(most) == len(tasks) else None)


def plan_perturbation(group: str, tasks: Sequence[PlannedTask], attempts: int, k: int) -> PerturbPlan:
    """What a perturbation of these tasks would run.

    Args:
        group: its name.
        tasks: the bases.
        attempts: under the perturbation, of all tasks.
        k: attempts at each base.
    """
    known = [task.mean_cost for task in tasks if task.mean_cost is not None]
    expected = sum(known) / len(known) * attempts if known else None
    each = max(1, round(attempts / len(tasks)))
    return PerturbPlan(group, len(tasks), attempts, expected, smallest_ratio_found(_rates(tasks), k, each, POWER))


def plan_early_stop(
    tasks: Sequence[PlannedTask], k: int, gates: Sequence[GridGate], in_flight: int, *, every_first: bool
) -> EarlyStopPlan:
    """How many attempts early stopping is expected to start, simulated with the policy's own assumptions.

    Args:
        tasks: the tasks of the cell.
        k: attempts at each task.
        gates: the gates on the cell and its tasks.
        in_flight: attempts at once.
        every_first: whether every task gets its first attempt.
    """
    known = {task.task: task.earlier for task in tasks if task.earlier is not None}
    total = len(tasks) * k
    simulations = max(2, min(50, _ATTEMPTS_SIMULATED // total))
    names, policy = [task.task for task in tasks], ExactStopAfterFirst if every_first else ExactStop
    attempts = expected_attempts(names, k, gates, in_flight, known, policy, simulations)
    return EarlyStopPlan(attempts, total, len(known), simulations)


def detections(
    tasks: Sequence[PlannedTask], k: int, gates: GateSettings, attempts_before: int | None = None
) -> list[Detection]:
    """What each gate on pass rates can detect.

    Args:
        tasks: the tasks of the cell.
        k: attempts at each task.
        gates: the thresholds.
        attempts_before: attempts at each task in the baseline; None without a baseline.
    """
    rates = _rates(tasks)
    before, found = sum(rates) / len(rates), []
    if gates.min_pass_k is not None:
        found.append(_suite(MIN_PASS_K, rates, _judge_pass_hat_k(gates.min_pass_k, k, gates.confidence)))
    if gates.min_pass_at_1 is not None:
        found.append(_suite(MIN_PASS_AT_1, rates, _judge_pass_at_1(gates.min_pass_at_1, k, gates.confidence)))
    asked = Counter(own for task in tasks if (own := gates.asked_of_task(task.min_pass_rate)) is not None)
    if gates.confidence is None:
        for own, count in sorted(asked.items(), reverse=True):
            after = _smallest_fall([1.0], _judge_pass_at_1(own, k, None))
            found.append(Detection(f"{MIN_PASS_RATE} {own:g}", None, after, None, count))
    if attempts_before is not None:
        drop = smallest_detectable_drop(rates, attempts_before, k, POWER)
        found.append(Detection(BASELINE, before, None if drop is None else before - drop, None, len(tasks)))
    return found


Chances = Callable[[Sequence[float]], tuple[float, float]]
"""From pass rates to the chances of PASS and of UNDECIDED."""


def _suite(name: str, rates: Sequence[float], chances: Chances) -> Detection:
    after = _smallest_fall(rates, chances)
    return Detection(name, sum(rates) / len(rates), after, chances(rates)[0], len(rates))


def _smallest_fall(rates: Sequence[float], chances: Chances) -> float | None:
    """The highest mean of the rates, all scaled by one factor, at which the gate says FAIL with the required power."""

    def fails(factor: float) -> bool:
        passed, undecided = chances([rate * factor for rate in rates])
        return 1.0 - passed - undecided >= POWER

    if not fails(0.0):
        return None
    low, high = 0.0, 1.0
    if fails(high):
        low = high
    for _ in range(_BISECTIONS if low < high else 0):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if fails(middle) else (low, middle)
    return low * sum(rates) / len(rates)


def _judge_pass_hat_k(asked: float, k: int, confidence: float | None) -> Chances:
    if confidence is None:
        return lambda rates: (chance_pass_hat_k_reached(rates, k, asked), 0.0)
    sure = confidence
    return lambda rates: _simulated(rates, k, lambda counts: show_pass_hat_k(counts, k, sure), asked)


def _judge_pass_at_1(asked: float, k: int, confidence: float | None) -> Chances:
    if confidence is None:
        return lambda rates: (chance_pass_at_1_reached(rates, k, asked), 0.0)
    sure = confidence
    return lambda rates: _simulated(rates, k, lambda counts: show_pass_at_1(counts, sure), asked)


def _simulated(
    rates: Sequence[float], k: int, show: Callable[[Counts], Shown | None], asked: float
) -> tuple[float, float]:
    def judge(counts: list[tuple[int, int]]) -> Verdict:
        shown = show(counts)
        return Verdict.UNDECIDED if shown is None else shown.verdict(asked)

    said = power_of_gate(rates, k, judge, _GATE_SIMULATIONS)
    return said.passes, said.undecided


def _rates(tasks: Sequence[PlannedTask]) -> list[float]:
    new = sum(task.earlier is None for task in tasks)
    spread = iter([beta_quantile((i + 0.5) / new, 0.5, 0.5) for i in range(new)])
    rates = []
    for task in tasks:
        rates.append(next(spread) if task.earlier is None else (task.earlier[1] + 0.5) / (task.earlier[0] + 1))
    return rates
