"""Regression tests against scipy, statsmodels and every way to permute the attempts."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from pytest_agenteval.estimate.stats.regression import (
    corrected,
    naming_limit,
    p_of_all_tasks,
    p_of_task,
    regression_bounds,
    regression_test,
)

untimed = settings(deadline=None)
counts = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
small_counts = st.integers(1, 3).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
Pair = tuple[tuple[int, int], tuple[int, int]]


def permuted_passes(pair: Pair) -> list[int]:
    """The passes of the new run for every way to deal the attempts of a task to the two runs."""
    (n_before, c_before), (n_after, c_after) = pair
    passed = c_before + c_after
    attempts = [1] * passed + [0] * (n_before + n_after - passed)
    return [sum(dealt) for dealt in combinations(attempts, n_after)]


def test_one_task_by_hand():
    # 8 of 8 before, 4 of 8 after: C(12,8) ways leave the 4 failures outside, ...; Fisher's exact test gives 70/1820.
    assert p_of_task((8, 8), (8, 4)) == pytest.approx(70 / 1820, abs=1e-15)
    assert p_of_task((8, 0), (8, 0)) == 1.0
    assert p_of_task((1, 1), (1, 0)) == 0.5


@untimed
@given(counts, counts)
def test_one_task_agrees_with_fishers_exact_test(before: tuple[int, int], after: tuple[int, int]):
    (n_b, c_b), (n_a, c_a) = before, after
    fisher = stats.fisher_exact([[c_a, n_a - c_a], [c_b, n_b - c_b]], alternative="less").pvalue
    assert p_of_task(before, after) == pytest.approx(fisher, abs=1e-9)
    assert p_of_task(before, after) == pytest.approx(stats.hypergeom.cdf(c_a, n_a + n_b, c_a + c_b, n_a), abs=1e-9)


@settings(untimed, max_examples=60)
@given(st.lists(st.tuples(small_counts, small_counts), min_size=1, max_size=3))
def test_all_tasks_together_are_every_way_to_permute_within_tasks(pairs: list[Pair]):
    observed = sum(after[1] for _, after in pairs)
    sums = [sum(dealt) for dealt in product(*map(permuted_passes, pairs))]
    share = Fraction(sum(x <= observed for x in sums), len(sums))
    assert p_of_all_tasks(pairs) == pytest.approx(float(share), abs=1e-12)


@settings(untimed, max_examples=60)
@given(st.lists(st.tuples(small_counts, small_counts), min_size=1, max_size=3), st.sampled_from([0.05, 0.2, 0.5]))
def test_the_p_of_being_worse_counts_what_is_as_bad(pairs: list[Pair], alpha: float):
    """Given what passed in both runs, an outcome is worse than one with more passes, or if it names a task."""
    found = {}
    for dealt in product(*map(permuted_passes, pairs)):
        tasks = [
            (f"{i}", before, (after[0], x)) for i, ((before, after), x) in enumerate(zip(pairs, dealt, strict=True))
        ]
        total = [pairs[i][0][1] + pairs[i][1][1] for i in range(len(pairs))]
        before = {name: (b[0], total[int(name)] - a[1]) for name, b, a in tasks}
        shown = regression_test(before, {name: a for name, _, a in tasks}, alpha)
        found.setdefault((dealt, bool(shown.regressed_tasks), shown.p_all_tasks), []).append(dealt)
    outcomes = [(sum(dealt), named, p, len(same)) for (dealt, named, p), same in found.items()]
    every = sum(often for *_, often in outcomes)
    for passes, named, p, _ in outcomes:
        assert p is not None
        least = sum(often for other, also, _, often in outcomes if also or other < passes) / every
        most = sum(often for other, also, _, often in outcomes if also or other <= passes) / every
        assert least - 1e-9 <= p <= most + 1e-9
        if not named:  # a p-value: as small a one is no more likely than it says
            assert sum(often for _, also, q, often in outcomes if also or q <= p + 1e-9) / every <= p + 1e-9


def test_equal_sums_are_told_apart_by_how_far_single_tasks_fell():
    spread = regression_test({"a": (8, 7), "b": (8, 7)}, {"a": (8, 5), "b": (8, 5)})
    one = regression_test({"a": (8, 7), "b": (8, 7)}, {"a": (8, 7), "b": (8, 3)})
    assert one.p_all_tasks < spread.p_all_tasks


def test_one_task_is_fishers_exact_test_at_the_whole_alpha():
    shown = regression_test({"a": (8, 8)}, {"a": (8, 4)})
    assert shown.p_all_tasks == pytest.approx(70 / 1820, abs=1e-12)
    assert shown.regressed
    assert shown.regressed_tasks == ()


def test_many_tasks_are_compared_without_breaking_ties():
    before, after = {str(i): (8, 6) for i in range(40)}, {str(i): (8, 5) for i in range(40)}
    shown = regression_test(before, after)
    assert shown.p_all_tasks == pytest.approx(p_of_all_tasks([((8, 6), (8, 5))] * 40), abs=0.02)  # no task is named


def test_all_tasks_together_agree_with_scipys_permutation_test():
    rng = np.random.default_rng(3)
    pairs = [((8, 7), (8, 4)), ((8, 3), (6, 2)), ((5, 5), (8, 6))]
    observed = 12
    drawn = sum(stats.hypergeom.rvs(b[0] + a[0], b[1] + a[1], a[0], size=200_000, random_state=rng) for b, a in pairs)
    assert p_of_all_tasks(pairs) == pytest.approx(float((drawn <= observed).mean()), abs=0.005)


@settings(untimed, max_examples=60)
@given(st.lists(st.tuples(small_counts, small_counts), min_size=1, max_size=3))
def test_corrected_ps_are_the_step_down_min_p_of_every_way_to_permute(pairs: list[Pair]):
    """Westfall and Young 1993, algorithm 2.8, over all ways to deal the attempts of each task to the two runs."""
    ps = [p_of_task(*pair) for pair in pairs]
    margins = [(b[0], a[0], b[1] + a[1]) for b, a in pairs]
    dealt = [
        [p_of_task((n_b, total - x), (n_a, x)) for x in permuted_passes(pair)]
        for pair, (n_b, n_a, total) in zip(pairs, margins, strict=True)
    ]
    order, highest, expected = sorted(range(len(ps)), key=ps.__getitem__), 0.0, [0.0] * len(ps)
    for at, index in enumerate(order):
        runs = list(product(*(dealt[other] for other in order[at:])))
        highest = max(highest, sum(min(run) <= ps[index] for run in runs) / len(runs))
        expected[index] = highest
    assert corrected(pairs) == pytest.approx(expected, abs=1e-9)


def holms(ps: list[float]) -> list[float]:
    """Holm 1979: the i-th smallest p times the number of those that are no smaller, and none below the one before."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    highest = accumulate((min(1.0, (len(ps) - at) * ps[index]) for at, index in enumerate(order)), max)
    return [p for _, p in sorted(zip(order, highest, strict=True))]


