from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from pytest_agenteval.sandbox.docker.daemon import DaemonGone, DaemonRefused, DaemonSilent, SandboxSetupError
from pytest_agenteval.sandbox.preflight import preflight


@contextmanager
def engine(answers: dict[str, Any]) -> Iterator[str]:
    """The address of a scripted Engine API: path -> JSON; other paths are errors."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = "/" + self.path.split("?")[0].split("/", 2)[-1] if self.path.startswith("/v1.") else self.path
            body = json.dumps(answers.get(path, {"message": "scripted error"})).encode()
            self.send_response(200 if path in answers else 500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    class Server(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True

    with tempfile.TemporaryDirectory() as folder, Server(f"{folder}/s", Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"unix://{folder}/s"
        server.shutdown()
        thread.join()


def version(engine: str) -> dict[str, Any]:
    return {"/version": {"Version": engine, "ApiVersion": "1.44"}}


def test_all_is_well() -> None:
    assert preflight(compose=True)[0].isdigit()


def test_what_is_not_needed_is_not_asked() -> None:
    with engine(version("24.0.6")) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        patch.setenv("PATH", "")
        assert preflight(compose=False) == "24.0.6"


def test_no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(DaemonGone, match=r"No Docker daemon answers at unix://.*/none\.sock: start Docker"):
        preflight(compose=False)


def test_nobody_listens_over_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    with pytest.raises(DaemonGone, match=f"at tcp://127.0.0.1:{port}: start Docker"):
        preflight(compose=False)


def test_silent_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_agenteval.sandbox.docker.daemon.CALL_SECONDS", 0.2)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/s")
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/s")
        with pytest.raises(DaemonSilent, match=r"unix://.*/s did not answer within 0\.2 s"):
            preflight(compose=False)


def test_daemon_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with engine({}) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(DaemonRefused, match="refused: scripted error"):
            preflight(compose=False)


def test_a_daemon_this_user_may_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pytest_agenteval.sandbox.docker.daemon._knock", forbidden)
    with pytest.raises(SandboxSetupError, match="add the user to the group `docker`"):
        preflight(compose=False)


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "nonsense")
    with pytest.raises(SandboxSetupError, match="at nonsense cannot be used"):
        preflight(compose=False)


def test_unknown_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "agenteval-none")
    with pytest.raises(SandboxSetupError, match="context 'agenteval-none' does not exist"):
        preflight(compose=False)


@pytest.mark.parametrize(
    ("engine_version", "good"), [("24.0.5", False), ("23.0.9", False), ("24.0.6", True), ("dev", True)]
)
def test_engine_floor(monkeypatch: pytest.MonkeyPatch, engine_version: str, good: bool) -> None:
    with engine(version(engine_version)) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        if good:
            assert preflight(compose=False) == engine_version
        else:
            with pytest.raises(
                SandboxSetupError, match=rf"Engine {engine_version} at unix:.* is older than 24\.0\.6: upgrade"
            ):
                preflight(compose=False)


def docker_command(folder: Path, script: str) -> None:
    command = folder / "docker"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)


def test_no_docker_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxSetupError, match="`docker` is not on the PATH"):
        preflight(compose=True)


@pytest.mark.parametrize("script", ["exit 1", "echo", "echo '{}'", "echo '[]'"])
def test_no_compose_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    docker_command(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SandboxSetupError, match="install the Docker Compose plugin"):
        preflight(compose=True)


@pytest.mark.parametrize(
    ("compose", "good"), [("v2.20.3", False), ("2.21.0", True), ("v2.26.1+ds", True), ("1.29.2", False)]
)
def test_compose_floor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compose: str, good: bool) -> None:
    docker_command(tmp_path, f'echo \'{{"version":"{compose}"}}\'')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if good:
        preflight(compose=True)
    else:
        with pytest.raises(SandboxSetupError, match=r"is older than 2\.21\.0: upgrade"):
            preflight(compose=True)
