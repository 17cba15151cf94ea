"""Another package uses each hook: by a conftest or an entry point, in a run of pytest and in the console script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.suite_runs import Run, run

__all__ = ["run"]

PLUGIN = '''
import json
from pytest_agenteval import OfferedSandbox, Rates, ReportSection, Writer


class OneDollar:
    """Every call of a model costs a dollar."""

    def price(self, model, usage):
        return 1.0

    def rates(self, model, input_tokens=0):
        return Rates(input=0.0, output=0.0, per_call=1.0)

    def source(self, model):
        return "a dollar each"


def pytest_agenteval_prices():
    return OneDollar()


async def shy(task, context):
    return "nothing done"


def pytest_agenteval_scaffolds():
    return {"shy": shy}


def pytest_agenteval_sandbox_providers():
    return {"bench": OfferedSandbox("local", note="a note of the bench")}


def pytest_agenteval_attempt_finished(task, cell, attempt):
    with open("attempts.txt", "a") as file:
        print(task, cell.scaffold, attempt.number, attempt.outcome, file=file)


def pytest_agenteval_run_judged(judgement):
    with open("judged.txt", "a") as file:
        print(judgement.status.verdict, file=file)


def pytest_agenteval_report_sections(judgement):
    return [ReportSection("What it weighs", (f"{len(judgement.records)} tasks", "<b>0 kg</b>"))]


def pytest_agenteval_report_writers(request):
    from pathlib import Path

    def write(path):
        path.write_text(json.dumps([record.task for record in request.judgement.records]))

    def fail(path):
        raise ValueError("no ink")

    return [Writer("list of tasks", Path("tasks.json"), write), Writer("ink", Path("ink.txt"), fail)]


def pytest_agenteval_exports(formats):
    formats.add_parser("haiku").set_defaults(run=lambda asked: print("five seven five") or 7)
'''
SUITE = """
async def test_mixed(attempt, agent):
    await agent.run("please")
    assert attempt.number == 1

async def test_good(agent):
    await agent.run("please")
"""


def test_a_conftest_uses_each_hook_of_a_run(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        SUITE, "--k=2", "--min-pass-at-1=0.5", "--agent-scaffold=shy", "--agent-sandbox=bench",
        "--agent-comment=comment.md", "--agent-html=page.html", conftest=PLUGIN,
    )  # fmt: skip
    assert result.ret == 0
    assert sorted((pytester.path / "attempts.txt").read_text().splitlines()) == [
        "test_suite.py::test_good shy 1 passed",
        "test_suite.py::test_good shy 2 passed",
        "test_suite.py::test_mixed shy 1 passed",
        "test_suite.py::test_mixed shy 2 failed",
    ]
    assert (pytester.path / "judged.txt").read_text() == "PASS\n"
    assert (pytester.path / "tasks.json").read_text() == '["test_suite.py::test_mixed", "test_suite.py::test_good"]'
    result.stdout.fnmatch_lines([
        "*note: a note of the bench*",
        "What it weighs",
        "  2 tasks",
        "exit 0: *",
        "list of tasks: tasks.json",
        "warning: ink could not be written to ink.txt: no ink",
    ])  # fmt: skip
    assert "What it weighs" in (pytester.path / "comment.md").read_text()
    page = (pytester.path / "page.html").read_text()
    assert "<h2>What it weighs</h2>" in page and "&lt;b&gt;0 kg&lt;/b&gt;" in page


def test_prices_of_a_plugin_pay_for_calls(run: Run) -> None:
    result = run(SUITE, "--k=1", "--min-pass-at-1=0", "--max-cost=0.5", conftest=PLUGIN)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*INCOMPLETE*budget*"])


def test_a_plugin_that_fails_is_a_note_and_costs_no_verdict(run: Run) -> None:
    conftest = """
        def pytest_agenteval_attempt_finished(attempt):
            raise RuntimeError("no room")

        def pytest_agenteval_report_sections():
            raise RuntimeError("no idea")

        def pytest_agenteval_run_judged():
            raise RuntimeError("no word")
        """
    result = run(SUITE, "--k=2", "--min-pass-at-1=0.5", conftest=conftest)
    assert result.ret == 0
    text = " ".join(" ".join(result.outlines).split())
    assert text.count("failed in pytest_agenteval_attempt_finished: RuntimeError: no room") == 1
    assert "failed in pytest_agenteval_report_sections: RuntimeError: no idea" in text
    assert "failed in pytest_agenteval_run_judged: RuntimeError: no word" in text


def test_an_unknown_sandbox_is_refused_by_name(run: Run) -> None:
    result = run(SUITE, "--agent-sandbox=bend", conftest=PLUGIN)
    assert result.ret == 4
    assert "--agent-sandbox=bend: there is docker, k8s, local, bench and docker-inspect" in " ".join(
        result.outlines + result.errlines
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that looks to Python as if the plugin's distribution were installed there."""
    info = tmp_path / "site" / "bench_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest_agenteval]\nbench = bench_plugin\n")
    hooks = PLUGIN.replace("\ndef pytest_agenteval", "\n@hookimpl\ndef pytest_agenteval")
    (info.parent / "bench_plugin.py").write_text(f"from pytest import hookimpl\n{hooks}")
    return info.parent


def console(folder: Path, installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "160"}
    command = [sys.executable, "-c", "from pytest_agenteval.cli.main import main; raise SystemExit(main())", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_installed_plugin_is_used_by_pytest_and_by_the_console_script(
    run: Run, pytester: pytest.Pytester, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    made = run(SUITE, "--k=2", "--min-pass-at-1=0.5", "--agent-log-dir=logs", files={"sitecustomize.py": ""})
    assert made.ret == 0
    (pytester.path / "tasks.json").unlink(missing_ok=True)
    judged = console(pytester.path, installed, "report", "logs", "--min-pass-at-1=0.5")
    assert judged.returncode == 0, judged.stderr
    assert "What it weighs" in judged.stdout and "list of tasks: tasks.json" in judged.stdout
    assert (pytester.path / "tasks.json").exists()
    exported = console(pytester.path, installed, "export", "haiku")
    assert (exported.returncode, exported.stdout) == (7, "five seven five\n")
