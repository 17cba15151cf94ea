from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from support.private_daemon import PrivateDaemon

from pytest_agenteval.sandbox.autopsy import examine
from pytest_agenteval.sandbox.death import Death, EndedBy
from pytest_agenteval.sandbox.docker.daemon import Daemon
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image

HOG = "python3 -c 'bytearray(200_000_000)'"
FORKS = 'python3 -c \'import subprocess\nwhile True: subprocess.Popen(["sleep", "600"])\''
Start = Callable[..., Any]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    ensure_default_image(print)
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def start(client: docker.DockerClient) -> Iterator[Start]:
    """Starts containers with Docker's init, small limits, and a command that waits; removes them at the end."""
    started = []

    def start(command: str = "sleep 600", **options: Any) -> Any:
        limits = {"mem_limit": "64m", "memswap_limit": "64m", "pids_limit": 64}
        container = client.containers.run(
            DEFAULT_IMAGE,
            ["bash", "-c", command],
            **{"init": True, "detach": True, "network_mode": "none", **limits, **options},
        )
        started.append(container)
        return container

    yield start
    for container in started:
        remove(container)


def remove(container: Any) -> None:
    try:
        container.remove(force=True)
    except (docker.errors.NotFound, docker.errors.APIError) as error:
        assert error.status_code in (404, 409)  # gone, or being removed


def inside(container: Any, command: str, user: str = "agent") -> None:
    container.exec_run(["bash", "-c", command], user=user)


def dead(container: Any) -> Death:
    """The verdict once the daemon knows the container is no longer running."""
    with suppress(docker.errors.NotFound):  # it removed itself
        container.wait(timeout=30)
    return examine(container.id)


def test_killed_from_outside(start: Start) -> None:
    container = start()
    container.kill()
    assert dead(container).by is EndedBy.OUTSIDE


def test_stopped_from_outside(start: Start) -> None:
    container = start()
    container.stop(timeout=1)
    assert dead(container).by is EndedBy.OUTSIDE


def test_removed_from_outside(start: Start) -> None:
    container = start()
    container.remove(force=True)
    assert examine(container.id).by is EndedBy.OUTSIDE


def test_removed_from_outside_and_asked_for_by_name(start: Start) -> None:
    container = start()
    container.remove(force=True)
    assert examine(container.name).by is EndedBy.OUTSIDE


def test_self_removing_container_killed_from_outside(start: Start) -> None:
    container = start(auto_remove=True)
    container.kill()
    assert dead(container).by is EndedBy.OUTSIDE


def test_paused_from_outside(start: Start) -> None:
    container = start()
    container.pause()
    assert examine(container.id).by is EndedBy.OUTSIDE


@pytest.mark.parametrize("user", ["root", "agent"])
def test_first_process_ended_from_inside(start: Start, user: str) -> None:
    container = start(user=user)
    inside(container, "kill 1", user)
    assert dead(container).by is EndedBy.INSIDE


def test_self_removing_container_ended_from_inside(start: Start) -> None:
    container = start(auto_remove=True)
    inside(container, "kill 1")
    assert dead(container).by is EndedBy.INSIDE


def test_first_process_cannot_be_killed_from_inside(start: Start) -> None:
    container = start(user="root")
    inside(container, "kill -9 1", "root")
    assert examine(container.id).by is EndedBy.RUNNING


def test_everything_killed_from_inside_looks_like_a_kill_by_the_host(start: Start) -> None:
    container = start()
    inside(container, "kill -9 -1")
    assert dead(container).by is EndedBy.UNKNOWN


def test_killed_by_a_process_of_the_host(start: Start) -> None:
    container = start()
    container.reload()
    subprocess.run(["kill", "-9", str(container.attrs["State"]["Pid"])], check=True)
    assert dead(container).by is EndedBy.UNKNOWN


def test_a_child_out_of_memory_is_no_death(start: Start) -> None:
    container = start()
    inside(container, HOG)
    death = examine(container.id)
    assert death.by is EndedBy.RUNNING
    assert "memory" in death.reason


@pytest.mark.parametrize("auto_remove", [False, True])
def test_first_process_out_of_memory(start: Start, auto_remove: bool) -> None:
    container = start(f"mkfifo /tmp/go; read < /tmp/go; exec {HOG}", init=False, auto_remove=auto_remove)
    inside(container, "while ! [ -p /tmp/go ]; do sleep 0.05; done; echo > /tmp/go")
    assert dead(container).by is EndedBy.EXHAUSTED


def test_a_killed_container_that_had_been_out_of_memory(start: Start) -> None:
    container = start()
    inside(container, HOG)
    container.kill()
    assert dead(container).by is EndedBy.OUTSIDE


def test_no_more_processes_is_no_death(start: Start) -> None:
    container = start()
    inside(container, FORKS)
    assert examine(container.id).by is EndedBy.RUNNING


def test_a_restart_from_outside_is_a_death(start: Start) -> None:
    container = start()
    container.restart(timeout=0)
    assert examine(container.id).by is EndedBy.OUTSIDE


@pytest.mark.parametrize("offset", [-3600, -20, 8, 3600])
def test_this_machines_clock_is_not_the_daemons(start: Start, monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    machines = time.time
    monkeypatch.setattr("time.time", lambda: machines() + offset)
    container = start()
    container.kill()
    container.wait(timeout=30)
    asked = time.monotonic()
    assert examine(container.id).by is EndedBy.OUTSIDE
    assert time.monotonic() - asked < 4


def test_a_daemons_clock_that_is_put_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    daemons = Daemon.now
    monkeypatch.setattr(Daemon, "now", lambda self: daemons(self) + 3600)  # what it said before
    monkeypatch.setattr("pytest_agenteval.sandbox.docker.daemon.CALL_SECONDS", 0.5)
    container = start()
    container.kill()
    container.wait(timeout=30)
    asked = time.monotonic()
    assert examine(container.id).by is EndedBy.OUTSIDE
    assert time.monotonic() - asked < 4


def test_a_container_that_never_was() -> None:
    assert examine("agenteval-no-such-container").by in (EndedBy.UNKNOWN, EndedBy.OUTSIDE)


def test_a_daemon_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    death = examine("any")
    assert death.by is EndedBy.OUTSIDE
    assert "none.sock" in death.reason


def test_a_daemon_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_agenteval.sandbox.docker.daemon.CALL_SECONDS", 0.2)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/s")
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/s")
        death = examine("any")
    assert death.by is EndedBy.UNKNOWN
    assert "did not answer within 0.2 s" in death.reason


def test_daemon_stopped_and_restarted(daemon_of_ours: PrivateDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(daemon_of_ours.client()) as own:
        containers = [
            own.containers.run(DEFAULT_IMAGE, "sleep 600", detach=True, network_mode="none", auto_remove=auto_remove)
            for auto_remove in (False, True)
        ]
    daemon_of_ours.stop()
    monkeypatch.setenv("DOCKER_HOST", daemon_of_ours.address)
    stopped = [examine(container.id) for container in containers]
    daemon_of_ours.start()
    restarted = [examine(container.id) for container in containers]
    with closing(daemon_of_ours.client()) as own:
        for left in own.containers.list(all=True):
            left.remove(force=True)
    assert [death.by for death in (*stopped, *restarted)] == [EndedBy.OUTSIDE] * 4
    assert all("No Docker daemon answers" in death.reason for death in stopped)
    assert all("was restarted" in death.reason for death in restarted)
