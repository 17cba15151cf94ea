"""Daemons of other addresses than the machine's own: behind TLS, named by contexts, with runtimes of their own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from support.private_daemon import PrivateDaemon
from support.sandboxes import derived_image, on, opened

from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError, connect
from pytest_agenteval.sandbox.docker.engine_api import Endpoint, Engine
from pytest_agenteval.sandbox.exec.backend import EngineGone
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image

RUNTIME = """#!/bin/sh
echo "$@" >> {log}
exec runc "$@"
"""


@dataclass(frozen=True)
class Place:
    """A daemon behind TLS."""

    url: str
    certificates: Path
    """Folders `right`, `strange` (of somebody else) and `bare` (without this side's certificate)."""
    runtime_log: Path
    """What its runtime `recorded` was called with."""
    without_python: str
    """The name of an image."""


def certify(folder: Path) -> None:
    """Make an authority, and from it a certificate for a server on this machine and one for a client."""
    folder.mkdir(parents=True)

    def make(name: str, *options: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}key.pem")
        command = ("openssl", "req", "-x509", *key, "-days", "2", "-subj", f"/CN={name or 'client'}", *options)
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    make("ca-", "-out", "ca.pem", "-addext", "keyUsage=critical,keyCertSign")
    by = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-addext", "basicConstraints=critical,CA:false")
    make("server-", *by, "-out", "server.pem", "-addext", "subjectAltName=IP:127.0.0.1")
    make("", *by, "-out", "cert.pem", "-addext", "extendedKeyUsage=clientAuth")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    ensure_default_image(print)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        socket.create_server(("127.0.0.1", 0)) as listener,
        derived_image("rm -f /usr/bin/python3*") as without_python,
    ):
        folder = Path(name)
        right, strange, bare = (folder / each for each in ("right", "strange", "bare"))
        certify(right)
        certify(strange)
        bare.mkdir()
        (bare / "ca.pem").write_bytes((right / "ca.pem").read_bytes())
        log, runtime = folder / "runtime.log", folder / "runtime"
        runtime.write_text(RUNTIME.format(log=log), "utf-8")
        runtime.chmod(0o755)
        files = (f"--tls{option}={right}/{file}.pem" for option, file in
                 (("cacert", "ca"), ("cert", "server"), ("key", "server-key")))  # fmt: skip
        daemon = PrivateDaemon(folder, "--tlsverify", *files, f"--add-runtime=recorded={runtime}", listener=listener)
        daemon.start()
        try:
            with closing(daemon.client()) as own, closing(docker.from_env()) as theirs:
                own.images.load(theirs.images.get(DEFAULT_IMAGE).save(named=True))
                own.images.load(theirs.images.get(without_python).save(named=True))
            yield Place(f"tcp://127.0.0.1:{listener.getsockname()[1]}", folder, log, without_python)
        finally:
            daemon.stop()


Use = Callable[..., None]


@pytest.fixture
def use(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """`use("right")` makes a context of those certificates by docker's own command, and the current one."""
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))

    def use(certificates: str, *options: str, by: str = "DOCKER_CONTEXT") -> None:
        folder = place.certificates / certificates
        files = [f"{name}={folder / name}.pem" for name in ("ca", "cert", "key") if (folder / f"{name}.pem").exists()]
        endpoint = ",".join((f"host={place.url}", *files, *options))
        subprocess.run(("docker", "context", "create", "far", "--docker", endpoint), check=True, capture_output=True)
        if by == "DOCKER_CONTEXT":
            monkeypatch.setenv("DOCKER_CONTEXT", "far")
        else:
            subprocess.run(("docker", "context", "use", "far"), check=True, capture_output=True)

    return use


