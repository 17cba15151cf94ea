from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, permutation_test

from pytest_agenteval.estimate.stats.side_by_side import convex_front, sign_flip_p, staircase, two_way_shares


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0], 1 / 2),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 1 / 32),
        ([-1.0, 2.0, 3.0, 4.0, 5.0], 2 / 32),  # only all plus has a larger sum
        ([0.0, 0.0], 1.0),
        ([1.0, 0.0, 0.0], 1 / 2),  # what does not differ says nothing
        ([-1.0, -1.0], 1.0),
        ([0.1, 0.2, -0.3], 5 / 8),  # sums to 0 on paper only: of the 8 ways 2 give 0 and 3 more
    ],
)
def test_the_sign_flip_test_counts_the_ways(differences: list[float], p: float) -> None:
    assert sign_flip_p(differences) == pytest.approx(p, abs=1e-12)


def test_nothing_to_compare_has_no_p() -> None:
    assert sign_flip_p([]) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-9, 9).filter(bool), min_size=2, max_size=9))
def test_scipy_finds_the_same(differences: list[int]) -> None:
    found = permutation_test(
        (differences,), lambda x, axis: x.sum(axis=axis), permutation_type="samples", alternative="greater",
        n_resamples=math.inf, vectorized=True,
    )  # fmt: skip
    assert sign_flip_p([float(each) for each in differences]) == pytest.approx(found.pvalue)


@pytest.mark.parametrize(("n", "plus"), [(36, 24), (25, 18), (60, 38)])
def test_equal_differences_are_a_sign_test(n: int, plus: int) -> None:
    exact = binom.sf(plus - 1, n, 0.5)
    found = sign_flip_p([2.0] * plus + [-2.0] * (n - plus))
    assert found == pytest.approx(exact, abs=1e-9 if n <= 36 else 0.003)


POINTS = [(1.0, 0.2), (2.0, 0.5), (3.0, 0.55), (4.0, 0.9), (5.0, 0.9), (4.5, 0.3)]


def test_the_staircase_keeps_what_nothing_beats() -> None:
    assert staircase(POINTS) == (True, True, True, True, False, False)


def test_the_convex_front_leaves_out_what_a_mixture_beats() -> None:
    """Half of (2, 0.5) and half of (4, 0.9) costs 3 and gains 0.7, which is more than 0.55."""
    assert convex_front(POINTS) == (True, True, False, True, False, False)


def test_equal_points_are_both_on_the_front_and_so_is_one_on_a_straight_line() -> None:
    points = [(1.0, 0.0), (2.0, 0.5), (3.0, 1.0), (1.0, 0.0)]
    assert staircase(points) == convex_front(points) == (True, True, True, True)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_no_mixture_of_two_beats_a_point_on_the_front(points: list[tuple[int, int]]) -> None:
    kept = convex_front([(float(cost), float(gain)) for cost, gain in points])
    assert any(kept)
    for point, on in zip(points, kept, strict=True):
        beaten = any(
            left[0] < point[0] < right[0]
            and (left[1] * (right[0] - point[0]) + right[1] * (point[0] - left[0])) > point[1] * (right[0] - left[0])
            for left, right in itertools.permutations(points, 2)
        ) or any(c <= point[0] and g >= point[1] and (c, g) != point for c, g in points)
        assert on is not beaten


def test_shares_of_a_table_made_by_hand() -> None:
    """Mean 5; rows 3 and 7 give 2 * (4 + 4) = 16; columns 4 and 6 give 2 * (1 + 1) = 4; in all 9 + 1 + 1 + 9 = 20."""
    shares = two_way_shares([[[2.0, 4.0], [6.0, 8.0]]])
    assert shares is not None
    assert (shares.rows, shares.columns, shares.together) == pytest.approx((0.8, 0.2, 0.0))


def test_a_crossing_is_neither_rows_nor_columns() -> None:
    shares = two_way_shares([[[0.0, 1.0], [1.0, 0.0]]])
    assert shares is not None
    assert (shares.rows, shares.columns, shares.together) == pytest.approx((0.0, 0.0, 1.0))


def test_tables_are_pooled_by_their_sums_of_squares() -> None:
    """One table of rows alone (sum of squares 4), one of columns alone (sum of squares 16)."""
    shares = two_way_shares([[[0.0, 0.0], [2.0, 2.0]], [[0.0, 4.0], [0.0, 4.0]]])
    assert shares is not None
    assert (shares.rows, shares.columns) == pytest.approx((0.2, 0.8))


def test_where_nothing_varies_there_are_no_shares() -> None:
    assert two_way_shares([[[3.0, 3.0], [3.0, 3.0]]]) is None
    assert two_way_shares([]) is None
