from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from pytest_agenteval.estimate.stats.agreement import (
    mean_over_pairs,
    outcome_consistency,
    outcome_consistency_spread,
    outcome_consistency_variance,
    parting_step,
    published_outcome_consistency,
    same_order,
    same_tools,
    same_use,
    variation,
)
from pytest_agenteval.estimate.stats.estimators import pass_hat_k

PATHS = st.lists(st.sampled_from("abc"), max_size=6).map(tuple)


@pytest.mark.parametrize(("n", "c", "value"), [(8, 4, -1 / 7), (8, 7, 1 / 2), (5, 2, -1 / 5), (8, 8, 1), (8, 0, 1)])
def test_outcome_consistency_by_hand(n: int, c: int, value: float) -> None:
    assert outcome_consistency(n, c) == pytest.approx(value)


@pytest.mark.parametrize(("n", "c"), [(1, 1), (1, 0), (0, 0)])
def test_one_attempt_says_nothing_about_consistency(n: int, c: int) -> None:
    assert outcome_consistency(n, c) is None


@pytest.mark.parametrize("n", range(2, 13))
@pytest.mark.parametrize("p", [Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(9, 10), Fraction(1)])
def test_outcome_consistency_is_unbiased(n: int, p: Fraction) -> None:
    """By enumeration of all outcomes: the expectation is 1 - 4p(1-p)."""
    expected = sum(
        comb(n, c) * p**c * (1 - p) ** (n - c) * Fraction(outcome_consistency(n, c) or 0) for c in range(n + 1)
    )
    assert float(expected) == pytest.approx(float(1 - 4 * p * (1 - p)), abs=1e-12)


def test_the_published_form_is_biased() -> None:
    assert sum(comb(5, c) / 32 * published_outcome_consistency(5, c) for c in range(6)) == pytest.approx(1 / 5)


@pytest.mark.parametrize("n", range(2, 13))
def test_outcome_consistency_is_the_gap_of_pass_hat_2(n: int) -> None:
    for c in range(n + 1):
        at_1, hat_2 = pass_hat_k(n, c, 1), pass_hat_k(n, c, 2)
        assert at_1 is not None and hat_2 is not None
        assert outcome_consistency(n, c) == pytest.approx(1 - 4 * (at_1 - hat_2))


@pytest.mark.parametrize("n", [2, 3, 8, 20])
def test_the_variance_is_that_of_all_outcomes(n: int) -> None:
    """By enumeration, at the smoothed pass rate."""
    for c in range(n + 1):
        p = (c + 0.5) / (n + 1)
        chances = [comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)]
        values = [outcome_consistency(n, x) or 0.0 for x in range(n + 1)]
        mean = sum(chance * value for chance, value in zip(chances, values, strict=True))
        spread = sum(chance * (value - mean) ** 2 for chance, value in zip(chances, values, strict=True))
        assert outcome_consistency_variance(n, c) == pytest.approx(spread)


def test_ten_thousand_attempts_are_no_matter() -> None:
    assert 0 < outcome_consistency_variance(10_000, 5_000) < 1e-7


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 5))
def test_missing_attempts_lead_no_further_than_said(n: int, c: int, missing: int) -> None:
    c = min(n, c)
    worst, best = outcome_consistency_spread(n, c, missing)
    every = [outcome_consistency(n + missing, c + x) for x in range(missing + 1)]
    if n + missing > 1:
        assert outcome_consistency(*worst) == min(each for each in every if each is not None)
        assert outcome_consistency(*best) == max(each for each in every if each is not None)


def test_shares_of_tools_by_hand() -> None:
    assert same_tools(("a",), ("a", "b")) == pytest.approx(1 - 0.31128, abs=1e-5)
    assert same_tools(tuple("ab"), tuple("ba")) == 1
    assert same_tools(tuple("aa"), tuple("bb")) == 0
    assert same_tools((), ()) == 1
    assert same_tools((), ("a",)) == 0
    assert 1 - same_tools(tuple("aabc"), tuple("abbd")) == pytest.approx(
        jensenshannon([0.5, 0.25, 0.25, 0], [0.25, 0.5, 0, 0.25], base=2) ** 2
    )


def test_order_by_hand() -> None:
    assert same_order(tuple("kitten"), tuple("sitting")) == pytest.approx(4 / 7)
    assert same_order(tuple("abc"), tuple("acb")) == pytest.approx(1 / 3)
    assert same_order((), ("a",)) == 0
    assert same_order((), ()) == 1


@given(PATHS, PATHS)
def test_likeness_has_no_direction_and_stays_within_0_and_1(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    for alike in (same_tools, same_order):
        assert alike(one, other) == pytest.approx(alike(other, one))
        assert 0 <= alike(one, other) <= 1
    assert same_tools(one, one[::-1]) == pytest.approx(1)


@given(st.lists(st.sampled_from("abcd"), max_size=90), st.lists(st.sampled_from("abcd"), max_size=90))
def test_edits_are_those_of_the_usual_table(one: list[str], other: list[str]) -> None:
    row = list(range(len(other) + 1))
    for i, action in enumerate(one, 1):
        above, row = row, [i]
        for j, wanted in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (action != wanted)))
    longest = max(len(one), len(other))
    assert same_order(tuple(one), tuple(other)) == pytest.approx(1 - row[-1] / longest if longest else 1)


def test_use_by_hand() -> None:
    assert mean_over_pairs([1, 2, 3], same_use) == pytest.approx(0.65556, abs=1e-5)
    assert mean_over_pairs([0, 0], same_use) == 1
    assert mean_over_pairs([0, 5], same_use) == 0
    assert mean_over_pairs([5], same_use) is None
    assert variation([1, 2, 3]) == pytest.approx(0.5)
    assert variation([0, 0]) is None


@pytest.mark.parametrize(
    ("runs", "step"),
    [
        (["abc", "abc"], None),
        (["abc", "abd", "abc"], 3),
        (["ab", "abc"], 3),
        (["", "a"], 1),
        (["ax", "bx"], 1),
        ([""], None),
        ([], None),
    ],
)
def test_the_step_at_which_runs_part(runs: list[str], step: int | None) -> None:
    assert parting_step([tuple(run) for run in runs]) == step
