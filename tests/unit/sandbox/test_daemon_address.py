"""Which daemon is asked, by the variables and files of the docker command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pytest_agenteval.sandbox.docker.address import (
    LOCAL,
    Certificates,
    DaemonAddress,
    SandboxSetupError,
    daemon_address,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration's folder, empty; no variable says anything else."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def context(folder: Path, name: str, meta: object, *certificates: str) -> Path:
    """Lay a context down as `docker context create` does, and return the folder of its certificates."""
    number = hashlib.sha256(name.encode()).hexdigest()
    place = folder / "contexts" / "meta" / number
    place.mkdir(parents=True)
    (place / "meta.json").write_text(meta if isinstance(meta, str) else json.dumps(meta), "utf-8")
    tls = folder / "contexts" / "tls" / number / "docker"
    for file in certificates:
        tls.mkdir(parents=True, exist_ok=True)
        (tls / file).touch()
    return tls


def meta(host: str, **more: object) -> object:
    return {"Name": "far", "Metadata": {}, "Endpoints": {"docker": {"Host": host, **more}}}


def test_without_any_configuration_it_is_the_local_one(folder: Path) -> None:
    assert daemon_address() == DaemonAddress(LOCAL)


def test_the_variables_come_before_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.json").write_text('{"currentContext": "far"}', "utf-8")
    context(folder, "far", meta("tcp://far:1"))
    context(folder, "near", meta("tcp://near:1"))
    assert daemon_address() == DaemonAddress("tcp://far:1")
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    assert daemon_address() == DaemonAddress("tcp://near:1")
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert daemon_address() == DaemonAddress(LOCAL)
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:1")
    assert daemon_address() == DaemonAddress("tcp://host:1")


def test_a_context_has_certificates_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")  # for DOCKER_HOST only
    tls = context(folder, "far", meta("tcp://far:1"), "ca.pem", "cert.pem", "key.pem")
    pair = (tls / "cert.pem", tls / "key.pem")
    assert daemon_address() == DaemonAddress("tcp://far:1", Certificates(tls / "ca.pem", pair))
    monkeypatch.setenv("DOCKER_CONTEXT", "bare")
    tls = context(folder, "bare", meta("tcp://far:2", SkipTLSVerify=True), "ca.pem")
    assert daemon_address() == DaemonAddress("tcp://far:2", Certificates(tls / "ca.pem", None, verify=False))


def test_certificates_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    (folder / "ca.pem").touch()
    assert daemon_address() == DaemonAddress("tcp://host:1")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert daemon_address() == DaemonAddress("tcp://host:1", Certificates(folder / "ca.pem", None))
    (folder / "cert.pem").touch()
    with pytest.raises(SandboxSetupError, match=r"by TLS, and \S+/key\.pem does not exist: put it there\.$"):
        daemon_address()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Endpoints": null}', '{"Endpoints": {"docker": 1}}'])
def test_a_context_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    context(folder, "odd", text)
    monkeypatch.setenv("DOCKER_CONTEXT", "odd")
    with pytest.raises(
        SandboxSetupError, match=r"^Docker's context 'odd' cannot be read .*: see `docker context inspect"
    ):
        daemon_address()
    monkeypatch.setenv("DOCKER_CONTEXT", "none")
    with pytest.raises(SandboxSetupError, match="context 'none' does not exist: choose one of `docker context ls`"):
        daemon_address()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"currentContext": ""}'])
def test_a_configuration_file_that_says_nothing_is_passed_over(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, "utf-8")
    assert daemon_address() == DaemonAddress(LOCAL)
