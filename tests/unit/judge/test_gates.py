from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_records import CELL, OTHER, attempt, model_call, retry, task, task_of, tool_call

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateResult, GateSettings, Verdict, judge
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import AttemptRecord, ModelCall, TaskRecord

PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED


def results(*records: TaskRecord, **thresholds: Any) -> tuple[GateResult, ...]:
    return judge(summarize(records), GateSettings(**thresholds))


def only(name: str, *records: TaskRecord, **thresholds: Any) -> GateResult:
    (result,) = [result for result in results(*records, **thresholds) if result.name == name]
    return result


def verdicts(*records: TaskRecord, **thresholds: Any) -> dict[str, Verdict]:
    return {result.task: result.verdict for result in results(*records, **thresholds) if result.task is not None}


# 0.1 * 3 is a little above 0.3, 0.7 * 10 a little below 7: neither may tip a verdict.
@pytest.mark.parametrize("tenths", range(11))
def test_a_pass_rate_of_exactly_the_threshold_passes_and_one_attempt_less_fails(tenths: int) -> None:
    threshold = tenths / 10
    records = [task("p" * tenths + "f" * (10 - tenths))]
    assert only("--min-pass-at-1", *records, min_pass_at_1=threshold).verdict is PASS
    assert verdicts(task("p" * tenths + "f" * (10 - tenths), min_pass_rate=threshold)) == {"t.py::test_it": PASS}
    if tenths:
        less = "p" * (tenths - 1) + "f" * (11 - tenths)
        assert only("--min-pass-at-1", task(less), min_pass_at_1=threshold).verdict is FAIL
        assert verdicts(task(less, min_pass_rate=threshold)) == {"t.py::test_it": FAIL}


def test_pass_at_1_is_the_average_over_tasks_and_passes_at_its_own_value() -> None:
    records = [task("pff", name="a"), task("ppf", name="b"), task("ppppfff", name="c")]
    exact = (Fraction(1, 3) + Fraction(2, 3) + Fraction(4, 7)) / 3
    assert only("--min-pass-at-1", *records, min_pass_at_1=float(exact)).verdict is PASS
    assert only("--min-pass-at-1", *records, min_pass_at_1=float(exact) + 1e-9).verdict is FAIL


def test_pass_hat_k_is_the_share_of_tasks_that_pass_all_k() -> None:
    records = [task("pp", name="a"), task("pp", name="b"), task("pf", name="c"), task("ff", name="d")]
    result = only("--min-pass-k", *records, min_pass_k=0.5)
    assert (result.verdict, result.value, result.threshold) == (PASS, "0.500", "at least 0.5")
    assert result.reason == "pass^2 is 0.500; at least 0.5 was asked for"
    assert only("--min-pass-k", *records, min_pass_k=0.51).verdict is FAIL


def test_a_value_is_shown_with_enough_digits_to_differ_from_the_threshold() -> None:
    result = only("--min-pass-at-1", task("ppf"), min_pass_at_1=0.6667)
    assert (result.verdict, result.value) == (FAIL, "0.66667")


@pytest.mark.parametrize("unmeasured", ["e", "n", "c", "b"])
@pytest.mark.parametrize(("threshold", "verdict"), [(0.5, PASS), (0.51, UNDECIDED), (1.0, UNDECIDED)])
def test_attempts_that_were_not_measured_are_neither_dropped_nor_guessed(
    unmeasured: str, threshold: float, verdict: Verdict
) -> None:
    records = [task("pp", name="a"), task("p" + unmeasured, name="b")]
    assert only("--min-pass-k", *records, min_pass_k=threshold).verdict is verdict


def test_where_worst_and_best_case_agree_missing_attempts_do_not_matter() -> None:
    records = [task("pp", name="a"), task("fe", name="b")]
    assert only("--min-pass-k", *records, min_pass_k=0.51).verdict is FAIL
    result = only("--min-pass-at-1", *records, min_pass_at_1=0.6)
    assert (result.verdict, result.value) == (UNDECIDED, "0.500 to 0.750")
    assert result.reason == (
        "pass@1 lies between 0.500 and 0.750, because 1 attempt was not measured; at least 0.6 was asked for"
    )


def test_attempts_without_any_record_are_missing_too() -> None:
    assert only("--min-pass-k", task("pp", k=4), min_pass_k=0.5).verdict is UNDECIDED


