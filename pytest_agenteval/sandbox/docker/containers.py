"""The container of a sandbox: its image, its configuration, hardened by default, and its description for the engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = [
    "CAPABILITIES", "DOCKERS_OWN", "FALLBACK_COMMAND", "ContainerConfig", "Image", "capability", "creation",
    "parse_bytes",
]  # fmt: skip

CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETPCAP", "KILL"),
    *("NET_BIND_SERVICE", "SYS_CHROOT"),
)
"""What root in a sandbox may do: Docker's own default without raw sockets, device nodes, audit and file capabilities.

Package managers, `useradd`, `chown`, `su` to another user and ports below 1024 work with it.
"""
DOCKERS_OWN = frozenset((*CAPABILITIES, "MKNOD", "NET_RAW", "AUDIT_WRITE", "SETFCAP"))
"""The capabilities that Docker gives a container by default (moby, oci/caps)."""
FALLBACK_COMMAND = ["/bin/sh", "-c", "read -r keep && exec tail -f /dev/null"]
"""The command of a container without an exec server: it ends with its stdin, unless a line is written to it first."""

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def capability(name: object) -> str:
    """A capability's name as the kernel has it, without the prefix: `NET_RAW`."""
    return str(name).upper().removeprefix("CAP_")


def parse_bytes(text: str) -> int:
    """A number of bytes in Docker's notation, for example `512m` or `4g`. Raises `ValueError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no amount of memory: write for example 512m or 4g")
    return int(float(match[1]) * _UNITS[match[2]])


class ContainerConfig(BaseModel):
    """The configuration of Inspect's sandbox provider `agenteval`: one container, hardened unless relaxed by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str | None = None
    """A name or id; None is the package's default image."""
    name: str = "default"
    """Inspect's name for the sandbox."""
    user: str | None = None
    """The user of the agent's commands, a name or number; None is the image's."""
    working_dir: str | None = None
    """An absolute path; None is the image's."""
    env: Mapping[str, str] = Field(default_factory=dict)
    """Environment variables of every command."""
    network: Literal["none", "bridge"] = "none"
    """`none`: not even to the host. `bridge`: the daemon's default network, and with it the internet."""
    memory: int | None = Field(default=4 << 30, gt=0)
    """The most memory, in bytes, including swap; also in Docker's notation (`512m`). None means no limit."""
    cpus: float | None = Field(default=None, gt=0)
    """How many processors it may use; None means no limit."""
    pids: int | None = Field(default=1024, gt=0)
    """The highest number of processes and threads at once; None means no limit."""
    shm_size: int | None = Field(default=None, gt=0)
    """The size of /dev/shm in bytes, also in Docker's notation; None: the daemon's default, 64 MiB."""
    capabilities: tuple[str, ...] = CAPABILITIES
    """The capabilities of root in the container; all others are removed."""
    new_privileges: bool = False
    """Whether programs such as sudo may raise a user's rights."""
    read_only: bool = False
    """Whether the root file system is read-only."""
    tmpfs: Mapping[str, str] = Field(default_factory=dict)
    """File systems in memory: their path, and mount options."""
    runtime: str | None = None
    """The container runtime, for example `runsc`; None is the daemon's default."""
    hostname: str | None = None
    """The container's own host name; None means a part of its id."""

    @field_validator("memory", "shm_size", mode="before")
    @classmethod
    def _bytes(cls, value: object) -> object:
        return parse_bytes(value) if isinstance(value, str) else value

    @field_validator("working_dir")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError(f"working_dir {value!r} is not an absolute path")
        return value

    def __hash__(self) -> int:
        # Inspect puts configurations into sets, and mappings have no hash.
        return hash(self.model_dump_json())


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the daemon has it."""

    name: str
    id: str
    """The daemon's id: which image of that name it was."""
    digest: str
    """Its best name outside this daemon: its registry's digest, else its id."""
    user: str
    working_dir: str


def creation(
    config: ContainerConfig, image: str, command: Sequence[str], labels: Mapping[str, str], *, init: bool = False
) -> dict[str, Any]:
    """The body of the engine's call that creates the container.

    It lives as long as the client that attached first holds its stdin open, and is removed when it ends. So a host
    process that dies takes its containers with it. `init` puts the daemon's own init process before the command.
    """
    host: dict[str, Any] = {
        "AutoRemove": True,
        "Init": init,
        "NetworkMode": config.network,
        "LogConfig": {"Type": "none"},
        "CapDrop": ["ALL"],
        "CapAdd": list(config.capabilities),
        "SecurityOpt": [] if config.new_privileges else ["no-new-privileges"],
        "ReadonlyRootfs": config.read_only,
        "Tmpfs": dict(config.tmpfs),
        "PidsLimit": config.pids,
    }
    limits = {
        "Memory": config.memory,
        "MemorySwap": config.memory,
        "NanoCpus": None if config.cpus is None else round(config.cpus * 1e9),
        "ShmSize": config.shm_size,
        "Runtime": config.runtime,
    }
    own = {"User": config.user, "WorkingDir": config.working_dir, "Hostname": config.hostname}
    body: dict[str, Any] = {
        "Image": image,
        "Entrypoint": [],
        "Cmd": list(command),
        "Env": [f"{name}={value}" for name, value in config.env.items()],
        "Labels": dict(labels),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "Healthcheck": {"Test": ["NONE"]},
        "StopTimeout": 1,
        "HostConfig": host | {name: value for name, value in limits.items() if value is not None},
    }
    return body | {name: value for name, value in own.items() if value is not None}
