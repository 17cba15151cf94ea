from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_agenteval.sandbox.docker.address import Certificates
from pytest_agenteval.sandbox.docker.containers import ContainerConfig, creation, parse_bytes
from pytest_agenteval.sandbox.docker.engine_api import Endpoint
from pytest_agenteval.sandbox.docker.reaper import Owner, is_orphan


@pytest.mark.parametrize(
    ("text", "number"),
    [("512m", 512 << 20), ("4g", 4 << 30), ("1.5GB", 3 << 29), ("10", 10), ("7kib", 7 << 10), ("3 M", 3 << 20)],
)
def test_amounts_of_memory_are_read_in_dockers_notation(text: str, number: int) -> None:
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "g", "4t", "-1g", "4 gigs", "1e9"])
def test_other_amounts_of_memory_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="512m"):
        parse_bytes(text)


@pytest.mark.parametrize(
    "wrong",
    [{"network": "host"}, {"privileged": True}, {"memory": 0}, {"pids": -1}, {"working_dir": "here"}, {"binds": "/"}],
)
def test_a_configuration_that_is_unknown_or_gives_the_host_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ContainerConfig(**wrong)


def test_a_container_is_confined_unless_it_is_relaxed_by_name() -> None:
    host = creation(ContainerConfig(), "image", ["cmd"], {})["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["NetworkMode"], host["PidsLimit"], host["Memory"], host["MemorySwap"]) == (
        "none",
        1024,
        4 << 30,
        4 << 30,
    )
    assert not {"Binds", "Mounts", "Privileged", "PidMode", "IpcMode", "Devices", "Runtime", "NanoCpus"} & set(host)
    config = ContainerConfig(network="bridge", memory=None, pids=None, runtime="runsc", new_privileges=True, cpus=0.5)
    relaxed = creation(config, "image", ["cmd"], {})["HostConfig"]
    assert (relaxed["NetworkMode"], relaxed["PidsLimit"], relaxed["Runtime"]) == ("bridge", None, "runsc")
    assert (relaxed["SecurityOpt"], relaxed["NanoCpus"]) == ([], 500_000_000)
    assert "Memory" not in relaxed


def test_a_container_dies_with_the_process_that_holds_its_stdin() -> None:
    body = creation(ContainerConfig(user="u", working_dir="/w", env={"A": "b"}), "sha256:1", ["cmd"], {"l": "v"})
    assert (body["OpenStdin"], body["StdinOnce"], body["HostConfig"]["AutoRemove"]) == (True, True, True)
    assert (body["User"], body["WorkingDir"], body["Env"], body["Labels"]) == ("u", "/w", ["A=b"], {"l": "v"})
    assert (body["Entrypoint"], body["Cmd"], body["Tty"]) == ([], ["cmd"], False)


TLS = Certificates(Path("ca.pem"), None)


@pytest.mark.parametrize(
    ("address", "certificates", "endpoint"),
    [
        ("unix:///run/d.sock", None, Endpoint("http://docker", "/run/d.sock")),
        ("http+unix:///run/d.sock", None, Endpoint("http://docker", "/run/d.sock")),
        ("tcp://10.0.0.1:2375", None, Endpoint("http://10.0.0.1:2375")),
        ("tcp://h:2376", TLS, Endpoint("https://h:2376", certificates=TLS)),
        ("https://h:2376/", None, Endpoint("https://h:2376")),
        ("ssh://user@host", None, None),
        ("npipe:////./pipe/docker_engine", None, None),
    ],
)
def test_addresses_of_daemons(address: str, certificates: Certificates | None, endpoint: Endpoint | None) -> None:
    assert Endpoint.parse(address, certificates) == endpoint


def test_only_a_dead_process_of_this_kernel_and_namespace_leaves_an_orphan() -> None:
    here = Owner.this()
    process = subprocess.Popen(("true",))
    process.wait()
    dead = dataclasses.replace(here, pid=process.pid)
    assert here.pid == os.getpid()
    assert is_orphan(dead.labels(), here)
    assert is_orphan(dataclasses.replace(here, started="1").labels(), here)  # the number has been given anew
    assert not is_orphan(here.labels(), here)
    for elsewhere in ({"host": "h"}, {"boot": "b"}, {"pidns": "n"}, {"boot": ""}, {"pidns": ""}):
        assert not is_orphan(dataclasses.replace(dead, **elsewhere).labels(), here)
        assert not is_orphan(dead.labels(), dataclasses.replace(here, **elsewhere))
    assert not is_orphan({}, here)
    assert not is_orphan(dead.labels() | {"agenteval.pid": "x"}, here)
