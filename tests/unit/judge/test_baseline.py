"""A run beside a baseline. The p-values by hand: Fisher's exact test, one-sided, of 8/8 before and c/8 after."""

from __future__ import annotations

from math import comb

import pytest
from support.made_records import CELL, OTHER, attempt, task, task_of, tool_call

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateResult, Verdict
from pytest_agenteval.judge.baseline import (
    Comparison,
    Counterpart,
    ThatCell,
    compare,
    judge_comparison,
    judge_comparisons,
    nearest_cell,
)
from pytest_agenteval.judge.exit_status import exit_status
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.record.tool_calls import ToolCallFailures, ToolCalls
from pytest_agenteval.report.regression import regression_lines

ONE_OF_TEN = ToolCalls(10, (ToolCallFailures("bash", "timeout", 1),))


def earlier(cell: Cell = CELL, cost: float | None = 0.01, source: str | None = None, **tasks: str) -> EarlierRun:
    attempts = [
        EarlierAttempt(cell, name, letter == "p", cost, ONE_OF_TEN, source) for name in tasks for letter in tasks[name]
    ]
    return EarlierRun("the run of yesterday", tuple(attempts))


OLD = Cell("openai/gpt-old", "react")


def now(**tasks: str) -> list[TaskRecord]:
    return [task(letters, name=name) for name, letters in tasks.items()]


def compared(baseline: EarlierRun, records: list[TaskRecord]) -> tuple[Comparison, GateResult]:
    [found] = compare(summarize(records), baseline)
    return found, judge_comparison(found)


def text(found: Comparison) -> str:
    return "\n".join(line.text for line in regression_lines(found, 200))


def test_a_task_that_breaks_is_named_and_fails_the_run() -> None:
    """8/8 to 1/8: the chance of so few is C(8,8) C(8,1) / C(16,9). The other task could not have fallen: all passed."""
    found, result = compared(earlier(a="p" * 8, b="p" * 8), now(a="p" * 8, b="p" + "f" * 7))
    assert result.verdict is Verdict.FAIL
    [regressed] = found.regressed
    assert (regressed.task, regressed.before, regressed.after) == ("b", (8, 8), (8, 1))
    assert regressed.p == pytest.approx(comb(8, 8) * comb(8, 1) / comb(16, 9))
    assert "regressed: b 8/8 to 1/8" in result.reason
    assert text(found).splitlines()[1] == "  2 tasks compared, 1 regressed; each task's p adjusted for 2 tasks"
    assert text(found).count("adjusted") == 1
    assert exit_status(0, gates=[result]).code == 1


def test_no_change_passes() -> None:
    """By symmetry 5 of 11 or fewer in the second half has p = 1/2, as has 2 of 5: 1 - 1/2 * 1/2 for one of the two."""
    found, result = compared(earlier(a="ppppppff", b="ppff"), now(a="pppppfff", b="pppf"))
    assert (result.verdict, found.regressed, found.fell_most) == (Verdict.PASS, (), ())
    assert result.reason.endswith("that is no regression")
    assert (
        "  2 tasks compared, no single task fell beyond chance; "
        "fell within chance: a 6/8 -> 5/8 (p = 0.75); each task's p adjusted for 2 tasks"
    ) in text(found).splitlines()


def test_however_it_ends_the_count_of_compared_tasks_is_told_first() -> None:
    before, none = earlier(a="pppp", b="pppp"), "no single task fell beyond chance"
    for records, told in (
        (now(a="pppp", b="pppp"), f"2 tasks compared, {none}"),
        (now(a="pppp", new="f"), f"1 task compared, {none}"),
        # 3 of 4 after 4 of 4: half of the ways to place one failure in eight attempts; alone it needs no adjustment
        (now(a="pppf"), f"1 task compared, {none}; fell within chance: a 4/4 -> 3/4 (p = 0.5)"),
        (now(new="f"), "no task can be compared"),
    ):
        found, _ = compared(before, records)
        assert text(found).splitlines()[1] == f"  {told}"


