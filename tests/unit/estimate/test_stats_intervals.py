"""Intervals against scipy, statsmodels and a numerical posterior of our own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from pytest_agenteval.estimate.stats.distributions import beta_cdf, beta_quantile, normal_quantile, t_cdf, t_quantile
from pytest_agenteval.estimate.stats.estimators import suite_pass_hat_k
from pytest_agenteval.estimate.stats.intervals import (
    TASKS_LIKE_THESE,
    THIS_SUITE,
    THIS_TASK,
    attempts_to_show,
    clopper_pearson,
    rate_shown_by_all_passing,
    tasks_like_these_pass_hat_k,
    this_suite_pass_at_1,
    this_suite_pass_hat_k,
)
from pytest_agenteval.estimate.stats.posterior import suite_pass_hat_k_draws

untimed = settings(deadline=None)
CONFIDENCES = (0.5, 0.9, 0.95, 0.999)
SOME_COUNTS = [(8, c) for c in (8, 8, 7, 3, 0, 0, 5, 8, 1, 0)]
counts_of_tasks = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@pytest.mark.parametrize("df", [1, 2, 3, 4.5, 9, 24, 49, 999, 10_000])
def test_student_t_agrees_with_scipy(df: float):
    for p in (1e-4, 0.005, 0.025, 0.3, 0.5, 0.501, 0.95, 0.975, 0.9995):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-12)
    for t in (-30.0, -2.0, -1e-3, 0.0, 0.5, 2.5, 40.0):
        assert t_cdf(t, df) == pytest.approx(stats.t.cdf(t, df), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("a", [0.5, 1, 3, 8, 100, 4000])
@pytest.mark.parametrize("b", [0.5, 1, 3, 8, 100, 4000])
def test_beta_agrees_with_scipy(a: float, b: float):
    for p in (0.0005, 0.025, 0.5, 0.975, 0.9995):
        assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), abs=1e-9)
    for x in (0.0, 1e-6, 0.02, 0.5, 0.7, 0.999, 1.0):
        assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-9)


def test_the_normal_quantile_agrees_with_scipy():
    for p in (1e-6, 0.025, 0.5, 0.975):
        assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), abs=1e-9)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (0.5, 0)])
def test_quantiles_that_do_not_exist_are_refused(p: float, df: float):
    with pytest.raises(ValueError, match="has no quantile"):
        t_quantile(p, df)
    with pytest.raises(ValueError, match="has no quantile"):
        beta_quantile(p + 2, 1, 1)


@pytest.mark.parametrize(("passes", "n"), [(0, 1), (1, 1), (0, 8), (3, 8), (8, 8), (37, 50), (1, 500), (4000, 8000)])
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_intervals_of_one_task_agree_with_statsmodels(passes: int, n: int, confidence: float):
    interval = clopper_pearson(passes, n, confidence)
    assert (interval.low, interval.high) == pytest.approx(
        proportion_confint(passes, n, alpha=1 - confidence, method="beta"), abs=1e-9
    )
    assert (interval.confidence, interval.question) == (confidence, THIS_TASK)


def test_clopper_pearson_agrees_with_scipy():
    theirs = stats.binomtest(3, 8).proportion_ci(0.95, method="exact")
    ours = clopper_pearson(3, 8)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.9])
def test_clopper_pearson_never_covers_less_than_it_says(n: int, p: float):
    held = sum(
        stats.binom.pmf(c, n, p)
        for c in range(n + 1)
        if clopper_pearson(c, n, 0.9).low <= p <= clopper_pearson(c, n, 0.9).high
    )
    assert held >= 0.9


def test_what_attempts_that_all_pass_show():
    shown = [round(rate_shown_by_all_passing(k), 2) for k in (3, 5, 8, 16)]
    assert shown == [0.37, 0.55, 0.69, 0.83]
    assert attempts_to_show(0.9) == 29
    assert attempts_to_show(0.99) == 299
    assert rate_shown_by_all_passing(8) == pytest.approx(stats.beta.ppf(0.05, 8, 1), abs=1e-9)


@untimed
@given(st.floats(0.01, 0.999), st.sampled_from(CONFIDENCES))
def test_attempts_to_show_is_the_least_number_that_does(rate: float, confidence: float):
    attempts = attempts_to_show(rate, confidence)
    assert rate_shown_by_all_passing(attempts, confidence) >= rate
    assert attempts == 1 or rate_shown_by_all_passing(attempts - 1, confidence) < rate


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_no_number_of_attempts_shows_certainty(rate: float):
    with pytest.raises(ValueError, match="no number of attempts"):
        attempts_to_show(rate)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_that_is_none_is_refused(confidence: float):
    for interval in (
        lambda: clopper_pearson(1, 2, confidence),
        lambda: this_suite_pass_at_1(SOME_COUNTS, confidence),
        lambda: this_suite_pass_hat_k(SOME_COUNTS, 8, confidence),
        lambda: tasks_like_these_pass_hat_k(SOME_COUNTS, 1, confidence),
        lambda: rate_shown_by_all_passing(8, confidence),
    ):
        with pytest.raises(ValueError, match="makes no interval"):
            interval()


def test_no_attempts_make_no_interval_of_a_task():
    with pytest.raises(ValueError, match="no attempts say nothing"):
        clopper_pearson(0, 0)


def test_this_suite_pass_at_1_is_wilson_on_the_pooled_attempts():
    interval = this_suite_pass_at_1(SOME_COUNTS)
    assert interval is not None
    passes = sum(c for _, c in SOME_COUNTS)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(passes, 80, method="wilson"), abs=1e-9)
    assert interval.question == THIS_SUITE
    assert "conservative" in interval.method


def test_this_suite_pass_at_1_is_about_the_average_over_tasks_when_attempts_differ():
    interval = this_suite_pass_at_1([(100, 100), (1, 0), (0, 0)])
    assert interval is not None
    size = 2**2 / (1 / 100 + 1)
    assert (interval.low, interval.high) == pytest.approx(
        proportion_confint(0.5 * size, size, method="wilson"), abs=1e-9
    )


def test_tasks_like_these_pass_hat_8_of_8_is_wilson_on_tasks():
    interval = tasks_like_these_pass_hat_k(SOME_COUNTS, 8)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(3, 10, method="wilson"), abs=1e-9)
    assert interval.question == TASKS_LIKE_THESE


def test_tasks_like_these_pass_at_1_by_its_formula():
    interval = tasks_like_these_pass_hat_k(SOME_COUNTS, 1, 0.9)
    assert interval is not None
    scores = np.array([c / n for n, c in SOME_COUNTS])
    mean, size = scores.mean(), scores.mean() * (1 - scores.mean()) / (scores.var(ddof=1) / 10)
    assert 10 < size < 80
    t = stats.t.ppf(0.95, 9)
    # The two rates that lie exactly t standard errors of their own from the mean (the score interval's definition).
    roots = np.roots([1 + t**2 / size, -(2 * mean + t**2 / size), mean**2])
    assert (interval.low, interval.high) == pytest.approx(tuple(sorted(roots)), abs=1e-9)


def test_tasks_that_all_score_alike_count_once_each():
    interval = tasks_like_these_pass_hat_k([(8, 4)] * 12, 1)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(6, 12, method="wilson"), abs=1e-9)


def test_one_task_says_nothing_about_tasks_like_it():
    assert tasks_like_these_pass_hat_k([(8, 4), (0, 0)], 1) is None
    assert tasks_like_these_pass_hat_k([(8, 4), (3, 3)], 4) is None


def test_no_attempts_make_no_interval_of_a_suite():
    assert this_suite_pass_at_1([]) is None
    assert this_suite_pass_hat_k([(0, 0)], 4) is None
    assert tasks_like_these_pass_hat_k([], 1) is None


def posterior_mean(counts: list[tuple[int, int]], k: int) -> float:
    """The posterior mean of mean(p_i^k), summed over the grid of the model with scipy's beta functions."""
    axis = np.exp(np.linspace(np.log(0.05), np.log(20), 28))
    a, b = np.meshgrid(axis, axis)
    log_weight = sum(special.betaln(a + c, b + n - c) - special.betaln(a, b) for n, c in counts)
    weight = np.exp(log_weight - log_weight.max())
    means = [np.exp(special.betaln(a + c + k, b + n - c) - special.betaln(a + c, b + n - c)) for n, c in counts]
    return float((weight / weight.sum() * np.mean(means, axis=0)).sum())


