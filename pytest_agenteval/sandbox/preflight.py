"""Checks whether sandboxes are available at all, before any money is spent; quick when all is well."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pytest_agenteval.sandbox.asked.compose_plan import ComposeFileError
from pytest_agenteval.sandbox.docker.address import address
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError, connect

__all__ = ["COMPOSE_FLOOR", "ENGINE_FLOOR", "preflight", "refuse_bad_compose"]

ENGINE_FLOOR = (24, 0, 6)
"""The oldest Docker Engine that Inspect's sandboxes work with."""
COMPOSE_FLOOR = (2, 21, 0)
"""The oldest Docker Compose that Inspect's sandboxes work with."""

_COMMAND_SECONDS = 10


def preflight(*, compose: bool) -> str:
    """Check everything that sandboxes need, except their images; returns the version of Docker's engine.

    `compose` says whether sandboxes are started by Docker Compose. Raises `SandboxSetupError`: one sentence with what
    is wrong and what to do next.
    """
    where = address()
    with connect() as daemon:
        engine = daemon.version()
    _at_least(ENGINE_FLOOR, engine, f"Docker Engine {engine} at {where}", "upgrade Docker Engine")
    if compose:
        _check_compose()
    return engine


def _check_compose() -> None:
    if shutil.which("docker") is None:
        raise SandboxSetupError(
            "The command `docker` is not on the PATH, and sandboxes of the provider `docker` are started by it: "
            "install the Docker command line with its Compose plugin."
        )
    command = ("docker", "compose", "version", "--format", "json")
    try:
        done = _run(command)
        done.check_returncode()
        version = str(json.loads(done.stdout)["version"])
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, LookupError) as error:
        raise SandboxSetupError(
            f"`{' '.join(command)}` did not work, so sandboxes of the provider `docker` cannot be started: install the "
            "Docker Compose plugin, version 2.21 or later."
        ) from error
    _at_least(COMPOSE_FLOOR, version, f"Docker Compose {version}", "upgrade the Docker Compose plugin")


def refuse_bad_compose(file: Path) -> None:
    """Make Docker Compose read a file, without a daemon. Raises `ComposeFileError` with its last output."""
    command = ("docker", "compose", "--file", str(file), "config", "--quiet")
    try:
        done = _run(command)
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxSetupError(f"`{shlex.join(command)}` did not work ({error}): see Docker Compose.") from error
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
        raise ComposeFileError(f"{file} is refused by Docker Compose ({words}): see `{shlex.join(command)}`")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_COMMAND_SECONDS, stdin=subprocess.DEVNULL
    )


def _at_least(floor: tuple[int, int, int], version: str, what: str, todo: str) -> None:
    """Raise when the version is older; a version that does not begin with numbers is accepted."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    if found and tuple(int(part or 0) for part in found.groups()) < floor:
        raise SandboxSetupError(f"{what} is older than {'.'.join(map(str, floor))}: {todo}.")
