"""A sandbox's container from its start to its end: one exec server per user, or none if the image has no Python."""

from __future__ import annotations

import contextlib
import errno
import shlex
import signal
import uuid
from collections.abc import Iterable, Iterator, Mapping

import anyio

from pytest_agenteval.sandbox.docker.containers import FALLBACK_COMMAND, ContainerConfig, Image, creation
from pytest_agenteval.sandbox.docker.engine_api import Engine, EngineError, Stream
from pytest_agenteval.sandbox.docker.reaper import KEPT_PREFIX, NAME_PREFIX, remove
from pytest_agenteval.sandbox.exec import exec_server
from pytest_agenteval.sandbox.exec.calls import Command, Output, ServerError
from pytest_agenteval.sandbox.exec.channel import Channel, ChannelClosed
from pytest_agenteval.sandbox.exec.fallback import EngineExec
from pytest_agenteval.sandbox.exec.frames import STAGE_CWD, STDERR, Done

__all__ = ["NoExecServer", "RunningContainer", "SandboxLost", "UnknownUser", "start"]

_HELLO_SECONDS = 60.0
_ANSWER_SECONDS = 10.0
_NOT_STARTED = 126
"""The exit status of a command that the engine could not start."""
_PIDS_OF_A_START = 16
"""How many processes and threads the engine's runtime takes to start a command."""
_FULL = 0.95
_ROOT = ("", "0", "root", "0:0", "root:root")


class SandboxLost(Exception):
    """The container has ended, or what runs in it cannot be trusted. The message says what happened."""


class NoExecServer(Exception):
    """The image cannot run an exec server; the message says why."""


class UnknownUser(Exception):
    """The container has no such user; the message is the engine's."""


