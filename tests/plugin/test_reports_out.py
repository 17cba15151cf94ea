"""What leaves a run beside the terminal: JUnit, JSON, comment, GitHub's files; and that no key is in any of it."""

from __future__ import annotations

import html
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from support.suite_runs import Run, run

from pytest_agenteval.report.json import json_schema

__all__ = ["run"]

KEY = "sk-ant-api03-aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz"
SUITE = """
    import pytest
    from pytest_agenteval import agent_task

    @pytest.fixture
    def lost(attempt):
        from inspect_ai.util import SandboxUnavailableError
        return SandboxUnavailableError("the container is gone")

    async def test_agent_fails(attempt):
        attempt.agent_begins()
        assert attempt.number == 1, "not the first"

    async def test_broken(attempt):
        raise KeyError("before the agent began")

    async def test_lost(attempt, lost):
        attempt.agent_begins()
        if attempt.number == 2:
            raise lost

    @agent_task(min_pass_rate=0.5)
    async def test_passes(attempt):
        attempt.agent_begins()
        assert attempt.number == 1

    async def test_skipped(attempt):
        pytest.skip("not today")

    @pytest.mark.xfail
    async def test_expected(attempt):
        attempt.agent_begins()
        assert False

    def test_ordinary():
        assert False
    """


def cases(path: Path) -> dict[str, ElementTree.Element]:
    return {str(case.get("name")): case for case in ElementTree.parse(path).iter("testcase")}


def properties(element: ElementTree.Element) -> dict[str | None, str | None]:
    return {each.get("name"): each.get("value") for each in element.findall("properties/property")}


def test_every_report_of_one_run(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "HERE": str(pytester.path), "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(pytester.path.parent),
        "GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output",
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = run(
        SUITE, "--k=2", "--agent-env-retries=0", "--junitxml=$HERE/r.xml", "--agent-json=out/r.json",
        "--agent-comment=comment.md",
    )  # fmt: skip
    assert result.ret == 1

    found = cases(pytester.path / "r.xml")
    kinds = {
        name: [part.tag for part in case if part.tag in ("failure", "error", "skipped")] for name, case in found.items()
    }
    assert kinds == {
        "test_agent_fails": ["failure"], "test_broken": ["error"], "test_lost": ["error"], "test_passes": [],
        "test_skipped": ["skipped"], "test_expected": ["skipped"], "test_ordinary": ["failure"],
        "--agent-max-env-error-rate": ["error"], "the run": ["failure"],
    }  # fmt: skip
    suite = ElementTree.parse(pytester.path / "r.xml").find("testsuite")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["7", "2", "2", "2"]
    assert properties(found["test_agent_fails"]) == {
        "agent_task": "test_suite.py::test_agent_fails", "agent_verdict": "FAIL", "agent_attempts": "2",
        "agent_passes": "1", "agent_pass_at_1": "0.5", "agent_pass_hat_2": "0.0", "agent_cost_usd": "0",
        "agent_tool_call_failures": "0", "agent_environment_errors": "0",
    }  # fmt: skip
    assert properties(found["test_lost"])["agent_environment_errors"] == "1"
    assert "the container is gone" in ElementTree.tostring(found["test_lost"], encoding="unicode")
    totals = properties(suite)
    assert (totals["agent_verdict"], totals["agent_exit_status"], totals["agent_cost_usd"]) == ("FAIL", "1", "0.0")
    assert {"agent_pass_at_1", "agent_pass_hat_2"} <= set(totals)

    report = json.loads((pytester.path / "out" / "r.json").read_text("utf-8"))
    Draft202012Validator(json_schema()).validate(report)
    assert report["run"]["verdict"] == "FAIL"
    outcomes = {each["task"].partition("::")[2]: [a["outcome"] for a in each["attempts"]] for each in report["tasks"]}
    assert outcomes["test_lost"] == ["passed", "environment_error"]
    assert all(Path(a["log"]).name.endswith(".eval") for each in report["tasks"] for a in each["attempts"])

    comment = (pytester.path / "comment.md").read_text("utf-8")
    summary = (pytester.path / "summary.md").read_text("utf-8")
    assert comment.startswith("<!-- pytest-agenteval -->\n## FAIL")
    assert summary.startswith("## FAIL")
    assert "exit_status<<" in (pytester.path / "output").read_text("utf-8")
    result.stdout.fnmatch_lines([
        "*JSON report: out/r.json", "*comment: comment.md",
        f"::error file={pytester.path.name}/test_suite.py,line=1*,title=FAIL%3A test_agent_fails::*",
        "::error file=*,title=BROKEN%3A test_broken::*",
        "::warning *title=UNDECIDED%3A test_lost::*",
    ])  # fmt: skip
    assert not any("test_expected" in line for line in result.outlines if line.startswith("::"))


def test_no_key_leaves_a_run(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TOKEN", "open-sesame-1")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    result = run(
        f"""
        import os, pytest
        from pytest_agenteval import agent_task

        KEY = "sk-ant-" + "{KEY[7:]}"

        async def test_fails(attempt):
            attempt.agent_begins()
            print("printed", KEY)
            known = os.environ["BENCH_TOKEN"]
            raise ValueError(f"called with {{KEY}} and {{known}}")

        @agent_task(min_pass_rate=0.5)
        async def test_measured(attempt):
            attempt.agent_begins()
            assert attempt.number == 1, f"no {{KEY}}"

        @pytest.mark.parametrize("value", ["{KEY}"])
        async def test_parameter(attempt, value):
            attempt.agent_begins()
            pytest.fail(value)
        """,
        "--k=2", "--junitxml=r.xml", "--agent-json=r.json", "--agent-comment=c.md", "--showlocals", "-o",
        "junit_logging=all",
    )  # fmt: skip
    assert result.ret == 1
    for name in ("r.xml", "r.json", "c.md", "summary.md"):
        text = html.unescape((pytester.path / name).read_text("utf-8")).replace("<wbr>", "")
        assert KEY not in text and "open-sesame-1" not in text, name
        assert "[redacted]" in text, name
    # pytest itself prints the node id, in its own lines; nothing else of a run holds a key
    leaks = [line for line in result.outlines if KEY in line or "open-sesame-1" in line]
    assert all("test_parameter[" in line for line in leaks), leaks
    assert result.stdout.str().count("[redacted]") > 5


def test_an_unwritable_report_is_a_warning_and_the_verdict_stands(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        "async def test_a(attempt): pass\n",
        "--agent-json=test_suite.py/r.json",
        "--agent-comment=c.md",
        "--agent-html=test_suite.py/r.html",
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines([
        "exit 0: *", "warning: JSON report could not be written to test_suite.py/r.json: *", "comment: c.md",
        "warning: HTML report could not be written to test_suite.py/r.html: File exists: test_suite.py",
    ])  # fmt: skip
    assert (pytester.path / "c.md").exists()


def test_reports_are_written_with_xdist(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        async def test_a(attempt):
            attempt.agent_begins()
            assert attempt.number == 1

        async def test_b(attempt):
            attempt.agent_begins()
        """
    assert run(source, "--k=2", "--agent-json=r.json", "--junitxml=r.xml", "-n1", plugins=("xdist",)).ret == 1
    report = json.loads((pytester.path / "r.json").read_text("utf-8"))
    verdicts = {each["task"]: each["verdict"] for each in report["tasks"]}
    assert verdicts == {"test_suite.py::test_a": "FAIL", "test_suite.py::test_b": "PASS"}
    found = cases(pytester.path / "r.xml")
    assert properties(found["test_b"])["agent_verdict"] == "PASS"
