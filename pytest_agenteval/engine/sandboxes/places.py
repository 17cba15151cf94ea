"""Sandboxes of attempts: a fresh one for every try."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from inspect_ai.util import SandboxEnvironment, concurrency

from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.errors import NotAvailable
from pytest_agenteval.sandbox.autopsy import examine
from pytest_agenteval.sandbox.death import Death, EndedBy
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.docker.daemon import DaemonGone, SandboxSetupError, connect
from pytest_agenteval.sandbox.exec.running import RunningContainer, SandboxLost

__all__ = ["OpenSandbox", "SandboxFailed", "SandboxSpec", "Sandboxes"]


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """Which sandbox a task gets."""

    provider: str
    """Inspect's name: `agenteval`, `docker`, `local`, or that of a plugin's provider."""
    config: Path | ContainerConfig | Any | None
    """A compose file or Dockerfile for `docker`, the container's configuration for `agenteval`, else the provider's."""
    name: str
    """The name of the suite, for the containers' names."""
    notes: tuple[str, ...] = ()
    """What a reader of the task's record should know."""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Of an Inspect sample: a compose file may name it as `${SAMPLE_METADATA_KEY}`."""


class SandboxFailed(NotAvailable):
    """A sandbox could not be started."""


@dataclass(slots=True)
class OpenSandbox:
    """A sandbox in use."""

    environment: SandboxEnvironment
    container: str | None
    """Docker's name or id of the default container, or None if it runs in none of Docker's."""
    ours: RunningContainer | None = None
    """The same, of our own provider: it ends by itself, with status 0, when its connection to this process does."""
    image: str | None = None
    """Its registry's digest, else the daemon's id; None if it runs in no container, or the daemon does not say."""
    waited: float | None = None
    """Seconds it waited for a place to start; None where there is no such queue."""
    kept: str | None = None
    """The shell command that enters it, once it is to be kept."""

    async def keep(self) -> None:
        """Leave it when it is closed, and set `kept`; does nothing where it has ended."""
        if self.ours is not None:
            with suppress(SandboxLost):
                self.kept = await self.ours.keep()
        elif self.container is not None:
            if not await self.is_gone():
                self.kept = f"docker exec -it {self.container} bash -l"
        else:  # on this host: what it was is copied, for the folder is removed
            inner: Any = getattr(self.environment, "_sandbox", self.environment)
            place = Path(tempfile.mkdtemp(prefix="agenteval-kept-"))
            await asyncio.to_thread(shutil.copytree, inner.directory.name, place, symlinks=True, dirs_exist_ok=True)
            self.kept = f"cd {shlex.quote(str(place))}"

    async def died_unseen(self) -> bool:
        """Whether it has died, even if nobody has noticed: `docker exec` then ends like a killed command.

        Free of charge on our own provider, whose connection has then ended; else as :meth:`is_gone`.
        """
        if self.ours is not None and self.ours.has_exec_server:
            return self.ours.last_words != ""
        return await self.is_gone()

    async def is_gone(self) -> bool:
        """Whether it is no longer running, by one quick question; on Docker False if that is unknown."""
        if self.container is None:
            return self.ours is not None and not await self.ours.is_running()
        return await asyncio.to_thread(_is_gone, self.container)

    async def examine(self) -> Death:
        """Find out who ended the container, if anybody did."""
        if self.ours is not None:
            return await self.ours.examine()
        if self.container is None:
            return Death(EndedBy.RUNNING, "it is no container")
        return await asyncio.to_thread(examine, self.container)


class Sandboxes:
    """Opens and closes sandboxes of one run, and counts those that are up."""

    def __init__(self) -> None:
        self.up = 0
        self._prepared: list[SandboxSpec] = []

    async def prepare(self, specs: Iterable[SandboxSpec | None]) -> None:
        """Do once what a provider does before its first sandbox: check, build, pull.

        Raises `SandboxFailed`, which names all images that cannot be built or are missing.
        """
        lacking: list[str] = []
        for spec in specs:
            if spec is None:
                continue
            same = (spec.provider, spec.config, spec.metadata)
            if any((other.provider, other.config, other.metadata) == same for other in self._prepared):
                continue
            provider = inspect_private.registry_find_sandboxenv(spec.provider)
            try:
                config, metadata = _config(spec), dict(spec.metadata)
                with _environment(await provider.task_init_environment(config, metadata) if metadata else {}):
                    await provider.task_init(spec.name, config)
            except SandboxSetupError as error:
                lacking.append(str(error))
            except (inspect_private.PrerequisiteError, RuntimeError) as error:
                lacking.append(f"sandbox {spec.provider} ({spec.config}): {error}")
            else:
                self._prepared.append(spec)
        if lacking:
            raise SandboxFailed(" ".join(dict.fromkeys(lacking)))

    @asynccontextmanager
    async def open(self, spec: SandboxSpec) -> AsyncIterator[OpenSandbox]:
        """A fresh sandbox, which `inspect_ai.util.sandbox()` finds in this block; removed at its end, whatever happens.

        Raises `SandboxFailed` where it does not start.
        """
        if spec.provider == "docker":
            await _widen_docker_cli()
        try:
            environments = await inspect_private.init_sandbox_environments_sample(
                sandboxenv_type=inspect_private.registry_find_sandboxenv(spec.provider),
                task_name=spec.name,
                config=_config(spec),
                files={},
                setup=None,
                metadata=dict(spec.metadata),
            )
        except Exception as error:
            raise SandboxFailed(f"the sandbox did not start: {error}") from error
        self.up += 1
        opened: OpenSandbox | None = None
        try:
            opened = await _opened(spec, next(iter(environments.values())))
            yield opened
        finally:
            self.up -= 1
            with anyio.CancelScope(shield=True):
                # our own provider keeps what it was told to; Inspect's would remove it
                if spec.provider != "docker" or opened is None or opened.kept is None:
                    await inspect_private.cleanup_sandbox_environments_sample(
                        spec.provider, spec.name, _config(spec), environments, interrupted=False
                    )

    async def close(self) -> None:
        """Remove what is left when all attempts have ended."""
        for spec in self._prepared:
            await inspect_private.registry_find_sandboxenv(spec.provider).task_cleanup(spec.name, _config(spec), True)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that Docker Compose reads while it builds and pulls, as Inspect sets them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def _widen_docker_cli() -> None:
    """Let as many commands of `docker` run at once as the evaluation lets processes run, unless the user has a say.

    Each exec of Inspect's provider is one until it ends, and its own limit is four on two processors: the commands of a
    few attempts then wait for one another's. The limit is whatever is asked for first in an evaluation.
    """
    if "INSPECT_DOCKER_CLI_CONCURRENCY" not in os.environ:
        async with concurrency("docker-cli", inspect_private.max_subprocesses_context_var.get(), visible=False):
            pass


def _is_gone(container: str) -> bool:
    try:
        with connect() as daemon:
            found = daemon.container(container)
    except SandboxSetupError as error:
        return isinstance(error, DaemonGone)
    return found is None or not found["State"]["Running"] or found["State"]["Paused"]


def _config(spec: SandboxSpec) -> Any:
    return str(spec.config) if isinstance(spec.config, Path) else spec.config


async def _opened(spec: SandboxSpec, first: SandboxEnvironment) -> OpenSandbox:
    if spec.provider == "agenteval":
        box = first.as_type(AgentevalSandbox)
        return OpenSandbox(first, box.container.id, box.container, box.container.image.digest, box.waited)
    if spec.provider != "docker":
        return OpenSandbox(first, None)
    inner: Any = getattr(first, "_sandbox", first)
    # Compose names a container after project, service and number
    container = f"{inner._project.name}-{inner._service}-1"
    return OpenSandbox(first, container, image=await asyncio.to_thread(_image_of, container))


def _image_of(container: str) -> str | None:
    try:
        with connect() as daemon:
            found = daemon.container(container)
    except SandboxSetupError:
        return None
    return None if found is None else str(found["Image"])
