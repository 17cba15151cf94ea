"""A run that is ended in its middle, then `--agent-resume`: nothing is lost, nothing is run or paid twice."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.private_daemon import PrivateDaemon
from support.scripted_policy import CommandPolicy, Tokens
from support.scripted_server import ScriptedServer
from support.traps import left_behind

from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers
from pytest_agenteval.sandbox.images.images import ensure_default_image


@dataclass(frozen=True, slots=True)
class Grid:
    """How much a run is to do."""

    tasks: int
    k: int
    concurrency: int

    @property
    def attempts(self) -> int:
        return self.tasks * self.k


WHOLE, SMALL = Grid(8, 8, 16), Grid(4, 4, 4)
SUITE = """
import os, pathlib
import pytest

pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))

@pytest.mark.parametrize("number", range(int(os.environ["TASKS"])))
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


def run(folder: Path, server: ScriptedServer, grid: Grid, *arguments: str, **environment: str) -> HttpRun:
    # max_tokens bounds what a budget sets aside for a call
    asked = ("--agent-generate=max_tokens=100", f"--agent-concurrency={grid.concurrency}", *arguments)
    surroundings = {"TASKS": str(grid.tasks), **environment}
    return run_suite(
        folder, server, SUITE, *asked, k=grid.k, prices=PRICES, sandbox="docker", environment=surroundings, timeout=200
    )


def ended_in_its_middle(folder: Path, grid: Grid, end: Callable[[ScriptedServer], None], **environment: str) -> HttpRun:
    """A run that `end` ends when half of its requests are answered and others wait."""
    with ScriptedServer({"write": POLICY}) as server:
        server.hold(after=grid.attempts)

        def wait_and_end() -> None:
            server.wait_until_held(grid.concurrency // 2, timeout=150)
            end(server)

        ender = threading.Thread(target=wait_and_end)
        ender.start()
        ended = run(folder, server, grid, "--agent-env-retries=0", **environment)
        ender.join()
    return ended


def send(number: int, folder: Path) -> Callable[[ScriptedServer], None]:
    return lambda _: os.kill(int((folder / "pid").read_text("utf-8")), number)


def finished(folder: Path, grid: Grid) -> int:
    logs = read_all(read_headers(log_files(folder / "logs")))
    kept = sum(record.outcome.counts for log in logs for _, record in log.attempts)
    assert 0 < kept < grid.attempts
    return kept


def completed(folder: Path, grid: Grid, kept: int, **environment: str) -> HttpRun:
    """The run resumed to its end, with a grid that is whole, green, and paid for once."""
    with ScriptedServer({"write": POLICY}) as server:
        resumed = run(folder, server, grid, "--agent-resume", "--min-pass-k=1", "--max-cost=10", **environment)
        assert len(server.journal) == CALLS * (grid.attempts - kept)
    assert f"resumed: {kept} attempts of {grid.attempts} are there" in resumed.text
    attempts = [attempt for record in resumed.task_records for attempt in record.attempts]
    assert [attempt.outcome.value for attempt in attempts] == ["passed"] * grid.attempts
    assert sum(attempt.reused for attempt in attempts) == kept
    assert sum(attempt.cost or 0.0 for attempt in attempts) == pytest.approx(grid.attempts * COST)
    assert len({attempt.run for attempt in attempts}) == 1
    assert resumed.code == 0
    return resumed


def test_a_killed_run_is_resumed(tmp_path: Path) -> None:
    assert ended_in_its_middle(tmp_path, WHOLE, send(signal.SIGKILL, tmp_path)).code == -signal.SIGKILL
    until_gone(tmp_path)
    resumed = completed(tmp_path, WHOLE, finished(tmp_path, WHOLE))
    assert "in flight had spent when the run was killed is in no log" in resumed.text
    until_gone(tmp_path)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 2), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_resumed(tmp_path: Path, number: signal.Signals, status: int) -> None:
    assert ended_in_its_middle(tmp_path, SMALL, send(number, tmp_path)).code == status
    assert left_behind(tmp_path) == []
    kept = finished(tmp_path, SMALL)
    resumed = completed(tmp_path, SMALL, kept)
    # what the interrupted attempts had paid stays in the account
    paid = sum(record.cost or 0.0 for record in resumed.task_records)
    assert paid == pytest.approx(SMALL.attempts * COST + (SMALL.attempts - CALLS * kept) * COST / CALLS)


def test_a_run_whose_budget_was_spent_is_resumed(tmp_path: Path) -> None:
    with ScriptedServer({"write": POLICY}) as server:
        stopped = run(tmp_path, server, SMALL, f"--max-cost={8 * COST}", "--min-pass-k=1")
    assert stopped.code == 10
    completed(tmp_path, SMALL, finished(tmp_path, SMALL))
    assert left_behind(tmp_path) == []


def test_a_run_whose_daemon_was_stopped_is_resumed(tmp_path: Path, daemon_of_ours: PrivateDaemon) -> None:
    def stop(server: ScriptedServer) -> None:
        daemon_of_ours.stop()
        server.release()

    here = {"DOCKER_HOST": daemon_of_ours.address}
    assert ended_in_its_middle(tmp_path, SMALL, stop, **here).code == 10
    daemon_of_ours.start()
    completed(tmp_path, SMALL, finished(tmp_path, SMALL), **here)
    with closing(daemon_of_ours.client()) as client:
        assert client.containers.list(all=True) == []


def test_attempts_in_another_image_are_not_reused(tmp_path: Path) -> None:
    suite = """
from pytest_agenteval import agent_task

@agent_task(sandbox="image:agenteval-test-moving:latest")
async def test_writes(agent, sandbox):
    await agent.run("Task write: write the answer.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"
"""

    def asked(version: int) -> str:
        recipe = f"FROM {ensure_default_image(print).name}\nLABEL version={version}\n"
        with closing(docker.from_env()) as client, ScriptedServer({"write": POLICY}) as server:
            client.images.build(fileobj=io.BytesIO(recipe.encode()), tag="agenteval-test-moving:latest", rm=True)
            done = run_suite(tmp_path, server, suite, "--agent-top-up", k=2, prices=PRICES, sandbox="docker")
            assert done.code == 0
            return f"{len(server.journal) // CALLS} ran; {done.text}"

    try:
        assert asked(1).startswith("2 ran")
        assert asked(1).startswith("0 ran")
        again = asked(2)
        assert again.startswith("2 ran")
        assert "2 attempts not reused: its image has changed" in again
    finally:
        with closing(docker.from_env()) as client:
            client.images.remove("agenteval-test-moving:latest", force=True)