@given(
    st.lists(st.text("pflebn", min_size=3, max_size=3), min_size=1, max_size=3),
    st.integers(0, 12),
)
def test_a_verdict_stands_whatever_the_unmeasured_attempts_would_have_shown(tasks: list[str], twelfths: int) -> None:
    threshold = twelfths / 12
    records = [task(letters, name=f"t.py::test_{i}") for i, letters in enumerate(tasks)]
    if not summarize(records).evaluated:
        return
    found = {r.name: r.verdict for r in results(*records, min_pass_at_1=threshold, min_pass_k=threshold)}
    possible: dict[str, set[bool]] = {"--min-pass-at-1": set(), "--min-pass-k": set()}
    for filled in product(*(product(*("pf" if a in "ebn" else a for a in letters)) for letters in tasks)):
        passes = [sum(a == "p" for a in attempts) for attempts in filled]
        at_1 = Fraction(sum(passes), 3 * len(tasks))
        all_k = Fraction(sum(c == 3 for c in passes), len(tasks))
        possible["--min-pass-at-1"].add(at_1 >= Fraction(twelfths, 12))
        possible["--min-pass-k"].add(all_k >= Fraction(twelfths, 12))
    for name, answers in possible.items():
        expected = UNDECIDED if len(answers) == 2 else PASS if True in answers else FAIL
        assert found[name] is expected


def test_a_task_is_held_to_all_k_attempts() -> None:
    records = [task("ppp", name="a"), task("ppf", name="b"), task("ppe", name="c"), task("pfe", name="d")]
    assert verdicts(*records) == {"a": PASS, "b": FAIL, "c": UNDECIDED, "d": FAIL}


def test_a_task_without_an_attempt_that_counts_is_undecided_even_for_a_rate_of_zero() -> None:
    assert verdicts(task("eee", name="a"), task("bbb", name="b", min_pass_rate=0.0)) == {"a": UNDECIDED, "b": UNDECIDED}


@pytest.mark.parametrize("gate", [{"min_pass_at_1": 0.1}, {"min_pass_k": 0.1}])
def test_a_suite_gate_leaves_tasks_without_a_rate_of_their_own_unjudged(gate: dict[str, float]) -> None:
    records = [task("ppf", name="a"), task("ppf", name="b", min_pass_rate=0.9), task("ppp", name="c")]
    assert verdicts(*records, **gate) == {"b": FAIL}


@pytest.mark.parametrize("gate", [{"max_cost": 5.0}, {"max_cost_per_attempt": 5.0}, {"max_tool_failure_rate": 0.5}])
def test_no_other_gate_does(gate: dict[str, float]) -> None:
    assert verdicts(task("ppf"), **gate) == {"t.py::test_it": FAIL}


def test_reasons_of_a_judged_task() -> None:
    reasons = [
        result.reason
        for result in results(
            task("ppf", name="a"), task("ppe", name="b", min_pass_rate=0.9), task("ee", name="c", min_pass_rate=0.5)
        )
        if result.task is not None
    ]
    assert reasons == [
        "2 of 3 attempts passed; all were asked for",
        "2 of 3 attempts passed, 1 was not measured; a share of 0.9 was asked for",
        "none of 2 attempts could be evaluated",
    ]


def decided(letters: str, k: int, name: str, rate: float | None = None) -> TaskRecord:
    ran = [attempt(letter, n) for n, letter in enumerate(letters, 1)]
    rest = [attempt("n", n, cause=Cause.DECIDED) for n in range(len(letters) + 1, k + 1)]
    return task_of(*ran, *rest, name=name, min_pass_rate=rate)


def test_reasons_of_a_judged_task_that_was_decided() -> None:
    records = [decided("ppf", 4, "a"), decided("f", 4, "b"), decided("pp", 4, "c", 0.5), decided("fe", 4, "d")]
    found = {result.task: result for result in results(*records)}
    assert [(found[task].verdict, found[task].reason) for task in "abcd"] == [
        (FAIL, "2 of 3 attempts passed, which decided the other 1; all were asked for"),
        (FAIL, "0 of 1 attempt passed, which decided the other 3; all were asked for"),
        (PASS, "2 of 2 attempts passed, which decided the other 2; a share of 0.5 was asked for"),
        (FAIL, "0 of 1 attempt passed, 1 was not measured, which decided the other 2; all were asked for"),
    ]


ALL = {
    "min_pass_at_1": 0.0,
    "min_pass_k": 0.0,
    "max_cost": 100.0,
    "max_cost_per_attempt": 100.0,
    "max_tool_failure_rate": 1.0,
}


@pytest.mark.parametrize("letters", [None, "s", "e", "ee", "n", "b", "bb"])
def test_without_an_evaluated_task_no_gate_is_green_whatever_its_threshold(letters: str | None) -> None:
    records = [] if letters is None else [task(letters)]
    found = [r for r in results(*records, **ALL) if r.name != "--agent-max-env-error-rate"]
    assert len([r for r in found if r.task is None]) == len(ALL)
    assert {r.verdict for r in found} == {UNDECIDED}


