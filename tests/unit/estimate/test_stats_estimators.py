"""Estimates against counting, exact expectations and published formulas."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agenteval.estimate.stats.estimators import (
    moment_bounds,
    pass_hat_bounds,
    pass_hat_curve,
    pass_hat_k,
    passes_needed,
    suite_at_least,
    suite_pass_at_1,
    suite_pass_hat_k,
)

untimed = settings(deadline=None)
ALL_SMALL = [(n, k) for n in range(1, 8) for k in range(1, n + 1)]
counts_of_tasks = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def at_least(n: int, c: int, j: int, k: int) -> float | None:
    return suite_at_least([(n, c)], j, k).value


def exact(value: float | None, n: int, k: int) -> Fraction:
    """The fraction behind a float that was rounded from one with the denominator C(n, k)."""
    assert value is not None
    return Fraction(value).limit_denominator(comb(n, k))


def test_two_of_four_by_hand():
    assert at_least(4, 2, 1, 2) == 5 / 6
    assert pass_hat_k(4, 2, 2) == 1 / 6
    assert pass_hat_k(8, 7, 2) == 21 / 28
    assert pass_hat_k(8, 8, 8) == 1.0
    assert pass_hat_k(8, 7, 8) == 0.0


@pytest.mark.parametrize(("n", "k"), ALL_SMALL)
def test_estimates_are_the_share_of_all_ways_to_choose_k_of_the_attempts(n: int, k: int):
    for c in range(n + 1):
        attempts = [True] * c + [False] * (n - c)
        passes = [sum(chosen) for chosen in combinations(attempts, k)]
        assert exact(pass_hat_k(n, c, k), n, k) == Fraction(sum(x == k for x in passes), len(passes))
        for j in range(1, k + 1):
            assert exact(at_least(n, c, j, k), n, k) == Fraction(sum(x >= j for x in passes), len(passes))


@pytest.mark.parametrize(("n", "k"), ALL_SMALL)
@pytest.mark.parametrize("p", [Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(9, 11), Fraction(1)])
def test_estimates_are_unbiased(n: int, k: int, p: Fraction):
    chance = [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    assert sum(w * exact(pass_hat_k(n, c, k), n, k) for c, w in enumerate(chance)) == p**k
    for j in range(1, k + 1):
        truth = sum(comb(k, x) * p**x * (1 - p) ** (k - x) for x in range(j, k + 1))
        assert sum(w * exact(at_least(n, c, j, k), n, k) for c, w in enumerate(chance)) == truth


def test_at_least_one_of_k_agrees_with_the_product_of_the_humaneval_paper():
    for n, c, k in ((200, 13, 100), (200, 1, 10), (50, 49, 8), (20, 0, 5)):
        assert at_least(n, c, 1, k) == pytest.approx(1 - prod(1 - k / i for i in range(n - c + 1, n + 1)), abs=1e-12)


def test_fewer_attempts_than_k_give_none_and_never_zero():
    assert pass_hat_k(1, 0, 8) is None
    assert pass_hat_k(4, 4, 8) is None
    assert at_least(0, 0, 1, 1) is None
    assert at_least(7, 7, 4, 8) is None


@pytest.mark.parametrize(
    ("n", "c", "k", "message"),
    [
        (3, 4, 1, "4 passes in 3 attempts is impossible"),
        (3, -1, 1, "-1 passes in 3 attempts is impossible"),
        (-1, 0, 1, "cannot have -1 attempts"),
        (3, 1, 0, "k = 0 asks for no attempt"),
    ],
)
def test_impossible_input_is_refused(n: int, c: int, k: int, message: str):
    with pytest.raises(ValueError, match=message):
        pass_hat_k(n, c, k)
    with pytest.raises(ValueError, match=message):
        suite_pass_hat_k([(n, c)], k)


def test_a_curve_without_k_is_refused():
    with pytest.raises(ValueError, match="k = 0"):
        pass_hat_curve([(3, 1)], 0)
    with pytest.raises(ValueError, match="k = 0"):
        pass_hat_bounds([(3, 1)], 0)


def test_a_suite_averages_tasks_and_says_how_many_it_left_out():
    counts = [(8, 8), (8, 4), (2, 2), (0, 0)]
    assert suite_pass_at_1(counts).value == (1 + 0.5 + 1) / 3
    assert suite_pass_at_1(counts).tasks_left_out == 1
    by_4 = suite_pass_hat_k(counts, 4)
    assert by_4.value == float((1 + Fraction(1, 70)) / 2)
    assert (by_4.tasks_used, by_4.tasks_left_out) == (2, 2)
    assert suite_at_least(counts, 1, 4).value == float((1 + Fraction(69, 70)) / 2)
    assert suite_at_least(counts, 2, 4).value == pytest.approx((1 + 53 / 70) / 2)


def test_an_empty_suite_has_no_value():
    estimate = suite_pass_hat_k([], 1)
    assert (estimate.value, estimate.tasks_used, estimate.tasks_left_out) == (None, 0, 0)
    assert suite_pass_hat_k([(2, 2)], 3).value is None


def test_the_curve_falls_and_ends_in_none():
    curve = pass_hat_curve([(4, 3), (4, 1), (2, 2)], 5)
    assert [e.value for e in curve] == [pytest.approx(2 / 3), pytest.approx(0.5), 0.125, 0.0, None]
    assert [e.tasks_left_out for e in curve] == [0, 0, 1, 1, 3]


@untimed
@given(st.lists(counts_of_tasks, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_tasks_does_not_change_a_digit(counts: list[tuple[int, int]], random):
    shuffled = list(counts)
    random.shuffle(shuffled)
    for k in range(1, 10):
        assert suite_pass_hat_k(shuffled, k) == suite_pass_hat_k(counts, k)


@untimed
@given(st.lists(counts_of_tasks, min_size=1, max_size=12))
def test_pass_at_k_rises_and_pass_hat_k_falls_with_k(counts: list[tuple[int, int]]):
    full = [(9, c) for _, c in counts]
    at = [suite_at_least(full, 1, k).value for k in range(1, 10)]
    hat = [suite_pass_hat_k(full, k).value for k in range(1, 10)]
    assert at == sorted(at)
    assert hat == sorted(hat, reverse=True)
    assert at[0] == hat[0]


@untimed
@given(st.integers(1, 30), st.integers(1, 12), st.data())
def test_comparing_an_estimate_with_a_threshold_is_counting_passes(tasks: int, k: int, data: st.DataObject):
    passes = data.draw(st.lists(st.integers(0, k), min_size=tasks, max_size=tasks))
    threshold = data.draw(
        st.one_of(
            st.floats(0, 1),
            st.integers(0, 100).map(lambda x: x / 100),
            st.integers(0, tasks * k).map(lambda x: x / (tasks * k)),
        )
    )
    value = suite_pass_at_1([(k, c) for c in passes]).value
    assert value is not None
    assert (value >= threshold) == (sum(passes) >= passes_needed(threshold, tasks * k))


def test_thresholds_are_reached_as_written():
    assert passes_needed(0.7, 10) == 7
    assert passes_needed(0.9, 50) == 45
    assert passes_needed(0.55, 100) == 55
    assert passes_needed(0.0, 3) == 0
    assert passes_needed(1.0, 3) == 3
    assert passes_needed(1 / 3, 3) == 1
    assert passes_needed(0.34, 3) == 2


@pytest.mark.parametrize(("threshold", "total"), [(1.1, 3), (-0.1, 3), (float("nan"), 3), (0.5, 0)])
def test_thresholds_that_are_no_rate_are_refused(threshold: float, total: int):
    with pytest.raises(ValueError, match="give"):
        passes_needed(threshold, total)


@untimed
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=6),
    st.integers(1, 8),
    st.integers(0, 20),
)
def test_moment_bounds_hold_every_later_moment(rates: list[tuple[float, float]], m: int, more: int):
    weight = sum(w for _, w in rates)

    def moment(j: int) -> float:
        return sum(w * p**j for p, w in rates) / weight

    low, high = moment_bounds(moment(m - 1), moment(m), m, m + more)
    assert low <= moment(m + more) * (1 + 1e-9) + 1e-300
    assert moment(m + more) <= high * (1 + 1e-9)


def test_bounds_of_pass_hat_8_from_fewer_attempts_by_hand():
    bounds = pass_hat_bounds([(2, 2), (2, 1), (3, 3), (0, 0)], 8)
    assert bounds is not None
    # pass^1 = (1 + 1/2 + 1) / 3, pass^2 = (1 + 0 + 1) / 3; the ratio 4/5 goes on for six more.
    assert bounds.high == pytest.approx(2 / 3)
    assert bounds.low == pytest.approx(2 / 3 * 0.8**6)
    assert bounds.attempts == 2


def test_bounds_from_one_attempt_a_task():
    bounds = pass_hat_bounds([(1, 1), (1, 0)], 4)
    assert bounds is not None
    assert (bounds.low, bounds.high) == (0.5**4, 0.5)


def test_bounds_of_a_suite_that_never_passes_are_zero():
    bounds = pass_hat_bounds([(3, 0), (3, 1)], 5)
    assert bounds is not None
    assert (bounds.low, bounds.high) == (0.0, 0.0)


def test_bounds_are_the_estimate_where_there_is_one():
    bounds = pass_hat_bounds([(4, 3), (4, 4)], 2)
    assert bounds is not None
    assert bounds.low == bounds.high == suite_pass_hat_k([(4, 3), (4, 4)], 2).value


def test_no_attempts_have_no_bounds():
    assert pass_hat_bounds([], 3) is None
    assert pass_hat_bounds([(0, 0)], 3) is None
