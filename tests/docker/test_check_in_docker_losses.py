"""Checks whose containers are killed, or have a network, and the second check of a suite that has not changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_agenteval.cli.main import main
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE

pytestmark = pytest.mark.usefixtures("warm_children")

MARKED = """
from pathlib import Path
from pytest_agenteval import agent_task

@agent_task(solution="echo 42 > answer.txt")
async def test_sound(agent, sandbox):
    with Path("opened.txt").open("a") as file:  # only a body with a sandbox comes here
        print("x", file=file)
    await agent.run("Write 42 to answer.txt.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"
"""
SLOW = """
from pathlib import Path
from pytest_agenteval import agent_task

@agent_task(solution=["hostname > id", "sleep 3600"])
async def test_slow(agent, sandbox):
    async def told():
        import asyncio
        while not (await sandbox.exec(["cat", "id"])).stdout.strip():
            await asyncio.sleep(0.2)
        with Path("containers.txt").open("a") as file:
            file.write((await sandbox.exec(["cat", "id"])).stdout)
    import asyncio
    watch = asyncio.ensure_future(told())
    try:
        await agent.run("Wait.")
        assert "waited" in (await sandbox.exec(["cat", "id"])).stdout
    finally:
        watch.cancel()
"""
NEEDS_NETWORK = """
from pytest_agenteval import agent_task

ASKS = "ip -o link 2>/dev/null | grep -q eth0 || ls /sys/class/net | grep -q eth0"

@agent_task(solution=f"({ASKS}) && echo yes > found.txt", network="bridge")
async def test_needs_it(agent, sandbox):
    await agent.run("Write yes to found.txt if there is a network.")
    assert (await sandbox.read_file("found.txt")).strip() == "yes"

@agent_task(solution="echo yes > found.txt", network="bridge")
async def test_has_it(agent, sandbox):
    await agent.run("Write yes to found.txt.")
    assert (await sandbox.read_file("found.txt")).strip() == "yes"
"""


SUMS = "seq 1 40 | awk '{ total += $1; print NR, total }' > running.txt"
LEAKING = f"""
from pytest_agenteval import agent_task

@agent_task(solution={SUMS!r}, sandbox="compose.yaml")
async def test_leaks(agent, sandbox):
    await agent.run("Write the running sums of the numbers 1 to 40 to running.txt, as lines `N TOTAL`.")
    assert (await sandbox.read_file("running.txt")).split()[-1] == "820"
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")

    def check(suite: str, *arguments: str) -> tuple[int, Any]:
        (tmp_path / "test_suite.py").write_text(suite, "utf-8")
        status = main(["check", "test_suite.py", "--json=check.json", *arguments])
        return status, json.loads((tmp_path / "check.json").read_text("utf-8"))

    return check


@pytest.fixture
def killer(tmp_path: Path) -> Iterator[list[str]]:
    """Kills every container that the suite names, as soon as it is named."""
    killed: list[str] = []
    done = threading.Event()

    def kill() -> None:
        client, file = docker.from_env(), tmp_path / "containers.txt"
        while not done.wait(0.1):
            for name in file.read_text("utf-8").split() if file.exists() else ():
                if name not in killed:
                    killed.append(name)
                    client.containers.get(name).kill()

    thread = threading.Thread(target=kill)
    thread.start()
    yield killed
    done.set()
    thread.join()


def test_a_container_killed_from_outside_is_nobodys_offence_and_never_ok(check: Any, killer: list[str]) -> None:
    status, read = check(SLOW, "--", "--agent-env-retries=0")
    assert status == 10
    assert len(killer) == 1
    [task] = read["tasks"]
    assert task["rules"]["AE102"] == "undecided"
    assert read["findings"] == []


def test_a_solution_that_needs_the_network(check: Any) -> None:
    status, read = check(NEEDS_NETWORK, "--level=standard", "--only=AE1")
    rules = {task["task"].partition("::test_")[2]: task["rules"] for task in read["tasks"]}
    assert status == 0  # a warning
    assert [(each["rule"], each["task"]) for each in read["findings"]] == [("AE105", "test_suite.py::test_needs_it")]
    assert (rules["has_it"]["AE105"], rules["needs_it"]["AE102"]) == ("ok", "ok")


def test_a_leak_in_the_environment(check: Any, tmp_path: Path) -> None:
    service = {"image": DEFAULT_IMAGE, "command": "sleep infinity", "environment": {"HINT": SUMS}}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"default": service}}), "utf-8")
    status, read = check(LEAKING, "--level=standard", "--only=AE403", "--only=AE201")
    assert status == 1
    [finding] = read["findings"]
    assert finding["rule"] == "AE403" and "HINT" in finding["message"]


def test_an_unchanged_suite_starts_no_container(check: Any, tmp_path: Path) -> None:
    suite = MARKED
    first = check(suite, "--level=standard", "--mutants=4")
    opened = len((tmp_path / "opened.txt").read_text("utf-8").split())
    second = check(suite, "--level=standard", "--mutants=4")
    assert opened == first[1]["plays"] == second[1]["plays"] > 10
    assert len((tmp_path / "opened.txt").read_text("utf-8").split()) == opened
    for key in ("findings", "tasks", "rules", "exit_status", "unplayed"):
        assert second[1][key] == first[1][key]
