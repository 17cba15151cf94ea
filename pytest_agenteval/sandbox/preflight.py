"""Checks whether sandboxes are available at all, before any money is spent; quick when all is well."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path

from pytest_agenteval.sandbox.asked.compose_plan import ComposeFileError
from pytest_agenteval.sandbox.docker.address import address
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError, connect

__all__ = [
    "COMPOSE_FLOOR", "DEFAULT_POOLS", "ENGINE_FLOOR", "Needs", "Pool", "Ready", "free_networks", "preflight",
    "refuse_bad_compose",
]  # fmt: skip

ENGINE_FLOOR = (24, 0, 6)
"""The oldest Docker Engine that Inspect's sandboxes work with."""
COMPOSE_FLOOR = (2, 21, 0)
"""The oldest Docker Compose that Inspect's sandboxes work with."""

_COMMAND_SECONDS = 10
_FREE_ENOUGH = 64  # counting on is of no use
Pool = tuple[str, int]
"""A range of addresses and the prefix length of the networks the daemon cuts from it."""
DEFAULT_POOLS: tuple[Pool, ...] = (
    *((f"172.{second}.0.0/16", 16) for second in (17, 18, 19)),
    *((f"172.{second}.0.0/14", 16) for second in (20, 24, 28)),
    ("192.168.0.0/16", 20),
)
"""What an engine cuts its networks from unless `default-address-pools` is set (moby's libnetwork/ipamutils)."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a run needs from Docker."""

    compose: bool
    """Whether sandboxes are started by Docker Compose."""
    networks: int = 0
    """How many networks will exist at once: none for sandboxes without network or on the default bridge."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What the preflight found."""

    address: str
    engine: str


def preflight(needs: Needs) -> Ready:
    """Check everything that sandboxes need, except their images.

    Raises `SandboxSetupError`: one sentence with what is wrong and what to do next.
    """
    where = address()
    with connect() as daemon:
        engine = daemon.version()
        _at_least(ENGINE_FLOOR, engine, f"Docker Engine {engine} at {where}", "upgrade Docker Engine")
        if needs.networks:
            pools = [(pool["Base"], pool["Size"]) for pool in daemon.info().get("DefaultAddressPools") or ()]
            taken = (*daemon.subnets(), *(_routes() if where.startswith("unix:") else ()))
            free = free_networks(pools or DEFAULT_POOLS, taken)
            if free < needs.networks:
                raise SandboxSetupError(
                    f"Docker at {where} has addresses for {free} more networks, the run needs {needs.networks}: lower "
                    "--agent-concurrency, run `docker network prune`, or widen the daemon's `default-address-pools`."
                )
    if needs.compose:
        _check_compose()
    return Ready(where, engine)


def free_networks(pools: Iterable[Pool], taken: Iterable[str]) -> int:
    """How many more networks can be cut from the pools (counted to 64), given the subnets taken. IPv6 is left out."""
    used = [net for net in map(_network, taken) if net is not None and net.prefixlen > 0]
    free = 0
    for base, size in pools:
        pool = _network(base)
        for candidate in pool.subnets(new_prefix=max(size, pool.prefixlen)) if pool else ():
            free += not any(candidate.overlaps(net) for net in used)
            if free >= _FREE_ENOUGH:
                return free
    return free


def _network(text: str) -> IPv4Network | None:
    network = ip_network(text, strict=False)
    return network if isinstance(network, IPv4Network) else None


def _routes() -> tuple[str, ...]:
    """The networks this machine has routes to, which the daemon avoids. Empty if the kernel does not say."""
    try:
        lines = Path("/proc/net/route").read_text("ascii").splitlines()[1:]
    except OSError:
        return ()
    fields = (line.split() for line in lines)
    return tuple(f"{_dotted(words[1])}/{_dotted(words[7])}" for words in fields if len(words) > 7)


def _dotted(little_endian: str) -> str:
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(little_endian)))


def _check_compose() -> None:
    if shutil.which("docker") is None:
        raise SandboxSetupError(
            "The command `docker` is not on the PATH, and sandboxes of the provider `docker` are started by it: "
            "install the Docker command line with its Compose plugin."
        )
    command = ("docker", "compose", "version", "--format", "json")
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_COMMAND_SECONDS, stdin=subprocess.DEVNULL
        )
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
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_COMMAND_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxSetupError(f"`{shlex.join(command)}` did not work ({error}): see Docker Compose.") from error
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
        raise ComposeFileError(f"{file} is refused by Docker Compose ({words}): see `{shlex.join(command)}`")


def _at_least(floor: tuple[int, int, int], version: str, what: str, todo: str) -> None:
    """Raise when the version is older; a version that does not begin with numbers is accepted."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    if found and tuple(int(part or 0) for part in found.groups()) < floor:
        raise SandboxSetupError(f"{what} is older than {'.'.join(map(str, floor))}: {todo}.")
