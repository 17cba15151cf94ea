from __future__ import annotations

import pytest
from support.made_records import OTHER, attempt, model_call, task, task_of

from pytest_agenteval.estimate.cells import CellComparison, CellRow, compare_cells
from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.money.rates import Rates, TokenUsage
from pytest_agenteval.record.records import Cell, ModelCall, TaskRecord
from pytest_agenteval.report.terminal import report_lines

MODELS = {"x/small": 1.0, "x/mid": 3.0, "x/large": 11.0}
"""How many times as dear a model is as the cheapest."""
SCAFFOLDS = {"react": 1.0, "plan": 2.0, "crew": 3.0}
BASE = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06)
"""What an attempt at each of six tasks costs in the cheapest cell, in dollars."""
LETTERS = {
    ("x/small", "react"): ["pf"] * 6,
    ("x/small", "plan"): ["pp"] * 4 + ["pf"] * 2,
    ("x/small", "crew"): ["pf"] * 6,
    ("x/mid", "react"): ["pp"] * 6,
    ("x/mid", "plan"): ["pp"] * 6,
    ("x/mid", "crew"): ["pf"] * 6,
    ("x/large", "react"): ["pp"] * 6,
    ("x/large", "plan"): ["pp"] * 6,
    ("x/large", "crew"): ["ff"] * 6,
}

EXPLAINED = "no other cell, nor a mix of two, is both cheaper and better"


def matrix(tasks: int = 6, **without_price: float | None) -> list[TaskRecord]:
    found = []
    for model, dear in MODELS.items():
        for scaffold, long in SCAFFOLDS.items():
            for n in range(tasks):
                name = f"t.py::test_{n}[{model}-{scaffold}]"
                cost = without_price.get(f"{model}-{scaffold}", BASE[n] * dear * long)
                letters = LETTERS[model, scaffold][n]
                found.append(task(letters, name=name, cell=Cell(model, scaffold), cost=cost))
    return found


def compared(records: list[TaskRecord]) -> CellComparison:
    return compare_cells(summarize(records), records)


def row(found: CellComparison, model: str, scaffold: str) -> CellRow:
    return next(each for each in found.rows if each.cell == Cell(model, scaffold))


def report(records: list[TaskRecord], width: int = 80) -> list[str]:
    return [line.text for line in report_lines(judge_run(records, GateSettings()), width=width)]


def test_every_figure_of_a_cell_by_hand() -> None:
    """x/small · plan: 12 attempts at twice 0.21 dollars a round of six tasks; ten pass; four tasks pass both."""
    cell = row(compared(matrix()), "x/small", "plan")
    total = 2 * 2 * 0.21
    assert (len(cell.summary.tasks), cell.summary.k) == (6, 2)
    assert (cell.summary.pass_at_1.value, cell.summary.pass_hat_k.value) == pytest.approx((10 / 12, 4 / 6))
    bill = cell.bill
    assert bill.total.total == pytest.approx(total)
    assert bill.per_attempt is not None and bill.per_attempt.total == pytest.approx(total / 12)
    assert bill.per_success is not None and bill.per_success.total == pytest.approx(total / 10)
    assert bill.per_reliable_task is not None and bill.per_reliable_task.total == pytest.approx(total / 4)


def test_the_fronts_of_nine_cells() -> None:
    found = compared(matrix())
    on_front = [(each.cell.model, each.cell.scaffold) for each in found.rows if each.on_front]
    assert on_front == [("x/small", "react"), ("x/small", "plan"), ("x/mid", "react")]
    assert [each.on_staircase for each in found.rows] == [each.on_front for each in found.rows]


def test_a_point_below_the_line_between_two_others_is_on_the_staircase_alone() -> None:
    """pass@1 0.5 at $1, 0.625 at $2, 1.0 at $3: halves of the outer two pass 0.75 at $2; pass^2 has no mixture."""
    letters = {"x/a": ["pf"] * 4, "x/b": ["pp", "pf", "pf", "pf"], "x/c": ["pp"] * 4}
    records = [
        task(each, name=f"t.py::test_{n}", cell=Cell(model, "react"), cost=float(dollars))
        for dollars, (model, tasks) in enumerate(letters.items(), 1)
        for n, each in enumerate(tasks)
    ]
    found = compared(records)
    assert [each.on_front for each in found.rows] == [True, False, True]
    assert [each.on_staircase for each in found.rows] == [True, True, True]


