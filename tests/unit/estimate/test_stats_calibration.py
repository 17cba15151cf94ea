from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.estimate.stats.calibration import (
    calibrated_reading,
    calibration_error,
    excess,
    mean_excess_interval,
    ranking,
    ranking_within_tasks,
    squared_calibration_error,
)

CLAIMS = st.lists(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9, 1.0]), st.booleans()), max_size=5), max_size=5)


def of_task(confidence: float, outcomes: str) -> list[tuple[float, bool]]:
    return [(confidence, letter == "1") for letter in outcomes]


def test_two_tasks_by_hand() -> None:
    """It knows which task is hard, and nothing about its attempts."""
    claims = [of_task(0.9, "1110"), of_task(0.1, "0001")]
    assert ranking(claims).value == pytest.approx(0.75)
    assert ranking_within_tasks(claims).value == pytest.approx(0.5)


def test_knowing_tasks_and_knowing_attempts_are_two_things() -> None:
    claims = [[(0.9, False), (0.8, True)], [(0.2, False), (0.1, True)]]
    assert ranking(claims).value == pytest.approx(0.25)
    assert ranking_within_tasks(claims).value == 0


@pytest.mark.parametrize("outcomes", ["1111", "0000", ""])
def test_without_both_outcomes_there_is_no_ranking(outcomes: str) -> None:
    assert ranking([of_task(0.5, outcomes)]).value is None
    assert ranking_within_tasks([of_task(0.5, outcomes)]).value is None


@given(CLAIMS)
def test_a_ranking_is_the_share_of_all_pairs(claims: list[list[tuple[float, bool]]]) -> None:
    flat = [each for task in claims for each in task]
    pairs = [(one > other) + (one == other) / 2 for one, up in flat if up for other, down in flat if not down]
    found = ranking(claims)
    assert found.value == (pytest.approx(np.mean(pairs)) if pairs else None)
    if found.interval is not None and found.value is not None:
        assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1


@given(CLAIMS)
def test_the_jackknife_leaves_out_one_task_at_a_time(claims: list[list[tuple[float, bool]]]) -> None:
    claims = [task for task in claims if task]
    found = ranking(claims)
    left = [ranking([*claims[:i], *claims[i + 1 :]]).value for i in range(len(claims))]
    assert (found.interval is not None) == (found.value is not None and len(claims) > 1 and None not in left)


def test_excess_and_its_interval_by_hand() -> None:
    assert excess([(0.9, True), (0.8, True), (0.3, False), (0.6, False)]) == pytest.approx(0.15)
    found = mean_excess_interval([0.1, 0.2, 0.3])
    assert found is not None  # 0.2 ± t(.975; 2) = 4.30265 times 0.1 / sqrt(3)
    assert (found.low, found.high) == (pytest.approx(0.2 - 0.248414, abs=1e-5), pytest.approx(0.448414, abs=1e-5))
    assert mean_excess_interval([0.1]) is None


def test_calibration_error_by_hand() -> None:
    assert calibration_error(of_task(0.95, "1110")) == pytest.approx(0.2)
    assert calibration_error([(1.0, True), (0.0, False)]) == 0
    assert squared_calibration_error([(0.95, True), (0.05, False)]) is None


def test_a_calibrated_agent_looks_wrong_in_few_attempts_and_only_in_the_published_form() -> None:
    """Confidences from Beta(3, 1.5), outcomes drawn from them, 20 attempts."""
    random = np.random.default_rng(3)
    published, ours = [], []
    for _ in range(1500):
        sure = random.beta(3, 1.5, 20)
        claims = list(zip(map(float, sure), map(bool, random.random(20) < sure), strict=True))
        published.append(calibration_error(claims))
        ours.append(squared_calibration_error(claims))
    assert 0.19 <= np.mean(published) <= 0.21
    assert abs(np.mean([each for each in ours if each is not None])) <= 0.005


def test_what_a_calibrated_agent_would_read() -> None:
    sure = np.random.default_rng(1).beta(3, 1.5, 400)
    assert 0.03 <= calibrated_reading([(float(each), True) for each in sure]) <= 0.05
