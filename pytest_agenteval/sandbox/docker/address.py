"""The Docker daemon's address and how to connect to it, chosen as the docker command line chooses it.

DOCKER_HOST comes first, then the context that DOCKER_CONTEXT or the configuration file names, then the local socket.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_agenteval.errors import NotAvailable

__all__ = ["LOCAL", "Certificates", "DaemonAddress", "SandboxSetupError", "address", "daemon_address"]

LOCAL = "unix:///var/run/docker.sock"
"""Where a daemon listens by default."""


class SandboxSetupError(NotAvailable):
    """No sandbox can be had; the message is one sentence: what is wrong, where, and what to do next."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What secures a TLS connection: files in PEM."""

    ca: Path | None
    """Who must have signed the daemon's certificate; None means anyone this machine trusts."""
    pair: tuple[Path, Path] | None
    """This side's certificate and key; None if the daemon requires none."""
    verify: bool = True
    """Whether the daemon's certificate is verified."""


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """An address of a daemon."""

    url: str
    """For example `unix:///var/run/docker.sock`, `tcp://host:2376`, `ssh://host`."""
    certificates: Certificates | None = None
    """None: without TLS, unless the address begins with `https`."""


def address() -> str:
    """The current daemon's address as text. Raises `SandboxSetupError` as `daemon_address` does."""
    return daemon_address().url


def daemon_address() -> DaemonAddress:
    """The current daemon's address. Raises `SandboxSetupError`: no such context, or a file for TLS is missing."""
    if host := os.environ.get("DOCKER_HOST"):
        return DaemonAddress(host, _of_environment())
    name = os.environ.get("DOCKER_CONTEXT") or _current_context()
    if name == "default":
        return DaemonAddress(LOCAL, _of_environment())
    return _context(name)


def _of_environment() -> Certificates | None:
    """The files in DOCKER_CERT_PATH, if DOCKER_TLS_VERIFY asks for them."""
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    return _in_folder(Path(os.environ.get("DOCKER_CERT_PATH") or _configuration()), verify=True)


def _configuration() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _current_context() -> str:
    try:
        settings = json.loads((_configuration() / "config.json").read_text("utf-8"))
        return str(settings.get("currentContext") or "default")
    except (OSError, ValueError, AttributeError):  # like the command line, which warns and continues without it
        return "default"


def _context(name: str) -> DaemonAddress:
    # The `docker` package reads contexts too, but not those without a configuration file or with a ca.pem only.
    number = hashlib.sha256(name.encode()).hexdigest()
    contexts = _configuration() / "contexts"
    try:
        text = (contexts / "meta" / number / "meta.json").read_text("utf-8")
    except FileNotFoundError:
        raise SandboxSetupError(
            f"Docker's context {name!r} does not exist: choose one of `docker context ls`."
        ) from None
    except OSError as error:
        raise _unreadable(name, error) from error
    try:
        endpoint: Mapping[str, Any] = json.loads(text)["Endpoints"]["docker"]
        host, verify = str(endpoint.get("Host") or LOCAL), not endpoint.get("SkipTLSVerify")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _unreadable(name, error) from error
    folder = contexts / "tls" / number / "docker"
    return DaemonAddress(host, _in_folder(folder, verify) if folder.is_dir() else None)


def _unreadable(name: str, error: Exception) -> SandboxSetupError:
    return SandboxSetupError(
        f"Docker's context {name!r} cannot be read ({error!r}): see `docker context inspect {name}`."
    )


def _in_folder(folder: Path, verify: bool) -> Certificates:
    ca, cert, key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
    if cert.exists() != key.exists():
        missing = key if cert.exists() else cert
        raise SandboxSetupError(f"Docker's daemon is to be asked by TLS, and {missing} does not exist: put it there.")
    return Certificates(ca if ca.exists() else None, (cert, key) if cert.exists() else None, verify)