def test_cost_and_tool_failures_stand_beside_a_regression() -> None:
    records = [
        task_of(*(attempt("f", n, 0.05, tool_calls=(tool_call("timeout"), tool_call())) for n in range(1, 9)), name="a")
    ]
    found, _ = compared(earlier(a="p" * 8), records)
    assert "regressed: a 8/8 -> 0/8 (p = 7.8e-05), own cost per attempt $0.0100 -> $0.0500" in text(found)
    assert "tool-call failures 10.0% -> 50.0%" in text(found)
    unknown, _ = compared(earlier(a="p" * 8, cost=None), records)
    assert "cost per attempt unknown -> $0.0500" in text(unknown)


def test_a_fall_of_many_that_no_task_shows_by_itself_lists_those_that_fell() -> None:
    names = [f"t{i}" for i in range(12)]
    found, result = compared(earlier(**dict.fromkeys(names, "pppp")), now(**dict.fromkeys(names, "ppff")))
    assert result.verdict is Verdict.FAIL
    assert found.regressed == ()
    assert len(found.fell_most) == 10
    assert "fell, though not beyond chance by itself: t0 4/4 -> 2/4" in text(found)
    assert "12 tasks compared, no single task fell beyond chance, but all together did; each task's p" in text(found)


def test_added_removed_changed_and_silent_tasks_are_listed_and_not_compared() -> None:
    records = [
        *now(same="ff", added="ff", silent="ee"),
        task("ff", name="changed", source="new"),
        task("ss", name="skipped"),
    ]
    attempts = earlier(same="ff", silent="pp", removed="pp", skipped="pp").attempts
    attempts += earlier(source="old", changed="pp").attempts
    found, _ = compared(EarlierRun("it", attempts), records)
    assert [change.task for change in found.test.tasks] == ["same"]
    assert (found.changed, found.added, found.removed, found.silent) == (
        ("changed",), ("added",), ("removed",), ("silent",)
    )  # fmt: skip
    for line in ("changed, not compared: changed", "not in the baseline: added", "only in the baseline: removed"):
        assert line in text(found)


def test_an_unknown_source_is_compared() -> None:
    found, _ = compared(earlier(source="old", a="pp"), now(a="pp"))
    assert found.changed == ()


def test_nothing_to_compare_is_undecided() -> None:
    _, result = compared(earlier(a="pp"), now(b="pp"))
    assert (result.verdict, result.cell, result.value, result.threshold, result.reason) == (
        Verdict.UNDECIDED, CELL, "-", "no regression",
        "nothing to judge: no task can be compared with the run of yesterday",
    )  # fmt: skip


@pytest.mark.parametrize(("compared_tasks", "others", "verdict"), [(2, 1, "PASS"), (2, 2, "PASS"), (2, 3, "UNDECIDED")])
def test_no_regression_is_told_while_at_least_half_is_compared(compared_tasks: int, others: int, verdict: str) -> None:
    known = {f"t{i}": "pppp" for i in range(compared_tasks)}
    new = {f"n{i}": "pppp" for i in range(others)}
    _, result = compared(earlier(**known), now(**known, **new))
    assert result.verdict == verdict
    assert ("not compared, which is most of them" in result.reason) is (verdict == "UNDECIDED")


def test_a_regression_is_one_however_many_tasks_are_not_compared() -> None:
    _, result = compared(earlier(a="p" * 8), now(a="f" * 8, b="p", c="p", d="p"))
    assert result.verdict is Verdict.FAIL


def test_missing_attempts_turn_no_regression_into_none() -> None:
    _, result = compared(earlier(a="p" * 8), now(a="p" * 2 + "e" * 6))
    assert result.verdict is Verdict.UNDECIDED
    assert "depends on attempts that were not measured" in result.reason
    _, result = compared(earlier(a="p" * 8), now(a="f" * 7 + "e"))
    assert result.verdict is Verdict.FAIL


