"""The profile of published trials: gpt-4o with tool calling on tau-bench's airline domain, 50 x 4 trials.

The trials are those of `historical_trajectories/gpt-4o-airline.json` in sierra-research/tau-bench (MIT licence,
copyright 2024 Sierra). The expected figures were computed by another program from the same file.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import pytest
from support.made_records import CELL, task_of
from unit.estimate.test_stats_tau_bench import COUNTS, TRIALS

from pytest_agenteval.estimate.profile import Profile, profile_of
from pytest_agenteval.estimate.profile.seen import actions
from pytest_agenteval.estimate.stats.agreement import (
    mean_over_pairs,
    outcome_consistency,
    published_outcome_consistency,
    same_order,
    same_tools,
)
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, TaskRecord, ToolCall

there = pytest.mark.skipif(not TRIALS.exists(), reason=f"the trials themselves are not at {TRIALS.parent}")


def test_consistency_of_outcomes() -> None:
    assert sum(Fraction(outcome_consistency(n, c) or 0) for n, c in COUNTS) / 50 == pytest.approx(Fraction(31, 75))
    agree = [(1 + (outcome_consistency(n, c) or 0)) / 2 for n, c in COUNTS]
    assert fmean(agree) == pytest.approx(53 / 75)
    assert fmean(published_outcome_consistency(n, c) for n, c in COUNTS) == pytest.approx(0.56)
    unanimous = [c in (0, n) for n, c in COUNTS]  # what the form that was published first comes to
    assert fmean(unanimous) == pytest.approx(0.48)


@pytest.fixture(scope="module")
def records() -> list[TaskRecord]:
    trials: dict[int, list[AttemptRecord]] = {}
    with Path(TRIALS).open(newline="") as file:
        for row in csv.DictReader(file):
            outcome = Outcome.PASSED if float(row["reward"]) == 1.0 else Outcome.FAILED
            calls = tuple(ToolCall(name, "{}") for name in row["actions"].split("|") if name)
            found = trials.setdefault(int(row["task_id"]), [])
            found.append(AttemptRecord(int(row["trial"]) + 1, outcome, tool_calls=calls))
    return [task_of(*found, name=f"t.py::test_{task}") for task, found in trials.items()]


@pytest.fixture(scope="module")
def profile(records: list[TaskRecord]) -> Profile:
    return profile_of(CELL, records)


@there
def test_the_same_from_records(profile: Profile) -> None:
    outcome = profile.consistency.outcome
    assert (outcome.value, outcome.published, outcome.tasks) == (pytest.approx(31 / 75), pytest.approx(0.56), 50)


@there
def test_the_way_of_passed_trials(profile: Profile) -> None:
    found = profile.consistency
    assert found.actions.value == pytest.approx(0.8348, abs=5e-5)
    assert found.order.value == pytest.approx(0.7143, abs=5e-5)
    assert found.actions.tasks == found.order.tasks == 24
    assert found.actions.published == pytest.approx(0.8808, abs=5e-5)
    assert found.order.published == pytest.approx(0.7583, abs=5e-5)
    assert found.actions.lacks == ("26 tasks that did not pass twice left out",)


@there
def test_the_way_of_all_trials(records: list[TaskRecord]) -> None:
    """What it would be without the condition that a trial passed: fail and pass go different ways."""
    runs = [[actions(each) for each in record.attempts] for record in records]
    assert fmean(mean_over_pairs(each, same_tools) or 0.0 for each in runs) == pytest.approx(0.6889, abs=5e-5)
    assert fmean(mean_over_pairs(each, same_order) or 0.0 for each in runs) == pytest.approx(0.5374, abs=5e-5)


@there
def test_how_many_tools_they_called(profile: Profile) -> None:
    calls = profile.consistency.by_resource["tool calls"]
    assert calls.value == pytest.approx(0.7028, abs=5e-5)
    assert calls.published == pytest.approx(0.6424, abs=5e-5)


@there
def test_how_many_ways_a_task_was_gone(profile: Profile) -> None:
    assert profile.consistency.sequences == pytest.approx(3.26)
