from __future__ import annotations

from typing import Any

import pytest
from support.made_records import CELL, OTHER, attempt, model_call, retry, task, task_of, tool_call

from pytest_agenteval.estimate.run import CellSummary, summarize
from pytest_agenteval.estimate.stats.estimators import SuiteEstimate
from pytest_agenteval.estimate.task import bug_hint, summarize_task
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.record.tool_calls import ToolCallFailures, ToolCalls

# Of tau-bench's 50 airline tasks in 4 trials of gpt-4o: how many tasks have how many passes.
TAU_AIRLINE_PASSES = {0: 14, 1: 12, 2: 10, 3: 4, 4: 10}
TAU_AIRLINE_PUBLISHED = (0.420, 0.273, 0.220, 0.200)


def cell_of(*records: Any) -> CellSummary:
    (cell,) = summarize(records).cells
    return cell


def test_a_task_that_passes_five_of_eight() -> None:
    summary = summarize_task(task("ppfpfppl"))
    assert (summary.passes, summary.n, summary.k) == (5, 8, 8)
    assert summary.pass_at_1 == 0.625
    assert summary.pass_hat_k == 0.0
    assert summary.mixed
    assert not summary.reliable


def test_too_few_attempts_give_no_pass_hat_k_and_not_zero() -> None:
    summary = summarize_task(task("pppepppp"))
    assert (summary.passes, summary.n) == (7, 7)
    assert summary.pass_at_1 == 1.0
    assert summary.pass_hat_k is None
    assert not summary.reliable
    assert not summary.mixed


def test_without_an_attempt_that_counts_nothing_is_estimated() -> None:
    summary = summarize_task(task("eee"))
    assert (summary.n, summary.pass_at_1, summary.pass_hat_k) == (0, None, None)
    assert summary.cost_per_attempt is None
    cell = cell_of(task("eee"))
    assert (cell.pass_at_1.value, cell.pass_hat_k.value, cell.gap) == (None, None, None)
    assert (cell.cost_per_success, cell.cost_per_reliable_task) == (None, None)


def test_missing_attempts_are_named_with_their_reason_and_broken_ones_are_not_missing() -> None:
    summary = summarize_task(task("pebn", k=6))
    assert [(each.number, each.outcome, each.cause) for each in summary.missing] == [
        (2, Outcome.ENVIRONMENT_ERROR, Cause.SANDBOX),
        (4, Outcome.NOT_RUN, Cause.BUDGET),
        (5, Outcome.NOT_RUN, None),
        (6, Outcome.NOT_RUN, None),
    ]
    assert summary.broken == (3,)
    assert summary.unmeasured == 5


def test_attempts_left_out_because_all_is_decided_are_not_missing_and_not_measured() -> None:
    decided = [attempt("n", number, cause=Cause.DECIDED) for number in (2, 3)]
    record = task_of(attempt("f"), *decided)
    summary = summarize_task(record)
    assert (summary.missing, summary.decided, summary.unmeasured) == ((), 2, 2)
    assert summarize([record]).incomplete == ()


def test_a_skipped_task_is_counted_and_in_no_estimate() -> None:
    cell = cell_of(task("ssss", name="t.py::test_skipped"), task("ppff"))
    assert (cell.skipped, cell.attempts, cell.missing, cell.unmeasured) == (1, 4, 0, 0)
    assert cell.pass_at_1 == SuiteEstimate(0.5, 1, 0)
    assert summarize([task("ssss")]).evaluated == 0


def test_tool_call_failures_by_tool_and_type_with_non_zero_exits_apart() -> None:
    calls = (
        tool_call(),
        tool_call(exit_code=0),
        tool_call(exit_code=1),
        tool_call(exit_code=127),
        tool_call("timeout", exit_code=124),
        tool_call("timeout"),
        tool_call("parsing", tool="python"),
    )
    summary = summarize_task(task_of(attempt("f", tool_calls=calls), attempt("p", 2, tool_calls=calls[:1])))
    failures = (ToolCallFailures("bash", "timeout", 2), ToolCallFailures("python", "parsing", 1))
    assert summary.tool_calls == ToolCalls(8, failures, nonzero_exits=2)
    assert (summary.tool_calls.failed, summary.tool_calls.rate) == (3, 3 / 8)