def test_the_daemon_of_a_context_is_asked_by_tls(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use("right", by="docker context use")
    said = subprocess.run(("docker", "info", "--format", "{{.ID}}"), check=True, capture_output=True, text=True)
    with connect() as daemon:
        assert daemon.info()["ID"] == said.stdout.strip()
    monkeypatch.setenv("DOCKER_CONTEXT", "default")  # which comes before the configuration file's
    with connect() as daemon:
        assert daemon.info()["ID"] != said.stdout.strip()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sandboxes_work_over_tls(use: Use, backend: str) -> None:
    use("right")

    async def work() -> None:
        async with opened() as sandbox:
            assert sandbox.container.has_exec_server
            data = os.urandom(3_000_000)
            await sandbox.write_file("file", data)
            assert await sandbox.read_file("file", text=False) == data
            result = await sandbox.exec(["sh", "-c", "cat; id -un >&2; exit 3"], input="in", user="root")
            assert (result.stdout, result.stderr, result.returncode) == ("in", "root\n", 3)
            with pytest.raises(TimeoutError):
                await sandbox.exec(["sleep", "60"], timeout=1)

    on(backend, work)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_image_without_python_works_over_tls(place: Place, use: Use, backend: str) -> None:
    use("right")

    async def work() -> None:
        async with opened(image=place.without_python) as sandbox:
            assert not sandbox.container.has_exec_server
            data = os.urandom(300_000)
            await sandbox.write_file("file", data)
            assert await sandbox.read_file("file", text=False) == data
            result = await sandbox.exec(["sh", "-c", "cat; id -un >&2; exit 3"], input="in", user="root")
            assert (result.stdout, result.stderr, result.returncode) == ("in", "root\n", 3)

    on(backend, work)


def test_the_variables_of_the_docker_command_are_followed(
    place: Place, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", place.url)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(place.certificates / "right"))
    with connect() as daemon:
        assert "recorded" in daemon.info()["Runtimes"]
    asked()


def asked() -> None:
    """Ask the current daemon by the provider's own client."""

    async def ask() -> None:
        endpoint = Endpoint.current()
        assert endpoint is not None
        engine = Engine(endpoint)
        try:
            assert "recorded" in (await engine.get("/info"))["Runtimes"]
        finally:
            await engine.close()

    on("asyncio", ask)


@pytest.mark.parametrize(
    ("certificates", "reason"), [("strange", "CERTIFICATE_VERIFY_FAILED"), ("bare", "CERTIFICATE_REQUIRED|it hung up")]
)
def test_certificates_that_do_not_fit_are_named_in_one_sentence(use: Use, certificates: str, reason: str) -> None:
    use(certificates)
    with (
        pytest.raises(SandboxSetupError, match=r"^Docker's daemon at tcp://\S+ cannot be asked by TLS") as found,
        connect(),
    ):
        pass
    assert re.search(reason, str(found.value)), found.value
    assert "see the certificates of the docker context" in str(found.value)
    with pytest.raises(EngineGone):
        asked()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_daemons_certificate_is_not_looked_at_on_request(use: Use, place: Place) -> None:
    mixed = place.certificates / "mixed"
    mixed.mkdir()
    for name, folder in (("ca", "strange"), ("cert", "right"), ("key", "right")):
        (mixed / f"{name}.pem").write_bytes((place.certificates / folder / f"{name}.pem").read_bytes())
    use("mixed", "skip-tls-verify=true")
    with connect() as daemon:
        assert "recorded" in daemon.info()["Runtimes"]
    asked()


def test_a_network_that_the_daemon_lacks_is_refused_and_not_left_out(place: Place, use: Use) -> None:
    use("right")

    async def work() -> None:
        with pytest.raises(SandboxSetupError) as found:
            async with opened(network="bridge"):
                pass
        assert str(found.value) == (
            f"Docker's daemon at {place.url} has no network `bridge`, which a sandbox asks for: start it without "
            "`--bridge=none`, or leave network='bridge' out."
        )

    on("asyncio", work)


def test_a_runtime_is_used_that_the_daemon_has(place: Place, use: Use) -> None:
    use("right")

    async def work() -> None:
        async with opened(runtime="recorded") as sandbox:
            assert (await sandbox.exec(["id", "-un"])).stdout == "agent\n"
            assert re.search(
                rf"\bcreate\b.* {sandbox.container.id}$", place.runtime_log.read_text("utf-8"), re.MULTILINE
            )

    on("asyncio", work)
