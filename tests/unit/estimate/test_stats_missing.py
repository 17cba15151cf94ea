"""Worst and best case against all the ways in which missing attempts could have ended."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agenteval.estimate.stats.estimators import suite_pass_at_1, suite_pass_hat_k
from pytest_agenteval.estimate.stats.missing import pass_at_1_range, pass_hat_k_range
from pytest_agenteval.record.verdict import Verdict

untimed = settings(deadline=None)
tasks_with_missing = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)).map(lambda t: (t[0], min(t[0], t[1]), t[2])),
    min_size=1,
    max_size=4,
)


def test_by_hand():
    tasks = [(8, 8, 0), (7, 7, 1), (6, 5, 2), (0, 0, 8)]
    pass_1 = pass_at_1_range(tasks)
    assert (pass_1.worst, pass_1.best) == ((8 + 7 + 5 + 0) / 32, (8 + 8 + 7 + 8) / 32)
    pass_8 = pass_hat_k_range(tasks, 8)
    assert (pass_8.worst, pass_8.best) == (1 / 4, 3 / 4)
    assert (pass_8.evaluated, pass_8.missing) == (21, 11)


def test_tasks_with_too_few_attempts_are_left_out_and_counted():
    shown = pass_hat_k_range([(4, 4, 0), (1, 1, 1)], 4)
    assert (shown.worst, shown.best, shown.missing) == (1.0, 1.0, 0)


def test_nothing_at_all_has_no_range():
    shown = pass_hat_k_range([], 2)
    assert (shown.worst, shown.best) == (None, None)
    assert shown.verdict(0.0) is Verdict.UNDECIDED


def test_nothing_evaluated_is_undecided_whatever_the_threshold():
    assert pass_at_1_range([(0, 0, 4)]).verdict(0.0) is Verdict.UNDECIDED


def test_verdicts_where_both_cases_agree():
    shown = pass_at_1_range([(8, 6, 2)])
    assert shown.verdict(0.6) is Verdict.PASS
    assert shown.verdict(0.61) is Verdict.UNDECIDED
    assert shown.verdict(0.8) is Verdict.UNDECIDED
    assert shown.verdict(0.81) is Verdict.FAIL


@pytest.mark.parametrize("task", [(3, 1, -1), (3, 4, 0), (-1, 0, 0)])
def test_impossible_counts_are_refused(task: tuple[int, int, int]):
    with pytest.raises(ValueError, match="give a number"):
        pass_at_1_range([task])


@untimed
@given(tasks_with_missing, st.integers(1, 4))
def test_every_way_the_missing_could_have_ended_lies_inside_and_the_ends_are_reached(
    tasks: list[tuple[int, int, int]], k: int
):
    shown = pass_hat_k_range(tasks, k)
    finished = [
        [(n + u, c + more) for (n, c, u), more in zip(tasks, mores, strict=True)]
        for mores in product(*(range(u + 1) for _, _, u in tasks))
    ]
    values = [suite_pass_hat_k(counts, k).value for counts in finished]
    if shown.worst is None or shown.best is None:
        assert values == [None] * len(values)
        return
    known = [value for value in values if value is not None]
    assert len(known) == len(values)
    assert (min(known), max(known)) == (shown.worst, shown.best)


@untimed
@given(tasks_with_missing)
def test_the_range_is_wider_than_leaving_the_missing_out_only_by_the_missing(tasks: list[tuple[int, int, int]]):
    none_missing = [(n, c, 0) for n, c, _ in tasks]
    shown = pass_at_1_range(none_missing)
    assert shown.worst == shown.best == suite_pass_at_1([(n, c) for n, c, _ in tasks]).value
    assert shown.missing == 0
