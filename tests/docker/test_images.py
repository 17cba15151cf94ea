from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_agenteval.sandbox.asked.compose import CAPABILITIES
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError
from pytest_agenteval.sandbox.images.dpkg import closure, installed
from pytest_agenteval.sandbox.images.host_image import WANTED, Host, NoHostImage
from pytest_agenteval.sandbox.images.images import (
    DEFAULT_IMAGE,
    Way,
    definition,
    ensure,
    ensure_default_image,
    from_dockerfile,
    from_host,
)

TRIAL = "agenteval-test/trial:1"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    with closing(docker.from_env()) as client:
        yield client


@pytest.fixture
def trial(client: docker.DockerClient) -> Iterator[str]:
    """A name for an image that a test makes; the image is removed at the end."""
    yield TRIAL
    if client.images.list(TRIAL):
        client.images.remove(TRIAL, force=True)
    for left in nameless(client):
        client.images.remove(left.id)


def nameless(client: docker.DockerClient) -> list[Any]:
    """Images of this package that no name leads to, nor to one built upon them."""
    return list(client.images.list(filters={"dangling": True, "label": "pytest-agenteval.built-from"}))


@pytest.fixture
def run(client: docker.DockerClient) -> Run:
    """Runs a command of bash in a fresh container without network; what it printed."""

    def run(script: str, image: str = DEFAULT_IMAGE, **options: Any) -> str:
        ensure_default_image(print)
        output = client.containers.run(
            image, ["bash", "-ec", script], remove=True, network_mode="none", stderr=True, **options
        )
        return str(output.decode()).strip()

    return run


def test_the_name_tells_the_definition() -> None:
    name, tag = DEFAULT_IMAGE.split(":")
    assert name == "agenteval/default"
    assert len(bytes.fromhex(tag)) == 6
    assert (definition("default") / "Dockerfile").is_file()


def test_an_image_without_definition_is_refused() -> None:
    with pytest.raises(SandboxSetupError, match="'nonsense' is not defined"):
        definition("nonsense")


def test_it_is_built_once(client: docker.DockerClient) -> None:
    said: list[str] = []
    first = ensure_default_image(said.append)
    count = len(said)
    second = ensure_default_image(said.append)
    assert (second.name, second.id, second.built) == (DEFAULT_IMAGE, first.id, False)
    assert len(said) == count
    assert client.images.get(DEFAULT_IMAGE).id == first.id


def test_the_agent_is_not_root_and_at_home(run: Run) -> None:
    assert run("whoami; id -u; echo $HOME; pwd; touch x; stat -c %U x").split() == [
        *("agent", "1000", "/home/agent", "/home/agent", "agent")
    ]
    assert run("whoami; echo $HOME", user="root").split() == ["root", "/root"]


def test_commands_are_there(run: Run) -> None:
    commands = "bash python3 git ps which tar sed awk grep find diff gzip xargs sort head tail timeout kill env"
    assert run(f"for c in {commands}; do which $c > /dev/null || echo $c; done") == ""
    assert run("ps -o comm= -p $$; true") == "bash"
    assert run("echo 'a b' | awk '{print $2}'") == "b"


def test_python_is_complete_and_its_byte_code_is_there(run: Run) -> None:
    program = "import ctypes, json, sqlite3, ssl, unittest, asyncio, zoneinfo, xml.dom.minidom; print(json.__cached__)"
    cached = run(f"python3 -c '{program}'")
    assert run(f"test -f {cached} && echo yes") == "yes"
    assert (
        run('python3 -c \'import sqlite3; print(sqlite3.connect(":memory:").execute("select 1+1").fetchone()[0])\'')
        == "2"
    )


def test_git_commits_and_bisects(run: Run) -> None:
    script = """
    git init -q repo && cd repo
    for n in 1 2 3 4 5 6; do echo $n > n; git add n; git commit -qm "commit $n"; done
    git bisect start HEAD HEAD~5 > /dev/null
    git bisect run sh -c 'test $(cat n) -lt 4' > /dev/null
    git log -1 --format='%s by %an' bisect/bad
    git branch --show-current; git bisect reset > /dev/null 2>&1; git branch --show-current
    """
    assert run(script).splitlines() == ["commit 4 by agent", "main"]


def test_root_may_become_the_agent_and_add_users(run: Run) -> None:
    assert run("su agent -c whoami; useradd other; su other -c whoami", user="root").split() == ["agent", "other"]


