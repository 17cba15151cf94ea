"""A run that is stopped is judged over every task that was asked for, as a report on its logs is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from support.forked_pytest import forked_pytest

from pytest_agenteval.cli.main import main

PRELUDE = """
import asyncio, os, signal
import pytest
ENDED = []
async def passes(attempt):
    attempt.agent_begins()
    ENDED.append(attempt)
async def stops(attempt, how):
    attempt.agent_begins()
    while len(ENDED) < 4: await asyncio.sleep(0.01)
    if attempt.number == 1: how()
    await asyncio.sleep(3600)
def interrupt(): os.kill(os.getpid(), signal.SIGINT)
"""
STOPPED = """
async def test_first(attempt): await passes(attempt)
async def test_stopping(attempt): await stops(attempt, HOW)
async def test_never(attempt): await passes(attempt)
@pytest.mark.skip(reason="not now")
async def test_skipped(attempt): ...
@pytest.mark.xfail
async def test_expected_to_fail(attempt): ...
@pytest.mark.parametrize("n", range(9))
async def test_many(attempt, n): await passes(attempt)
"""
ALL = ("test_first", "test_stopping", "test_never", "test_expected_to_fail", *(f"test_many[{n}]" for n in range(9)))
OPTIONS = (
    "-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "--agent-model=agenteval/null", "--agent-sandbox=local",
    "--k=4", "--agent-concurrency=2", "--agent-json=live.json", "--agent-log-dir=logs",
)  # fmt: skip


def run(
    folder: Path,
    source: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> pytest.RunResult:
    for name, text in {"pytest.ini": "[pytest]\n", "test_suite.py": source, **(files or {})}.items():
        (folder / name).write_text(dedent(text), "utf-8")
    plain = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "160"}
    return forked_pytest(folder, (*OPTIONS, *arguments), {**os.environ, **plain, **(environment or {})})


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def judged(read: dict[str, Any]) -> tuple[Any, Any, Any]:
    """What a live report and one on the logs have in common: the verdicts, every task's counts, the cell's ranges."""
    gates = {(gate["name"], gate["task"]): (gate["verdict"], gate["value"]) for gate in read["gates"]}
    names = ("verdict", "n", "c", "missing_attempts", "skipped")
    tasks = {task["task"]: [task[name] for name in names] for task in read["tasks"]}
    assert len(tasks) == len(read["tasks"])
    cells = [
        (cell["tasks"], cell["attempts"], cell["pass_at_1"], cell["pass_hat_k"], cell["attempts_not_run"])
        for cell in read["cells"]
    ]
    return gates, tasks, cells


def reported(folder: Path, *arguments: str) -> dict[str, Any]:
    main(["report", str(folder / "logs"), *arguments, f"--agent-json={folder / 'report.json'}"])
    return read(folder / "report.json")


STOPS = {
    "Ctrl-C": ("interrupt", "--min-pass-k=0.3", 2, "UNDECIDED"),
    "an exit that wants to be a success": (
        "lambda: pytest.exit('enough', returncode=0)", "--min-pass-k=0.3", 10, "UNDECIDED",
    ),
    "a gate that what is missing cannot fail": ("interrupt", "--min-pass-k=0.05", 2, "PASS"),
}  # fmt: skip


@pytest.mark.parametrize("case", STOPS)
def test_what_never_started_is_missing(tmp_path: Path, case: str) -> None:
    how, gate, status, verdict = STOPS[case]
    github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "output")}
    source = PRELUDE + STOPPED.replace("HOW", how)
    result = run(tmp_path, source, gate, "--agent-comment=comment.md", "-k", "not many or not 8", environment=github)
    assert result.ret == status
    live = read(tmp_path / "live.json")
    # one of twelve tasks passed all its attempts: pass^4 is 1/12 at least; the skipped and the deselected count nowhere
    assert [task["task"].split("::")[1] for task in live["tasks"]] == [name for name in ALL if "8" not in name]
    assert [task["n"] for task in live["tasks"]] == [4] + [0] * 11
    (cell,) = live["cells"]
    assert (cell["pass_hat_k"]["worst"], cell["pass_hat_k"]["best"]) == (pytest.approx(1 / 12), 1)
    assert [g["verdict"] for g in live["gates"] if g["name"] == "--min-pass-k"] == [verdict]
    assert judged(live) == judged(reported(tmp_path, gate))
    result.stdout.fnmatch_lines([
        "*missing: test_suite.py::test_stopping attempts 1-2 (not run: cancelled); attempts 3-4 (not run)",
        "*missing: test_suite.py::test_never attempts 1-4 (not run)",
        "*missing: attempts 1-4 (not run) of 5 more tasks",
        f"{verdict} *--min-pass-k:*, because 44 attempts were not measured; *",
    ])  # fmt: skip
    assert f"**{verdict}** `--min-pass-k`" in (tmp_path / "comment.md").read_text("utf-8")
    assert f"\n{live['run']['verdict']}\n" in (tmp_path / "output").read_text("utf-8")


def test_no_gate_fails_for_tasks_that_never_started(tmp_path: Path) -> None:
    """The one of three tasks that ran has failed: pass^4 is 0, if the others fail, and 2/3, if they do not."""
    source = """
    async def test_fails(attempt): attempt.agent_begins(); assert 0
    def test_ordinary(): assert 0
    async def test_b(attempt): ...
    async def test_c(attempt): ...
    """
    result = run(tmp_path, source, "--min-pass-k=0.6", "-x")
    assert result.ret == 1  # for the ordinary test
    live = read(tmp_path / "live.json")
    assert [(g["verdict"], g["value"]) for g in live["gates"] if g["name"] == "--min-pass-k"] == [
        ("UNDECIDED", "0.000 to 0.667")
    ]
    assert judged(live) == judged(reported(tmp_path, "--min-pass-k=0.6"))


def test_a_run_that_ends_at_a_failed_task_names_the_tasks_it_left(tmp_path: Path) -> None:
    source = """
    async def test_a(attempt): ...
    async def test_fails(attempt): attempt.agent_begins(); assert 0
    def test_ordinary(): ...
    async def test_c(attempt): ...
    """
    result = run(tmp_path, source, "--maxfail=1")
    assert result.ret == 1
    live = read(tmp_path / "live.json")
    verdicts = {task["task"].split("::")[1]: task["verdict"] for task in live["tasks"]}
    assert verdicts == {"test_a": "PASS", "test_fails": "FAIL", "test_c": "UNDECIDED"}
    assert judged(live) == judged(reported(tmp_path))


def test_a_resumed_run_that_is_stopped_at_once_still_has_what_it_took(tmp_path: Path) -> None:
    source = f"""{PRELUDE}