def test_one_cell_without_an_evaluated_task_keeps_the_run_from_being_green() -> None:
    measured = task_of(attempt("p", tool_calls=(tool_call(),)))
    found = results(measured, task("e", cell=OTHER), **ALL)
    assert {result.verdict for result in found if result.cell == CELL} == {PASS}
    assert {result.verdict for result in found if result.cell == OTHER} == {UNDECIDED}


def test_without_any_gate_asked_for_an_empty_run_has_none() -> None:
    assert results() == ()
    assert results(task("s")) == ()


def test_a_skipped_task_is_in_no_gate() -> None:
    found = results(task("ss", name="a"), task("pp", name="b"), min_pass_k=1.0)
    assert [(r.name, r.verdict) for r in found] == [("--min-pass-k", PASS), ("--agent-max-env-error-rate", PASS)]


def test_gates_are_judged_cell_by_cell() -> None:
    found = results(task("pp"), task("ff", cell=OTHER), min_pass_at_1=0.5)
    gates = [(r.cell, r.verdict) for r in found if r.name == "--min-pass-at-1"]
    assert gates == [(CELL, PASS), (OTHER, FAIL)]


COST = "--agent-max-cost-per-attempt"


def test_cost_per_attempt_is_judged_on_the_mean_and_exactly_at_the_boundary() -> None:
    records = [task_of(attempt("p", cost=0.1), attempt("f", 2, cost=0.2), attempt("l", 3, cost=0.3))]
    at = only(COST, *records, max_cost_per_attempt=0.2)
    assert (at.verdict, at.value, at.threshold) == (PASS, "$0.200", "at most $0.2")
    assert only(COST, *records, max_cost_per_attempt=0.1999).verdict is FAIL


def test_sums_of_floats_do_not_tip_the_cost_gate() -> None:
    noisy = [0.1, 0.2]
    assert sum(noisy) > 0.3
    records = [task_of(*(attempt("p", i, cost=cost) for i, cost in enumerate(noisy, 1)))]
    assert only(COST, *records, max_cost_per_attempt=0.15).verdict is PASS


def test_an_unpriced_call_leaves_the_cost_gate_undecided() -> None:
    result = only(COST, task_of(attempt("p", cost=0.1), attempt("p", 2, cost=None)), max_cost_per_attempt=0.1)
    assert (result.verdict, result.value) == (UNDECIDED, "≥ $0.0500")
    assert "1 model call has no known price: give one with --agent-prices" in result.reason


def test_an_answer_without_usage_leaves_the_cost_gates_undecided_unless_a_budget_bounds_it() -> None:
    def uncounted(at_most: float | None) -> AttemptRecord:
        silent = ModelCall("m", "agent", None, None, cost_at_most=at_most)
        return attempt("p", model_calls=(model_call(0.1), silent))

    unbounded = task_of(uncounted(None))
    result = only(COST, unbounded, max_cost_per_attempt=0.5)
    assert (result.verdict, result.value) == (UNDECIDED, "≥ $0.100")
    assert "1 model call answered without saying how many tokens they took" in result.reason
    assert "--agent-prices" not in result.reason
    assert only(COST, unbounded, max_cost_per_attempt=0.05).verdict is FAIL
    assert only("--max-cost", unbounded, max_cost=5.0).verdict is UNDECIDED
    bounded = task_of(uncounted(0.3))
    assert only(COST, bounded, max_cost_per_attempt=0.4).verdict is PASS
    assert only(COST, bounded, max_cost_per_attempt=0.3).verdict is UNDECIDED
    run = only("--max-cost", bounded, max_cost=5.0)
    assert (run.verdict, run.value) == (PASS, "at most $0.400")


def test_what_is_priced_can_already_be_too_much() -> None:
    records = [task_of(attempt("p", cost=0.5), attempt("p", 2, cost=None))]
    assert only(COST, *records, max_cost_per_attempt=0.1).verdict is FAIL


def test_what_environment_errors_cost_neither_fails_the_cost_gate_nor_is_left_out_of_a_pass() -> None:
    records = [task_of(attempt("p", cost=0.1, retries=(retry(0.1),)), attempt("e", 2, cost=0.1))]
    result = only(COST, *records, max_cost_per_attempt=0.2)
    assert (result.verdict, result.value) == (UNDECIDED, "$0.100 to $0.300")
    assert only(COST, *records, max_cost_per_attempt=0.3).verdict is PASS
    assert only(COST, *records, max_cost_per_attempt=0.09).verdict is FAIL


