"""Commands and files without an exec server, by the engine's own exec: for images without Python 3.8, and for users
whose server cannot be started in what an agent has made of its machine.

This is slower, and lacks one thing: a command that is cancelled runs on until its container is removed, because the
engine has no call that ends an exec.
"""

from __future__ import annotations

import errno
import math
import signal
from dataclasses import replace

import anyio

from pytest_agenteval.sandbox.docker.engine_api import Engine, EngineStream
from pytest_agenteval.sandbox.exec.backend import EngineGone, Stream
from pytest_agenteval.sandbox.exec.calls import Command, Output, ServerError
from pytest_agenteval.sandbox.exec.frames import STAGE_FILE, STDERR, STDOUT, Demultiplexer, Done, Failure, ProtocolError

__all__ = ["GRACE_SECONDS", "TIMEOUT", "EngineExec", "collect", "ran_out"]

TIMEOUT = ("/usr/bin/timeout", "-k", "5s")
"""What a command's time-out and its words follow."""
GRACE_SECONDS = 5.0 + 30.0
"""How long after its time-out a command may end: the grace of `timeout` before SIGKILL, and some more."""
_FAILED = 100
"""The scripts below exit with this and the number of the operating system error."""
_CHECK = f"""\
[ -d "$1" ] && exit {_FAILED + errno.EISDIR}
[ -e "$1" ] && [ ! -f "$1" ] && [ ! -c "$1" ] && exit {_FAILED + errno.EINVAL}
"""
_READ = f"""\
[ -e "$1" ] || exit {_FAILED + errno.ENOENT}
{_CHECK}[ -c "$1" ] && exit {_FAILED + errno.EINVAL}
[ -r "$1" ] || exit {_FAILED + errno.EACCES}
exec head -c "$2" "$1"
"""
_WRITE = f"""\
{_CHECK}[ -e "$1" ] && [ ! -w "$1" ] && exit {_FAILED + errno.EACCES}
case "$1" in */*) mkdir -p "${{1%/*}}/" || exit {_FAILED + errno.EACCES};; esac
exec cat > "$1"
"""


class EngineExec:
    """Commands and files of one container, by the engine."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._container = container

    async def open(self, command: Command) -> tuple[str, EngineStream]:
        """Start a command; returns the exec's id and its stream. Raises `EngineError`."""
        body = {
            "AttachStdin": command.stdin is not None,
            "AttachStdout": True,
            "AttachStderr": True,
            "Cmd": list(command.words),
            "Env": [f"{name}={value}" for name, value in command.env.items()],
            **({"User": command.user} if command.user else {}),
            **({"WorkingDir": command.cwd} if command.cwd else {}),
        }
        number = str((await self._engine.post(f"/containers/{self._container}/exec", body))["Id"])
        return number, await self._engine.hijack(f"/exec/{number}/start", {"Detach": False, "Tty": False})

    async def exec(self, command: Command) -> Output:
        """Run a command and return its output and how it ended.

        Raises `EngineError`: the container is not running, the user is unknown, or the daemon does not answer.
        """
        # The program that limits the time is in the container, so the agent can replace it.
        with anyio.move_on_after(math.inf if command.timeout is None else command.timeout + GRACE_SECONDS):
            return await self._executed(command)
        return Output(command.limit, Done(-signal.SIGKILL, timed_out=True))

    async def read(self, path: str, limit: int) -> bytes:
        """Read a regular file of at most `limit` bytes. Raises `EngineError` and `ServerError`."""
        output = await self._script(_READ, path, str(limit + 1), stdin=None, limit=limit + 1)
        if len(output.stdout) > limit:
            raise _failure(errno.EFBIG)
        return bytes(output.stdout)

    async def write(self, path: str, data: bytes) -> None:
        """Write a file, with its directories. Raises `EngineError` and `ServerError`."""
        await self._script(_WRITE, path, stdin=data, limit=1 << 16)

    async def _executed(self, command: Command) -> Output:
        timeout, started = command.timeout, anyio.current_time()
        if timeout is not None:
            command = replace(command, words=[*TIMEOUT, f"{timeout:g}s", *command.words])
        number, stream = await self.open(command)
        output = Output(command.limit)
        try:
            async with anyio.create_task_group() as group:
                if command.stdin is not None:
                    group.start_soon(_feed, stream, command.stdin)
                await collect(stream, output)
                group.cancel_scope.cancel()
        finally:
            await stream.close()
        code = await self._exit_code(number)
        output.done = Done(code, ran_out(code, timeout, started))
        return output

    async def _exit_code(self, number: str) -> int:
        """The exit status of an exec whose output has ended. It ends a moment later, unless it closed its output."""
        pause = 0.02
        while (state := await self._engine.get(f"/exec/{number}/json"))["Running"]:
            await anyio.sleep(pause)
            pause = min(1.0, 1.2 * pause)
        return int(state["ExitCode"] or 0)

    async def _script(self, script: str, *arguments: str, stdin: bytes | None, limit: int) -> Output:
        output = await self.exec(
            Command(words=["/bin/sh", "-c", script, "sh", *arguments], stdin=stdin, cwd="/", limit=limit)
        )
        code = output.done.code
        if code:
            said = output.stderr.decode("utf-8", "replace").lower()
            known = {"no space left": errno.ENOSPC, "permission denied": errno.EACCES, "read-only": errno.EROFS}
            guess = next((number for text, number in known.items() if text in said), errno.EIO)
            raise _failure(code - _FAILED if code > _FAILED and code != 126 and code != 127 else guess)
        return output


async def _feed(stream: EngineStream, data: bytes) -> None:
    try:
        await stream.send(data)
        stream.end()
    except EngineGone:  # the command does not want its input
        pass


def ran_out(code: int, timeout: float | None, started: float) -> bool:
    """Whether `TIMEOUT` ended a command, by its exit status and when it began on the event loop's clock."""
    # `timeout` exits with 124, 137 if it had to kill, 143 in BusyBox; a signal from elsewhere comes earlier.
    late = timeout is not None and anyio.current_time() - started >= timeout
    return timeout is not None and (code == 124 or (late and code in (137, 143)))


async def collect(stream: Stream, output: Output) -> None:
    """Take in what a command writes, until its end."""
    demultiplexer = Demultiplexer(keep_stderr=1 << 62)
    while data := await stream.receive():
        try:
            output.add(STDOUT, demultiplexer.feed(data))
        except ProtocolError as error:  # the engine's own words, when it could not start the command
            output.add(STDERR, str(error).encode())
            return
        output.add(STDERR, demultiplexer.stderr)
        demultiplexer.stderr.clear()


def _failure(number: int) -> ServerError:
    return ServerError(Failure(number, STAGE_FILE))
