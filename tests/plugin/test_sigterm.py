"""SIGTERM, with which CI cancels a job: reports are written, attempts end in order, and nothing is green."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.suite_runs import Run

from pytest_agenteval.cli.main import main

ASKED = (
    "-p", "no:cacheprovider", "--k=2", "--min-pass-k=0.1", "--agent-json=live.json", "--agent-comment=comment.md",
    "--junitxml=junit.xml", "--agent-log-dir=logs",
)  # fmt: skip
PRELUDE = """
    import asyncio, os, signal, threading, time
    import pytest

    def terminate(): os.kill(os.getpid(), signal.SIGTERM)
    def note(name):
        with open(name, "a") as file: file.write("x")
    UP = []

    async def test_first(attempt): attempt.agent_begins()
"""
NEVER = """
    async def test_never(attempt): attempt.agent_begins()
"""


def written(folder: Path) -> tuple[object, object]:
    """The exit status and the verdict that all reports of the run say, and that its logs are not judged green."""
    live = json.loads((folder / "live.json").read_text("utf-8"))["run"]
    assert "exit 143" in (folder / "comment.md").read_text("utf-8")
    assert "<testsuite " in (folder / "junit.xml").read_text("utf-8")
    assert main(["report", str(folder / "logs"), "--min-pass-k=0.1"]) == 10
    return live["exit_status"]["code"], live["verdict"]


def test_a_run_is_ended_as_by_ctrl_c_and_says_so(run: Run, pytester: pytest.Pytester) -> None:
    """One of three tasks passed, which is enough for the gate; the run is not green for that."""
    source = """
    async def test_ends(attempt):
        attempt.agent_begins()
        UP.append(attempt)
        if len(UP) == 2: terminate()
        try: await asyncio.sleep(3600)
        finally: note("down")
    """
    result = run(PRELUDE + source + NEVER, *ASKED, "--agent-concurrency=2")
    assert result.ret == 143
    result.stdout.fnmatch_lines(["*missing: test_suite.py::test_ends*", "exit 143: ended by SIGTERM"])
    assert (pytester.path / "down").read_text() == "xx"
    assert (pytester.path / "logs" / ".gitignore").read_text() == "*\n"
    assert written(pytester.path) == (143, "INTERRUPTED")


def test_a_second_one_has_reports_written_before_all_is_cleaned_up(run: Run, pytester: pytest.Pytester) -> None:
    source = """
    async def test_ends(attempt):
        attempt.agent_begins()
        UP.append(attempt)
        if len(UP) == 2: terminate()
        try: await asyncio.sleep(3600)
        finally:
            if attempt.number == 1: threading.Timer(1.1, terminate).start()  # within a second it would be the same one
            try: await asyncio.shield(asyncio.sleep(3600))
            finally: note(f"down with {os.path.exists('live.json')}")
    """
    conftest = """
    import os
    def pytest_terminal_summary(): os.rename("live.json", "first.json") if os.path.exists("live.json") else None
    """
    result = run(PRELUDE + source, *ASKED, conftest=conftest)
    assert result.ret == 143
    assert json.loads((pytester.path / "first.json").read_text("utf-8"))["run"]["exit_status"]["code"] == 143


def test_code_that_blocks_the_loop_is_interrupted_by_the_second_one(run: Run, pytester: pytest.Pytester) -> None:
    source = """
    async def test_ends(attempt):
        attempt.agent_begins()
        terminate()
        threading.Timer(1.1, terminate).start()
        while True: time.sleep(0.01)
    """
    assert run(PRELUDE + source, *ASKED, "--k=1").ret == 143
    assert written(pytester.path) == (143, "INTERRUPTED")


def test_an_ordinary_test_is_interrupted_and_the_tasks_after_it_are_missing(
    run: Run, pytester: pytest.Pytester
) -> None:
    source = """
    def test_ordinary():
        terminate()
        time.sleep(3600)
    """
    result = run(PRELUDE + source + NEVER, *ASKED)
    assert result.ret == 143
    result.stdout.fnmatch_lines(["*missing: test_suite.py::test_never attempts 1-2 (not run)"])
    assert written(pytester.path) == (143, "INTERRUPTED")


def test_what_hangs_at_the_end_is_interrupted_and_the_reports_are_written(run: Run, pytester: pytest.Pytester) -> None:
    source = """
    @pytest.fixture(scope="session")
    def server():
        yield
        terminate()
        time.sleep(3600)
    async def test_last(attempt, server): attempt.agent_begins()
    """
    run(PRELUDE + source, *ASKED)
    live = json.loads((pytester.path / "live.json").read_text("utf-8"))
    assert [task["n"] for task in live["tasks"]] == [2, 2]


def test_a_program_that_runs_pytest_in_a_thread_is_not_disturbed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("async def test_a(attempt): attempt.agent_begins()")
    program = """
import signal, sys, threading
import pytest
status = []
arguments = ["-q", "--agent-model=agenteval/null", "--agent-sandbox=local"]
thread = threading.Thread(target=lambda: status.append(int(pytest.main(arguments))))
thread.start()
thread.join()
sys.exit(status[0] or int(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL))
"""
    ended = subprocess.run((sys.executable, "-c", program), cwd=pytester.path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