def test_cells_are_marked_dominated_with_what_shows_it() -> None:
    found = compared(matrix())
    marked = {(each.cell.model, each.cell.scaffold) for each in found.rows if each.dominated}
    assert marked == set(LETTERS) - {("x/small", "react"), ("x/small", "plan"), ("x/mid", "react")}
    best = Cell("x/mid", "react")
    assert all(each.dominated.by == best for each in found.rows if each.dominated)
    worst = row(found, "x/large", "crew").dominated
    assert worst is not None
    assert (worst.tasks, worst.pass_at_1, worst.pass_at_1_of_other) == (6, 0.0, 1.0)
    assert worst.cost_ratio == pytest.approx(33 / 3)
    assert worst.p_cost == pytest.approx(1 / 2**6)  # dearer at each of six tasks
    assert worst.p_passes == pytest.approx(1 / 6**6)  # 2 of 2 against 0 of 2: one of six ways to place two passes
    same_cost = row(found, "x/small", "crew").dominated
    assert same_cost is not None and same_cost.cost_ratio == pytest.approx(1)
    assert same_cost.p_passes == pytest.approx(1 / 2**6)  # of 3 passes in 2 + 2 attempts the worse has 1: a half


def test_what_no_test_shows_is_not_marked() -> None:
    """With four tasks no difference of costs is smaller than 1/16; passes alone are shown where they are clear."""
    found = compared(matrix(tasks=4))
    dear = row(found, "x/mid", "plan")
    assert (dear.on_front, dear.dominated) == (False, None)
    bad = row(found, "x/large", "crew")
    assert bad.dominated is not None  # 1/6^4 for the passes, and dearer at every task


def test_a_dearer_cell_that_passes_a_task_more_often_is_not_dominated() -> None:
    cheap = [task(each, name=f"t.py::test_{n}", cost=0.1) for n, each in enumerate(["pp"] * 6 + ["pf"])]
    dear = [task(each, name=f"t.py::test_{n}", cell=OTHER, cost=0.9) for n, each in enumerate(["pf"] + ["pp"] * 6)]
    found = compared([*cheap, *dear])
    assert [each.on_front for each in found.rows] == [True, False]
    assert [each.dominated for each in found.rows] == [None, None]


def test_the_spread_of_costs_and_who_makes_it() -> None:
    """Factors 1, 3, 11 and 1, 2, 3 multiply: no interplay; their logs have sums of squares 2.88166 and 0.61727."""
    found = compared(matrix())
    assert [spread.ratio for spread in found.spreads] == pytest.approx([33.0] * 6)
    assert found.widest is not None and found.median_ratio == pytest.approx(33.0)
    assert (found.widest.cheapest, found.widest.dearest) == (Cell("x/small", "react"), Cell("x/large", "crew"))
    assert found.shares is not None
    assert (found.shares.rows, found.shares.columns) == pytest.approx((0.82358, 0.17642), abs=1e-5)
    assert found.shares.together == pytest.approx(0.0, abs=1e-9)


def test_an_unknown_price_is_none_and_is_said() -> None:
    records = matrix(**{"x/mid-plan": None})
    found = compared(records)
    unknown = row(found, "x/mid", "plan")
    assert unknown.bill.total.total is None and unknown.dominated is None
    assert found.unknown == (Cell("x/mid", "plan"),)
    assert {each.on_front for each in found.rows} == {each.on_staircase for each in found.rows} == {None}
    assert (found.spreads, found.shares, found.widest) == ((), None, None)
    assert row(found, "x/large", "crew").dominated is not None  # two cells with known costs can still be compared
    assert "front: not known, for what E cost is not known" in report(records)


def test_costs_of_nothing_have_no_ratio() -> None:
    found = compared([task("p", name="t"), task("p", name="t", cell=OTHER, cost=0.5)])
    (spread,) = found.spreads
    assert (spread.low, spread.high, spread.ratio) == (0.0, 0.5, None)
    assert found.widest is found.median_ratio is found.shares is None


RATES = Rates(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)


def cached_call(model: str) -> ModelCall:
    """200 fresh, 700 from the cache, 100 into it, 50 written; $ per million tokens as in RATES."""
    paid = RATES.cost(TokenUsage(200, 50, cache_read=700, cache_write=100))
    fresh = RATES.cost(TokenUsage(1000, 50))
    return ModelCall(model, "agent", 200, 50, 700, 100, cost=paid, cost_uncached=fresh)


