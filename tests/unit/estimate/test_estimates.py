"""What a report may say of a cell, of a whole grid and of one that stopped early."""

from __future__ import annotations

from itertools import combinations

import pytest
from statsmodels.stats.proportion import proportion_confint
from support.made_records import CELL, attempt, retry, task, task_of

from pytest_agenteval.estimate.run import CellSummary, summarize
from pytest_agenteval.judge import GateSettings, judge
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.report.cell_block import cell_block


def cell(*records: TaskRecord, every_first: bool = False) -> CellSummary:
    [found] = summarize(records, every_first=every_first).cells
    return found


def thin(letters: str, k: int, name: str = "t.py::a", cost: float | None = 0.01, seconds: float = 0.0) -> TaskRecord:
    """A task whose last attempts were decided."""
    ran = [attempt(letter, n, cost, wall_seconds=seconds) for n, letter in enumerate(letters, 1)]
    rest = [attempt("n", n, cause=Cause.DECIDED) for n in range(len(letters) + 1, k + 1)]
    return task_of(*ran, *rest, name=name)


def text(found: CellSummary) -> str:
    return "\n".join(line.text for line in cell_block(found, 200))


def test_at_least_j_of_k_by_enumeration() -> None:
    found = cell(task("ppff", name="a", k=3), task("pppf", name="b", k=3))
    by_hand = []
    for j in (1, 2, 3):
        shares = [[sum(pick) >= j for pick in combinations(outcomes, 3)] for outcomes in ((1, 1, 0, 0), (1, 1, 1, 0))]
        by_hand.append(sum(sum(each) / len(each) for each in shares) / 2)
    assert [point.value for point in found.estimates.at_least] == pytest.approx(by_hand)
    assert found.estimates.at_least[-1] == found.pass_hat_k


def test_every_j_up_to_n_by_enumeration() -> None:
    """Tasks of 6, 5 and 3 attempts and k = 4: a task speaks for every j that it has attempts for, above k too."""
    outcomes = {"a": "ppffpp", "b": "pffff", "c": "ppp"}
    found = cell(*(task(letters, name=name, k=4) for name, letters in outcomes.items())).estimates
    for j in range(1, 8):
        picks = [list(combinations(letters, j)) for letters in outcomes.values() if len(letters) >= j]
        shares = [sum(chosen.count("p") == j for chosen in of_task) / len(of_task) for of_task in picks]
        rate = None if not shares else pytest.approx(sum(shares) / len(shares))
        estimate = found.pass_hat(j)
        assert (estimate.value, estimate.tasks_used, estimate.tasks_left_out) == (rate, len(shares), 3 - len(shares))
    # the curve has no value for j = 4, of which only two of the three tasks could have one
    assert tuple(found.pass_hat(j) for j in range(1, 4)) == found.curve[:3]
    assert (found.curve[3].value, found.curve[3].tasks_used) == (None, 2)


def test_at_least_j_of_4_by_hand() -> None:
    """8 attempts, 6 pass: of 4 at least 3 in C(6,3) C(2,1) + C(6,4) = 55 of C(8,4) = 70 ways, 2 or more in all."""
    values = [point.value for point in cell(task("ppppppff", k=4)).estimates.at_least]
    assert values == pytest.approx([1.0, 1.0, 55 / 70, 15 / 70])


@pytest.mark.parametrize("k", range(1, 26))
def test_at_least_j_counts_whole_attempts_for_every_k(k: int) -> None:
    """With n = k attempts, j of which pass, at least j of k pass for certain and at least j + 1 never."""
    for j in range(k + 1):
        values = [point.value for point in cell(task("p" * j + "f" * (k - j))).estimates.at_least]
        assert values == [1.0] * j + [0.0] * (k - j)


def test_each_interval_is_named_by_its_question() -> None:
    records = [task("pppp", name="a"), task("ppff", name="b"), task("ffff", name="c")]
    shown = text(cell(*records))
    low, high = proportion_confint(6, 12, method="wilson")
    assert f"this suite, re-run (95%): pass@1 {low:.3f} to {high:.3f}, pass^4 " in shown
    low, high = proportion_confint(1, 3, method="wilson")
    assert f"pass^4 {low:.3f} to {high:.3f}" in shown.partition("tasks like these (95%): ")[2]


def test_one_task_says_nothing_about_others() -> None:
    shown = text(cell(task("ppff")))
    assert "this suite, re-run" in shown
    assert "tasks like these" not in shown


def test_fewer_than_k_attempts_give_bounds_and_no_rate() -> None:
    """pass^1 is 3/4 and pass^2 is 1/2, so pass^8 is at most 1/2, and by log-convexity at least 1/2 (2/3)^6."""
    letters = {"a": "pp", "b": "pp", "c": "pf", "d": "pf"}
    shown = text(cell(*(task(outcomes + "eeeeee", name=name) for name, outcomes in letters.items())))
    assert f"pass^8 not measured (n < k), estimated from pass^2: {0.5 * (2 / 3) ** 6:.3f} to 0.500" in shown


