from __future__ import annotations

from xml.etree import ElementTree

from support.made_records import OTHER, attempt, task, task_of

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.report.junit import amended

KEY = "sk-ant-api03-aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz"


def case(name: str, inside: str, *, task: bool = True) -> str:
    properties = f'<properties><property name="agent_task" value="t.py::{name}"/></properties>' if task else ""
    return f'<testcase classname="t" name="{name}" time="1.0">{properties}{inside}</testcase>'


def document(*cases: str, failures: int = 0, skipped: int = 0) -> str:
    counts = f'errors="0" failures="{failures}" skipped="{skipped}" tests="{len(cases)}"'
    suite = f'<testsuite name="pytest" {counts}>{"".join(cases)}</testsuite>'
    return f'<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">{suite}</testsuites>'


def amend(text: str, *records: TaskRecord, secrets: tuple[str, ...] = ()) -> ElementTree.Element:
    root = ElementTree.fromstring(amended(text, judge_run(records, GateSettings()), secrets).encode())
    suite = root.find("testsuite")
    assert suite is not None
    return suite


def kinds(suite: ElementTree.Element) -> dict[str | None, list[str]]:
    return {
        each.get("name"): [part.tag for part in each if part.tag != "properties"] for each in suite.iter("testcase")
    }


FAILURE = '<failure message="no">long</failure>'
SKIPPED = '<skipped type="pytest.skip" message="undecided: why">x.py:1: undecided: why</skipped>'


def test_errors_are_told_from_failures_and_counted_so() -> None:
    text = document(
        case("test_failed", FAILURE), case("test_broken", FAILURE), case("test_lost", SKIPPED),
        case("test_budget", SKIPPED), case("test_passed", ""), case("test_ordinary", FAILURE, task=False),
        case("test_expected", '<skipped type="pytest.xfail" message=""/>'), failures=3, skipped=3,
    )  # fmt: skip
    suite = amend(
        text,
        task("pf", "t.py::test_failed"), task("pb", "t.py::test_broken"), task("pn", "t.py::test_budget"),
        task("p", "t.py::test_passed"), task("e", "t.py::test_expected"),
        task_of(attempt("p", 1), attempt("e", 2, message="container \x1b lost"), name="t.py::test_lost"),
    )  # fmt: skip
    assert kinds(suite) == {
        "test_failed": ["failure"], "test_broken": ["error"], "test_lost": ["error"], "test_budget": ["error"],
        "test_passed": [], "test_ordinary": ["failure"], "test_expected": ["skipped"],
    }  # fmt: skip
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7", "failures": "2", "errors": "3", "skipped": "1",
    }  # fmt: skip
    lost = suite.find("testcase[@name='test_lost']/error")
    assert lost is not None
    assert lost.get("message") == "undecided: why"
    assert "attempt 2: environment error (sandbox)" in (lost.text or "")
    assert "container \\x1b lost" in (lost.text or "")


def test_gates_and_the_run_have_a_suite_of_their_own_and_it_is_green_only_where_the_run_ends_with_0() -> None:
    text = document(case("test_a", ""))
    for letters, asked, found in (
        ("pf", 0.5, {"--min-pass-k": ["failure"], "the run": ["failure"]}),
        ("pn", 0.5, {"--min-pass-k": ["error"], "the run": ["error"]}),
        ("pp", 0.5, {"--min-pass-k": [], "the run": []}),
    ):
        judgement = judge_run([task(letters, "t.py::test_a")], GateSettings(min_pass_k=asked))
        *_, gates = ElementTree.fromstring(amended(text, judgement).encode())
        assert gates.get("name") == "agent gates"
        assert {name: tags for name, tags in kinds(gates).items() if name in found} == found


def test_the_totals_of_the_run_are_properties_of_the_suite() -> None:
    suite = amend(document(case("test_a", "")), task("ppfp", "t.py::test_a", cost=0.25))
    assert suite[0].tag == "properties"
    assert {each.get("name"): each.get("value") for each in suite[0]} == {
        "agent_verdict": "FAIL", "agent_exit_status": "1", "agent_cost_usd": "1.0",
        "agent_pass_at_1": "0.75", "agent_pass_hat_4": "0.0",
    }  # fmt: skip


def test_several_cells_have_totals_of_their_own_and_an_unknown_cost_has_none() -> None:
    suite = amend(
        document(case("test_a", "")), task("pp", "t.py::test_a", cost=None), task("pf", "t.py::test_b", cell=OTHER)
    )
    assert [each.get("name") for each in suite[0]] == [
        "agent_verdict", "agent_exit_status",
        "agent_pass_at_1[openai/gpt-5-mini · react]", "agent_pass_hat_2[openai/gpt-5-mini · react]",
        "agent_pass_at_1[anthropic/claude-haiku-4-5 · react]", "agent_pass_hat_2[anthropic/claude-haiku-4-5 · react]",
    ]  # fmt: skip


def test_a_file_without_agent_tasks_keeps_its_content() -> None:
    text = document(case("test_ordinary", FAILURE, task=False), failures=1)
    assert amended(text, judge_run([], GateSettings())) == text


def test_texts_of_agent_tasks_are_redacted() -> None:
    text = document(case("test_a", f'<failure message="{KEY}">open-sesame</failure><system-out>{KEY}</system-out>'))
    shown = ElementTree.tostring(amend(text, task("f", "t.py::test_a"), secrets=("open-sesame",)), encoding="unicode")
    assert KEY not in shown and "open-sesame" not in shown
    assert shown.count("[redacted]") == 3
