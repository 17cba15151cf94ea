"""Commands and files without an exec server, by the engine's own exec: for images without Python 3.8, and for users
whose server cannot be started in what an agent has made of its machine.

This is slower, and lacks one thing: a command that is cancelled runs on until its container is removed, because the
engine has no call that ends an exec.
"""

from __future__ import annotations

import errno
import math
import signal
from collections.abc import Mapping, Sequence

import anyio

from pytest_agenteval.sandbox.docker.engine_api import Engine, EngineGone, Stream
from pytest_agenteval.sandbox.exec.calls import Output, ServerError
from pytest_agenteval.sandbox.exec.frames import STAGE_FILE, STDERR, STDOUT, Demultiplexer, Done, Failure, ProtocolError

__all__ = ["execute", "open_exec", "read", "write"]

_TIMEOUT = ("/usr/bin/timeout", "-k", "5s")
_GRACE_SECONDS = 5.0 + 30.0
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


async def open_exec(
    engine: Engine,
    container: str,
    cmd: Sequence[str],
    *,
    user: str | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bool = True,
) -> tuple[str, Stream]:
    """Start a command in a container by the engine; returns the exec's id and its stream. Raises `EngineError`."""
    body = {
        "AttachStdin": stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": list(cmd),
        "Env": [f"{name}={value}" for name, value in (env or {}).items()],
        **({"User": user} if user else {}),
        **({"WorkingDir": cwd} if cwd else {}),
    }
    number = str((await engine.post(f"/containers/{container}/exec", body))["Id"])
    return number, await engine.hijack(f"/exec/{number}/start", {"Detach": False, "Tty": False})


async def execute(
    engine: Engine,
    container: str,
    cmd: Sequence[str],
    *,
    stdin: bytes | None,
    cwd: str,
    env: Mapping[str, str],
    user: str | None,
    timeout: float | None,
    limit: int,
) -> Output:
    """Run a command and return the last `limit` bytes of each stream and how it ended.

    Raises:
        EngineError: the container is not running, the user is unknown, or the daemon does not answer.
    """
    # The program that limits the time is in the container, so the agent can replace it.
    with anyio.move_on_after(math.inf if timeout is None else timeout + _GRACE_SECONDS):
        return await _executed(engine, container, cmd, stdin, cwd, env, user, timeout, limit)
    output = Output(limit)
    output.done = Done(-signal.SIGKILL, timed_out=True)
    return output


async def _executed(
    engine: Engine,
    container: str,
    cmd: Sequence[str],
    stdin: bytes | None,
    cwd: str,
    env: Mapping[str, str],
    user: str | None,
    timeout: float | None,
    limit: int,
) -> Output:
    wrapped = [*_TIMEOUT, f"{timeout:g}s", *cmd] if timeout is not None else cmd
    started = anyio.current_time()
    number, stream = await open_exec(engine, container, wrapped, user=user, cwd=cwd, env=env, stdin=stdin is not None)
    output = Output(limit)
    try:
        async with anyio.create_task_group() as group:
            if stdin is not None:
                group.start_soon(_feed, stream, stdin)
            await _collect(stream, output)
            group.cancel_scope.cancel()
    finally:
        await stream.close()
    code = await _exit_code(engine, number)
    # `timeout` exits with 124, 137 if it had to kill, 143 in BusyBox; a signal from elsewhere comes earlier.
    late = timeout is not None and anyio.current_time() - started >= timeout
    output.done = Done(code, timeout is not None and (code == 124 or (late and code in (137, 143))))
    return output


async def read(engine: Engine, container: str, path: str, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes. Raises `EngineError` and `ServerError`."""
    output = await _script(engine, container, _READ, path, str(limit + 1), stdin=None, limit=limit + 1)
    if len(output.stdout) > limit:
        raise _failure(errno.EFBIG)
    return bytes(output.stdout)


async def write(engine: Engine, container: str, path: str, data: bytes) -> None:
    """Write a file, with its directories. Raises `EngineError` and `ServerError`."""
    await _script(engine, container, _WRITE, path, stdin=data, limit=1 << 16)


async def _script(
    engine: Engine, container: str, script: str, *arguments: str, stdin: bytes | None, limit: int
) -> Output:
    cmd = ["/bin/sh", "-c", script, "sh", *arguments]
    output = await execute(engine, container, cmd, stdin=stdin, cwd="/", env={}, user=None, timeout=None, limit=limit)
    code = output.done.code
    if code:
        said = output.stderr.decode("utf-8", "replace").lower()
        known = {"no space left": errno.ENOSPC, "permission denied": errno.EACCES, "read-only": errno.EROFS}
        guess = next((number for text, number in known.items() if text in said), errno.EIO)
        raise _failure(code - _FAILED if code > _FAILED and code != 126 and code != 127 else guess)
    return output


async def _feed(stream: Stream, data: bytes) -> None:
    try:
        await stream.send(data)
        stream.end()
    except EngineGone:  # the command does not want its input
        pass


async def _collect(stream: Stream, output: Output) -> None:
    demultiplexer = Demultiplexer(keep_stderr=1 << 62)
    while data := await stream.receive():
        try:
            output.add(STDOUT, demultiplexer.feed(data))
        except ProtocolError as error:  # the engine's own words, when it could not start the command
            output.add(STDERR, str(error).encode())
            return
        output.add(STDERR, demultiplexer.stderr)
        demultiplexer.stderr.clear()


async def _exit_code(engine: Engine, number: str) -> int:
    """The exit status of an exec whose output has ended. It ends a moment later, unless it closed its output."""
    pause = 0.02
    while (state := await engine.get(f"/exec/{number}/json"))["Running"]:
        await anyio.sleep(pause)
        pause = min(1.0, 1.2 * pause)
    return int(state["ExitCode"] or 0)


def _failure(number: int) -> ServerError:
    return ServerError(Failure(number, STAGE_FILE))
