from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_records import CELL, task

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateResult, GateSettings, Verdict, judge
from pytest_agenteval.judge.exit_status import ExitStatus, RunVerdict, exit_status

VERDICTS = {"P": Verdict.PASS, "F": Verdict.FAIL, "U": Verdict.UNDECIDED}


def gates(letters: str, task: str | None = None) -> list[GateResult]:
    return [
        GateResult(f"--gate-{i}", CELL, VERDICTS[letter], "0.5", "at least 0.5", "so", task)
        for i, letter in enumerate(letters, 1)
    ]


@pytest.mark.parametrize(
    ("own", "ordinary", "broken", "letters", "incomplete", "expected"),
    [
        # pytest's own 2, 3 and 4 win over everything; so does a number another plugin has set.
        (2, 1, 1, "F", ["budget"], 2),
        (3, 0, 0, "U", [], 3),
        (4, 0, 0, "", [], 4),
        (2, 0, 0, "PP", [], 2),
        (77, 1, 1, "F", [], 77),
        # Then 1: an ordinary test, a broken attempt, a gate or a judged task.
        (1, 1, 0, "", [], 1),
        (1, 1, 0, "U", ["budget"], 1),
        (0, 0, 1, "P", [], 1),
        (1, 0, 1, "U", [], 1),
        (0, 0, 0, "PFP", [], 1),
        (1, 0, 0, "FU", ["budget"], 1),
        (5, 0, 0, "F", [], 1),
        # Then 10: UNDECIDED and INCOMPLETE, also where pytest itself would say 0, 1 or 5.
        (0, 0, 0, "PUP", [], 10),
        (1, 0, 0, "U", [], 10),
        (5, 0, 0, "U", [], 10),
        (0, 0, 0, "P", ["budget"], 10),
        (1, 0, 0, "", ["cancelled"], 10),
        # Then pytest's 1 and 5 where nothing explains them, then 0.
        (1, 0, 0, "PP", [], 1),
        (1, 0, 0, "", [], 1),
        (5, 0, 0, "", [], 5),
        (5, 0, 0, "P", [], 5),
        (0, 0, 0, "PP", [], 0),
        (0, 0, 0, "", [], 0),
    ],
)
def test_the_table(own: int, ordinary: int, broken: int, letters: str, incomplete: list[str], expected: int) -> None:
    status = exit_status(own, ordinary_failures=ordinary, broken=broken, gates=gates(letters), incomplete=incomplete)
    assert status.code == expected
    assert status.reason


@given(
    st.sampled_from([0, 1, 2, 3, 4, 5]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.text("PFU", max_size=4),
    st.lists(st.just("the budget was spent"), max_size=1),
)
def test_zero_needs_everything_to_be_well_and_one_needs_a_failure(
    own: int, ordinary: int, broken: int, letters: str, incomplete: list[str]
) -> None:
    code = exit_status(own, ordinary_failures=ordinary, broken=broken, gates=gates(letters), incomplete=incomplete).code
    well = own == 0 and not ordinary and not broken and not incomplete and set(letters) <= {"P"}
    assert (code == 0) == well
    blame = bool(ordinary or broken or "F" in letters)
    unexplained = own == 1 and not incomplete and "U" not in letters
    assert (code == 1) == (own in (0, 1, 5) and (blame or unexplained))


@given(
    st.integers(1, 4).flatmap(lambda k: st.lists(st.text("penc", min_size=k, max_size=k), min_size=1, max_size=4)),
    st.sampled_from([GateSettings(), GateSettings(min_pass_k=1.0), GateSettings(min_pass_at_1=0.9, max_cost=1.0)]),
    st.sampled_from([0, 1, 5]),
)
def test_infrastructure_alone_is_never_one(tasks: list[str], settings: GateSettings, own: int) -> None:
    run = summarize([task(letters, name=f"t.py::test_{i}") for i, letters in enumerate(tasks)])
    results = judge(run, settings)
    status = exit_status(own, gates=results, broken=run.broken, incomplete=run.incomplete)
    if any(set(letters) & set("enc") for letters in tasks):
        assert status.code == 10
    else:
        assert status.code == own


def test_reasons_say_who_is_to_blame() -> None:
    failed = [*gates("F"), *gates("F", task="t.py::test_a")]
    assert exit_status(1, ordinary_failures=2, broken=1, gates=failed) == ExitStatus(
        1, RunVerdict.FAIL, "FAILED: 2 tests failed; 1 attempt is broken; --gate-1; t.py::test_a (--gate-1)"
    )
    many = [*gates("F", task="t.py::test_a"), *gates("F", task="t.py::test_b"), *gates("F", task="t.py::test_c")]
    assert exit_status(1, gates=many).reason == "FAILED: 3 tasks (--gate-1)"


def test_reasons_say_what_is_undecided_and_what_is_incomplete() -> None:
    assert exit_status(0, gates=gates("PU")).reason == "UNDECIDED: --gate-2"
    assert exit_status(0, incomplete=["2 attempts did not run"]).reason == "INCOMPLETE: 2 attempts did not run"
    both = exit_status(1, gates=gates("UU"), incomplete=["2 attempts did not run"])
    assert both.reason == "INCOMPLETE: 2 attempts did not run; UNDECIDED: --gate-1, --gate-2"


def test_one_gate_in_two_cells_is_named_once() -> None:
    assert exit_status(0, gates=[*gates("U"), *gates("U")]).reason == "UNDECIDED: --gate-1"


def test_reasons_say_what_a_run_without_a_failure_was() -> None:
    assert exit_status(0, gates=gates("PP")) == ExitStatus(0, RunVerdict.PASS, "all gates and judged tasks passed")
    assert exit_status(0) == ExitStatus(0, RunVerdict.NOT_JUDGED, "nothing failed")
    assert exit_status(5) == ExitStatus(5, RunVerdict.NO_TESTS, "no test ran")
    assert exit_status(1) == ExitStatus(1, RunVerdict.FAIL, "FAILED: pytest reported a failure")
