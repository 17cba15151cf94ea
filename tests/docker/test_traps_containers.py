"""Containers that die in the middle of an attempt: whose deed it was decides what the attempt is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.traps import Trap, left_behind, spring

from pytest_agenteval.sandbox.asked.compose import default_compose
from pytest_agenteval.sandbox.images.images import ensure_default_image

HELPERS = """
async def meet(sandbox, then):
    '''Wait until the agent's command `echo > began; read < go` runs, then let it go on or end its container.'''
    await sandbox.exec(["cat", "began"])
    await then()

async def kill(sandbox):
    name = await noted(sandbox)
    await asyncio.to_thread(subprocess.run, ["docker", "kill", name], check=True)

async def remove(sandbox):
    name = await noted(sandbox)
    await asyncio.to_thread(subprocess.run, ["docker", "rm", "--force", name], check=True)

async def go_on(sandbox):
    await sandbox.exec(["sh", "-c", "echo > go"])

async def run_and(agent, sandbox, then):
    await noted(sandbox)
    assert (await sandbox.exec(["mkfifo", "began", "go"])).success
    meeting = asyncio.create_task(meet(sandbox, lambda: then(sandbox)))
    await agent.run("go")
    await meeting

MEETS = agent_task(solution="echo > began; read line < go; echo solved > answer.txt")
"""

OUTSIDE = """
@MEETS
async def test_killed_while_the_agent_runs(agent, sandbox, attempt):
    doomed = first_try(attempt)
    await run_and(agent, sandbox, kill if doomed else go_on)
    assert await sandbox.read_file("answer.txt") == "solved\\n"

@MEETS
async def test_killed_while_the_agent_runs_in_every_try(agent, sandbox, attempt):
    await run_and(agent, sandbox, kill)

@agent_task(solution="echo solved > answer.txt")
async def test_removed_before_a_file_is_read(agent, sandbox, attempt):
    await agent.run("go")
    if first_try(attempt):
        await remove(sandbox)
    assert await sandbox.read_file("answer.txt") == "solved\\n"

async def test_killed_while_a_check_runs(agent, sandbox, attempt):
    await agent.run("go")
    assert (await sandbox.exec(["mkfifo", "began", "go"])).success
    meeting = asyncio.create_task(meet(sandbox, lambda: kill(sandbox) if doomed else go_on(sandbox)))
    doomed = first_try(attempt)
    try:
        check = await sandbox.exec(["bash", "-c", "echo some output; echo > began; read < go; echo fine"])
    except Exception:
        check = None
    await meeting
    assert check is not None and check.stdout.endswith("fine\\n")
"""


def spring_in_docker(folder: Path, suite: str, *arguments: str, **files: str) -> Trap:
    return spring(folder, suite, *arguments, sandbox="docker", k=1, timeout=180, **files)


def compose_file(**options: Any) -> str:
    """For Inspect's own provider `docker`: the default image, with changes."""
    service = yaml.safe_load(default_compose(ensure_default_image(print).name))["services"]["default"]
    return yaml.safe_dump({"services": {"default": {**service, "labels": {"needs": "Compose"}, **options}}})


@pytest.mark.parametrize("whose", ["agenteval", "docker"])
def test_a_container_killed_from_outside_is_an_environment_error(tmp_path: Path, whose: str) -> None:
    files = {"compose_yaml": compose_file()} if whose == "docker" else {}
    trap = spring_in_docker(tmp_path, HELPERS + OUTSIDE, "--agent-env-retries=1", **files)
    for task in ("killed_while_the_agent_runs", "removed_before_a_file_is_read", "killed_while_a_check_runs"):
        assert trap.blames(f"test_{task}") == ["passed"]
        assert trap.attempts[f"test_{task}"][1].retries == 1
    stays = trap.attempts["test_killed_while_the_agent_runs_in_every_try"][1]
    assert (stays.blame, stays.retries) == ("environment_error (sandbox)", 1)
    assert "killed or stopped by an order to the daemon" in stays.message
    assert trap.reported("test_killed_while_the_agent_runs_in_every_try") == "UNDECIDED"
    assert trap.status == 10
    assert left_behind(tmp_path) == []


OWN_DOING = """
READY = "while ! [ -p /tmp/hog ]; do sleep 0.05; done; "  # the first process makes it when it has come that far
HOG = "python3 -c 'bytearray(200_000_000)'"

async def run(agent, sandbox):
    await noted(sandbox)
    await agent.run("go")
    assert (await sandbox.exec(["test", "-e", "solved"])).success
"""


def test_a_container_ended_by_its_agent_is_the_agents_failure(tmp_path: Path) -> None:
    suite = """
@agent_task(solution=READY + "kill 1; sleep 60")
async def test_ends_the_first_process(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=READY + "echo > /tmp/hog; sleep 60")
async def test_makes_the_first_process_run_out_of_memory(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=[HOG, "true"])
async def test_runs_out_of_memory_in_a_child(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=[HOG, "touch solved"])
async def test_survives_a_child_out_of_memory(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution="echo 'service \\"default\\" is not running' >&2; exit 1")
async def test_says_that_its_sandbox_is_gone(agent, sandbox):
    await run(agent, sandbox)
"""
    waits = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
os.mkfifo("/tmp/hog")
open("/tmp/hog").read()
bytearray(200_000_000)
"""
    limits = {"mem_limit": "64m", "memswap_limit": "64m"}
    compose = compose_file(command=["python3", "-c", waits], init=False, **limits)
    trap = spring_in_docker(tmp_path, OWN_DOING + suite, "--agent-env-retries=1", compose_yaml=compose)
    assert trap.blames("test_ends_the_first_process") == ["failed (sandbox_exhausted)"]
    assert trap.blames("test_makes_the_first_process_run_out_of_memory") == ["failed (sandbox_exhausted)"]
    assert "ran out of its memory" in trap.attempts["test_makes_the_first_process_run_out_of_memory"][1].message
    assert trap.blames("test_runs_out_of_memory_in_a_child") == ["failed"]
    assert trap.blames("test_survives_a_child_out_of_memory") == ["passed"]
    fakes = trap.attempts["test_says_that_its_sandbox_is_gone"][1]
    assert (fakes.blame, fakes.retries) == ("failed (sandbox_exhausted)", 1)
    assert trap.status == 1
    assert left_behind(tmp_path) == []


def test_an_agent_gains_nothing_by_attacking_the_default_sandbox(tmp_path: Path) -> None:
    suite = """
@agent_task(solution="kill 1; kill -9 1; kill -9 -1")
async def test_kills_all_it_can(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution="echo garbage > /proc/1/fd/1; sleep 1")
async def test_talks_over_its_exec_server(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution="kill -STOP 1; echo stopped")
async def test_stops_the_exec_server(agent, sandbox):
    await run(agent, sandbox)
"""
    trap = spring_in_docker(tmp_path, OWN_DOING + suite, "--agent-env-retries=1")
    assert {task: trap.blames(task) for task in trap.attempts} == {
        "test_kills_all_it_can": ["failed"],
        "test_talks_over_its_exec_server": ["failed"],
        "test_stops_the_exec_server": ["failed"],
    }
    assert trap.status == 1
    assert left_behind(tmp_path) == []
