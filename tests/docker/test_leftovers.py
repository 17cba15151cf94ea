"""What an agent leaves running: kept, or stopped at the moment it ends, however it was started."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.traps import spring

from pytest_agenteval.sandbox.asked.compose import default_compose
from pytest_agenteval.sandbox.images.images import ensure_default_image

SUITE = """
WRITE = "while :; do cat /proc/uptime > {0}; sleep 0.02; done"
WAYS = {
    "background": f"({WRITE}) > /dev/null 2>&1 &",
    "session": f"setsid sh -c '{WRITE}' > /dev/null 2>&1 < /dev/null &",
    "daemon": f"(setsid sh -c '({WRITE}) &' > /dev/null 2>&1 < /dev/null &)",
    "forks": "f() { cat /proc/uptime > {0}; sleep 0.02; f & }; (f > /dev/null 2>&1 &)",
}
START = "\\n".join(way.replace("{0}", name) for name, way in WAYS.items())
LEAVES = START + "\\nwhile ! [ -s background -a -s session -a -s daemon -a -s forks ]; do sleep 0.02; done"

async def still(sandbox):
    read = lambda: sandbox.exec(["cat", *WAYS])
    before = (await read()).stdout
    await asyncio.sleep(0.5)
    return (await read()).stdout == before != ""

@agent_task(solution=LEAVES, leftovers="stop")
async def test_stopped(agent, sandbox):
    service = "sleep 600 > /dev/null 2>&1 & echo $!"
    pid = (await sandbox.exec(["sh", "-c", service])).stdout.strip()
    roots = (await sandbox.exec(["sh", "-c", service], user="root")).stdout.strip()
    await agent.run("go")
    assert await still(sandbox)
    assert (await sandbox.exec(["kill", "-0", pid])).success, "the test's own service was stopped"
    assert (await sandbox.exec(["kill", "-0", roots], user="root")).success
    assert (await sandbox.exec(["whoami"], user="root")).stdout == "root\\n"

@agent_task(solution=LEAVES)
async def test_kept(agent, sandbox):
    await agent.run("go")
    assert not await still(sandbox)

@agent_task(solution=[LEAVES, "sleep 600"], leftovers="stop", time_limit=4)
async def test_stopped_by_its_limit(agent, sandbox):
    result = await agent.run("go")
    assert result.limit is not None
    assert await still(sandbox)

@agent_task(leftovers="stop")
async def test_an_own_agent_says_when_it_is_done(sandbox, attempt):
    attempt.agent_begins()
    # as another user than the container's, who may not kill it
    await sandbox.exec(["sh", "-c", LEAVES], user="root")
    await attempt.agent_done()
    assert await still(sandbox)

@agent_task(leftovers="stop")
async def test_an_own_agent_that_does_not_say_it(sandbox, attempt):
    attempt.agent_begins()
"""
PROGRAM = """
from pytest_agenteval import SandboxAgent

@pytest.fixture
def agent():
    return SandboxAgent(command=["bash", "-c", LEAVES])

@agent_task(leftovers="stop")
async def test_a_program(agent, sandbox):
    await agent.run("go")
    assert await still(sandbox)
"""


def test_leftovers_are_stopped_or_kept_as_the_task_says(tmp_path: Path) -> None:
    trap = spring(tmp_path, SUITE, sandbox="docker", k=1, timeout=180)
    assert {task: trap.blames(task) for task in trap.attempts} == {
        "test_stopped": ["passed"],
        "test_kept": ["passed"],
        "test_stopped_by_its_limit": ["passed"],
        "test_an_own_agent_says_when_it_is_done": ["passed"],
        "test_an_own_agent_that_does_not_say_it": ["broken"],
    }, trap.text
    assert "call `await attempt.agent_done()`" in trap.text


def test_leftovers_of_a_program_in_the_image(tmp_path: Path) -> None:
    trap = spring(tmp_path, SUITE.partition("@agent_task")[0] + PROGRAM, sandbox="docker", k=1, timeout=180)
    assert trap.blames("test_a_program") == ["passed"], trap.text


@pytest.mark.parametrize("python", [True, False], ids=["compose", "no exec server"])
def test_leftovers_without_an_exec_server(tmp_path: Path, python: bool) -> None:
    image = ensure_default_image(print).name
    services = yaml.safe_load(default_compose(image))
    services["services"]["other"] = {"image": image, "command": "sleep infinity", "network_mode": "none"}  # not plain
    files = {"compose_yaml": yaml.safe_dump(services)}
    if not python:
        files = {"Dockerfile": f"FROM {image}\nUSER root\nRUN rm -f /usr/bin/python3*\nUSER agent\n"}
    suite = SUITE[: SUITE.index("@agent_task(solution=[LEAVES")]
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text, "utf-8")
    trap = spring(tmp_path, suite, sandbox="docker", k=1, timeout=180)
    assert trap.blames("test_stopped") + trap.blames("test_kept") == ["passed", "passed"], trap.text
