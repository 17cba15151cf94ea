"""A sandbox's container on Docker's daemon: its start, and what its exec servers ask of the daemon."""

from __future__ import annotations

import contextlib
import shlex
import uuid
from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.to_thread

from pytest_agenteval.sandbox.autopsy import examine
from pytest_agenteval.sandbox.death import Death, EndedBy
from pytest_agenteval.sandbox.docker.containers import FALLBACK_COMMAND, ContainerConfig, Image, creation
from pytest_agenteval.sandbox.docker.engine_api import Engine, EngineStream
from pytest_agenteval.sandbox.docker.reaper import KEPT_PREFIX, NAME_PREFIX, remove
from pytest_agenteval.sandbox.exec import exec_server
from pytest_agenteval.sandbox.exec.backend import EngineError, Stream
from pytest_agenteval.sandbox.exec.calls import Command
from pytest_agenteval.sandbox.exec.channel import Channel, ChannelClosed
from pytest_agenteval.sandbox.exec.fallback import EngineExec
from pytest_agenteval.sandbox.exec.running import HELLO_SECONDS, NoExecServer, RunningContainer, SandboxLost

__all__ = ["start"]

_PIDS_OF_A_START = 16
"""How many processes and threads the engine's runtime takes to start a command."""
_FULL = 0.95


class _DockerContainer:
    """A container on the daemon; `held` is its first process, by whose stdin it lives."""

    first_is_init = True

    def __init__(self, engine: Engine, container: str, name: str, held: EngineStream | Channel) -> None:
        self.id = container
        self.name = name
        self._engine = engine
        self._held = held
        self._fallback = EngineExec(engine, container)
        self.exec, self.read, self.write = self._fallback.exec, self._fallback.read, self._fallback.write

    async def open_server(self, user: str | None, python: str) -> Stream:
        command = Command(words=exec_server.command(python), user=user, stdin=b"", limit=0)
        _, stream = await self._fallback.open(command)
        return stream

    async def is_running(self) -> bool:
        try:
            state = await self._engine.get(f"/containers/{self.id}/json")
        except EngineError:
            return False
        return bool(state["State"]["Running"]) and not state["State"]["Paused"]

    async def agent_at_fault(self, error: EngineError) -> bool:
        # 400 is the engine's word for a program that is not there or cannot be executed
        return error.status == 400 or await self._is_exhausted()

    async def examine(self) -> Death:
        death = await anyio.to_thread.run_sync(examine, self.id)
        if death.by is EndedBy.INSIDE and death.exit_code == 0:
            return Death(EndedBy.UNKNOWN, "the connection to the container ended, and the container with it")
        return death

    def enter_command(self, user: str | None) -> str:
        return shlex.join(["docker", "exec", "-it", *(["--user", user] if user else []), self.name, "bash", "-l"])

    async def keep(self, linger: Callable[[], Awaitable[None]] | None) -> None:
        """It gets a name that begins with `reaper.KEPT_PREFIX`; stopping it removes it."""
        name = KEPT_PREFIX + self.name.removeprefix(NAME_PREFIX)
        await self._engine.post(f"/containers/{self.id}/rename", None, name=name)
        self.name = name
        if linger is not None:
            await linger()
        elif not isinstance(self._held, Channel):
            await self._held.send(b"keep\n")

    async def remove(self) -> None:
        await remove(self._engine, self.id)

    async def disconnect(self) -> None:
        await self._held.close()

    async def _is_exhausted(self) -> bool:
        """Whether the container has no processes or no memory left to start a program with."""
        try:
            stats = await self._engine.get(f"/containers/{self.id}/stats", **{"stream": "false", "one-shot": "true"})
        except EngineError:
            return False
        pids, memory = stats.get("pids_stats") or {}, stats.get("memory_stats") or {}
        no_processes = 0 < pids.get("limit", 0) <= pids.get("current", 0) + _PIDS_OF_A_START
        return bool(no_processes or 0 < memory.get("limit", 0) * _FULL <= memory.get("usage", 0))


async def start(
    engine: Engine, config: ContainerConfig, image: Image, labels: Mapping[str, str], *, with_server: bool = True
) -> RunningContainer:
    """Start a container. After an error or a cancellation nothing of it is left.

    Raises:
        EngineError: the daemon refused or does not answer.
        NoExecServer: `with_server` and the image cannot run it.
        SandboxLost: the container ended at once.
    """
    name = NAME_PREFIX + uuid.uuid4().hex[:12]
    command = exec_server.command() if with_server else FALLBACK_COMMAND
    body = creation(config, image.id, command, labels, init=not with_server)
    held: EngineStream | Channel | None = None
    try:
        # Not cut short: if nobody waited for its creation, a container might appear after its removal.
        with anyio.CancelScope(shield=True):
            container = str((await engine.post("/containers/create", body, name=name))["Id"])
        params = dict.fromkeys(("stream", "stdin", "stdout", "stderr"), "true")
        held = await engine.hijack(f"/containers/{container}/attach", None, **params)
        try:
            await engine.post(f"/containers/{container}/start")
        except EngineError as error:
            if with_server and "python3" in str(error):
                raise NoExecServer(str(error)) from error
            raise
        if with_server:
            held = Channel(held)
            try:
                await held.start(exec_server.program(), HELLO_SECONDS)
            except ChannelClosed as error:
                raise (NoExecServer if held.last_words else SandboxLost)(str(error)) from error
        main = held if isinstance(held, Channel) else None
        return RunningContainer(_DockerContainer(engine, container, name, held), config, image, main)
    except BaseException:
        with anyio.CancelScope(shield=True):
            if held is not None:
                await held.close()
            with contextlib.suppress(EngineError):
                await remove(engine, name)
        raise
