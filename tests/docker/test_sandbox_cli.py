from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from support.private_daemon import PrivateDaemon

from pytest_agenteval.cli.main import main
from pytest_agenteval.sandbox.docker.reaper import KEPT_PREFIX, NAME_PREFIX, Owner
from pytest_agenteval.sandbox.images.images import BUILT_FROM, DEFAULT_IMAGE, IMAGES


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateDaemon]:
    """A daemon of the tests' own: what these commands remove may be somebody's on the machine's."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        private = PrivateDaemon(Path(folder))
        private.start()
        try:
            yield private
        finally:
            private.stop()


@pytest.fixture
def client(daemon: PrivateDaemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.DockerClient]:
    monkeypatch.setenv("DOCKER_HOST", daemon.address)
    with closing(daemon.client()) as client:
        yield client
        for container in client.containers.list(all=True):
            container.remove(force=True)
        for image in client.images.list():
            client.images.remove(image.id, force=True)


@pytest.fixture
def make(tmp_path: Path, client: docker.DockerClient) -> Callable[..., str]:
    """`make(*names, built_from=...)`: an image without content; its id."""

    def make(*names: str, built_from: str | None = None) -> str:
        label = "" if built_from is None else f"LABEL {BUILT_FROM}={built_from!r}\n"
        (tmp_path / "Dockerfile").write_text(f"FROM scratch\n{label}LABEL one={uuid.uuid4().hex}\nCMD x\n")
        made, _ = client.images.build(path=str(tmp_path), rm=True, forcerm=True)
        for name in names:
            made.tag(name)
        return str(made.id)

    return make


def sandboxes(client: docker.DockerClient, image: str) -> dict[str, str]:
    """Containers of sandboxes in every kind of ownership, by the kind; none of them runs."""
    gone = subprocess.Popen(("true",))
    gone.wait()
    here = Owner.this()
    orphan = dataclasses.replace(here, pid=gone.pid)
    kinds = {"orphan": orphan, "ours": here, "elsewhere": dataclasses.replace(orphan, host="elsewhere"), "kept": orphan}
    made = {}
    for kind, owner in kinds.items():
        name = (KEPT_PREFIX if kind == "kept" else NAME_PREFIX) + uuid.uuid4().hex[:12]
        made[kind] = client.containers.create(image, name=name, labels=owner.labels(), network_mode="none").id
    made["stranger"] = client.containers.create(image, network_mode="none").id
    return made


@pytest.mark.parametrize(
    ("arguments", "left", "ahead"),
    [
        ([], {"ours", "elsewhere", "kept", "stranger"}, 0),
        (["--kept"], {"ours", "elsewhere", "stranger"}, 0),
        (["--all"], {"stranger"}, -3600),
        (["--older-than=1h"], {"orphan", "ours", "elsewhere", "kept", "stranger"}, 0),
        (["--all", "--older-than=1h"], {"orphan", "ours", "elsewhere", "kept", "stranger"}, 7200),
    ],
)
def test_cleanup_removes_what_is_asked_for_and_nothing_else(
    client: docker.DockerClient,
    make: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    left: set[str],
    ahead: int,
) -> None:
    """`ahead` is by how many seconds this machine's clock is ahead of the daemon's."""
    machines = time.time
    monkeypatch.setattr("time.time", lambda: machines() + ahead)
    made = sandboxes(client, make("thing:1"))
    assert main(["cleanup", *arguments]) == 0
    there = {container.id for container in client.containers.list(all=True)}
    assert {kind for kind, container in made.items() if container in there} == left
    removed = len(made) - len(left)
    assert capsys.readouterr().out == ("1 sandbox removed\n" if removed == 1 else f"{removed} sandboxes removed\n")


def test_prune_removes_older_versions_and_images_of_tasks_and_nobody_elses(
    client: docker.DockerClient, make: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {
        "current": make(DEFAULT_IMAGE, built_from="packages of the host"),
        "a user's, made of ours": make("mine:1", built_from="packages of the host"),
        "a user's, nameless": make(built_from="packages of the host"),
        "of the same name": make("agenteval/other:1"),
        "in use": make("agenteval/default:0123456789ab", built_from="Dockerfile"),
    }
    container = client.containers.create(kept["in use"], network_mode="none")
    gone = {
        "older": make("agenteval/default:ba9876543210", built_from="packages of the host"),
        "task": make("agenteval/task-gpu:000000000000", built_from="a task's files"),
        "nameless, of a task": make(built_from="a task's files"),
    }
    assert main(["images"]) == 0
    listed = capsys.readouterr().out
    assert f"{DEFAULT_IMAGE}  0 MB" in listed
    assert f"{IMAGES['python']}  missing" in listed
    assert "mine:1" not in listed
    assert main(["images", "prune"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "agenteval/default:0123456789ab  left: it is in use",
        "3 images removed",
    ]
    there = {image.id for image in client.images.list()}
    assert {name for name, image in kept.items() if image in there} == set(kept)
    assert not {name for name, image in gone.items() if image in there}
    container.remove()


def test_build_says_what_is_there_already(make: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    make(IMAGES["python"], built_from="Dockerfile")
    assert main(["images", "build", "python"]) == 0
    assert capsys.readouterr().out == f"{IMAGES['python']} is there, built from Dockerfile\n"


@pytest.mark.parametrize("arguments", [["cleanup"], ["images"], ["images", "prune"], ["images", "build", "default"]])
def test_without_docker_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix:///nonexistent/{os.getpid()}")
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("age", ["2", "2 hours", "-1h", "0s", "h", ""])
def test_an_age_that_is_none(capsys: pytest.CaptureFixture[str], age: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["cleanup", f"--older-than={age}"])
    assert stopped.value.code == 2
    assert "must be a time above 0 with its unit" in capsys.readouterr().err
