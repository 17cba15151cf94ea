"""A run that is ended in its middle, then `--agent-resume`: nothing is lost, nothing is run or paid twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.private_daemon import PrivateDaemon
from support.scripted_policy import CommandPolicy, Tokens
from support.scripted_server import ScriptedServer
from support.traps import left_behind

from pytest_agenteval.engine.store import read_store

K, TASKS = 8, 8
ATTEMPTS = K * TASKS
SUITE = """
import os, pathlib
import pytest

pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))

@pytest.mark.parametrize("number", range(8))
async def test_writes(agent, sandbox, number):
    with pathlib.Path(__file__).with_name("containers.txt").open("a") as file:
        print((await sandbox.connection()).container, file=file)
    await agent.run("Task write: write the answer.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"
"""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}
TOKENS = Tokens(prompt=1000, completion=100)
CALLS = 2
"""Of an attempt: the command, and the end."""
POLICY = CommandPolicy(success=("echo 42 > answer.txt",), tokens=TOKENS)
COST = CALLS * (1000 * 1.0 + 100 * 10.0) / 1e6


def until_gone(folder: Path) -> None:
    for _ in range(100):
        if not left_behind(folder):
            return
        time.sleep(0.1)
    pytest.fail(f"containers are left: {left_behind(folder)}")


def run(folder: Path, server: ScriptedServer, *arguments: str, **environment: str) -> HttpRun:
    # max_tokens bounds what a budget sets aside for a call
    asked = ("--agent-generate=max_tokens=100", *arguments)
    return run_suite(
        folder, server, SUITE, *asked, k=K, prices=PRICES, sandbox="docker", environment=environment, timeout=200
    )


def finished(folder: Path) -> int:
    logs, problems = read_store(folder / "logs")
    assert problems == []
    return sum(record.outcome.counts for log in logs for _, record in log.attempts)


def signalled(folder: Path, number: int) -> HttpRun:
    """A run that gets this signal while 60 requests are answered and others wait."""
    with ScriptedServer({"write": POLICY}) as server:
        server.hold(after=60)

        def send() -> None:
            server.wait_until_held(8, timeout=150)
            os.kill(int((folder / "pid").read_text("utf-8")), number)

        sender = threading.Thread(target=send)
        sender.start()
        ended = run(folder, server)
        sender.join()
    return ended


def completed(folder: Path, kept: int, **environment: str) -> HttpRun:
    """The run resumed to its end, with a grid that is whole, green, and paid for once."""
    with ScriptedServer({"write": POLICY}) as server:
        resumed = run(folder, server, "--agent-resume", "--min-pass-k=1", "--max-cost=10", **environment)
        assert len(server.journal) == CALLS * (ATTEMPTS - kept)
    assert f"resumed: {kept} attempts of {ATTEMPTS} are there" in resumed.text
    attempts = [attempt for record in resumed.task_records for attempt in record.attempts]
    assert [attempt.outcome.value for attempt in attempts] == ["passed"] * ATTEMPTS
    assert sum(attempt.reused for attempt in attempts) == kept
    assert sum(attempt.cost or 0.0 for attempt in attempts) == pytest.approx(ATTEMPTS * COST)
    assert len({attempt.run for attempt in attempts}) == 1
    assert resumed.code == 0
    return resumed


def test_a_killed_run_is_resumed(tmp_path: Path) -> None:
    assert signalled(tmp_path, signal.SIGKILL).code == -signal.SIGKILL
    until_gone(tmp_path)
    kept = finished(tmp_path)
    assert 8 <= kept <= 30
    resumed = completed(tmp_path, kept)
    assert "in flight had spent when the run was killed is in no log" in resumed.text
    until_gone(tmp_path)


def test_an_interrupted_run_is_resumed(tmp_path: Path) -> None:
    assert signalled(tmp_path, signal.SIGINT).code == 2
    assert left_behind(tmp_path) == []
    kept = finished(tmp_path)
    assert 8 <= kept <= 30
    resumed = completed(tmp_path, kept)
    # what the interrupted attempts had paid stays in the account: 60 calls in all
    assert sum(record.cost or 0.0 for record in resumed.task_records) == pytest.approx(
        ATTEMPTS * COST + (60 - CALLS * kept) * COST / CALLS
    )


def test_a_run_whose_budget_was_spent_is_resumed(tmp_path: Path) -> None:
    with ScriptedServer({"write": POLICY}) as server:
        stopped = run(tmp_path, server, f"--max-cost={20 * COST}", "--min-pass-k=1")
    assert stopped.code == 10
    kept = finished(tmp_path)
    assert 1 <= kept <= 20
    completed(tmp_path, kept)
    assert left_behind(tmp_path) == []


def test_a_run_whose_daemon_was_stopped_is_resumed(tmp_path: Path, daemon_of_ours: PrivateDaemon) -> None:
    with ScriptedServer({"write": POLICY}) as server:
        server.hold(after=60)

        def stop() -> None:
            server.wait_until_held(8, timeout=150)
            daemon_of_ours.stop()
            server.release()

        stopper = threading.Thread(target=stop)
        stopper.start()
        lost = run(tmp_path, server, "--agent-env-retries=0", DOCKER_HOST=daemon_of_ours.address)
        stopper.join()
    assert lost.code == 10
    kept = finished(tmp_path)
    assert 8 <= kept <= 30
    daemon_of_ours.start()
    completed(tmp_path, kept, DOCKER_HOST=daemon_of_ours.address)
    with closing(daemon_of_ours.client()) as client:
        assert client.containers.list(all=True) == []