def test_costs_without_the_providers_cache_stand_beside_the_real_ones() -> None:
    """200*3 + 700*0.3 + 100*3.75 + 50*15 = 1935; without cache 1000*3 + 750 = 3750, in dollars per million."""
    both = (cached_call("x/a"), model_call(0.001))
    records = [
        task_of(attempt("p", model_calls=both), attempt("f", 2, model_calls=both), name="t"),
        task("pp", name="t", cell=OTHER, cost=0.001),
    ]
    found = compared(records)
    first, second = found.rows
    assert (first.used_cache, second.used_cache) == (True, False)
    assert first.bill.per_attempt is not None and first.uncached.per_attempt is not None
    assert first.bill.per_attempt.total == pytest.approx(0.001935 + 0.001)
    assert first.uncached.per_attempt.total == pytest.approx(0.003750 + 0.001)
    assert first.uncached.per_success is not None
    assert first.uncached.per_success.total == pytest.approx(2 * 0.00475)
    assert second.uncached == second.bill
    lines = report(records)
    start = lines.index(next(line for line in lines if line.startswith("without provider cache:")))
    assert lines[start + 1].split() == ["$/attempt", "$0.00475", "$0.00100"]


def test_a_cached_call_of_unknown_price_without_cache_is_unknown() -> None:
    call = ModelCall("x/a", "agent", 200, 50, 700, cost=0.002)
    found = compared([task_of(attempt("p", model_calls=(call,)), name="t"), task("p", name="t", cell=OTHER)])
    assert found.rows[0].bill.total.total == 0.002
    assert found.rows[0].uncached.total.total is None


def test_only_common_tasks_are_compared() -> None:
    records = [
        task("p", name="a"),
        task("p", name="b"),
        task("p", name="b", cell=OTHER),
        task("e", name="a", cell=OTHER),
    ]
    assert compared(records).common == ("b",)
    nothing = [task("p", name="a"), task("p", name="b", cell=OTHER)]
    assert compared(nothing).common == ()
    assert "front: no task is measured in every cell" in report(nothing)


def test_a_cell_that_shares_no_task_is_left_out_of_the_front_and_that_is_said() -> None:
    own = Cell("x/small", "own agent")
    whole = compared(matrix())
    records = [*matrix(), task("pp", name="t.py::test_own[x/small]", cell=own, cost=1e-6)]
    found = compared(records)
    assert (found.left_out, len(found.common)) == ((own,), 6)
    assert [each.on_front for each in found.rows] == [*(each.on_front for each in whole.rows), None]
    assert [each.dominated for each in found.rows] == [*(each.dominated for each in whole.rows), None]
    assert (found.spreads, found.shares) == (whole.spreads, whole.shares)
    lines = report(records, width=120)
    assert f"front of cost and pass@1 ({EXPLAINED}), over 6 common tasks: A, B, D" in " ".join(" ".join(lines).split())
    assert "left out of fronts and spreads: J, which shares no task with another cell" in lines
    assert not any("unknown" in line for line in lines if line.startswith("front "))


def test_cells_of_which_no_two_share_a_task_are_not_left_out() -> None:
    found = compared([task("p", name="a"), task("p", name="b", cell=OTHER)])
    assert (found.left_out, found.common) == ((), ())


def test_nine_cells_fit_eighty_columns() -> None:
    lines = report(matrix())
    start = lines.index("Cells side by side")
    end = lines.index("", start)
    shown = lines[start:end]
    assert max(map(len, shown)) <= 80
    assert shown[1:4] == ["  A  x/small · react", "  B  x/small · plan", "  C  x/small · crew"]
    told = " ".join(" ".join(shown).split())
    assert f"front of cost and pass@1 ({EXPLAINED}), over 6 common tasks: A, B, D" in told
    assert "front of cost and pass^2 (no other cell is both cheaper and better): A, B, D" in told
    assert (
        "dominated: I by D (costs 11.0 times as much, pass@1 0.000 against 1.000; "
        "paired over 6 tasks: costs p = 0.016, passes p = 2e-05)"
    ) in told
    assert "cost spread of a task across cells: 33.0 times in the median, at most 33.0 times" in told
    assert "the model makes 82.4%, the scaffold 17.6%, their interplay 0.0%" in told
