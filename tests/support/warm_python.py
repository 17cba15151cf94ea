"""A Python that starts with Inspect imported: what a test's process starts as `sys.executable` costs no three seconds.

The executable is a small client. It hands its arguments, folder, environment and standard streams to a server that has
imported everything, which forks the program. Signals and the exit status are passed on, and the program dies with its
client. Only its process id and its parent are others than the client's.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import functools
import json
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

__all__ = ["context", "start_server", "warm_python"]

context = multiprocessing.get_context("forkserver")
"""Its processes have imported Inspect, once :func:`start_server` was called."""

CLIENT = """#!{python} -ISB
import array, json, os, signal, socket, sys
arguments = sys.argv[1:]
plain = arguments[1:] if arguments[:1] == ["-u"] else arguments
asks = {{name for name in os.environ if name.startswith("PYTHON")}}
if plain[:1] not in (["-c"], ["-m"]) or asks - {{"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}}:
    os.execv({python!r}, [{python!r}, *arguments])  # whatever else a Python can be asked for, it does itself
streams = sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name))
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([streams, plain, os.getcwd(), dict(os.environ), os.getpgrp()]).encode()
server.sendmsg([len(asked).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))])
server.sendall(asked)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda number, frame: server.send(bytes([number])))
status = int.from_bytes(server.recv(4, socket.MSG_WAITALL), "big", signed=True)
if status < 0:
    if -status != signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@functools.cache
def start_server() -> None:
    """Have Inspect imported in the server that all processes of the context are forked from."""
    with pytest.MonkeyPatch.context() as patch:
        # the server of Python 3.11 looks nowhere else
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
        context.set_forkserver_preload(["support.warm_imports"])
        multiprocessing.forkserver.ensure_running()


@functools.cache
def warm_python() -> str:
    """The path of the executable. Its server is started by the first call, and ends with this process."""
    start_server()
    if not hasattr(os, "pidfd_open"):  # only on Linux
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="warm-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address, client = folder / "socket", folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=str(address)), "utf-8")
    client.chmod(0o755)
    context.Process(target=_serve, args=(str(address), str(client)), daemon=True).start()
    while not address.exists():
        time.sleep(0.01)
    return str(client)


def _serve(address: str, client: str) -> None:
    for number, handler in ((signal.SIGINT, signal.SIG_IGN), (signal.SIGCHLD, signal.SIG_IGN)):
        signal.signal(number, handler)
    sys.executable = client
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen(64)
    Path(address + ".new").rename(address)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            try:
                _care_for(connection)
            finally:
                os._exit(0)
        connection.close()


def _care_for(connection: socket.socket) -> None:
    """Start what the client asks for, and pass on signals and the exit status until it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, rights, *_ = connection.recvmsg(4, socket.CMSG_SPACE(4 * 64))
    streams = array.array("i", rights[0][2])
    asked = json.loads(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    program = os.fork()
    if program == 0:
        connection.close()
        _become(streams, *asked)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(program)
    with selectors.DefaultSelector() as waiting:
        waiting.register(ended, selectors.EVENT_READ)
        waiting.register(connection, selectors.EVENT_READ)
        while all(key.fd != ended for key, _ in waiting.select()):
            numbers = connection.recv(64)
            if not numbers:  # the client is dead
                waiting.unregister(connection)
            for number in numbers or (signal.SIGKILL,):
                os.kill(program, number)
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(status.to_bytes(4, "big", signed=True))


def _become(
    streams: Sequence[int],
    numbers: list[int],
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    group: int,
) -> NoReturn:
    aside = [fcntl.fcntl(stream, fcntl.F_DUPFD, 500) for stream in streams]  # their numbers here may be those wanted
    for stream in streams:
        os.close(stream)
    for stream, number in zip(aside, numbers, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(OSError):  # of another session
        os.setpgid(0, group)
    os.chdir(folder)
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", 1, "utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    wanted = os.environ.get("PYTHONPATH", "")
    kept = [each for each in sys.path if each and each not in given]
    option, what, *rest = arguments
    sys.path[:] = ["" if option == "-c" else folder, *filter(None, wanted.split(os.pathsep)), *kept]
    sys.argv = ["-c" if option == "-c" else what, *rest]
    status = 0
    try:
        if option == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            module = sys.modules["__main__"] = ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), vars(module))
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status & 0xFF)