def test_root_may_do_so_in_a_hardened_container(run: Run) -> None:
    hardened = {"cap_drop": ["ALL"], "cap_add": list(CAPABILITIES), "security_opt": ["no-new-privileges:true"]}
    script = "su agent -c whoami; useradd other; su other -c whoami; chown agent /tmp"
    assert run(script, user="root", **hardened).split() == ["agent", "other"]


def test_built_from_the_hosts_packages_by_two_processes_at_once(run: Run, trial: str) -> None:
    program = (
        "from pytest_agenteval.sandbox.images.images import *\n"
        f"ready = ensure({trial!r}, [Way('this host\\'s packages', from_host)], print)\n"
        "print((ready.name, ready.how))\n"
    )
    root = definition("default").parent.parent
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [lines[-1] for lines in said] == [str((trial, "packages of the host"))] * 2
    first = next(lines for lines in said if len(lines) == 3)
    assert "is missing" in first[0]
    assert "built from this host's packages in" in first[1]
    assert run("whoami; git --version", image=trial).startswith("agent\ngit version")
    folders = "/etc/ssh /home /root /usr/local /tmp /var/log"
    assert run(f"find {folders} -type f 2> /dev/null || true", image=trial, user="root") == ""


def test_built_on_a_host_that_lacks_python_git_and_procps(run: Run, trial: str, tmp_path: Path) -> None:
    """A bare host's status file is made from this one's: apt, and what is wanted without those three."""
    paragraphs = Path("/var/lib/dpkg/status").read_text("utf-8").strip().split("\n\n")
    bare = set(closure(installed("\n\n".join(paragraphs)), {*WANTED, "apt"} - {"python3", "git", "procps"}))
    kept = [each for each in paragraphs if each.splitlines()[0].removeprefix("Package: ") in bare]
    status = tmp_path / "status"
    status.write_text("\n\n".join(kept) + "\n")
    from_host(trial, Host(status=status))
    assert run("python3 -c 'import sqlite3, json'; git --version; ps -o comm= -p 1", image=trial).split()[0] == "git"


def test_built_from_a_dockerfile(client: docker.DockerClient, trial: str, tmp_path: Path) -> None:
    """Without a registry: a Dockerfile that begins with nothing."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nUSER 1000\n")
    way = Way("its Dockerfile", lambda name: from_dockerfile(name, tmp_path))
    ready = ensure(trial, [way], print)
    assert ready.how == "Dockerfile"
    assert client.images.get(trial).attrs["Config"]["User"] == "1000"


def test_a_dockerfile_that_fails_gives_its_reason(trial: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY absent /\n")
    with pytest.raises(SandboxSetupError, match="absent"):
        from_dockerfile(trial, tmp_path)


def test_a_dockerfile_whose_base_no_registry_has(trial: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM localhost:1/no/base:1\n")
    with pytest.raises(SandboxSetupError, match="no registry gave localhost:1/no/base:1"):
        from_dockerfile(trial, tmp_path)


def test_the_next_way_is_taken_when_one_is_closed(client: docker.DockerClient, trial: str, tmp_path: Path) -> None:
    def closed(name: str) -> None:
        raise NoHostImage("this host has no Debian packages")

    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    ways = [Way("a", closed), Way("b", lambda name: from_dockerfile(name, tmp_path))]
    said: list[str] = []
    assert ensure(trial, ways, said.append).built
    assert "built from b" in said[-1]
    assert not client.containers.list(all=True, filters={"ancestor": trial})


def test_no_way_at_all_is_one_sentence(trial: str) -> None:
    def closed(name: str) -> None:
        raise NoHostImage("this host has no Debian packages")

    with pytest.raises(SandboxSetupError) as refused:
        ensure(trial, [Way("a", closed), Way("b", closed)], print)
    assert str(refused.value) == (
        f"The sandbox image {trial} cannot be built (from a: this host has no Debian packages; from b: this host has "
        "no Debian packages): give this machine a registry, or `docker load` the image here from one that has it."
    )


def test_an_image_that_does_not_work_gets_no_name(
    client: docker.DockerClient, trial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_agenteval.sandbox.images.images._FINISH", "echo git is broken; exit 3")
    with pytest.raises(SandboxSetupError, match="the image does not work: git is broken"):
        from_host(trial)
    assert not client.images.list(trial)
    assert not nameless(client)
