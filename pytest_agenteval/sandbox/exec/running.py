"""A sandbox's container from its start to its end: one exec server per user, or none if the image has no Python."""

from __future__ import annotations

import contextlib
import errno
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NoReturn, TypeVar

import anyio

from pytest_agenteval.sandbox.death import Death
from pytest_agenteval.sandbox.docker.containers import ContainerConfig, Image
from pytest_agenteval.sandbox.exec import exec_server
from pytest_agenteval.sandbox.exec.backend import Backend, EngineError
from pytest_agenteval.sandbox.exec.calls import Command, Output, ServerError
from pytest_agenteval.sandbox.exec.channel import Channel, ChannelClosed
from pytest_agenteval.sandbox.exec.frames import STAGE_CWD, STAGE_FILE, STDERR, Done, Failure

__all__ = ["HELLO_SECONDS", "NoExecServer", "RunningContainer", "SandboxLost", "UnknownUser"]

HELLO_SECONDS = 60.0
"""How long an exec server may take to say that it is there."""
_ANSWER_SECONDS = 10.0
_NOT_STARTED = 126
"""The exit status of a command that the engine could not start."""
_FRESH_SECONDS = 1.0
"""So long a server that has been heard is not asked again whether it is alive."""
_ROOT = ("", "0", "root", "0:0", "root:root")
_OWN = ""
"""Stands for the container's own user."""

T = TypeVar("T")


class SandboxLost(Exception):
    """The container has ended, or what runs in it cannot be trusted. The message says what happened."""


class NoExecServer(Exception):
    """The image cannot run an exec server; the message says why."""


class UnknownUser(Exception):
    """The container has no such user; the message is the engine's."""