def test_a_lost_call_counts_with_what_was_reserved_for_it() -> None:
    records = [task_of(attempt("f", cost=0.1, lost_calls=1, lost_cost=0.1))]
    assert only(COST, *records, max_cost_per_attempt=0.2).verdict is PASS
    assert only(COST, *records, max_cost_per_attempt=0.15).verdict is UNDECIDED
    nothing_reserved = only(COST, task_of(attempt("f", cost=0.1, lost_calls=1)), max_cost_per_attempt=100.0)
    assert nothing_reserved.verdict is UNDECIDED
    assert "--max-cost puts a bound" in nothing_reserved.reason


TOOLS = "--agent-max-tool-failure-rate"


def test_tool_call_failures_fail_above_their_rate_and_not_at_it() -> None:
    calls = (tool_call("timeout"), *(tool_call(exit_code=1) for _ in range(9)))
    records = [task_of(attempt("p", tool_calls=calls))]
    at = only(TOOLS, *records, max_tool_failure_rate=0.1)
    assert (at.verdict, at.value, at.reason) == (PASS, "0.100", "1 of 10 tool calls failed; at most 0.1 was allowed")
    assert only(TOOLS, *records, max_tool_failure_rate=0.09).verdict is FAIL
    assert only(TOOLS, *records, max_tool_failure_rate=0.0).verdict is FAIL


def test_without_a_tool_call_nothing_is_said_about_their_failures() -> None:
    assert only(TOOLS, task("p"), max_tool_failure_rate=1.0).verdict is UNDECIDED


ENVIRONMENT = "--agent-max-env-error-rate"


@pytest.mark.parametrize(("tries", "verdict"), [(20, PASS), (19, UNDECIDED), (1, UNDECIDED)])
def test_environment_errors_above_their_rate_leave_a_cell_undecided(tries: int, verdict: Verdict) -> None:
    # One repeated try, and with it as many tries as stated or, for 1, none but an error.
    attempts = [attempt("p", 1, retries=(retry(),)), *(attempt("p", i) for i in range(2, tries))]
    records = [task_of(*attempts)] if tries > 1 else [task("e")]
    assert only(ENVIRONMENT, *records).verdict is verdict


@given(
    st.lists(st.text("pebnc", min_size=1, max_size=4), max_size=4),
    st.sampled_from(
        [{}, {"min_pass_k": 0.5}, {"max_tool_failure_rate": 0.0, "max_cost": 1.0}, ALL | {"min_pass_k": 1.0}]
    ),
)
def test_no_gate_fails_on_infrastructure_and_broken_tests_alone(tasks: list[str], gates: dict[str, float]) -> None:
    records = [task(letters, name=f"t.py::test_{i}", cost=0.0) for i, letters in enumerate(tasks)]
    assert FAIL not in {result.verdict for result in results(*records, **gates)}


BUDGET = "--max-cost"


def test_a_budget_that_sufficed() -> None:
    result = only(BUDGET, task("pp", cost=0.5), max_cost=1.0)
    assert (result.verdict, result.cell, result.value) == (PASS, None, "$1.00")


def test_a_spent_budget_is_incomplete_and_never_a_verdict_on_the_agent() -> None:
    result = only(BUDGET, task("ppnn", cost=0.5), max_cost=1.0)
    assert result.verdict is UNDECIDED
    assert result.reason == (
        "INCOMPLETE: $1.00 of the budget of $1 was spent, and the next model call of 2 attempts might have cost more "
        "than what was left: raise --max-cost, or bound what a call may cost with --agent-generate=max_tokens=N"
    )


def test_a_budget_too_small_for_the_first_call_was_not_spent() -> None:
    result = only(BUDGET, task("nnn"), max_cost=0.05)
    assert (result.verdict, result.value) == (UNDECIDED, "$0")
    assert result.reason.startswith("INCOMPLETE: $0 of the budget of $0.05 was spent, and the next model call of 3 ")


def test_what_lost_calls_may_have_cost_is_no_spent_budget_and_is_told() -> None:
    record = task_of(attempt("p", cost=0.5, lost_calls=2, lost_cost=0.25), attempt("n", 2))
    reason = only(BUDGET, record, max_cost=1.0).reason
    assert "≥ $0.500 of the budget of $1 was spent, 2 calls without an answer aside, and the next" in reason


def test_a_budget_that_was_overshot_does_not_pass() -> None:
    result = only(BUDGET, task("pp", cost=0.5004), max_cost=1.0)
    assert (result.verdict, result.value) == (UNDECIDED, "$1.001")


def test_a_budget_is_not_kept_by_calls_of_unknown_price() -> None:
    assert only(BUDGET, task("pp", cost=None), max_cost=1.0).verdict is UNDECIDED


def test_calls_that_were_lost_show_in_the_budget() -> None:
    record = task_of(attempt("p", cost=0.5, lost_calls=1, lost_cost=0.25))
    result = only(BUDGET, record, max_cost=1.0)
    assert (result.verdict, result.value) == (PASS, "≥ $0.500")