async def test_a(attempt): await passes(attempt)
def test_ordinary(): interrupt() if "STOP" in os.environ else None
async def test_b(attempt): await passes(attempt)
"""
    gate = "--min-pass-k=0.9"
    assert run(tmp_path, source, gate, "--k=2").ret == 0
    assert run(tmp_path, source, gate, "--agent-resume", environment={"STOP": "now"}).ret == 2
    live = read(tmp_path / "live.json")
    assert [(task["n"], task["c"], task["missing_attempts"]) for task in live["tasks"]] == [(4, 4, []), (2, 2, [3, 4])]
    assert judged(live) == judged(reported(tmp_path, "--min-pass-k=0.9"))


def test_where_no_test_is_called_nothing_is_missing(tmp_path: Path) -> None:
    result = run(tmp_path, "async def test_a(attempt): ...", "--setup-only", "--min-pass-k=0.5")
    result.stdout.no_fnmatch_line("*missing:*")


def test_a_report_on_a_whole_run_misses_no_task_that_was_skipped(tmp_path: Path) -> None:
    files = {"test_idle.py": "import pytest\n@pytest.mark.skip(reason='x')\nasync def test_s(attempt): ...\n"}
    source = """
    import pytest
    async def test_a(attempt): ...
    @pytest.mark.skipif("True", reason="not now")
    async def test_skipped(attempt): ...
    """
    assert run(tmp_path, source, "--min-pass-k=1", files=files).ret == 0
    whole = reported(tmp_path, "--min-pass-k=1")
    assert (whole["run"]["exit_status"]["code"], whole["run"]["incomplete"]) == (0, [])
    assert judged(whole) == judged(read(tmp_path / "live.json"))
