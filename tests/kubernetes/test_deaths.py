"""Who ended a pod: an agent cannot choose to be an environment error, and is never blamed for what others did."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
import pytest
from inspect_ai.util import SandboxUnavailableError
from support.clusters import IMAGE, KUBECONFIG, Cluster
from support.sandboxes import containers, on, opened
from support.traps import spring

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.cluster import pods
from pytest_agenteval.sandbox.death import Death, EndedBy

ROOT = Path(__file__).parents[2]
MANY = ROOT / "tests/support/many_sandboxes.py"


FILL = "echo 1000 > /proc/1/oom_score_adj; cat /dev/zero > /dev/shm/full"
"""Memory that no process has: the kernel ends the first one, which it was told to like least."""


async def autopsy(sandbox: AgentevalSandbox) -> Death:
    with anyio.fail_after(30):
        with pytest.raises(SandboxUnavailableError):
            while True:
                await sandbox.exec(["sleep", "0.1"])
        assert sandbox.container.last_words
        return await sandbox.container.examine()


def test_a_pod_that_somebody_deletes_or_evicts_was_ended_from_outside(there: Cluster) -> None:
    async def run() -> None:
        async with opened() as sandbox:
            there.delete(sandbox.container.name)
            assert (await autopsy(sandbox)).by is EndedBy.OUTSIDE
            with pytest.raises(SandboxUnavailableError):
                await sandbox.read_file("x")
            with pytest.raises(ConnectionError):
                await sandbox.connection()
        async with opened() as sandbox:
            name = sandbox.container.name
            for version in ("v1", "v1beta1"):
                body = {"apiVersion": f"policy/{version}", "kind": "Eviction", "metadata": {"name": name}}
                try:
                    there.call("POST", f"/api/v1/namespaces/default/pods/{name}/eviction", body)
                    break
                except httpx.HTTPStatusError:
                    continue
            assert (await autopsy(sandbox)).by is EndedBy.OUTSIDE

    on("asyncio", run)


def test_a_pod_that_uses_up_its_memory_is_the_agents_doing() -> None:
    async def run() -> None:
        async with opened(user="root", memory="64m") as sandbox:
            with suppress(SandboxUnavailableError):
                await sandbox.exec(["sh", "-c", FILL])
            assert (await autopsy(sandbox)).by is EndedBy.EXHAUSTED

    on("asyncio", run)


def test_a_pod_that_outlives_its_deadline_was_ended_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "DEADLINE_SECONDS", 3)

    async def run() -> None:
        async with opened() as sandbox:
            death = await autopsy(sandbox)
            assert (death.by, "DeadlineExceeded" in death.reason) == (EndedBy.OUTSIDE, True)

    on("asyncio", run)


def test_what_root_in_the_pod_does_to_its_first_process_does_not_end_it() -> None:
    async def run() -> None:
        async with opened(user="root") as sandbox:
            for way in ("kill -9 1", "kill -TERM 1", "echo > /proc/1/fd/0", "exec 3< /proc/1/fd/0"):
                await sandbox.exec(["sh", "-c", way])
                assert (await sandbox.exec(["echo", "on"])).stdout == "on\n"
            assert (await sandbox.container.examine()).by is EndedBy.RUNNING

    on("asyncio", run)


SUITE = """
import os
import httpx
from pytest_agenteval.sandbox.cluster.login import log_in

@agent_task(memory="64m", solution="echo made > made")
async def test_deleted(agent, sandbox, attempt):
    name = await noted(sandbox)
    await agent.run("go")
    if first_try(attempt):
        login = log_in()
        with httpx.Client(verify=login.tls, headers={"Authorization": f"Bearer {login.token}"}) as client:
            path = f"{login.server}/api/v1/namespaces/default/pods/{name}?gracePeriodSeconds=0"
            client.delete(path).raise_for_status()
        while True:  # until it is gone
            await sandbox.exec(["true"])
    assert await sandbox.read_file("made") == "made\\n"

@agent_task(memory="64m", user="root",
            solution="echo 1000 > /proc/1/oom_score_adj; cat /dev/zero > /dev/shm/full")
async def test_out_of_memory(agent, sandbox):
    await agent.run("go")
    assert (await sandbox.exec(["true"])).success
"""
OPTIONS = (f"--agent-sandbox-default=image:{IMAGE}", "--agent-allow-host-access")


def test_the_outcomes_are_those_of_the_table(tmp_path: Path) -> None:
    trap = spring(tmp_path, SUITE, *OPTIONS, sandbox="k8s", k=1, timeout=120, environment={"KUBECONFIG": KUBECONFIG})
    seen = {task: (attempts[1].blame, attempts[1].retries) for task, attempts in trap.attempts.items()}
    assert seen == {"test_deleted": ("passed", 1), "test_out_of_memory": ("failed (sandbox_exhausted)", 0)}, trap.text


def test_a_driver_that_is_killed_takes_its_pods_with_it(there: Cluster) -> None:
    with subprocess.Popen([sys.executable, MANY, "3", "k8s"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "STARTED\n"
        assert len(there.pods(driver.pid)) == 3
        driver.kill()
    latest = time.monotonic() + 5
    while [pod for pod in there.pods(driver.pid) if pod["status"]["phase"] == "Running"]:
        assert time.monotonic() < latest
        time.sleep(0.1)

    async def next_run() -> None:
        from support.sandboxes import sandbox_config

        provider, config = sandbox_config()
        await provider.task_init("next", config)
        await provider.task_cleanup("next", config, True)

    on("asyncio", next_run)
    assert not there.pods(driver.pid)
    assert not containers()
