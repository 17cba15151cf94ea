"""Gates about the truth. Bounds by hand: all of n passing shows n / (n + 1.6449^2) by Wilson, 0.05^(1/n) exactly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta
from statsmodels.stats.proportion import proportion_confint
from support.made_records import task

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateResult, GateSettings, Verdict, judge
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.judge.passable import why_never
from pytest_agenteval.record.records import TaskRecord

PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED


def only(name: str, *records: TaskRecord, **asked: Any) -> GateResult:
    results = judge(summarize(records), GateSettings(**({"confidence": 0.95} | asked)))
    (result,) = [result for result in results if result.name == name]
    return result


def own(letters: str, rate: float, **asked: Any) -> Verdict:
    return only("min_pass_rate", task(letters, min_pass_rate=rate), **asked).verdict


def test_pass_at_1_has_three_answers() -> None:
    assert only("--min-pass-at-1", task("p" * 20), min_pass_at_1=0.88).verdict is PASS
    assert only("--min-pass-at-1", task("p" * 20), min_pass_at_1=0.89).verdict is UNDECIDED
    assert only("--min-pass-at-1", task("f" * 20), min_pass_at_1=0.12).verdict is FAIL
    assert only("--min-pass-at-1", task("f" * 20), min_pass_at_1=0.11).verdict is UNDECIDED


@given(st.integers(1, 60), st.data(), st.floats(0.01, 0.99), st.sampled_from((0.8, 0.95, 0.99)))
def test_pass_at_1_of_one_task_agrees_with_statsmodels(n: int, data: st.DataObject, asked: float, sure: float) -> None:
    c = data.draw(st.integers(0, n))
    low, high = proportion_confint(c, n, alpha=2 * (1 - sure), method="wilson")
    found = only("--min-pass-at-1", task("p" * c + "f" * (n - c)), min_pass_at_1=asked, confidence=sure).verdict
    if abs(low - asked) > 1e-9 and abs(high - asked) > 1e-9:
        assert found is (PASS if low > asked else FAIL if high < asked else UNDECIDED)


@given(st.integers(1, 60), st.data(), st.floats(0.01, 0.99))
def test_a_tasks_own_gate_agrees_with_scipy(n: int, data: st.DataObject, asked: float) -> None:
    c = data.draw(st.integers(0, n))
    low = beta.ppf(0.05, c, n - c + 1) if c else 0.0
    high = beta.ppf(0.95, c + 1, n - c) if c < n else 1.0
    if abs(low - asked) > 1e-9 and abs(high - asked) > 1e-9:
        expected = PASS if low > asked else FAIL if high < asked else UNDECIDED
        assert own("p" * c + "f" * (n - c), asked) is expected


def test_a_tasks_own_gate_holds_in_the_worst_and_in_the_best_case_of_what_is_missing() -> None:
    """20 passes with 2 attempts missing: 20 of 22 show 0.741, 22 of 22 show 0.05^(1/22) = 0.873."""
    letters = "p" * 20 + "e" * 2
    assert beta.ppf(0.05, 20, 3) == pytest.approx(0.741, abs=0.001)
    assert [own(letters, rate) for rate in (0.74, 0.75, 0.87)] == [PASS, UNDECIDED, UNDECIDED]
    assert own("f" * 20 + "e" * 2, 0.26) is FAIL  # in the best case 2 of 22, which show 1 - 0.741
    assert only("min_pass_rate", task(letters, min_pass_rate=0.74)).value == "20/20"


def test_pass_hat_k_has_three_answers() -> None:
    """Twenty tasks of which ten never fail and ten never pass: pass^8 is near a half, and how near is not known."""
    records = [task("p" * 8, name=f"t{i}") for i in range(10)] + [task("f" * 8, name=f"u{i}") for i in range(10)]
    assert only("--min-pass-k", *records, min_pass_k=0.2).verdict is PASS
    assert only("--min-pass-k", *records, min_pass_k=0.48).verdict is UNDECIDED
    assert only("--min-pass-k", *records, min_pass_k=0.8).verdict is FAIL


@pytest.mark.parametrize(("taken", "verdict"), [("incomplete", UNDECIDED), ("fail", FAIL), ("pass", PASS)])
def test_indecision_counts_as_what_was_asked_for(taken: str, verdict: Verdict) -> None:
    result = only("--min-pass-at-1", task("p" * 20), min_pass_at_1=0.89, undecided=taken)
    assert result.verdict is verdict
    assert ("--agent-undecided" in result.reason) == (taken != "incomplete")
    assert own("pppp", 0.9, undecided=taken) is verdict


@pytest.mark.parametrize("letter", "enbc")
def test_missing_and_broken_attempts_never_count_as_a_pass(letter: str) -> None:
    for asked in (0.5, 0.89):
        result = only("--min-pass-at-1", task("p" * 4 + letter * 16), min_pass_at_1=asked, undecided="pass")
        assert result.verdict is UNDECIDED
    assert own("pppp" + letter, 0.9, undecided="pass") is UNDECIDED
    hat_k = only("--min-pass-k", task("pppp" + letter), min_pass_k=0.5, undecided="pass")
    assert hat_k.verdict is UNDECIDED
    assert only("--min-pass-at-1", task(letter * 4), min_pass_at_1=0.5, undecided="pass").verdict is UNDECIDED


@pytest.mark.parametrize(
    ("letters", "asked", "status"),
    [
        ("p" * 20, {}, 0),  # the attempts leave both sides open, and that counts as a pass
        ("p" * 19 + "n", {"max_cost": 1.0}, 10),  # the budget was spent
        ("p" * 19 + "e", {}, 10),
        ("p" * 20 + "e" * 2, {"min_pass_at_1": 0.1}, 10),  # more environment errors than may be
        ("p" * 19 + "b", {}, 1),  # the test is wrong
        ("f" * 20, {}, 1),  # the truth is below the threshold
    ],
)
def test_only_what_attempts_cannot_tell_apart_counts_as_a_pass(
    letters: str, asked: dict[str, float], status: int
) -> None:
    """20 of 20 shows 0.88 to 1 of pass@1; 0.89 was asked for."""
    gates = GateSettings(**({"confidence": 0.95, "undecided": "pass", "min_pass_at_1": 0.89} | asked))
    assert judge_run([task(letters)], gates).status.code == status


def test_missing_attempts_that_cannot_turn_it_leave_a_verdict() -> None:
    assert only("--min-pass-at-1", task("p" * 19 + "e"), min_pass_at_1=0.5, max_env_error_rate=1.0).verdict is PASS


def test_in_grid_mode_nothing_is_statistical() -> None:
    result = only("--min-pass-at-1", task("ppe"), min_pass_at_1=0.9, confidence=None, undecided="pass")
    assert result.verdict is UNDECIDED


def never(tasks: int, k: int, rate: float | None = None, **asked: Any) -> str | None:
    names = [(f"t.py::t{i}", rate) for i in range(tasks)]
    return why_never(names, k, GateSettings(**({"confidence": 0.95} | asked)))


def test_a_task_that_asks_for_more_than_k_attempts_can_show_is_told_how_many_it_needs() -> None:
    assert never(1, 8, 0.9) == (
        "min_pass_rate 0.9 of t.py::t0 could never pass: 8 of 8 shows only p >= 0.69; this gate needs k >= 29"
    )
    assert never(1, 29, 0.9) is None
    assert never(1, 28, 0.9) is not None
    assert never(1, 8, 0.68) is None
    assert never(1, 1, 0.0) is None


def test_no_number_of_attempts_shows_certainty() -> None:
    default = never(2, 8)
    assert default is not None
    assert "min_pass_rate 1 of t.py::t0 (the default)" in default
    assert "below 1" in default
    assert never(2, 8, min_pass_k=0.1) is None
    assert "ask for less" in (never(2, 1000, min_pass_at_1=1.0) or "")


def test_gates_on_the_suite_are_told_too() -> None:
    """20 of 20 shows 20 / 22.706 = 0.881 of pass@1; 0.95 needs 19 * 2.7055 = 51.4 attempts, 3 at each of 20 tasks."""
    assert never(20, 1, min_pass_at_1=0.88) is None
    assert never(20, 1, min_pass_at_1=0.95) == (
        "--min-pass-at-1=0.95 could never pass: 20 of 20 shows only pass@1 >= 0.88; this gate needs k >= 3"
    )
    assert never(20, 3, min_pass_at_1=0.95) is None
    assert "add tasks" in (never(2, 8, min_pass_k=0.95) or "")
    assert never(50, 8, min_pass_k=0.8) is None


def test_about_the_grid_every_gate_can_pass() -> None:
    assert never(1, 1, 1.0, min_pass_k=1.0, min_pass_at_1=1.0, confidence=None) is None


@given(st.integers(1, 8), st.integers(1, 12), st.floats(0, 0.999), st.sampled_from(("min_pass_at_1", "min_pass_k")))
def test_a_gate_that_is_not_refused_passes_when_everything_does(tasks: int, k: int, asked: float, gate: str) -> None:
    if never(tasks, k, **{gate: asked}) is None:
        records = [task("p" * k, name=f"t.py::t{i}") for i in range(tasks)]
        assert only("--" + gate.replace("_", "-"), *records, **{gate: asked}).verdict is PASS


@pytest.mark.parametrize("outcomes", [["pppf", "ffff", "pfff"], ["p", "f", "p"]])
def test_pass_hat_1_is_pass_at_1_in_its_estimate_its_intervals_and_its_verdict(outcomes: list[str]) -> None:
    records = [task(letters, f"t.py::{number}", k=1) for number, letters in enumerate(outcomes)]
    [cell] = summarize(records).cells
    assert cell.pass_hat_k.value == cell.pass_at_1.value
    assert [(each.low, each.high) for each in cell.estimates.pass_hat_k_intervals] == [
        (each.low, each.high) for each in cell.estimates.pass_at_1_intervals
    ]
    hat, at = (
        only(option, *records, confidence=0.9, **{threshold: 0.5})
        for option, threshold in (("--min-pass-k", "min_pass_k"), ("--min-pass-at-1", "min_pass_at_1"))
    )
    assert hat.value == at.value


def test_a_one_sided_bound_does_not_go_by_the_name_of_an_interval() -> None:
    result = only("--min-pass-at-1", task("ppppppff"), min_pass_at_1=0.5, confidence=0.95)
    low, high = proportion_confint(6, 8, alpha=0.1, method="wilson")
    bounds = f"pass@1 of this suite is at least {low:.3f} and at most {high:.3f} (one-sided bounds, each 95.0% sure)"
    assert result.reason == f"{bounds}; at least 0.5 was asked for"