def test_a_cell_is_held_against_itself_and_one_that_the_baseline_lacks_is_new() -> None:
    both = [task("ffffffff", name="a"), task("pppppppp", name="a", cell=OTHER)]
    runs = earlier(a="f" * 8).attempts + earlier(OTHER, a="p" * 8).attempts
    found = compare(summarize(both), EarlierRun("both", runs))
    assert [result.verdict for result in judge_comparisons(found)] == [Verdict.PASS, Verdict.PASS]
    assert [(each.new, each.other) for each in found] == [(False, None), (False, None)]
    found = compare(summarize(both), earlier(OTHER, a="p" * 8))
    assert [each.new for each in found] == [True, False]
    assert [result.cell for result in judge_comparisons(found)] == [OTHER]
    assert "new: this cell is not in the baseline" in text(found[0])


def test_where_all_cells_are_new_the_gate_has_nothing_to_judge() -> None:
    found, result = compared(earlier(OLD, a="p" * 8), now(a="f" * 8))
    assert found.new
    assert judge_comparisons([found]) == (result,)
    assert result.verdict is Verdict.UNDECIDED
    assert "not in the run of yesterday: --agent-baseline-cell names another" in result.reason


@pytest.mark.parametrize(
    ("beside", "other"),
    [
        (ThatCell(OLD.model), OLD),
        (ThatCell(OLD.model, "react"), OLD),
        (ThatCell(OTHER.model, "plan"), Cell(OTHER.model, "plan")),
        (ThatCell(OLD.model, "plan"), None),
        (ThatCell(OTHER.model), None),  # which of its two scaffolds?
        (nearest_cell, None),
    ],
)
def test_another_cell_is_compared_where_the_user_names_it(beside: Counterpart, other: Cell | None) -> None:
    runs = [earlier(cell, a="p" * 8) for cell in (OLD, OTHER, Cell(OTHER.model, "plan"))]
    before = EarlierRun("all", tuple(attempt for run in runs for attempt in run.attempts))
    [one] = compare(summarize(now(a="f" * 8)), before, beside)
    assert (one.other, one.new) == (other, other is None)
    assert judge_comparison(one).verdict is (Verdict.UNDECIDED if other is None else Verdict.FAIL)
    [same] = compare(summarize([task("pppppppp", name="a", cell=OTHER)]), before, beside)
    assert same.other is None
    assert not same.new


def test_two_runs_that_were_both_named_are_held_against_each_other() -> None:
    [one] = compare(summarize(now(a="f" * 8)), earlier(OLD, a="p" * 8), nearest_cell)
    assert one.other == OLD
    assert judge_comparison(one).verdict is Verdict.FAIL
    assert "of openai/gpt-old · react" in text(one)


@pytest.mark.parametrize("after", ["p" * 8, "f" * 8])
def test_a_baseline_of_which_most_tasks_are_gone_settles_nothing_either_way(after: str) -> None:
    before = earlier(a="p" * 8, b="p" * 8, c="p" * 8)
    found, result = compared(before, now(a=after))
    assert found.removed == ("b", "c")
    assert result.verdict is Verdict.UNDECIDED
    assert "; 2 of the 3 tasks of the baseline are gone" in result.reason
    _, half = compared(earlier(a="p" * 8, b="p" * 8), now(a=after))
    assert half.verdict is (Verdict.PASS if after[0] == "p" else Verdict.FAIL)


def test_tasks_of_other_shards_are_not_gone() -> None:
    before = earlier(a="p" * 8, b="p" * 8, c="p" * 8)
    [found] = compare(summarize(now(a="p" * 8)), before, elsewhere={"b", "c"})
    assert (found.removed, judge_comparison(found).verdict) == ((), Verdict.PASS)


def test_a_task_is_the_same_whether_or_not_its_node_id_names_the_cell() -> None:
    records = [task("f" * 8, name=f"t.py::test_it[{CELL.model}-3]"), task("p" * 8, name=f"t.py::test_a[{CELL.model}]")]
    before = {"t.py::test_it[3]": "p" * 8, "t.py::test_a": "p" * 8}
    found, result = compared(earlier(**before), records)
    assert (found.added, found.removed, result.verdict) == ((), (), Verdict.FAIL)
    assert [each.task for each in found.regressed] == ["t.py::test_it[3]"]
