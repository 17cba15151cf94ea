"""This package's calls to the Docker daemon: few, each with a time limit, with errors in one sentence.

The `docker` package is used here and nowhere else. The daemon is the one the docker command line would use.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.tls import TLSConfig

from pytest_agenteval.sandbox.docker.address import Certificates, DaemonAddress, SandboxSetupError, daemon_address

__all__ = ["CALL_SECONDS", "Daemon", "DaemonGone", "DaemonRefused", "DaemonSilent", "SandboxSetupError", "connect"]

CALL_SECONDS = 5.0
"""The default time a call waits for the daemon's answer."""
_ANY_VERSION = "1.44"  # of the API; not sent, because the daemon is first asked for its own
_BUILD_SECONDS = 600  # the longest silence of a build
_WITHOUT_DOCKER = "or rehearse without Docker by `--agent-sandbox=local`"


class DaemonGone(SandboxSetupError):
    """Nothing listens at the daemon's address, or it closed the connection."""


class DaemonSilent(SandboxSetupError):
    """The daemon did not answer within the time limit."""


class DaemonRefused(SandboxSetupError):
    """The daemon answered with an error."""


@contextmanager
def connect(seconds: float | None = None) -> Iterator[Daemon]:
    """The daemon. Each call waits at most `seconds` (default: `CALL_SECONDS`) for an answer.

    Raises `SandboxSetupError` or one of its subclasses, also for errors inside the block.
    """
    seconds = CALL_SECONDS if seconds is None else seconds
    found = daemon_address()
    where = found.url
    parameters: dict[str, Any] = {"base_url": where}
    try:
        if found.certificates is not None:
            parameters["tls"] = _tls(found.certificates)
        if where.startswith("unix://"):
            _knock(where.removeprefix("unix://"), seconds)
        parameters |= {"timeout": seconds, "use_ssh_client": where.startswith("ssh://")}
        with closing(_client(_ANY_VERSION, parameters)) as client:
            version = str(client.version(api_version=False)["ApiVersion"])
        with closing(_client(version, parameters)) as client:
            yield Daemon(client)
    except docker.errors.APIError as error:
        raise DaemonRefused(f"Docker's daemon at {where} refused: {error.explanation or error}.") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise _explained(error, found, seconds) from error


def _client(version: str, parameters: Mapping[str, Any]) -> docker.APIClient:
    client = docker.APIClient(version=version, **parameters)
    client.trust_env = False  # REQUESTS_CA_BUNDLE would come before the daemon's own certificates
    return client


def _tls(certificates: Certificates) -> TLSConfig:
    pair = certificates.pair and tuple(map(str, certificates.pair))
    ca = certificates.ca and str(certificates.ca)
    return TLSConfig(client_cert=pair, ca_cert=ca, verify=certificates.verify)


def _knock(path: str, seconds: float) -> None:
    """Raise `OSError` if nothing listens, because the `docker` package would leave the socket open."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(seconds)
        caller.connect(path)


def _explained(error: BaseException, found: DaemonAddress, seconds: float) -> SandboxSetupError:
    """The sentence for a daemon that could not be reached, chosen by the root cause of the error."""
    where = found.url
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    if any(isinstance(each, PermissionError) for each in chain):
        return SandboxSetupError(
            f"Docker's daemon at {where} does not let this user in: add the user to the group `docker` and log in "
            "anew, or use rootless Docker."
        )
    if reason := _tls_refusal(chain, found):
        return SandboxSetupError(
            f"Docker's daemon at {where} cannot be asked by TLS ({reason}): see the certificates of the docker "
            "context, or in DOCKER_CERT_PATH."
        )
    if any(isinstance(each, requests.Timeout | TimeoutError) for each in chain):
        return DaemonSilent(
            f"Docker's daemon at {where} did not answer within {seconds:g} s: see whether it is busy or hangs."
        )
    if any(isinstance(each, OSError) and not isinstance(each, requests.RequestException) for each in chain):
        return DaemonGone(
            f"No Docker daemon answers at {where}: start Docker, name its address in DOCKER_HOST, {_WITHOUT_DOCKER}."
        )
    return SandboxSetupError(f"Docker's daemon at {where} cannot be used ({error}): see `docker info`.")


def _tls_refusal(chain: Sequence[BaseException], found: DaemonAddress) -> str | None:
    """OpenSSL's reason why a TLS connection failed, if that is what happened."""
    for each in chain:
        if isinstance(each, ssl.SSLError | requests.exceptions.SSLError):
            named = re.search(r"\[SSL: (\w+)\]", str(each))
            return named[1] if named else str(each)
        # a daemon that refuses this side's certificate may be gone before its reason is read
        if found.certificates is not None and isinstance(each, ConnectionResetError | BrokenPipeError):
            return "it hung up"
    return None


