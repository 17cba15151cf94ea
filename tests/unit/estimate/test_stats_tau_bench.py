"""The published table of tau-bench, recomputed from how many of its trials passed.

The facts are those of `historical_trajectories/gpt-4o-airline.json` in sierra-research/tau-bench (MIT licence,
copyright 2024 Sierra): gpt-4o with tool calling, 50 tasks of the airline domain, 4 trials each. Its README gives
pass^1..4 = 0.420, 0.273, 0.220, 0.200.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from pytest_agenteval.estimate.stats.estimators import pass_hat_bounds, pass_hat_curve, suite_at_least

PASSES_OF_4 = (
    *(0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 4, 2, 0, 2, 1, 1, 4, 0, 4, 3, 0, 0, 4),
    *(0, 2, 2, 0, 1, 2, 2, 0, 0, 3, 4, 4, 3, 4, 1, 3, 2, 4, 1, 2, 2, 2, 1, 4, 4),
)
COUNTS = [(4, passes) for passes in PASSES_OF_4]
PUBLISHED = [0.420, 0.273, 0.220, 0.200]
TRIALS = Path(__file__).parents[3].parent / "shared" / "data" / "tau_bench_gpt4o_airline.csv"


def test_published_pass_hat_1_to_4():
    assert [round(estimate.value or 0.0, 3) for estimate in pass_hat_curve(COUNTS, 4)] == PUBLISHED


def test_pass_at_4_is_the_share_of_tasks_that_passed_once():
    assert suite_at_least(COUNTS, 1, 4).value == sum(passes > 0 for passes in PASSES_OF_4) / 50 == 0.72


def test_pass_hat_8_of_4_trials_is_unknown_and_bounded():
    assert [estimate.value for estimate in pass_hat_curve(COUNTS, 8)][4:] == [None] * 4
    bounds = pass_hat_bounds(COUNTS, 8)
    assert bounds is not None
    assert (round(bounds.low, 3), bounds.high) == (0.137, 0.2)


@pytest.mark.skipif(not TRIALS.exists(), reason=f"the trials themselves are not at {TRIALS.parent}")
def test_the_facts_are_those_of_the_trials():
    passes: Counter[int] = Counter()
    trials: Counter[int] = Counter()
    with TRIALS.open(newline="") as file:
        for row in csv.DictReader(file):
            passes[int(row["task_id"])] += float(row["reward"]) == 1.0
            trials[int(row["task_id"])] += 1
    assert [(trials[task], passes[task]) for task in sorted(trials)] == COUNTS
