"""Sandboxes of attempts: which one a suite uses, and a fresh one for every try."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.util import SandboxEnvironment
from inspect_ai.util._sandbox.context import (
    cleanup_sandbox_environments_sample,
    init_sandbox_environments_sample,
)
from inspect_ai.util._sandbox.registry import registry_find_sandboxenv

from pytest_agenteval.engine.provider import AgentevalSandbox
from pytest_agenteval.sandbox.autopsy import Death, EndedBy, examine
from pytest_agenteval.sandbox.containers import ContainerConfig
from pytest_agenteval.sandbox.daemon import DaemonGone, SandboxSetupError, connect

__all__ = ["OpenSandbox", "SandboxFailed", "SandboxSpec", "Sandboxes"]


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """Which sandbox the tasks of a suite get."""

    provider: str
    """Inspect's name: `agenteval`, `docker` or `local`."""
    config: Path | ContainerConfig | None
    """A compose file or Dockerfile for `docker`, the container's configuration for `agenteval`."""
    name: str
    """Of the suite, for the containers' names."""


class SandboxFailed(Exception):
    """A sandbox could not be started."""


@dataclass(frozen=True, slots=True)
class OpenSandbox:
    """A sandbox in use."""

    container: str | None
    """Name or id of the default container, or None where it runs in none."""
    since: float
    """When it was asked for (seconds since the epoch)."""
    ends_with_connection: bool
    """Whether the container ends by itself, with status 0, when its connection to this process does."""

    async def is_gone(self) -> bool:
        """Whether the container does not run any more, by one quick question; False where nobody can tell."""
        return self.container is not None and await asyncio.to_thread(_is_gone, self.container)

    async def examine(self) -> Death:
        """Find out who ended the container, if anybody did."""
        if self.container is None:
            return Death(EndedBy.RUNNING, "it is no container")
        death = await asyncio.to_thread(examine, self.container, self.since)
        if self.ends_with_connection and death.by is EndedBy.INSIDE and death.exit_code == 0:
            return Death(EndedBy.UNKNOWN, "the connection to the container ended, and the container with it")
        return death


class Sandboxes:
    """Opens and closes sandboxes of one run, and counts those that are up."""

    def __init__(self) -> None:
        self.up = 0
        self._prepared: list[SandboxSpec] = []

    async def prepare(self, specs: Iterable[SandboxSpec]) -> None:
        """Do once what a provider does before its first sandbox: check, build, pull.

        Raises:
            SandboxFailed: an image cannot be built or is missing.
        """
        for spec in specs:
            if any((spec.provider, spec.config) == (done.provider, done.config) for done in self._prepared):
                continue
            try:
                await registry_find_sandboxenv(spec.provider).task_init(spec.name, _config(spec))
            except SandboxSetupError as error:
                raise SandboxFailed(str(error)) from error
            except (PrerequisiteError, RuntimeError) as error:
                raise SandboxFailed(f"sandbox {spec.provider} ({spec.config}): {error}") from error
            self._prepared.append(spec)

    @asynccontextmanager
    async def open(self, spec: SandboxSpec) -> AsyncIterator[OpenSandbox]:
        """A fresh sandbox, which `inspect_ai.util.sandbox()` finds in this block; removed at its end, whatever happens.

        Raises:
            SandboxFailed: it did not start.
        """
        since = time.time()
        try:
            environments = await init_sandbox_environments_sample(
                sandboxenv_type=registry_find_sandboxenv(spec.provider),
                task_name=spec.name,
                config=_config(spec),
                files={},
                setup=None,
                metadata={},
            )
        except Exception as error:
            raise SandboxFailed(f"the sandbox did not start: {error}") from error
        self.up += 1
        try:
            yield OpenSandbox(_container(spec, environments), since, spec.provider == "agenteval")
        finally:
            self.up -= 1
            with anyio.CancelScope(shield=True):
                await cleanup_sandbox_environments_sample(
                    spec.provider, spec.name, _config(spec), environments, interrupted=False
                )

    async def close(self) -> None:
        """Remove what is left when all attempts have ended."""
        for spec in self._prepared:
            await registry_find_sandboxenv(spec.provider).task_cleanup(spec.name, _config(spec), True)


def _is_gone(container: str) -> bool:
    try:
        with connect() as daemon:
            found = daemon.container(container)
    except DaemonGone:
        return True
    except SandboxSetupError:
        return False
    return found is None or not found["State"]["Running"] or found["State"]["Paused"]


def _config(spec: SandboxSpec) -> str | ContainerConfig | None:
    return str(spec.config) if isinstance(spec.config, Path) else spec.config


def _container(spec: SandboxSpec, environments: dict[str, SandboxEnvironment]) -> str | None:
    first: Any = next(iter(environments.values()))
    if spec.provider == "agenteval":
        return str(first.as_type(AgentevalSandbox).container_id)
    if spec.provider != "docker":
        return None
    # Compose names a container after project, service and number
    inner = getattr(first, "_sandbox", first)
    return f"{inner._project.name}-{inner._service}-1"