@pytest.mark.parametrize(
    ("counts", "k"),
    [(SOME_COUNTS, 8), (SOME_COUNTS, 4), ([(3, 3)] * 7 + [(5, 1)] * 5, 8), ([(8, c % 9) for c in range(700)], 8)],
)
def test_the_posterior_agrees_with_the_model_summed_over_its_grid(counts: list[tuple[int, int]], k: int):
    draws = suite_pass_hat_k_draws(counts, k)
    assert draws is not None
    four_standard_errors = 4 * draws.values.std() / len(draws.values) ** 0.5
    assert draws.values.mean() == pytest.approx(posterior_mean(counts, k), abs=four_standard_errors)


def test_the_posterior_of_many_equal_tasks_has_the_spread_of_drawing_each():
    counts = [(8, 6)] * 200 + [(8, 1)] * 20
    ours = suite_pass_hat_k_draws(counts, 4)
    assert ours is not None
    rng = np.random.default_rng(1)
    axis = np.exp(np.linspace(np.log(0.05), np.log(20), 28))
    a, b = (mesh.ravel() for mesh in np.meshgrid(axis, axis))
    log_weight = sum(special.betaln(a + c, b + n - c) - special.betaln(a, b) for n, c in counts)
    weight = np.exp(log_weight - log_weight.max())
    rows = rng.choice(a.size, size=4000, p=weight / weight.sum())
    c = np.array([c for _, c in counts])
    each = (rng.beta(a[rows, None] + c, b[rows, None] + 8 - c) ** 4).mean(axis=1)
    assert ours.values.std() == pytest.approx(each.std(), rel=0.1)
    for p in (0.025, 0.5, 0.975):
        assert ours.quantile(p) == pytest.approx(float(np.quantile(each, p)), abs=0.3 * float(each.std()))