class RunningContainer:
    """A container that runs, or has run."""

    def __init__(
        self, engine: Engine, container: str, name: str, config: ContainerConfig, image: Image, held: Stream | Channel
    ) -> None:
        self.id = container
        self.name = name
        self.config = config
        self.image = image
        self.user = config.user if config.user is not None else image.user
        """The user of commands, as passed to the engine; empty for root."""
        self.working_dir = config.working_dir or image.working_dir or "/"
        self.kept = False
        """Whether it was kept on purpose."""
        self._engine = engine
        self._fallback = EngineExec(engine, container)
        self._held = held
        self._main = held if isinstance(held, Channel) else None
        self._others: dict[str, Channel | None] = {}
        """The servers of other users; None if none could be started in what the agent has made of the container."""
        self._opening = anyio.Lock()

    @property
    def has_exec_server(self) -> bool:
        """Whether commands go through an exec server; else each is an exec of the engine."""
        return self._main is not None

    @property
    def last_words(self) -> str:
        """Why the connection to the container ended, and what its exec server or the runtime said; empty until then."""
        return (self._main.closed or "") if self._main is not None else ""

    async def exec(self, command: Command) -> Output:
        """Run a command; see `Channel.exec`.

        If a command's exec server was killed and the container is still alive, the command counts as killed. Servers of
        other users than the container's own can be killed by that user, and that user's next command gets a new server.
        If the agent has left nothing that a server can be started with, a command is an exec of the engine.

        Raises:
            SandboxLost: it is unknown whether the command ran.
            ServerError: the command could not be started.
            UnknownUser: there is no such user.
        """
        channel = None if self._main is None else await self._channel(command.user)
        if channel is None:
            return await self._engine_exec(command)
        try:
            return await channel.exec(command)
        except ServerError as error:
            if error.stage == STAGE_CWD and error.errno == errno.EACCES and channel is not self._main:
                return await self._engine_exec(command)  # the engine enters a working directory as root
            raise
        except ChannelClosed as error:
            if channel is self._main or not await self._is_sound():
                raise SandboxLost(str(error)) from error
            return Output(command.limit, Done(-signal.SIGKILL, False))

    async def read(self, path: str, limit: int) -> bytes | bytearray:
        """Read a regular file as the container's own user. Raises `SandboxLost` and `ServerError`."""
        with _lost():
            return await (self._main or self._fallback).read(path, limit)

    async def write(self, path: str, data: bytes) -> None:
        """Write a file, with its directories, as the container's own user. Raises `SandboxLost` and `ServerError`."""
        with _lost():
            await (self._main or self._fallback).write(path, data)

    async def processes(self, *, as_root: bool = False) -> str:
        """All processes except those of this package, as listed by `inside/processes.py`. Raises `SandboxLost`.

        Servers of other users end, unless one is at work; they are started again when needed. `as_root` asks root's.
        """
        for user, channel in list(self._others.items()):
            if not (as_root and user == "root") and (channel is None or not channel.busy):
                del self._others[user]
                if channel is not None:
                    await channel.close()
        with _lost():
            return await (await self._killer(as_root)).processes()

    async def kill_processes(self, pids: Iterable[str], *, as_root: bool) -> None:
        """Kill processes, as far as the container's own user or root may. Raises `SandboxLost`."""
        with _lost():
            await (await self._killer(as_root)).kill_processes(pids)

    async def _killer(self, as_root: bool) -> Channel:
        assert self._main is not None
        root = await self._channel("root") if as_root else None
        return root or self._main  # without a server of root's, what is left stays and is found

    async def is_running(self) -> bool:
        """Whether the daemon says that the container runs and is not paused; False when it does not answer."""
        try:
            state = await self._engine.get(f"/containers/{self.id}/json")
        except EngineError:
            return False
        return bool(state["State"]["Running"]) and not state["State"]["Paused"]

    async def _is_sound(self) -> bool:
        """Whether the container runs and its first server answers: then it was the agent that ended another one."""
        return self._main is not None and await _answers(self._main) and await self.is_running()

    def enter_command(self, user: str | None = None) -> str:
        """The shell command that opens a shell in the container."""
        return shlex.join(["docker", "exec", "-it", *(["--user", user] if user else []), self.name, "bash", "-l"])

    async def keep(self) -> str:
        """Leave the container running for good, and return the shell command that enters it.

        It gets a name that begins with `reaper.KEPT_PREFIX`; stopping it removes it. Raises `SandboxLost`.
        """
        name = KEPT_PREFIX + self.name.removeprefix(NAME_PREFIX)
        with _lost():
            await self._engine.post(f"/containers/{self.id}/rename", None, name=name)
            self.name = name
            if isinstance(self._held, Channel):
                await self._held.linger()
            else:
                await self._held.send(b"keep\n")
        self.kept = True
        return self.enter_command()

    async def close(self) -> None:
        """Remove the container, unless it is kept, and close the connections to it, even if cancelled meanwhile.

        Raises `EngineError` where the daemon did not remove it; it ends with this process.
        """
        with anyio.CancelScope(shield=True):
            try:
                if not self.kept:
                    await remove(self._engine, self.id)
            finally:
                for channel in filter(None, self._others.values()):
                    await channel.close()
                await self._held.close()

    async def _channel(self, user: str | None) -> Channel | None:
        """The exec server of a user, started when it is first needed; None if it cannot be started."""
        assert self._main is not None
        if not user or user == self.user or (user in _ROOT and self.user in _ROOT):
            return self._main
        async with self._opening:
            if user in self._others:
                channel = self._others[user]
                if channel is None or await _answers(channel):  # the agent may have killed it
                    return channel
                await channel.close()
            opened = self._others[user] = await self._open(user, self._main)
            return opened

    async def _open(self, user: str, main: Channel) -> Channel | None:
        # The interpreter of the first server, because the agent may have put another `python3` on the path by now.
        python = main.hello.python if main.hello is not None else "python3"
        try:
            command = Command(words=exec_server.command(python), user=user, stdin=b"", limit=0)
            _, stream = await self._fallback.open(command)
        except EngineError as error:
            await self._blame_container(error)
            return None
        channel = Channel(stream)
        try:
            await channel.start(exec_server.program(), _HELLO_SECONDS)
        except BaseException as error:
            await channel.close()
            if not isinstance(error, ChannelClosed):
                raise
            await self._blame_container(error)
            return None
        return channel

    async def _blame_container(self, error: EngineError | ChannelClosed) -> None:
        """Return if the agent's doings kept a program from starting; else raise `UnknownUser` or `SandboxLost`."""
        text = str(error)
        if "unable to find user" in text:
            raise UnknownUser(text[text.index("unable to find user") :]) from error
        # 400 is the engine's word for a program that is not there or cannot be executed
        at_fault = isinstance(error, ChannelClosed) or error.status == 400 or await self._is_exhausted()
        if not at_fault or not await self.is_running():
            raise SandboxLost(text) from error

    async def _is_exhausted(self) -> bool:
        """Whether the container has no processes or no memory left to start a program with."""
        try:
            stats = await self._engine.get(f"/containers/{self.id}/stats", **{"stream": "false", "one-shot": "true"})
        except EngineError:
            return False
        pids, memory = stats.get("pids_stats") or {}, stats.get("memory_stats") or {}
        no_processes = 0 < pids.get("limit", 0) <= pids.get("current", 0) + _PIDS_OF_A_START
        return bool(no_processes or 0 < memory.get("limit", 0) * _FULL <= memory.get("usage", 0))

    async def _engine_exec(self, command: Command) -> Output:
        try:
            return await self._fallback.exec(command)
        except EngineError as error:
            await self._blame_container(error)
            output = Output(command.limit, Done(_NOT_STARTED, False))
            output.add(STDERR, str(error).encode())
            return output


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    """Around calls to the container: `SandboxLost` where the connection to it, or the daemon, is gone."""
    try:
        yield
    except (ChannelClosed, EngineError) as error:
        raise SandboxLost(str(error)) from error


async def _answers(channel: Channel) -> bool:
    """Whether an exec server is alive."""
    with anyio.move_on_after(_ANSWER_SECONDS):
        try:
            await channel.read("/", 0)
        except ServerError:  # it is a directory
            return True
        except ChannelClosed:
            pass
    return False


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
    held: Stream | Channel | None = None
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
                await held.start(exec_server.program(), _HELLO_SECONDS)
            except ChannelClosed as error:
                raise (NoExecServer if held.last_words else SandboxLost)(str(error)) from error
        return RunningContainer(engine, container, name, config, image, held)
    except BaseException:
        with anyio.CancelScope(shield=True):
            if held is not None:
                await held.close()
            with contextlib.suppress(EngineError):
                await remove(engine, name)
        raise
