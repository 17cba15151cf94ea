"""Power and chances against enumeration and against the exact test."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest

from pytest_agenteval.estimate.stats.estimators import suite_pass_at_1, suite_pass_hat_k
from pytest_agenteval.estimate.stats.power import (
    chance_pass_at_1_reached,
    chance_pass_hat_k_reached,
    power_of_gate,
    power_of_regression_test,
    smallest_detectable_drop,
)
from pytest_agenteval.estimate.stats.regression import regression_test
from pytest_agenteval.record.verdict import Verdict

RATES = (0.9, 0.6, 0.25)


def chance_by_enumeration(k: int, threshold: float, estimate) -> float:
    total = 0.0
    for attempts in product((True, False), repeat=len(RATES) * k):
        runs = [attempts[i * k : (i + 1) * k] for i in range(len(RATES))]
        chance = prod(p if x else 1 - p for p, run in zip(RATES, runs, strict=True) for x in run)
        total += chance * (estimate([(k, sum(run)) for run in runs]) >= threshold)
    return total


@pytest.mark.parametrize("threshold", [0.0, 1 / 3, 0.5, 2 / 3, 1.0])
def test_chances_of_reaching_a_threshold_are_exact(threshold: float):
    hat = chance_by_enumeration(3, threshold, lambda counts: suite_pass_hat_k(counts, 3).value)
    at = chance_by_enumeration(3, threshold, lambda counts: suite_pass_at_1(counts).value)
    assert chance_pass_hat_k_reached(RATES, 3, threshold) == pytest.approx(hat, abs=1e-12)
    assert chance_pass_at_1_reached(RATES, 3, threshold) == pytest.approx(at, abs=1e-12)


def test_the_simulated_power_of_a_gate_agrees_with_its_exact_chance():
    def judge(counts: list[tuple[int, int]]) -> Verdict:
        value = suite_pass_hat_k(counts, 3).value
        assert value is not None
        return Verdict.PASS if value >= 0.5 else Verdict.FAIL

    chances = power_of_gate(RATES, 3, judge, simulations=4000, seed=1)
    exact = chance_pass_hat_k_reached(RATES, 3, 0.5)
    assert chances.passes == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 4000) ** 0.5)
    assert chances.fails == pytest.approx(1 - chances.passes)
    assert chances.undecided == 0.0
    assert power_of_gate(RATES, 3, judge, 50, 7) == power_of_gate(RATES, 3, judge, 50, 7)


@pytest.mark.parametrize("factor", [1.0, 0.9, 0.8])
@pytest.mark.parametrize("tasks", [10, 30])
def test_the_power_of_the_regression_test_agrees_with_running_it(tasks: int, factor: float):
    rng = np.random.default_rng(tasks)
    before = rng.beta(2.8, 0.73, tasks)
    after = before * factor
    called = [
        regression_test(
            {str(i): (8, int(c)) for i, c in enumerate(rng.binomial(8, before))},
            {str(i): (8, int(c)) for i, c in enumerate(rng.binomial(8, after))},
        ).regressed
        for _ in range(400)
    ]
    fast = power_of_regression_test(before.tolist(), after.tolist(), 8, 8, simulations=2000)
    assert fast == pytest.approx(np.mean(called), abs=0.08)


def test_a_task_that_breaks_is_found():
    good = [0.99] * 20
    assert power_of_regression_test(good, [0.0, *good[1:]], 8, 8, simulations=200) > 0.95


def test_the_smallest_detectable_drop_is_found_with_the_power_asked_for():
    rates = np.random.default_rng(2).beta(0.84, 0.53, 50)
    drop = smallest_detectable_drop(rates.tolist(), 8, 8)
    assert drop is not None
    after = rates * (1 - drop / rates.mean())
    assert power_of_regression_test(rates.tolist(), after.tolist(), 8, 8, simulations=4000, seed=9) == pytest.approx(
        0.8, abs=0.05
    )


def test_more_attempts_detect_smaller_drops():
    rates = [0.8] * 20
    drops = [smallest_detectable_drop(rates, k, k) for k in (2, 4, 8, 16)]
    assert None not in drops
    assert drops == sorted(drops, reverse=True)


def test_one_attempt_of_one_task_detects_nothing():
    assert smallest_detectable_drop([0.9], 1, 1) is None


def test_runs_of_different_tasks_are_refused():
    with pytest.raises(ValueError, match="2 pass rates before and 1 after"):
        power_of_regression_test([0.5, 0.5], [0.5], 8, 8)
