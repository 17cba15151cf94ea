"""Sandboxes of attempts: a fresh one for every try."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from inspect_ai.util import OutputLimitExceededError, SandboxEnvironment, concurrency

from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.errors import NotAvailable
from pytest_agenteval.sandbox.autopsy import examine
from pytest_agenteval.sandbox.death import Death, EndedBy
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.docker.daemon import DaemonGone, SandboxSetupError, connect
from pytest_agenteval.sandbox.exec.running import RunningContainer, SandboxLost

__all__ = ["KNOWN_PROVIDERS", "OpenSandbox", "SandboxFailed", "SandboxSpec", "Sandboxes"]

KNOWN_PROVIDERS = ("agenteval", "agenteval-k8s", "docker", "local")
"""Providers of Inspect's registry whose sandboxes can be looked into, and kept."""
_ANSWERS = 30
"""Seconds that a sandbox of a foreign provider has to run a command that does nothing."""
_STARTS = 15 * 60
"""Seconds that it has to start: where a cluster grows first, that takes minutes."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """Which sandbox a task gets."""

    provider: str
    """Inspect's name: `agenteval`, `agenteval-k8s`, `docker`, `local`, or that of another package's provider."""
    config: Path | ContainerConfig | Any | None
    """A compose file or Dockerfile for `docker`, the container's configuration for `agenteval`, else the provider's."""
    name: str
    """The name of the suite, for the containers' names."""
    notes: tuple[str, ...] = ()
    """What a reader of the task's record should know."""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Of an Inspect sample: a compose file may name it as `${SAMPLE_METADATA_KEY}`."""

    @property
    def foreign(self) -> bool:
        """Whether nothing is known of the provider but Inspect's protocol."""
        return self.provider not in KNOWN_PROVIDERS


class SandboxFailed(NotAvailable):
    """A sandbox could not be started."""


@dataclass(slots=True)
class OpenSandbox:
    """A sandbox in use."""

    environment: SandboxEnvironment
    container: str | None
    """Name or id of the default container in Docker, or None if it runs in none."""
    foreign: str | None = None
    """The provider's name where nothing is known of it but Inspect's protocol."""
    ours: RunningContainer | None = None
    """The same, of our own provider: it ends by itself, with status 0, when its connection to this process does."""
    image: str | None = None
    """Its registry's digest, else the daemon's id; None if it runs in no container, or the daemon does not say."""
    waited: float | None = None
    """Seconds it waited for a place to start; None where there is no such queue."""
    kept: str | None = None
    """The shell command that enters it, once it is to be kept."""

    async def keep(self) -> None:
        """Leave it when it is closed, and set `kept`; does nothing where it has ended, or cannot be left."""
        if self.foreign is not None:
            return
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
        """Whether it is no longer running, by one quick question; in Docker False if that is unknown."""
        if self.foreign is not None:
            return await _answers_no_more(self.environment)
        if self.container is None:
            return self.ours is not None and not await self.ours.is_running()
        return await asyncio.to_thread(_is_gone, self.container)

    async def examine(self) -> Death:
        """Find out who ended it, if anybody did."""
        if self.foreign is not None:
            return Death(EndedBy.UNKNOWN, f"the sandbox ended, and the provider {self.foreign} does not say why")
        if self.ours is not None:
            return await self.ours.examine()
        if self.container is None:
            return Death(EndedBy.RUNNING, "it is no container")
        return await asyncio.to_thread(examine, self.container)


