"""Figures of plans, by hand."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from support.made_records import CELL

from pytest_agenteval.estimate.early_stop.gates import PassHatK
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.plan.duration import Fleet, plan_duration
from pytest_agenteval.plan.expect import POWER, CostPlan, PlannedTask, detections, plan_costs, plan_early_stop
from pytest_agenteval.report.plan import CellPlan, plan_lines


def planned(name: str = "t.py::a", **fields: object) -> PlannedTask:
    known = {"min_pass_rate": None, "earlier": None, "mean_cost": None, "most_cost": None} | fields
    return PlannedTask(name, **known)  # type: ignore[arg-type]


def text(plan: CellPlan, max_cost: float | None = None) -> str:
    return "\n".join(
        line.text for line in plan_lines([plan], plan_duration([], 1, 16), max_cost, "logs/agenteval", 200)
    )


def of_costs(costs: CostPlan) -> str:
    return text(CellPlan(CELL, costs, None, None, (), None))


@pytest.mark.parametrize("cost", [0.52, 0.1, 1 / 3, 0.013])
def test_at_k_8_it_costs_exactly_eight_times_k_1(cost: float) -> None:
    tasks = [planned("a", mean_cost=cost, most_cost=2 * cost), planned("b", mean_cost=3 * cost, most_cost=cost)]
    once, eight = plan_costs(tasks, 1), plan_costs(tasks, 8)
    assert eight.expected == 8 * once.expected  # type: ignore[operator]
    assert eight.most == 8 * once.most  # type: ignore[operator]


def test_costs_are_the_mean_of_history_for_tasks_without_one() -> None:
    costs = plan_costs([planned("a", mean_cost=0.2), planned("b", mean_cost=0.4), planned("c")], 4)
    assert (costs.known, costs.once, costs.expected) == (2, pytest.approx(0.9), pytest.approx(3.6))
    shown = of_costs(costs)
    assert (
        "expected cost $3.60 (exactly 4 times k = 1: $0.900), from the history of 2 of 3 tasks in logs/agent" in shown
    )
    assert "worst case unknown: 3 of 3 tasks state no max_cost, nor a token_limit for a model with a price" in shown
    partly = of_costs(plan_costs([planned("a", most_cost=0.2), planned("b")], 4))
    assert "worst case unknown: 1 of 2 tasks states no max_cost" in partly


def test_the_worst_case_is_every_attempt_at_its_limit() -> None:
    costs = plan_costs([planned("a", most_cost=0.25), planned("b", most_cost=0.5)], 8)
    assert costs.most == 6.0
    shown = of_costs(costs)
    assert "expected cost unknown: no costs in logs/agenteval" in shown
    assert "worst case $6.00 (exactly 8 times k = 1: $0.750), every attempt at its limit" in shown
    assert "all in all 16 attempts, expected cost unknown, worst case $6.00\n" in shown


def test_what_costs_nothing_is_known_to() -> None:
    shown = of_costs(plan_costs([planned(mean_cost=0.0, most_cost=0.0)], 8))
    assert "expected cost $0\n" in shown
    assert "worst case $0\n" in shown


def test_the_size_and_the_budget() -> None:
    shown = text(CellPlan(CELL, plan_costs([planned("a"), planned("b")], 8), None, None, (), None), max_cost=5.0)
    assert "openai/gpt-5-mini · react: 2 tasks x k = 8: 16 attempts" in shown
    assert "all in all 16 attempts, expected cost unknown; the run stops at --max-cost=$5.00" in shown
    assert shown.endswith("nothing was run")


def test_early_stopping_of_one_task_ends_at_its_first_failure() -> None:
    """A history of 10^6 passes in 2 * 10^6: a fair coin is tossed until its first failure, eight times at most."""
    task = planned(earlier=(2_000_000, 1_000_000))
    early = plan_early_stop([task], 8, [PassHatK(1.0)], 1, every_first=False)
    expected = sum(Fraction(1, 2**j) for j in range(8))
    assert early.of == 8
    assert early.simulations == 50
    assert early.attempts == pytest.approx(float(expected), abs=0.7)  # four standard errors of 50 runs


def test_without_history_the_plan_says_so() -> None:
    early = plan_early_stop([planned("a"), planned("b")], 4, [PassHatK(0.5)], 2, every_first=True)
    shown = text(CellPlan(CELL, plan_costs([planned("a"), planned("b")], 4), early, "exact+first", (), None))
    assert "--agent-early-stop=exact+first needs about" in shown
    assert "no history: every pass rate drawn from the prior Beta(1/2, 1/2)" in shown
    assert 2 <= early.attempts <= 8


def test_a_task_that_must_pass_all_8_fails_with_80_percent_power_below_the_8th_root_of_a_fifth() -> None:
    [found] = detections([planned("a"), planned("b")], 8, GateSettings())
    assert (found.gate, found.before, found.tasks) == ("min_pass_rate 1", None, 2)
    assert found.after == pytest.approx(0.2 ** (1 / 8), abs=1e-3)


def test_a_gate_on_pass_at_1_of_one_task_by_the_binomial() -> None:
    """At least 6 of 8: with a rate p it FAILs when 5 or fewer pass."""
    [found] = detections([planned(earlier=(999, 949))], 8, GateSettings(min_pass_at_1=0.75))
    rate = (949 + 0.5) / 1000
    assert found.before == pytest.approx(rate)

    def at_most_5(p: float) -> float:
        return sum(comb(8, i) * p**i * (1 - p) ** (8 - i) for i in range(6))

    assert found.unchanged_passes == pytest.approx(1 - at_most_5(rate))
    assert found.after is not None
    assert at_most_5(found.after) >= POWER > at_most_5(found.after + 2e-3)


def test_gates_that_fail_already_or_never_are_called_so() -> None:
    never, already = (
        detections([planned(earlier=(99, 50))], 4, GateSettings(min_pass_k=threshold))[0] for threshold in (0.0, 1.0)
    )
    assert never.after is None
    assert already.after == already.before
    costs = plan_costs([planned()], 4)
    shown = text(CellPlan(CELL, costs, None, None, (never, already), "it asks for too much"))
    assert "--min-pass-k: does not find even an agent that never passes with 80% power" in shown
    assert "at the expected pass@1 of 0.505 it fails already" in shown
    assert "this run would be refused: it asks for too much" in shown


def test_a_gate_about_the_truth_finds_less_than_one_about_the_grid() -> None:
    tasks = [planned(f"t{i}", earlier=(79, 70)) for i in range(20)]
    grid, truth = (
        detections(tasks, 8, GateSettings(min_pass_at_1=0.75, confidence=confidence))[0] for confidence in (None, 0.95)
    )
    assert grid.after is not None
    assert truth.after is not None
    assert truth.after < grid.after < grid.before  # type: ignore[operator]


def test_the_baseline_finds_a_smaller_fall_with_more_attempts() -> None:
    tasks = [planned(f"t{i}", earlier=(79, 60)) for i in range(20)]
    falls = []
    for k in (4, 16):
        found = detections(tasks, k, GateSettings(min_pass_k=0.0), attempts_before=k)[-1]
        assert found.gate == "--agent-baseline"
        falls.append(found.before - found.after)  # type: ignore[operator]
    assert falls[0] > falls[1] > 0.02


def test_the_plan_says_what_asking_adds() -> None:
    costs = plan_costs([planned("a", mean_cost=0.1), planned("b", mean_cost=0.1)], 8)
    assert "adds 16 calls" in text(CellPlan(CELL, costs, None, None, (), None, asks=True))
    assert "--agent-ask-confidence" not in of_costs(costs)


def timed(seconds: list[float | None], k: int, at_once: int) -> str:
    tasks = [planned(str(n), mean_seconds=each) for n, each in enumerate(seconds)]
    plan = CellPlan(CELL, plan_costs(tasks, k), None, None, (), None)
    return "\n".join(line.text for line in plan_lines([plan], plan_duration(tasks, k, at_once), None, "logs", 200))


def test_the_time_is_that_of_all_attempts_over_the_places() -> None:
    """100 tasks of 45 s, 8 times each, are 36,000 s: 37.5 min in 16 places, 60 places for ten minutes."""
    shown = timed([45.0] * 80 + [None] * 20, 8, 16)
    assert "expected time 38 min: attempts of 45 s in the history of 80 of 100 tasks in logs, 16 sandboxes at" in shown
    assert "in 10 min: 60 sandboxes at once on 1 driver (--agent-concurrency=60)\n" in shown
    assert "in 60 min" not in shown  # it is done sooner


def test_more_sandboxes_than_one_driver_looks_after_want_several() -> None:
    """1,000 tasks of 10 min, 8 times each, are 4,800,000 s: 1,334 places for an hour."""
    shown = timed([600.0] * 1000, 8, 16)
    assert "in 10 min" not in shown  # no attempt is done sooner than that
    assert "in 60 min: 1334 sandboxes at once on 7 drivers (--agent-concurrency=191 each, --agent-shard)" in shown


def test_a_driver_starts_only_so_many_attempts_a_second() -> None:
    assert plan_duration([planned(mean_seconds=0.1)] * 1000, 60, 500).seconds == 6000.0
    (fleet,) = plan_duration([planned(mean_seconds=0.1)] * 1000, 10, 16).fleets()
    assert fleet == Fleet(600.0, 2, 2)


def test_where_nothing_is_known_the_time_is_not() -> None:
    assert "expected time unknown: no attempts in logs; 4 sandboxes at once on one driver" in timed([None] * 4, 1, 16)