@settings(untimed, max_examples=40)
@given(st.lists(counts_of_tasks, min_size=1, max_size=12), st.integers(1, 9), st.randoms(use_true_random=False))
def test_intervals_hold_their_estimate_and_do_not_depend_on_the_order(counts: list[tuple[int, int]], k: int, random):
    shuffled = list(counts)
    random.shuffle(shuffled)
    estimate = suite_pass_hat_k(counts, k)
    of_suite, like_these = this_suite_pass_hat_k(counts, k), tasks_like_these_pass_hat_k(counts, k)
    assert of_suite is not None
    assert 0 <= of_suite.low <= of_suite.high <= 1
    again = this_suite_pass_hat_k(shuffled, k)
    assert again is not None
    assert (again.low, again.high) == pytest.approx((of_suite.low, of_suite.high), abs=1e-12)
    if estimate.value is not None and not estimate.tasks_left_out:
        assert of_suite.low <= estimate.value + 1e-12
        assert estimate.value <= of_suite.high + 1e-12
    if like_these is not None:
        assert estimate.value is not None
        assert like_these.low <= estimate.value + 1e-12
        assert estimate.value <= like_these.high + 1e-12


def test_coverage_of_the_intervals_in_a_small_simulation():
    """The full table is tests/bench/bench_intervals.py; this one would notice a wrong formula."""
    rng = np.random.default_rng(5)
    a, b, tasks, runs = 0.84, 0.53, 25, 300
    truth_1 = a / (a + b)
    truth_8 = float(np.prod([(a + j) / (a + b + j) for j in range(8)]))
    held = np.zeros(4)
    for _ in range(runs):
        p = rng.beta(a, b, tasks)
        counts = [(8, int(c)) for c in rng.binomial(8, p)]
        intervals = (
            (this_suite_pass_at_1(counts), p.mean()),
            (this_suite_pass_hat_k(counts, 8), (p**8).mean()),
            (tasks_like_these_pass_hat_k(counts, 1), truth_1),
            (tasks_like_these_pass_hat_k(counts, 8), truth_8),
        )
        held += [interval is not None and interval.low <= truth <= interval.high for interval, truth in intervals]
    assert (held / runs >= 0.91).all()
    assert (held[1:] / runs <= 0.99).all()