def test_holms_ps_are_those_of_statsmodels():  # which collects the garbage of the whole process in each call
    ps = [0.03, 0.001, 0.4, 0.03, 0.012]
    assert holms(ps) == pytest.approx(multipletests(ps, method="holm")[1])


@untimed
@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=12))
def test_corrected_ps_are_never_above_holms(pairs: list[Pair]):
    limits = holms([p_of_task(*pair) for pair in pairs])
    assert all(p <= limit + 1e-9 for p, limit in zip(corrected(pairs), limits, strict=True))


@untimed
@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=8), st.floats(0.01, 0.5))
def test_a_task_is_named_up_to_the_limit(pairs: list[Pair], level: float):
    limit = naming_limit(pairs, level)
    smallest = min(p_of_task(*pair) for pair in pairs)
    assert (min(corrected(pairs)) <= level) == (smallest <= limit)


def test_a_broken_task_is_named():
    before = {f"task {i}": (8, 8) for i in range(20)} | {"flaky": (8, 4)}
    after = before | {"task 7": (8, 0)}
    shown = regression_test(before, after)
    assert shown.regressed
    assert [change.task for change in shown.regressed_tasks] == ["task 7"]
    (change,) = shown.regressed_tasks
    assert change.p == pytest.approx(1 / comb(16, 8), abs=1e-15)
    # Of the others only the flaky one could have shown so small a p: with 8 of 16, 1 in C(16,8) again.
    assert change.p_corrected == pytest.approx(1 - (1 - 1 / comb(16, 8)) ** 2, abs=1e-15)
    assert change.drop == 1.0


