"""The labels that say which process owns a container, and the removal of what dead processes have left.

A container ends with the process that started it (see `containers.creation`), so little is ever left: only what was
created and not yet started when its process was killed. Several machines and CI containers may share one daemon and
have the same process ids. Only a process of the same kernel and the same PID namespace can be known to be dead.
"""

from __future__ import annotations

import json
import math
import os
import platform
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pytest_agenteval.sandbox.docker.engine_api import Engine
from pytest_agenteval.sandbox.exec.backend import EngineError

__all__ = [
    "KEPT_PREFIX", "LABEL", "NAME_PREFIX", "Owner", "is_orphan", "list_sandboxes", "reap", "remove", "remove_all",
    "remove_kept",
]  # fmt: skip

LABEL = "agenteval.sandbox"
"""Every sandbox's container carries this label; its value is `1`."""
NAME_PREFIX = "agenteval-"
KEPT_PREFIX = "agenteval-kept-"
"""The prefix of the name of a container that was kept on purpose; such containers are only removed by hand."""

_RUN = uuid.uuid4().hex[:12]


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, identified so that no other can be mistaken for it."""

    run: str
    pid: int
    started: str
    """When it started, in the kernel's ticks since boot; empty if the system does not say."""
    pidns: str
    """Its PID namespace, for example `pid:[4026531836]`; empty if the system does not say."""
    host: str
    boot: str
    """The kernel's boot id; empty if the system does not say."""

    @classmethod
    @cache
    def this(cls) -> Owner:
        """This process."""
        boot = _read("/proc/sys/kernel/random/boot_id")
        return cls(_RUN, os.getpid(), _started(os.getpid()), _namespace(), platform.node(), boot)

    def labels(self) -> dict[str, str]:
        """The labels to put on a container."""
        return {LABEL: "1", **{f"agenteval.{name}": str(value) for name, value in asdict(self).items()}}


def is_orphan(labels: Mapping[str, str], here: Owner) -> bool:
    """Whether the container's process is known to be dead: one of this kernel and PID namespace that is gone.

    If one of these is unknown or different, the answer is no.
    """
    ours = here.labels()
    place = ("agenteval.host", "agenteval.boot", "agenteval.pidns")
    if any(not labels.get(name) or labels[name] != ours[name] for name in place):
        return False
    try:
        pid = int(labels["agenteval.pid"])
    except (KeyError, ValueError):
        return False
    return _started(pid) != labels.get("agenteval.started", "")


async def list_sandboxes(engine: Engine) -> list[dict[str, Any]]:
    """The containers of all sandboxes that the daemon knows, of any owner, as the engine lists them.

    Raises `EngineError`.
    """
    filters = json.dumps({"label": [f"{LABEL}=1"]})
    return list(await engine.get("/containers/json", all="true", filters=filters))


async def reap(engine: Engine, *, older_than: float = 0.0) -> tuple[str, ...]:
    """Remove the containers of dead processes, except those left on purpose, and return their ids.

    `older_than` is an age in seconds, here and below. Raises `EngineError`, like the others.
    """
    here = Owner.this()

    def left(container: Mapping[str, Any]) -> bool:
        return not _is_kept(container) and is_orphan(container.get("Labels") or {}, here)

    return await _remove_those(engine, left, older_than)


async def remove_kept(engine: Engine, *, older_than: float = 0.0) -> tuple[str, ...]:
    """Remove the containers that anyone kept on purpose, and return their ids."""
    return await _remove_those(engine, _is_kept, older_than)


async def remove_all(engine: Engine, *, older_than: float = 0.0) -> tuple[str, ...]:
    """Remove the containers of all sandboxes, also of live processes and other machines, and return their ids."""
    return await _remove_those(engine, lambda _: True, older_than)


def _is_kept(container: Mapping[str, Any]) -> bool:
    return any(name.lstrip("/").startswith(KEPT_PREFIX) for name in container.get("Names") or ())


async def _remove_those(
    engine: Engine, chosen: Callable[[Mapping[str, Any]], bool], older_than: float
) -> tuple[str, ...]:
    removed = []
    # Ages are measured by the daemon's clock, which also set the times of creation.
    latest = await engine.now() - older_than if older_than > 0 else math.inf
    for container in await list_sandboxes(engine):
        if container["Created"] <= latest and chosen(container):
            await remove(engine, container["Id"])
            removed.append(str(container["Id"]))
    return tuple(removed)


async def remove(engine: Engine, container: str) -> None:
    """Remove a container, of that name or id and in whatever state, with its anonymous volumes; return when it is gone.

    Raises `EngineError`.
    """
    try:
        await engine.call("DELETE", f"/containers/{container}", None, force="true", v="true")
    except EngineError as error:
        if error.status == 409:  # it is being removed already
            try:
                await engine.post(f"/containers/{container}/wait", None, condition="removed")
            except EngineError as gone:
                if gone.status != 404:
                    raise
        elif error.status != 404:
            raise


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)), empty for a process that is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError:
        return ""