def test_tool_calls_of_tries_that_an_environment_error_ended_say_nothing_about_the_agent() -> None:
    lost = (tool_call("sandbox_unavailable"),)
    summary = summarize_task(
        task_of(
            attempt("p", tool_calls=(tool_call(),), retries=(retry(tool_calls=lost),)),
            attempt("e", 2, tool_calls=lost),
            attempt("b", 3, tool_calls=lost),
        )
    )
    assert summary.tool_calls == ToolCalls(1)


def test_environment_errors_are_counted_by_tries() -> None:
    summary = summarize_task(
        task_of(
            attempt("p", retries=(retry(), retry())),
            attempt("e", 2, retries=(retry(), retry())),
            attempt("p", 3),
            attempt("n", 4),
            attempt("b", 5),
        )
    )
    errors = summary.environment_errors
    assert (errors.retried, errors.stayed, errors.tries) == (4, 1, 8)
    assert errors.rate == 0.625


def test_the_rate_of_environment_errors_is_unknown_where_nothing_ran() -> None:
    assert summarize_task(task("nn")).environment_errors.rate is None


def test_costs_of_a_cell_by_hand() -> None:
    cell = cell_of(
        task("pp", name="t.py::test_a", cost=0.10),
        task("pf", name="t.py::test_b", cost=0.20),
        task_of(attempt("f", cost=0.05, retries=(retry(0.15),)), attempt("e", 2, cost=0.20), name="t.py::test_c"),
    )
    # 0.10 + 0.10, 0.20 + 0.20, 0.05 + 0.15 + 0.20
    assert cell.cost.total == pytest.approx(1.00)
    assert cell.own_cost.total == pytest.approx(0.65)
    assert cell.cost_per_attempt is not None
    assert cell.cost_per_attempt.total == pytest.approx(0.20)
    assert cell.cost_per_success is not None
    assert cell.cost_per_success.total == pytest.approx(1 / 3)
    assert cell.cost_per_reliable_task is not None
    assert cell.cost_per_reliable_task.total == pytest.approx(1.00)


def test_one_unpriced_call_makes_every_cost_above_it_unknown() -> None:
    cell = cell_of(task("p", name="t.py::test_a", cost=0.5), task("p", name="t.py::test_b", cost=None))
    assert cell.cost == Cost(priced=0.5, unpriced_calls=1)
    assert cell.cost.total is None
    assert cell.cost.at_most is None
    assert cell.cost_per_success is not None
    assert cell.cost_per_success.total is None


def test_nothing_spent_is_known_to_be_nothing() -> None:
    assert cell_of(task("nn")).cost.total == 0.0


def test_a_lost_call_makes_a_cost_a_lower_bound() -> None:
    reserved = cell_of(task_of(attempt("p", cost=0.5, lost_calls=1, lost_cost=0.25), attempt("p", 2, cost=0.5)))
    assert reserved.cost.total == 1.0
    assert reserved.cost.at_most == 1.25
    assert not reserved.cost.exact
    assert reserved.cost_per_attempt == Cost(0.5, 0, 1, 0.125)
    without_budget = cell_of(task_of(attempt("p", cost=0.5, retries=(retry(0.25, lost_calls=2),))))
    assert without_budget.cost == Cost(0.75, 0, 2, None)
    assert without_budget.cost.at_most is None


def test_pass_at_1_beside_pass_hat_k_with_gap_and_curve() -> None:
    cell = cell_of(task("pppp", name="t.py::test_a"), task("ppff", name="t.py::test_b"))
    assert cell.pass_at_1 == SuiteEstimate(0.75, 2, 0)
    assert cell.pass_hat_k == SuiteEstimate(0.5, 2, 0)
    assert cell.gap == 0.25
    # test_b: C(2, j) / C(4, j) = 2/4, 1/6, 0, 0
    assert [point.value for point in cell.curve] == [0.75, pytest.approx(7 / 12), 0.5, 0.5]
    assert (cell.passes, cell.attempts, cell.reliable) == (6, 8, 1)


def test_the_gap_compares_the_same_tasks() -> None:
    cell = cell_of(task("pppp", name="t.py::test_a"), task("fffe", name="t.py::test_b"))
    assert cell.pass_at_1 == SuiteEstimate(0.5, 2, 0)
    assert cell.pass_hat_k == SuiteEstimate(1.0, 1, 1)
    assert cell.gap == 0.0
    assert [point.tasks_used for point in cell.curve] == [2, 2, 2, 1]
    # test_b fails all its three attempts; pass^4 is of test_a alone, and a curve must not rise
    assert [point.value for point in cell.curve] == [0.5, 0.5, 0.5, None]