def test_a_thinned_grid_has_no_estimate_and_guaranteed_bounds() -> None:
    records = [thin("pppp", 4, "a"), thin("f", 4, "b"), thin("pf", 4, "c"), thin("p", 4, "d"), thin("", 4, "e")]
    found = cell(*records)
    assert found.pass_at_1.value is None
    assert found.pass_hat_k.value is None
    assert (found.gap, found.cost_per_success, found.cost_per_reliable_task) == (None, None, None)
    assert {point.value for point in (*found.curve, *found.estimates.at_least)} == {None}
    assert [each.pass_at_1 for each in found.tasks] == [1.0, None, None, None, None]
    shown = text(found)
    assert "pass@1 not measured (early stop) | pass^4 0.200 to 0.600 (guaranteed bounds)" in shown
    assert "re-run" not in shown
    assert "  early stop: 12 of 20 attempts decided, so not run; that saved about $0.120, at the mean of those" in shown


def test_what_early_stopping_saved_by_hand() -> None:
    """Attempts of 60, 60, 60, 60 and 90 s, 66 s on average, and one cent each; 7 of 13 were decided: 462 s, $0.07.

    The environment error, its retry and the time they took are no measure of what a decided attempt would have taken.
    """
    lost = task_of(attempt("e", 1, 5.0, wall_seconds=9e3), name="d")
    retried = task_of(attempt("f", 1, 0.01, wall_seconds=90.0, retries=(retry(7.0, wall_seconds=9e3),)), name="b")
    found = cell(thin("pp", 4, "a", seconds=60.0), retried, thin("pf", 4, "c", seconds=60.0), lost, thin("", 3, "e"))
    assert (found.attempts, found.decided) == (5, 7)
    assert found.saved_cost == pytest.approx(0.07)
    assert found.saved_seconds == pytest.approx(462)
    assert (
        "early stop: 7 of 13 attempts decided, so not run; "
        "that saved about $0.0700 and 7.7 min of attempts, at the mean of those that ran"
    ) in text(found)


def test_what_nobody_knows_of_the_savings_is_not_said() -> None:
    whole = cell(task("pf"))
    assert (whole.saved_cost, whole.saved_seconds) == (None, None)
    assert "early stop" not in text(whole)
    none_ran = cell(thin("", 2))
    assert (none_ran.saved_cost, none_ran.saved_seconds) == (None, None)
    unpriced = cell(thin("f", 2, cost=None, seconds=30.0))
    assert (unpriced.saved_cost, unpriced.saved_seconds) == (None, 30.0)
    assert "so not run; that saved about 30 s of attempts, at the mean" in text(unpriced)
    untimed = text(cell(thin("f", 2, cost=0.0)))
    assert "  early stop: 1 of 2 attempts decided, so not run\n" in untimed


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0.4 s"), (45.2, "45 s"), (99.4, "99 s"), (100, "1.7 min"), (1440, "24 min"), (6.5 * 3600, "6.5 h")],
)
def test_saved_time_has_the_unit_and_the_digits_that_say_something(seconds: float, said: str) -> None:
    assert f"saved about $0.0100 and {said} of attempts" in text(cell(thin("f", 2, seconds=seconds)))


def test_first_attempts_estimate_pass_at_1_where_every_task_was_certain_to_get_one() -> None:
    records = [thin("pppp", 4, "a"), thin("f", 4, "b"), thin("pf", 4, "c"), thin("e", 4, "d")]
    found = cell(*records, every_first=True)
    assert found.pass_at_1.value == pytest.approx(2 / 3)
    low, high = proportion_confint(2, 3, method="wilson")
    shown = text(found)
    assert "pass@1 0.667 (from 3 first attempts) | pass^4 0.250 to 0.500 (guaranteed bounds)" in shown
    assert f"this suite, re-run (95%): pass@1 {low:.3f} to {high:.3f}\n" in shown


def test_a_whole_grid_is_estimated_as_ever_though_it_might_have_stopped() -> None:
    records = [task("ppff", name="a"), task("pppp", name="b")]
    assert cell(*records, every_first=True) == cell(*records)


def test_decided_attempts_leave_the_verdict_and_are_not_missing() -> None:
    run = summarize([thin("pppp", 4, "a"), thin("f", 4, "b")])
    assert run.incomplete == ()
    results = {result.name: result for result in judge(run, GateSettings(min_pass_k=0.5))}
    assert results["--min-pass-k"].verdict == "PASS"
    assert (
        results["--min-pass-k"].reason
        == "pass^4 is 0.500, whatever the 3 decided attempts would show; at least 0.5 was asked for"
    )


def test_identical_attempts_of_a_real_model_are_flagged() -> None:
    def same(*prints: str | None, of: Cell = CELL, letters: str = "pp") -> bool:
        each = zip(letters, prints, strict=True)
        record = task_of(*(attempt(o, n, fingerprint=p) for n, (o, p) in enumerate(each, 1)), cell=of)
        [found] = cell(record).tasks
        return found.identical

    assert same("x", "x")
    assert not same("x", "y")
    assert not same(None, None)
    assert not same("x", letters="p")
    assert not same("x", "x", of=Cell("agenteval/oracle", "react"))
    assert same("x", "x", "y", letters="ppe")