def test_a_little_everywhere_is_found_by_all_tasks_together_and_names_none():
    before = {f"task {i}": (8, 7) for i in range(40)}
    after = {f"task {i}": (8, 5) for i in range(40)}
    shown = regression_test(before, after)
    assert shown.fell_overall
    assert shown.regressed
    assert shown.regressed_tasks == ()


def test_an_equal_run_has_not_regressed():
    run = {"a": (8, 4), "b": (8, 8)}
    shown = regression_test(run, run)
    assert shown.regressed is False
    assert shown.p_all_tasks is not None
    assert shown.p_all_tasks > 0.5


def test_tasks_in_one_run_only_are_listed_and_not_compared():
    shown = regression_test({"a": (8, 8), "gone": (8, 8), "lost": (8, 8)}, {"a": (8, 8), "lost": (0, 0), "new": (8, 0)})
    assert shown.not_compared == ("gone", "lost", "new")
    assert [change.task for change in shown.tasks] == ["a"]
    assert shown.regressed is False


def test_nothing_to_compare_says_nothing():
    shown = regression_test({"a": (8, 8)}, {"b": (8, 0)})
    assert (shown.regressed, shown.p_all_tasks, shown.tasks) == (None, None, ())


@settings(untimed, max_examples=200)
@given(
    st.lists(st.tuples(counts, counts, st.integers(0, 3)), min_size=1, max_size=3), st.sampled_from([0.05, 0.2, 0.4])
)
def test_the_bounds_hold_whatever_was_missing(drawn: list[tuple[tuple[int, int], tuple[int, int], int]], alpha: float):
    before = {str(i): b for i, (b, _, _) in enumerate(drawn)}
    after = {str(i): a for i, (_, a, _) in enumerate(drawn)}
    missing = {str(i): m for i, (_, _, m) in enumerate(drawn)}
    could, must = regression_bounds(before, after, missing, alpha)
    for more in product(*(range(m + 1) for m in missing.values())):
        came = {name: (n + missing[name], c + more[int(name)]) for name, (n, c) in after.items()}
        regressed = regression_test(before, came, alpha).regressed
        assert could or not regressed
        assert regressed or not must
    if not any(missing.values()):
        assert could is must


def test_missing_attempts_leave_what_is_clear_as_it_is():
    before = {str(i): (8, 8) for i in range(6)}
    broken = {**before, "0": (8, 0)}
    one = {"1": 1}
    assert regression_bounds(before, {**broken, "1": (7, 7)}, dict.fromkeys(before, 0) | one) == (True, True)
    assert regression_bounds(before, {**before, "1": (7, 7)}, dict.fromkeys(before, 0) | one) == (False, False)


def test_impossible_input_is_refused():
    with pytest.raises(ValueError, match="9 passes in 8 attempts"):
        regression_test({"a": (8, 9)}, {"a": (8, 8)})
    with pytest.raises(ValueError, match="alpha = 5"):
        regression_test({}, {}, alpha=5)


@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.9, 0.3), (0.1, 0.95)])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_an_unchanged_agent_is_called_worse_no_more_often_than_alpha(rates: tuple[float, float], alpha: float):
    """Exact: summed over every outcome of two tasks with four attempts in both runs."""
    k = 4
    chance = [[comb(k, c) * p**c * (1 - p) ** (k - c) for c in range(k + 1)] for p in rates]
    called = 0.0
    for b1, b2, a1, a2 in product(range(k + 1), repeat=4):
        shown = regression_test({"1": (k, b1), "2": (k, b2)}, {"1": (k, a1), "2": (k, a2)}, alpha)
        if shown.regressed:
            called += chance[0][b1] * chance[1][b2] * chance[0][a1] * chance[1][a2]
    assert called <= alpha


@untimed
@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_tasks_does_not_change_a_digit(pairs: list[Pair], random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert p_of_all_tasks(shuffled) == p_of_all_tasks(pairs)