class Daemon:
    """The calls that this package makes to a daemon. Mappings are the Engine API's own objects."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def version(self) -> str:
        """The engine's version, for example `26.1.5`."""
        return str(self._client.version()["Version"])

    def info(self) -> Mapping[str, Any]:
        """The daemon's description of itself and its machine."""
        return dict(self._client.info())

    def image(self, name: str) -> Mapping[str, Any] | None:
        """The image of that name or id, or None."""
        try:
            return dict(self._client.inspect_image(name))
        except docker.errors.ImageNotFound:
            return None

    def images(self, label: str) -> tuple[Mapping[str, Any], ...]:
        """The images with that label that have a name, or once had one."""
        return tuple(self._client.images(filters={"label": label}))

    def push(self, image: str, repository: str, tag: str) -> str:
        """Push an image under another name, with the docker command line's credentials; returns its digest.

        The other name is removed again. Otherwise attempts in Docker would record it instead of the image's id.

        Raises `DaemonRefused`.
        """
        self._client.tag(image, repository, tag, force=True)
        digest = ""
        try:
            for step in self._client.push(repository, tag, stream=True, decode=True):
                if "error" in step:
                    raise DaemonRefused(str(step["error"]).strip())
                digest = (step.get("aux") or {}).get("Digest", digest)
        finally:
            self._client.remove_image(f"{repository}:{tag}", noprune=True)
        return digest

    def remove_image(self, name: str) -> None:
        """Remove an image, by id or name. Raises `DaemonRefused` while a container uses it."""
        self._client.remove_image(name)

    def pull(self, name: str) -> None:
        """Pull an image, with the credentials of the docker command line. Raises `DaemonRefused`."""
        for step in self._client.pull(name, stream=True, decode=True):
            if "error" in step:
                raise DaemonRefused(str(step["error"]).strip())

    def container(self, name: str) -> Mapping[str, Any] | None:
        """The container of that name or id, or None."""
        try:
            return dict(self._client.inspect_container(name))
        except docker.errors.NotFound:
            return None

    def now(self) -> float:
        """The daemon's own clock, in seconds since the epoch. It may differ from this machine's."""
        return datetime.fromisoformat(self.info()["SystemTime"]).timestamp()

    def events(self) -> tuple[Mapping[str, Any], ...]:
        """The events that the daemon remembers (its last 256, none from before it started), oldest first."""
        # The daemon ends the list when its own clock has passed `until`: at once, unless that has been put back. The
        # `docker` package sets no limit here.
        with closing(self._client.events(since=1, until=self.now(), decode=True)) as log:
            limit = threading.Timer(CALL_SECONDS, log.close)
            limit.start()
            try:
                return tuple(log)
            finally:
                limit.cancel()

    def ask_registry(self, name: str) -> None:
        """Return if the image's registry knows it; raises `DaemonRefused` or `DaemonSilent` otherwise."""
        self._client.inspect_distribution(name)

    def build(self, folder: Path, name: str, labels: Mapping[str, str]) -> None:
        """Build the folder's Dockerfile and name the image. Raises `DaemonRefused` with the build's own error."""
        for step in self._client.build(
            path=str(folder), tag=name, rm=True, forcerm=True, decode=True, labels=dict(labels), timeout=_BUILD_SECONDS
        ):
            if "error" in step:
                raise DaemonRefused(str(step["error"]).strip())

    def import_tar(self, tar: Path, changes: Sequence[str]) -> str:
        """The id of a new image without a name, with the files of the tar."""
        answer = str(self._client.import_image(src=str(tar), changes=list(changes)))
        last = json.loads(answer.strip().splitlines()[-1])
        if "status" not in last:
            raise DaemonRefused(f"Docker's daemon did not import the image: {last.get('error', answer)}.")
        return str(last["status"])

    def finish(self, image: str, script: str, name: str, changes: Sequence[str], seconds: int) -> None:
        """Run a script as root in a container of the image and name the result, unless the name is taken by now.

        The unnamed image itself is removed unless its result is kept. Raises `DaemonRefused` with the script's last
        output when it exits with another status than 0.
        """
        kept = False
        host = self._client.create_host_config(network_mode="none")
        container = self._client.create_container(image, ["bash", "-ec", script], user="root", host_config=host)["Id"]
        try:
            self._client.start(container)
            if self._client.wait(container, timeout=seconds)["StatusCode"] != 0:
                words = self._client.logs(container, tail=5).decode("utf-8", "replace").split()
                raise DaemonRefused(f"the image does not work: {' '.join(words)}")
            if kept := self.image(name) is None:
                repository, _, tag = name.rpartition(":")
                self._client.commit(container, repository, tag, changes=list(changes))
        finally:
            self._client.remove_container(container, force=True)
            if not kept:
                self._client.remove_image(image)
