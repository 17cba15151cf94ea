"""How often the intervals of the profile contain the truth: 25 tasks, 8 attempts each, seeded."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from pytest_agenteval.estimate.profile.consistency import this_suite_consistency
from pytest_agenteval.estimate.stats.agreement import outcome_consistency
from pytest_agenteval.estimate.stats.calibration import (
    Ranking,
    excess,
    mean_excess_interval,
    ranking,
    ranking_within_tasks,
)
from pytest_agenteval.estimate.stats.intervals import Interval, tasks_like_these_mean

TASKS, K, RUNS = 25, 8, 1000
SUITES = {"in the middle": (4, 0.35), "good": (2.8, 0.73), "hard": (0.84, 0.53), "nearly all or nothing": (0.14, 0.40)}
"""The beta distributions of the tasks' pass rates."""

Floats = Any


def held(found: Interval | None, truth: float) -> float:
    return nan if found is None else float(found.low <= truth <= found.high)


@pytest.mark.parametrize("suite", SUITES)
def test_consistency_of_outcomes(suite: str) -> None:
    random = np.random.default_rng(5)
    shape = SUITES[suite]
    of_all = random.beta(*shape, 400_000)
    truth = float((1 - 4 * of_all * (1 - of_all)).mean())
    like_these, re_run = [], []
    for _ in range(RUNS):
        p = random.beta(*shape, TASKS)
        counts = [(K, int(c)) for c in random.binomial(K, p)]
        values = [((outcome_consistency(n, c) or 0.0) + 1) / 2 for n, c in counts]
        like_these.append(held(tasks_like_these_mean(values, TASKS * K * (K - 1) / 2), (truth + 1) / 2))
        re_run.append(held(this_suite_consistency(counts), float((1 - 4 * p * (1 - p)).mean())))
    assert fmean(like_these) >= 0.92
    assert fmean(re_run) >= 0.92


def asked(random: np.random.Generator, tasks: int, within: float) -> tuple[Floats, Floats]:
    """Confidences and outcomes of an agent that knows something of its tasks, and (`within` > 0) of its attempts."""
    p = random.beta(1.2, 0.8, tasks)
    luck = random.normal(size=(tasks, K))
    difficulty = np.log(p / (1 - p))[:, None]
    passed = random.random((tasks, K)) < 1 / (1 + np.exp(-(difficulty + within * luck)))
    noise = random.normal(0, 0.8, (tasks, K))
    sure = 1 / (1 + np.exp(-(0.6 * difficulty + within * 0.8 * luck + noise + 0.8)))
    return np.round(sure, 2), passed


def claims_of(sure: Floats, passed: Floats) -> list[list[tuple[float, bool]]]:
    return [list(zip(map(float, s), map(bool, y), strict=True)) for s, y in zip(sure, passed, strict=True)]


@pytest.mark.parametrize("found_by", [ranking, ranking_within_tasks])
def test_rankings(found_by: Callable[[Any], Ranking]) -> None:
    random = np.random.default_rng(3)
    truth = found_by(claims_of(*asked(random, 20_000, 1.0))).value
    assert truth is not None
    covered = [held(found_by(claims_of(*asked(random, TASKS, 1.0))).interval, truth) for _ in range(RUNS)]
    assert np.nanmean(covered) >= 0.92


def test_overconfidence() -> None:
    random = np.random.default_rng(4)
    of_all = random.beta(2.8, 0.73, 400_000)
    truth = float((np.minimum(1, of_all + 0.15) - of_all).mean())
    covered = []
    for _ in range(RUNS):
        p = random.beta(2.8, 0.73, TASKS)
        sure = np.repeat(np.minimum(1, p + 0.15)[:, None], K, axis=1)
        gaps = [excess(each) for each in claims_of(sure, random.random((TASKS, K)) < p[:, None])]
        covered.append(held(mean_excess_interval(gaps), truth))
    assert fmean(covered) >= 0.92


@pytest.mark.parametrize("shape", [(9, 1), (4, 2), (1.5, 1.5), (0.6, 0.3)])
def test_means_of_what_tasks_have(shape: tuple[float, float]) -> None:
    """Ways, resources, Brier: a value of each task in [0, 1], with some noise of its attempts."""
    random = np.random.default_rng(6)
    truth = shape[0] / sum(shape)
    covered = []
    for _ in range(RUNS):
        values = random.beta(*shape, TASKS)
        covered.append(held(tasks_like_these_mean(list(map(float, values)), TASKS * K), truth))
    assert fmean(covered) >= 0.92


def test_keeping_rules() -> None:
    """Five in a hundred attempts break one, clustered by task: few enough for any interval to have a hard time."""
    random = np.random.default_rng(7)
    covered = []
    for _ in range(RUNS):
        p = random.beta(0.05 * 5, 0.95 * 5, TASKS)
        kept = 1 - random.binomial(K, p) / K
        covered.append(held(tasks_like_these_mean(list(map(float, kept)), TASKS * K), 0.95))
    assert fmean(covered) >= 0.89
