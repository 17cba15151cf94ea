"""Containers that die in the middle of an attempt: whose deed it was decides what the attempt is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.traps import left_behind, spring

from pytest_agenteval.sandbox.compose import default_compose
from pytest_agenteval.sandbox.images import ensure_default_image

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
    doomed = attempt.number == 1 and first_try(attempt)
    await run_and(agent, sandbox, kill if doomed else go_on)
    assert await sandbox.read_file("answer.txt") == "solved\\n"

@MEETS
async def test_killed_while_the_agent_runs_in_every_try(agent, sandbox, attempt):
    await run_and(agent, sandbox, kill if attempt.number == 1 else go_on)

@agent_task(solution="echo solved > answer.txt")
async def test_removed_before_a_file_is_read(agent, sandbox, attempt):
    await agent.run("go")
    if attempt.number == 1 and first_try(attempt):
        await remove(sandbox)
    assert await sandbox.read_file("answer.txt") == "solved\\n"

async def test_killed_while_a_check_runs(agent, sandbox, attempt):
    await agent.run("go")
    assert (await sandbox.exec(["mkfifo", "began", "go"])).success
    meeting = asyncio.create_task(meet(sandbox, lambda: kill(sandbox) if doomed else go_on(sandbox)))
    doomed = attempt.number == 1 and first_try(attempt)
    try:
        check = await sandbox.exec(["bash", "-c", "echo some output; echo > began; read < go; echo fine"])
    except Exception:
        check = None
    await meeting
    assert check is not None and check.stdout.endswith("fine\\n")
"""


def compose_file(**options: Any) -> str:
    """For Inspect's own provider `docker`: the default image, with changes."""
    service = yaml.safe_load(default_compose(ensure_default_image(print).name))["services"]["default"]
    return yaml.safe_dump({"services": {"default": {**service, **options}}})


@pytest.mark.parametrize("compose", [False, True])
def test_a_container_killed_from_outside_is_an_environment_error(tmp_path: Path, compose: bool) -> None:
    files = {"compose_yaml": compose_file()} if compose else {}
    trap = spring(tmp_path, HELPERS + OUTSIDE, "--agent-env-retries=1", sandbox="docker", k=2, timeout=240, **files)
    for task in ("killed_while_the_agent_runs", "removed_before_a_file_is_read", "killed_while_a_check_runs"):
        assert trap.blames(f"test_{task}") == ["passed", "passed"]
        assert [trap.attempts[f"test_{task}"][n].retries for n in (1, 2)] == [1, 0]
    stays = trap.attempts["test_killed_while_the_agent_runs_in_every_try"]
    assert [stays[n].blame for n in (1, 2)] == ["environment_error (sandbox)", "passed"]
    assert stays[1].retries == 1
    assert "killed or stopped by an order to the daemon" in stays[1].message
    assert trap.reported("test_killed_while_the_agent_runs_in_every_try") == "UNDECIDED"
    assert trap.status == 10
    assert left_behind(tmp_path) == []


def test_a_container_ended_by_its_agent_is_the_agents_failure(tmp_path: Path) -> None:
    suite = """
HOG = "python3 -c 'bytearray(200_000_000)'"

async def run(agent, sandbox):
    await noted(sandbox)
    await agent.run("go")
    assert (await sandbox.exec(["test", "-e", "solved"])).success

@agent_task(solution=["kill 1", "sleep 60"])
async def test_kills_the_first_process(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=["echo > /tmp/hog", "sleep 60"])
async def test_makes_the_first_process_run_out_of_memory(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=[HOG, "true"])
async def test_runs_out_of_memory_in_a_child(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=[HOG, "touch solved"])
async def test_survives_a_child_out_of_memory(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=["echo 'service \\"default\\" is not running' >&2; exit 1", "true"])
async def test_says_that_its_sandbox_is_gone(agent, sandbox):
    await run(agent, sandbox)

@agent_task(solution=["kill -9 -1", "true"])
async def test_kills_all_it_can(agent, sandbox):
    await run(agent, sandbox)

async def test_kills_it_through_the_checks(agent, sandbox):
    await noted(sandbox)
    await agent.run("go")
    await sandbox.exec(["sh", "-c", "kill 1; sleep 60"])
"""
    waits = "mkfifo /tmp/hog && read line < /tmp/hog; exec python3 -c 'bytearray(200_000_000)'"
    files = {
        "compose_yaml": compose_file(
            command=["bash", "-c", waits], init=False, mem_limit="64m", memswap_limit="64m", stop_signal="SIGKILL"
        )
    }
    trap = spring(tmp_path, suite, "--agent-env-retries=1", sandbox="docker", k=1, timeout=240, **files)
    print({task: trap.attempts[task] for task in trap.attempts})
    assert left_behind(tmp_path) == []
    assert 0
