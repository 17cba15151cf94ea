"""What a report may say of a cell, of a whole grid and of one that stopped early."""

from __future__ import annotations

from itertools import combinations

import pytest
from statsmodels.stats.proportion import proportion_confint
from support.made_records import CELL, attempt, task, task_of

from pytest_agenteval.gates import GateSettings, judge
from pytest_agenteval.outcomes import Cause
from pytest_agenteval.records import Cell, TaskRecord
from pytest_agenteval.reports.cell_block import cell_block
from pytest_agenteval.summary import CellSummary, summarize


def cell(*records: TaskRecord, every_first: bool = False) -> CellSummary:
    [found] = summarize(records, every_first=every_first).cells
    return found


def thin(letters: str, k: int, name: str = "t.py::a", cost: float = 0.01) -> TaskRecord:
    """A task whose last attempts were decided."""
    ran = [attempt(letter, n, cost) for n, letter in enumerate(letters, 1)]
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
    assert f"pass^8 not measured (n < k), bounded by pass^2: {0.5 * (2 / 3) ** 6:.3f} to 0.500" in shown


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
    assert "early stop: 12 of 20 attempts not needed, every verdict was fixed; about $0.120 saved" in shown


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
        results["--min-pass-k"].reason == "pass^4 is 0.500, for 3 attempts were not needed; at least 0.5 was asked for"
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
