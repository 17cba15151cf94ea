"""The JUnit file of stored attempts, read by the rules of those who show it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from support.made_records import CELL, OTHER, attempt, task, task_of

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.report.junit import junit_document

WHY = "AssertionError: assert '\x1b[31m4' == '5' & <more>"
DECIDED = [attempt("n", n, cause=Cause.DECIDED) for n in (1, 2)]


def gitlab(document: str) -> dict[tuple[str | None, str | None], tuple[str, str]]:
    """As GitLab reads it: of cases with one name the first counts, and the text of an element is all it shows."""
    found: dict[tuple[str | None, str | None], tuple[str, str]] = {}
    for case in ElementTree.fromstring(document.encode()).iter("testcase"):
        for tag in ("failure", "error", "skipped"):
            if (element := case.find(tag)) is not None:
                ending = tag, element.text or ""
                break
        else:
            ending = "success", ""
        found.setdefault((case.get("classname"), case.get("name")), ending)
    return found


def judged(*records: object, **gates: float) -> Judgement:
    return judge_run(records, GateSettings(**gates))  # type: ignore[arg-type]


def test_each_verdict_is_what_the_widgets_show_it_as() -> None:
    failed = task_of(attempt("p", 1), attempt("f", 2, message=WHY), name="d/t.py::TestX::test_fails[a::b[c]/d]")
    found = gitlab(junit_document(judged(
        failed, task("pp", "d/t.py::test_passes"), task("pb", "d/t.py::test_broken"), task("pn", "d/t.py::test_budget"),
        task("pe", "d/t.py::test_lost"), task("ss", "d/t.py::test_skipped"),
        task("ff", "d/t.py::test_expected", expected_failure=True), task("", "d/t.py::test_shard", k=2),
    )))  # fmt: skip
    assert {name: tag for (_, name), (tag, _) in found.items()} == {
        "test_fails[a::b[c]/d]": "failure", "test_passes": "success", "test_broken": "error", "test_budget": "error",
        "test_lost": "error", "test_skipped": "skipped", "test_expected": "skipped", "test_shard": "error",
        "--agent-max-env-error-rate": "error", "the run": "failure",
    }  # fmt: skip
    assert {where for where, _ in found} == {"d.t", "d.t.TestX", "agent gates"}
    text = found["d.t.TestX", "test_fails[a::b[c]/d]"][1]
    assert text.startswith("1 of 2 attempts passed; all were asked for\n")
    assert "assert '4' == '5' & <more>" in text.replace("\\x1b[31m", "")
    assert found["d.t", "test_lost"][1].startswith("undecided: 1 of 2 attempts passed, 1 was not measured")


@pytest.mark.parametrize(
    ("letters", "asked", "incomplete", "shown"),
    [("pf", 1.0, (), "failure"), ("pn", 1.0, (), "error"), ("pp", 1.0, ("shard 3 of 3 is missing",), "error"),
     ("pf", 1.0, ("shard 3 of 3 is missing",), "failure"), ("pp", 1.0, (), "success")],
)  # fmt: skip
def test_a_measured_suite_shows_its_gate_and_a_missing_shard(
    letters: str, asked: float, incomplete: tuple[str, ...], shown: str
) -> None:
    judgement = judge_run([task(letters)], GateSettings(min_pass_k=asked), incomplete=incomplete)
    found = gitlab(junit_document(judgement))
    assert found["t", "test_it"][0] == "success"  # measured, not judged
    tag, text = found["agent gates", "the run"]
    assert tag == shown
    assert all(phrase in text for phrase in incomplete)
    assert (judgement.status.code == 0) == (shown == "success")


def test_what_early_stopping_did_not_need_is_no_error() -> None:
    found = gitlab(junit_document(judged(task_of(*DECIDED), task("pp", "t.py::b"), min_pass_at_1=0.1)))
    assert found["t", "test_it"] == ("skipped", "not needed: every verdict was already fixed")


def test_no_two_cases_have_one_name_and_the_counts_are_right() -> None:
    document = junit_document(judged(task("pf", cell=CELL), task("pn", cell=OTHER), task("ss", "t.py::b")))
    assert {name for _, name in gitlab(document)} >= {"test_it", f"test_it [{OTHER}]"}
    suite = ElementTree.fromstring(document.encode()).find("testsuite")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "1", "1", "1"]
