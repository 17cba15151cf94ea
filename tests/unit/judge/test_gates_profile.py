"""Gates on the reliability profile, by hand: u(8,7) = 1/2, u(8,8) = 1, u(4,2) = -1/3, u(2,1) = -1."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_records import CELL, OTHER, attempt, task, task_of

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateResult, GateSettings, Verdict, judge
from pytest_agenteval.judge.passable import why_never
from pytest_agenteval.record.conduct import Confidence, RuleResults, Violation
from pytest_agenteval.record.records import AttemptRecord, TaskRecord

PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED


def judged(name: str, *records: TaskRecord, **asked: Any) -> GateResult:
    settings = GateSettings(**{name.removeprefix("--").replace("-", "_"): asked.pop("at")}, **asked)
    (result,) = [result for result in judge(summarize(records), settings) if result.name == name]
    return result


def sure(letters: str, *percents: float | None, name: str = "t.py::test_it", k: int | None = None) -> TaskRecord:
    attempts = [
        attempt(letter, i, confidence=Confidence(percent))
        for i, (letter, percent) in enumerate(zip(letters, percents, strict=True), 1)
    ]
    return task_of(*attempts, name=name, k=k or len(attempts))


def ruled(letters: str, **fields: Any) -> TaskRecord:
    """`k` kept its rules, `v` broke one, `u` could not be judged, `e` met an environment error."""
    broken = (Violation("r", "safety", "high"),)

    def one(letter: str, number: int) -> AttemptRecord:
        if letter == "e":
            return attempt("e", number)
        rules = RuleResults(("r",), broken if letter == "v" else (), ("r",) if letter == "u" else ())
        return attempt("p", number, rules=rules)

    return task_of(*(one(letter, i) for i, letter in enumerate(letters, 1)), **fields)


@pytest.mark.parametrize(("at", "verdict"), [(0.5, PASS), (0.51, FAIL)])
def test_consistency_on_a_complete_grid(at: float, verdict: Verdict) -> None:
    result = judged("--min-consistency", task("p" * 7 + "f"), at=at)
    assert (result.verdict, result.value) == (verdict, "0.500")


def test_consistency_with_missing_attempts_takes_the_most_and_the_least_alike() -> None:
    """Of 7 passes and one missing: all alike in the best case, one off in the worst."""
    letters = "p" * 7 + "e"
    assert [judged("--min-consistency", task(letters), at=at).verdict for at in (0.5, 0.6, 1.0)] == [
        PASS, UNDECIDED, UNDECIDED,
    ]  # fmt: skip
    assert judged("--min-consistency", task(letters), at=0.6).value == "0.500 to 1.000"
    # 5 passes, 3 fails, 2 missing: the most alike is 7 of 10
    assert judged("--min-consistency", task("pppppfffee"), at=0.06).verdict is UNDECIDED
    assert judged("--min-consistency", task("pppppfffee"), at=0.07).verdict is FAIL


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3), st.floats(0, 1))
def test_consistency_is_decided_only_if_no_missing_attempt_could_turn_it(
    passes: int, fails: int, missing: int, at: float
) -> None:
    if passes + fails == 0 or passes + fails + missing < 2:
        return
    found = judged("--min-consistency", task("p" * passes + "f" * fails + "e" * missing), at=at).verdict
    every = {
        judged("--min-consistency", task("p" * (passes + x) + "f" * (fails + missing - x)), at=at).verdict
        for x in range(missing + 1)
    }
    assert found is (every.pop() if len(every) == 1 else UNDECIDED)


def test_nothing_to_compare_is_undecided() -> None:
    assert judged("--min-consistency", task("p"), at=0.0).verdict is UNDECIDED
    assert judged("--min-consistency", task("ee"), at=0.0).verdict is UNDECIDED


def test_consistency_in_confidence_mode_has_three_answers() -> None:
    same = [task("p" * 8, name=f"t{i}") for i in range(20)]
    mixed = [task("ppppffff", name=f"t{i}") for i in range(20)]
    asked = {"confidence": 0.95}
    assert judged("--min-consistency", *same, at=0.7, **asked).verdict is PASS
    assert judged("--min-consistency", *same, at=0.999, **asked).verdict is UNDECIDED
    assert judged("--min-consistency", *mixed, at=0.2, **asked).verdict is FAIL
    assert judged("--min-consistency", *same, at=0.999, undecided="fail", **asked).verdict is FAIL


def test_one_attempt_each_can_never_show_consistency() -> None:
    reason = why_never([("t", None)], 1, GateSettings(min_consistency=0.0))
    assert reason is not None
    assert "--k=2" in reason
    assert why_never([("t", 0.0)], 2, GateSettings(min_consistency=1.0)) is None
    sure = why_never([("t", 0.0)], 8, GateSettings(min_consistency=0.999, confidence=0.95))
    assert sure is not None


@pytest.mark.parametrize(("at", "verdict"), [(0.15, PASS), (0.14, FAIL)])
def test_overconfidence_on_a_complete_grid(at: float, verdict: Verdict) -> None:
    """Mean confidence 0.9 beside a pass rate of 0.75."""
    result = judged("--max-overconfidence", sure("pppf", 90, 90, 90, 90), at=at)
    assert (result.verdict, result.value, result.threshold) == (verdict, "0.150", f"at most {at}")


def test_a_number_that_nobody_gave_could_have_been_any() -> None:
    """The second attempt passed: its gap lies between -1 and 0."""
    record = sure("pp", 90, None)
    assert judged("--max-overconfidence", record, at=0.0).verdict is PASS
    failed = sure("pf", 90, None)  # its gap lies between 0 and 1
    result = judged("--max-overconfidence", failed, at=0.2)
    assert (result.verdict, result.value) == (UNDECIDED, "-0.050 to 0.450")
    assert "1 attempt without a number" in result.reason
    assert judged("--max-overconfidence", failed, at=0.45).verdict is PASS


def test_a_missing_attempt_could_have_been_sure_and_wrong() -> None:
    record = task_of(attempt("p", 1, confidence=Confidence(100)), attempt("e", 2))
    assert judged("--max-overconfidence", record, at=0.4).verdict is UNDECIDED
    assert judged("--max-overconfidence", record, at=0.5).verdict is PASS


def test_without_any_number_overconfidence_is_undecided() -> None:
    for record in (task("pp"), sure("pp", None, None)):
        result = judged("--max-overconfidence", record, at=1.0)
        assert result.verdict is UNDECIDED
        assert "--agent-ask-confidence" in result.reason


def test_overconfidence_in_confidence_mode_has_three_answers() -> None:
    calm = [sure("pppp", 95, 95, 95, 95 - i % 3, name=f"t{i}") for i in range(20)]
    rash = [sure("ffff", 95, 95, 95, 95 - i % 3, name=f"t{i}") for i in range(20)]
    asked = {"confidence": 0.95}
    assert judged("--max-overconfidence", *calm, at=0.1, **asked).verdict is PASS
    assert judged("--max-overconfidence", *rash, at=0.1, **asked).verdict is FAIL
    assert judged("--max-overconfidence", calm[0], rash[0], at=0.1, **asked).verdict is UNDECIDED
    assert judged("--max-overconfidence", calm[0], at=0.1, **asked).verdict is UNDECIDED


@pytest.mark.parametrize(
    ("letters", "at", "verdict"),
    [("kkkv", 0.75, PASS), ("kkkv", 0.76, FAIL), ("kkku", 0.75, PASS), ("kkku", 0.8, UNDECIDED), ("kkvu", 0.8, FAIL),
     ("kkke", 0.8, UNDECIDED), ("vvve", 0.3, FAIL)],
)  # fmt: skip
def test_safety_on_the_grid(letters: str, at: float, verdict: Verdict) -> None:
    assert judged("--min-safety", ruled(letters), at=at).verdict is verdict


def test_tasks_without_rules_say_nothing_about_safety_and_unseen_ones_may_have_some() -> None:
    plain, unseen = task("pp", name="t.py::test_plain"), task("ee", name="t.py::test_unseen")
    assert judged("--min-safety", ruled("kk"), plain, at=1.0).verdict is PASS
    assert judged("--min-safety", plain, at=0.0).verdict is UNDECIDED
    assert judged("--min-safety", ruled("kk"), unseen, at=0.9).verdict is UNDECIDED
    assert judged("--min-safety", ruled("vv"), unseen, at=0.9).verdict is FAIL


def test_safety_in_confidence_mode() -> None:
    many = [ruled("k" * 8, name=f"t{i}") for i in range(10)]
    asked = {"confidence": 0.95}
    assert judged("--min-safety", *many, at=0.95, **asked).verdict is PASS
    assert judged("--min-safety", *many, at=0.99, **asked).verdict is UNDECIDED
    assert judged("--min-safety", ruled("v" * 8), at=0.5, **asked).verdict is FAIL


def test_each_cell_is_judged_by_itself() -> None:
    run = summarize([task("pppp"), task("ppff", cell=OTHER)])
    verdicts = {each.cell: each.verdict for each in judge(run, GateSettings(min_consistency=0.5))
                if each.name == "--min-consistency"}  # fmt: skip
    assert verdicts == {CELL: PASS, OTHER: FAIL}


def test_no_record_at_all_is_undecided() -> None:
    asked = GateSettings(min_consistency=0.0, max_overconfidence=1.0, min_safety=0.0)
    results = judge(summarize([]), asked)
    assert {result.name: result.verdict for result in results} == dict.fromkeys(
        ("--min-consistency", "--max-overconfidence", "--min-safety"), UNDECIDED
    )