class Sandboxes:
    """Opens and closes sandboxes of one run, and counts those that are up."""

    def __init__(self) -> None:
        self.up = 0
        self.left: list[str] = []
        """What providers said that could not remove their sandboxes, a sentence each."""
        self._prepared: list[SandboxSpec] = []
        self._context: dict[ContextVar[Any], Any] = {}
        """What providers have set for themselves: in Inspect, all that they do happens in one context."""

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
                config, metadata, before = _config(spec), dict(spec.metadata), copy_context()
                with _environment(await provider.task_init_environment(config, metadata) if metadata else {}):
                    await provider.task_init(spec.name, config)
            except SandboxSetupError as error:
                lacking.append(str(error))
            except Exception as error:
                if not spec.foreign and not isinstance(error, inspect_private.PrerequisiteError | RuntimeError):
                    raise
                lacking.append(f"sandbox {spec.provider} ({spec.config}): {error}")
            else:
                self._prepared.append(spec)
                now = copy_context()
                self._context |= {var: now[var] for var in now if var not in before or before[var] is not now[var]}
        if lacking:
            raise SandboxFailed(" ".join(dict.fromkeys(lacking)))

    @asynccontextmanager
    async def open(self, spec: SandboxSpec) -> AsyncIterator[OpenSandbox]:
        """A fresh sandbox, which `inspect_ai.util.sandbox()` finds in this block; removed at its end, whatever happens.

        Raises `SandboxFailed` where it does not start.
        """
        self._enter_context()
        if spec.provider == "docker":
            await _widen_docker_cli()
        try:
            with anyio.fail_after(_STARTS if spec.foreign else None):
                environments = await inspect_private.init_sandbox_environments_sample(
                    sandboxenv_type=inspect_private.registry_find_sandboxenv(spec.provider),
                    task_name=spec.name,
                    config=_config(spec),
                    files={},
                    setup=None,
                    metadata=dict(spec.metadata),
                )
        except Exception as error:
            raise SandboxFailed(f"the sandbox did not start: {str(error) or type(error).__name__}") from error
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
                    with self._noting(spec):
                        await inspect_private.cleanup_sandbox_environments_sample(
                            spec.provider, spec.name, _config(spec), environments, interrupted=False
                        )

    def waiting_for_room(self) -> list[str]:
        """Why sandboxes wait for room in a cluster, one text each."""
        if not any(spec.provider == "agenteval-k8s" for spec in self._prepared):
            return []
        from pytest_agenteval.sandbox.cluster.session import ClusterSession  # which needs the extra `k8s`

        return ClusterSession.room_wanted()

    async def close(self) -> None:
        """Remove what is left when all attempts have ended."""
        self._enter_context()
        for spec in self._prepared:
            with self._noting(spec):
                provider = inspect_private.registry_find_sandboxenv(spec.provider)
                await provider.task_cleanup(spec.name, _config(spec), True)

    def _enter_context(self) -> None:
        for var, value in self._context.items():
            var.set(value)

    @contextmanager
    def _noting(self, spec: SandboxSpec) -> Iterator[None]:
        """A foreign provider that cannot remove a sandbox takes no attempt with it: it is noted."""
        try:
            yield
        except Exception as error:
            if not spec.foreign:
                raise
            note = f"the provider {spec.provider} may have left sandboxes: {str(error) or type(error).__name__}"
            if note not in self.left:
                self.left.append(note)


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


async def _answers_no_more(environment: SandboxEnvironment) -> bool:
    """Whether a sandbox cannot even run `true`. What else a command may raise, Inspect's protocol lists."""
    inner: Any = getattr(environment, "_sandbox", environment)  # the agent ran no such command: no event
    try:
        await inner.exec(["true"], timeout=_ANSWERS)
    except (TimeoutError, PermissionError, UnicodeDecodeError, OutputLimitExceededError):
        return False
    except Exception:  # whatever a provider raises whose sandbox is no more
        return True
    return False


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
    if isinstance(spec.config, ContainerConfig):  # a pod is no container of Docker's
        box = first.as_type(AgentevalSandbox)
        container = box.container.id if spec.provider == "agenteval" else None
        return OpenSandbox(first, container, ours=box.container, image=box.container.image.digest, waited=box.waited)
    if spec.provider != "docker":
        return OpenSandbox(first, None, spec.provider if spec.foreign else None)
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
