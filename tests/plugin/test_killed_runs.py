"""`kill -9` at any moment: every attempt that anybody was told of is in the logs, with the outcome that was told."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from textwrap import dedent

import pytest
from support.forked_pytest import forked_pytest

from pytest_agenteval.cli.main import main
from pytest_agenteval.engine.logs.conversations import read_conversation
from pytest_agenteval.engine.logs.journal import entries

SPY = """
import os, signal
import pytest
WHEN = os.environ.get("KILL", "")

def note(name, *words):
    file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)

def kill(when, fits=True):
    if WHEN == when and fits:
        note("killed", when)
        os.kill(os.getpid(), signal.SIGKILL)

@pytest.fixture
def dies(): return kill

@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    record = getattr(report, "agenteval", None)
    if record is not None:
        outcomes = [attempt.outcome for attempt in record.attempts]
        note("shown", record.task, outcomes.count("passed"), outcomes.count("failed"))
        kill("shown")

def kill_some_time(seconds):
    import threading, time
    def later():
        while not os.path.exists("told"): time.sleep(0.01)
        time.sleep(seconds)
        kill(WHEN)
    threading.Thread(target=later, daemon=True).start()

def pytest_sessionstart(session):
    if WHEN.startswith("in "): kill_some_time(float(WHEN.split()[1]))
    if session.config.option.collectonly or session.config.getoption("numprocesses", None): return
    from inspect_ai.log._recorders import eval as recorders
    from pytest_agenteval.engine.eval.ledger import Ledger
    tell, copy, writes = Ledger.tell, recorders._copy_temp_to_local, []

    def telling(self, key, finished):
        tell(self, key, finished)
        note("told", *key, finished.record.outcome)
        kill("told", key[1] == 3)

    def copying(*arguments):
        writes.append(1)
        kill("before a write", len(writes) == 3)
        copy(*arguments)
        kill("after a write", len(writes) == 3)

    Ledger.tell, recorders._copy_temp_to_local = telling, copying
"""
SUITE = """
import asyncio
async def test_first(attempt):
    attempt.agent_begins()
    assert attempt.number != 2
async def test_second(attempt, dies):
    attempt.agent_begins()
    if attempt.number == 4:
        await asyncio.sleep(0.3)
        dies("body")
def test_ordinary(dies): dies("ordinary")
async def test_third(attempt, dies): attempt.agent_begins()
"""
OPTIONS = ("-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "--agent-model=agenteval/null", "--k=4",
           "--agent-sandbox=local", "--agent-concurrency=3", "--agent-log-dir=logs")  # fmt: skip
MOMENTS = ("told", "shown", "before a write", "after a write", "body", "ordinary", "debugger")


def killed(folder: Path, when: str, *arguments: str, suite: str = SUITE) -> pytest.RunResult:
    for name, text in {"pytest.ini": "[pytest]\n", "conftest.py": SPY, "test_suite.py": suite}.items():
        (folder / name).write_text(dedent(text), "utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "KILL": when}
    prompt = "import os, signal\nopen('killed', 'w').close()\nos.kill(os.getpid(), signal.SIGKILL)\n"
    return forked_pytest(folder, (*OPTIONS, *arguments), environment, stdin=prompt, timeout=180)


def noted(folder: Path, name: str) -> list[list[str]]:
    file = folder / name
    return [line.split() for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def found(folder: Path) -> dict[tuple[str, str], str]:
    """What `pytest-agenteval report` finds: the outcome of each attempt by task and number."""
    main(["report", str(folder / "logs"), f"--agent-json={folder / 'report.json'}"])
    tasks = json.loads((folder / "report.json").read_text("utf-8"))["tasks"]
    attempts = {(task["task"], str(one["number"])): one["outcome"] for task in tasks for one in task["attempts"]}
    return {key: outcome for key, outcome in attempts.items() if outcome != "not_run"}


def check(folder: Path, *, at_most_more: int) -> None:
    told = {(task, number): outcome for task, number, outcome in noted(folder, "told")}
    assert told
    logged = found(folder)
    assert {key: logged.get(key) for key in told} == told
    assert len(logged) - len(told) <= at_most_more  # written, and killed before anybody could be told
    for task, passes, failures in noted(folder, "shown"):
        outcomes = [outcome for (of, _), outcome in logged.items() if of == task]
        assert (outcomes.count("passed"), outcomes.count("failed")) == (int(passes), int(failures))


@pytest.mark.parametrize("when", MOMENTS)
def test_what_was_told_is_in_the_logs(tmp_path: Path, when: str) -> None:
    result = killed(tmp_path, when, *(["--pdb"] if when == "debugger" else []))
    assert (tmp_path / "killed").exists()
    assert result.ret == -9
    check(tmp_path, at_most_more=3 if when in ("after a write", "told") else 0)


MANY = """
async def test_many(attempt):
    attempt.agent_begins()
    assert attempt.number % 3
"""


def refuse_a_damaged_entry(folder: Path, log: str) -> None:
    """An attempt that was told is not left out in silence."""
    shutil.copytree(folder / "logs", folder / "damaged")
    found = entries(str(folder / "damaged" / log))
    if found:
        Path(found[0].address).write_bytes(b"PK half")
        assert main(["report", str(folder / "damaged")]) == 2


@pytest.mark.parametrize("seed", range(4))
def test_many_attempts_and_any_moment(tmp_path: Path, seed: int) -> None:
    """Most of them are not in the log yet, but in its journal. What the run then lacks, and only that, is run again."""
    when = f"in {random.Random(seed).random():.2f}"
    result = killed(tmp_path, when, "--k=500", suite=MANY)
    assert result.ret == -9
    check(tmp_path, at_most_more=6)
    (log,) = (tmp_path / "logs").glob("*.eval")
    logged = found(tmp_path)
    assert all(read_conversation(task, int(number), str(log)) is not None for task, number in logged)
    refuse_a_damaged_entry(tmp_path, log.name)
    kept = len(logged)
    (tmp_path / "told").unlink()
    resumed = killed(tmp_path, "", f"--k={kept + 9}", "--agent-top-up", suite=MANY)
    assert resumed.ret == 1
    assert len({(task, number) for task, number, _ in noted(tmp_path, "told")}) == kept + 9
    assert f"{kept} of {kept + 9} attempts were run by earlier invocations" in resumed.stdout.str()


def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    result = killed(tmp_path, "ordinary", "-p", "xdist", "-n1")
    assert (tmp_path / "killed").exists()
    assert result.ret == 1
    assert [task.partition("::")[2] for task, *_ in noted(tmp_path, "shown")] == [
        "test_first", "test_first", "test_second", "test_second", "test_third", "test_third",
    ]  # fmt: skip
    check(tmp_path, at_most_more=0)