class RunningContainer:
    """A container that runs, or has run."""

    def __init__(self, backend: Backend, config: ContainerConfig, image: Image, main: Channel | None) -> None:
        """`main` is its first exec server; None if the image cannot run one."""
        self.config = config
        self.image = image
        self.user = config.user if config.user is not None else image.user
        """The user of commands, as passed to the engine; empty for root."""
        self.working_dir = config.working_dir or image.working_dir or "/"
        self.kept = False
        """Whether it was kept on purpose."""
        self._backend = backend
        self._python = main.hello.python if main is not None and main.hello is not None else None
        self._servers: dict[str, Channel | None] = {_OWN: main}
        """The servers by user; None if none could be started in what the agent has made of the container."""
        self._ended = ""
        self._opening = anyio.Lock()

    @property
    def id(self) -> str:
        """The id by which whoever runs it knows it."""
        return self._backend.id

    @property
    def name(self) -> str:
        """Its name."""
        return self._backend.name

    @property
    def has_exec_server(self) -> bool:
        """Whether commands go through an exec server; else each is an exec of the engine."""
        return self._python is not None

    @property
    def last_words(self) -> str:
        """Why the connection to the container ended, and what its exec server or the runtime said; empty until then."""
        own = self._servers.get(_OWN)
        return (own.closed or "") if own is not None and self._backend.first_is_init else self._ended

    async def exec(self, command: Command) -> Output:
        """Run a command; see `Channel.exec`.

        If a command's exec server was killed and the container is still alive, the command counts as killed. A server
        that is not the container's first process can be killed by its user, and that user's next command gets a new
        one. If the agent has left nothing that a server can be started with, a command is an exec of the engine.

        Raises:
            SandboxLost: it is unknown whether the command ran.
            ServerError: the command could not be started.
            UnknownUser: there is no such user.
        """
        channel = await self._channel(command.user) if self.has_exec_server else None
        if channel is None:
            return await self._engine_exec(command)
        try:
            return await channel.exec(command)
        except ServerError as error:
            others = channel is not self._servers.get(_OWN)
            if error.stage == STAGE_CWD and error.errno == errno.EACCES and others:
                return await self._engine_exec(command)  # the engine enters a working directory as root
            raise
        except ChannelClosed as error:
            if not await self._outlives(channel):
                self._lose(error)
            return Output(command.limit, Done(-signal.SIGKILL, False))

    async def read(self, path: str, limit: int) -> bytes | bytearray:
        """Read a regular file as the container's own user. Raises `SandboxLost` and `ServerError`."""
        return await self._as_own(lambda files: files.read(path, limit))

    async def write(self, path: str, data: bytes) -> None:
        """Write a file, with its directories, as the container's own user. Raises `SandboxLost` and `ServerError`."""
        await self._as_own(lambda files: files.write(path, data))

    async def processes(self, *, as_root: bool = False) -> str:
        """All processes except those of this package, as listed by `inside/processes.py`. Raises `SandboxLost`.

        Servers of other users end, unless one is at work; they are started again when needed. `as_root` asks root's.
        """
        for user, channel in list(self._servers.items()):
            if user != _OWN and not (as_root and user == "root") and (channel is None or not channel.busy):
                del self._servers[user]
                if channel is not None:
                    await channel.close()
        with self._lost():
            return await (await self._killer(as_root)).processes()

    async def kill_processes(self, pids: Iterable[str], *, as_root: bool) -> None:
        """Kill processes, as far as the container's own user or root may. Raises `SandboxLost`."""
        with self._lost():
            await (await self._killer(as_root)).kill_processes(pids)

    async def is_running(self) -> bool:
        """Whether the container runs, is not paused, and can be reached."""
        return await self._backend.is_running()

    async def examine(self) -> Death:
        """Who ended the container, if anybody did. Call it before `close`, and soon."""
        return await self._backend.examine()

    def enter_command(self, user: str | None = None) -> str:
        """The shell command that opens a shell in the container."""
        return self._backend.enter_command(user)

    async def keep(self) -> str:
        """Leave the container when it is closed, and return the shell command that enters it. Raises `SandboxLost`."""
        with self._lost():
            own = self._servers[_OWN]
            await self._backend.keep(own.linger if own is not None else None)
        self.kept = True
        return self.enter_command()

    async def close(self) -> None:
        """Remove the container, unless it is kept, and close the connections to it, even if cancelled meanwhile.

        Raises `EngineError` where it could not be removed; it ends with this process.
        """
        with anyio.CancelScope(shield=True):
            try:
                if not self.kept:
                    await self._backend.remove()
            finally:
                for channel in filter(None, self._servers.values()):
                    await channel.close()
                await self._backend.disconnect()

    async def _as_own(self, call: Callable[[Channel | Backend], Awaitable[T]]) -> T:
        """A call about files, by the server of the container's own user."""
        channel: Channel | None = None
        try:
            channel = await self._channel(None) if self.has_exec_server else None
            return await call(channel or self._backend)
        except (ChannelClosed, EngineError) as error:
            if channel is not None and await self._outlives(channel):
                raise ServerError(Failure(errno.EIO, STAGE_FILE)) from error
            self._lose(error)

    async def _killer(self, as_root: bool) -> Channel:
        found = await self._channel("root") if as_root else None
        found = found or await self._channel(None)  # without a server of root's, what is left stays and is found
        if found is None:
            raise ChannelClosed("no exec server can be started")
        return found

    async def _channel(self, user: str | None) -> Channel | None:
        """The exec server of a user, started when it is first needed; None if it cannot be started."""
        own = not user or user == self.user or (user in _ROOT and self.user in _ROOT)
        if own and (self._backend.first_is_init or _is_fresh(self._servers[_OWN])):
            return self._servers[_OWN]
        key = _OWN if own or user is None else user
        async with self._opening:
            if key in self._servers:
                channel = self._servers[key]
                if channel is None or await _answers(channel):  # the agent may have killed it
                    return channel
                await channel.close()
            opened = self._servers[key] = await self._open(self.user or None if own else user)
            return opened

    async def _open(self, user: str | None) -> Channel | None:
        # The interpreter of the first server, because the agent may have put another `python3` on the path by now.
        assert self._python is not None
        try:
            channel = Channel(await self._backend.open_server(user, self._python))
        except EngineError as error:
            await self._blame_container(error)
            return None
        try:
            await channel.start(exec_server.program(), HELLO_SECONDS)
        except BaseException as error:
            await channel.close()
            if not isinstance(error, ChannelClosed):
                raise
            await self._blame_container(error)
            return None
        return channel

    async def _outlives(self, dead: Channel) -> bool:
        """Whether the container goes on without that server: then it was the agent that ended it."""
        if not self._backend.first_is_init:
            return await self.is_running()
        own = self._servers[_OWN]
        return own is not None and own is not dead and await _answers(own) and await self.is_running()

    async def _blame_container(self, error: EngineError | ChannelClosed) -> None:
        """Return if the agent's doings kept a program from starting; else raise `UnknownUser` or `SandboxLost`."""
        text = str(error)
        if "unable to find user" in text:
            raise UnknownUser(text[text.index("unable to find user") :]) from error
        at_fault = isinstance(error, ChannelClosed) or await self._backend.agent_at_fault(error)
        if not at_fault or not await self.is_running():
            self._lose(error)

    async def _engine_exec(self, command: Command) -> Output:
        try:
            return await self._backend.exec(command)
        except EngineError as error:
            await self._blame_container(error)
            output = Output(command.limit, Done(_NOT_STARTED, False))
            output.add(STDERR, str(error).encode())
            return output

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        """Around calls to the container: `SandboxLost` where the connection to it, or the daemon, is gone."""
        try:
            yield
        except (ChannelClosed, EngineError) as error:
            self._lose(error)

    def _lose(self, error: ChannelClosed | EngineError) -> NoReturn:
        self._ended = self._ended or str(error)
        raise SandboxLost(str(error)) from error


def _is_fresh(channel: Channel | None) -> bool:
    """Whether an exec server was alive a moment ago."""
    return channel is not None and channel.closed is None and anyio.current_time() - channel.heard < _FRESH_SECONDS


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