def test_worst_and_best_case_over_everything_that_was_not_measured() -> None:
    cell = cell_of(task("pppe", name="t.py::test_a"), task("ppbb", name="t.py::test_b"))
    assert (cell.pass_at_1_range.worst, cell.pass_at_1_range.best) == (0.625, 1.0)
    assert (cell.pass_hat_k_range.worst, cell.pass_hat_k_range.best) == (0.0, 1.0)
    assert (cell.missing, cell.broken, cell.unmeasured, cell.not_run) == (1, 2, 3, 0)


def test_a_task_with_fewer_attempts_asked_for_leaves_pass_hat_k_open() -> None:
    cell = cell_of(task("pppp", name="t.py::test_a"), task("pp", name="t.py::test_b"))
    assert cell.k == 4
    assert cell.pass_hat_k == SuiteEstimate(1.0, 1, 1)
    assert (cell.pass_hat_k_range.worst, cell.pass_hat_k_range.best) == (0.5, 1.0)
    assert (cell.pass_at_1_range.worst, cell.pass_at_1_range.best) == (1.0, 1.0)


def test_cells_are_never_mixed() -> None:
    run = summarize([task("pp"), task("ff", cell=OTHER), task("pf", name="t.py::test_b")])
    assert [cell.cell for cell in run.cells] == [CELL, OTHER]
    assert [cell.pass_at_1.value for cell in run.cells] == [0.75, 0.0]
    assert run.evaluated == 3


def test_why_a_run_is_incomplete() -> None:
    run = summarize([task("pnn", name="t.py::test_a"), task("pc", name="t.py::test_b"), task("p", k=2), task("e")])
    assert run.incomplete == (
        "the run's budget could not pay for 2 attempts",
        "1 attempt was cancelled",
        "1 attempt did not run",
    )
    assert run.budget_stopped == 2
    assert summarize([task("pe"), task("ssss")]).incomplete == ()


def failed(
    number: int, exception: str | None = "KeyError", where: str | None = "t.py:12", **fields: Any
) -> AttemptRecord:
    return attempt("f", number, exception=exception, where=where, **fields)


def test_the_same_exception_on_the_same_line_in_every_attempt_looks_like_a_bug_in_the_test() -> None:
    assert bug_hint(task_of(failed(1), failed(2), attempt("e", 3))) == (
        "looks like a bug in the test: KeyError at t.py:12 in every attempt"
    )


@pytest.mark.parametrize(
    "attempts",
    [
        (failed(1), attempt("p", 2)),
        (failed(1), failed(2, where="t.py:13")),
        (failed(1), failed(2, exception="ValueError")),
        (failed(1), failed(2, where=None)),
        (failed(1, where=None), failed(2, where=None)),
        (failed(1, exception="AssertionError"), failed(2, exception="AssertionError")),
        (failed(1, exception="Failed"), failed(2, exception="Failed")),
        (failed(1, cause=Cause.SANDBOX_EXHAUSTED), failed(2, cause=Cause.SANDBOX_EXHAUSTED)),
        (failed(1), attempt("l", 2, exception="KeyError", where="t.py:12")),
        (failed(1),),
        (),
    ],
)
def test_anything_less_does_not(attempts: tuple[AttemptRecord, ...]) -> None:
    assert bug_hint(task_of(*attempts, k=2)) is None


def test_tau_bench_airline_through_the_records_gives_the_published_curve() -> None:
    records = []
    for passes, tasks in TAU_AIRLINE_PASSES.items():
        for number in range(tasks):
            records.append(task("p" * passes + "f" * (4 - passes), name=f"t.py::test_{passes}_{number}"))
    cell = cell_of(*records)
    assert len(cell.tasks) == 50
    assert [round(point.value or 0.0, 3) for point in cell.curve] == list(TAU_AIRLINE_PUBLISHED)
    assert cell.pass_at_1.value == cell.curve[0].value
    assert cell.pass_hat_k.value == cell.curve[3].value


def test_one_cost_is_not_counted_twice_when_an_attempt_is_repeated() -> None:
    record = task_of(AttemptRecord(1, Outcome.PASSED, model_calls=(model_call(0.5),), retries=(retry(0.25),)))
    summary = summarize_task(record)
    assert (summary.cost.total, summary.own_cost.total, record.cost) == (0.75, 0.5, 0.75)
