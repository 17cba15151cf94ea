"""A Docker daemon that goes away in the middle of a run."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support.private_daemon import PrivateDaemon
from support.traps import spring

from pytest_agenteval.sandbox.asked.compose import default_compose
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE


def restarted(daemon: PrivateDaemon) -> PrivateDaemon:
    daemon.stop()
    daemon.start()
    return daemon


@pytest.mark.parametrize("whose", ["agenteval", "docker"])
def test_a_daemon_that_stops(tmp_path: Path, daemon_of_ours: PrivateDaemon, whose: str) -> None:
    suite = """
import os, signal

@agent_task(solution="echo > began; sleep 600")
async def test_in_the_agents_run(agent, sandbox, attempt):
    await noted(sandbox)
    await sandbox.exec(["mkfifo", "began"])
    async def stop():
        await sandbox.exec(["cat", "began"])
        os.kill(int(Path("daemon.pid").read_text()), signal.SIGTERM)
    stopping = asyncio.create_task(stop())
    await agent.run("go")
    await stopping
    assert (await sandbox.exec(["true"])).success

@agent_task(solution=["true"] * 3)
async def test_afterwards(agent, sandbox):
    await agent.run("go")
"""
    files = {"daemon_pid": (daemon_of_ours.folder / "d.pid").read_text("utf-8")}
    if whose == "docker":
        files["compose_yaml"] = default_compose(DEFAULT_IMAGE)
    arguments = ("--agent-env-retries=1", "--agent-concurrency=1")
    environment = {"DOCKER_HOST": daemon_of_ours.address}
    trap = spring(tmp_path, suite, *arguments, sandbox="docker", k=1, timeout=180, environment=environment, **files)
    assert trap.status == 10
    assert trap.blames("test_in_the_agents_run") == ["environment_error (sandbox)"]
    assert trap.blames("test_afterwards") == ["environment_error (sandbox)"]
    assert trap.attempts["test_in_the_agents_run"][1].retries == 1
    with closing(restarted(daemon_of_ours).client()) as client:
        assert client.containers.list() == []
