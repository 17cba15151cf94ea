from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.sandboxes import containers, on, opened

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.docker.reaper import KEPT_PREFIX, NAME_PREFIX, Owner
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE

PROGRAM = Path(__file__).parent.parent / "support" / "many_sandboxes.py"
PATIENCE = 30.0


@contextmanager
def running(count: int) -> Iterator[subprocess.Popen[str]]:
    """A process with that many sandboxes up; killed at the end."""
    process = subprocess.Popen((sys.executable, PROGRAM, str(count)), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "STARTED\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def gone(pid: int) -> bool:
    """Whether all of the process's containers go by themselves."""
    give_up = time.monotonic() + PATIENCE
    while containers(pid):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module")
def live() -> Iterator[subprocess.Popen[str]]:
    """A process that lives on."""
    with running(3) as process:
        yield process
    assert gone(process.pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_killed_process_and_nothing_of_a_live_one_is_touched(
    number: signal.Signals, live: subprocess.Popen[str]
) -> None:
    with running(16 if number == signal.SIGKILL else 4) as killed:
        others = containers(live.pid)
        assert len(others) == 3
        killed.send_signal(number)
        killed.wait()
        assert gone(killed.pid)
        assert containers(live.pid) == others


def created(labels: dict[str, str], name: str) -> str:
    """A container that was created and never started, as a process leaves it that is killed in between."""
    options = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    command = ("docker", "create", "--name", name, *options, DEFAULT_IMAGE, "true")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def exists(container: str) -> bool:
    return subprocess.run(("docker", "inspect", container), capture_output=True).returncode == 0


def test_a_run_reaps_what_dead_processes_of_its_own_namespace_left_and_only_that() -> None:
    async def run() -> None:
        async with opened() as sandbox:
            assert (await sandbox.exec(["true"])).success

    on("asyncio", run)  # the image is there
    here = Owner.this()
    dead = subprocess.Popen(("true",))
    dead.wait()
    orphan = dataclasses.replace(here, pid=dead.pid)
    owners = {
        "orphan": orphan,
        "recycled": dataclasses.replace(here, started="1"),
        "ours": here,
        "parent": dataclasses.replace(here, pid=os.getppid(), started=_start_of(os.getppid())),
        "other namespace": dataclasses.replace(orphan, pidns="pid:[1]"),
        "other machine": dataclasses.replace(orphan, host="elsewhere"),
        "other boot": dataclasses.replace(orphan, boot="0"),
        "unknown namespace": dataclasses.replace(orphan, pidns=""),
        "kept": orphan,
    }
    made = {
        kind: created(owner.labels(), (KEPT_PREFIX if kind == "kept" else NAME_PREFIX) + uuid.uuid4().hex[:12])
        for kind, owner in owners.items()
    }
    try:
        on("asyncio", run)
        assert {kind for kind, container in made.items() if not exists(container)} == {"orphan", "recycled"}
    finally:
        subprocess.run(("docker", "rm", "--force", *made.values()), capture_output=True)


def _start_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_inspects_cleanup_command_removes_the_sandbox_that_is_named() -> None:
    async def run() -> None:
        async with opened() as first, opened() as second:
            await AgentevalSandbox.cli_cleanup(first.container.name)
            assert containers() == {second.container.id}
            await AgentevalSandbox.cli_cleanup(second.container.id[:12])
            assert not containers()

    on("asyncio", run)
