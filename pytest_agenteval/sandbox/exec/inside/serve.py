"""The exec server: takes calls from the host until the host has gone.

When stdin ends, the host is dead or done: every command is killed and the server exits. As PID 1 of a container that is
removed when it ends, it thereby removes the container.
"""

# Plain `os` and `try`: fewer modules to load, so a container starts faster.
# ruff: noqa: PTH123, SIM105

from __future__ import annotations

import os
import select
import signal
import struct
import sys
import time

from pytest_agenteval.sandbox.exec.inside.commands import Commands, set_nonblocking
from pytest_agenteval.sandbox.exec.inside.files import Files
from pytest_agenteval.sandbox.exec.inside.processes import kill_processes, processes
from pytest_agenteval.sandbox.exec.inside.wire import FRAME, Wire

__all__ = ["serve"]

VERSION = 1
LONGEST = 16 << 20
"""The longest payload the host sends (the arguments of a command), in bytes."""


def forbid_inspection() -> None:
    """Bar other processes of the same user from the server's memory and file descriptors, where the kernel can."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    except Exception:  # an interpreter without ctypes
        pass


def given_environment() -> dict[bytes, bytes]:
    """The environment the engine gave; the interpreter adds LC_CTYPE to its own (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            settings = file.read().split(b"\0")
    except OSError:
        return dict(os.environb)
    return dict(setting.split(b"=", 1) for setting in settings if b"=" in setting)


class Server:
    """Reads frames and hands each to what carries it out."""

    def __init__(self, inp: int, out: int, wake: int, env: dict[bytes, bytes]) -> None:
        self._inp, self._wake = inp, wake
        self._received = bytearray()
        self._wire = Wire(out, self._quit)
        self._commands = Commands(self._wire, env)
        self._files = Files(self._wire)
        self._wire.watch(inp, select.EPOLLIN, self._on_input)
        self._wire.watch(wake, select.EPOLLIN, self._on_child)

    def run(self) -> None:
        """Serve until the host has gone."""
        wire, commands, files = self._wire, self._commands, self._files
        wire.send("H", 0, struct.pack("<BI", VERSION, os.geteuid()) + os.fsencode(sys.executable))
        wire.flush()
        while True:
            event = commands.next_event()
            if files.reading and not wire.paused:
                wire.poll(0)
            else:
                wire.poll(None if event is None else max(0.0, event - time.monotonic()))
            files.read_on()
            commands.advance()
            wire.flush()

    def _quit(self) -> None:
        self._commands.kill_all()
        os._exit(0)

    def _on_child(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        self._commands.reap()

    def _on_input(self) -> None:
        try:
            data = os.read(self._inp, 1 << 20)
        except BlockingIOError:
            return
        if not data:
            if not self._wire.linger:
                self._quit()
            self._wire.unwatch(self._inp)
            return
        received = self._received
        received += data
        at = 0
        while len(received) - at >= FRAME.size:
            size, kind, call = FRAME.unpack_from(received, at)
            if size > LONGEST:
                self._quit()
            end = at + FRAME.size + size
            if len(received) < end:
                break
            self._on_frame(chr(kind), call, bytes(memoryview(received)[at + FRAME.size : end]))
            at = end
        del received[:at]

    def _on_frame(self, kind: str, call: int, payload: bytes) -> None:
        commands, files = self._commands, self._files
        if kind == "X":
            commands.start(call, payload)
        elif kind == "I":
            if not commands.give(call, payload) and not files.write(call, payload):
                self._wire.acknowledge(call, len(payload))
        elif kind == "E":
            commands.end_input(call)
            files.end_write(call)
        elif kind == "K":
            commands.kill(call)
            files.cancel(call)
        elif kind == "W":
            files.open_write(call, payload)
        elif kind == "R":
            files.open_read(call, payload)
        elif kind == "S":
            self._wire.send("1", call, processes())
            self._wire.done(call)
        elif kind == "Q":
            kill_processes(payload)
            self._wire.done(call)
        elif kind == "L":
            self._wire.linger = True
        elif kind == "P":
            self._wire.send("P", call)


def serve() -> None:
    """Take over stdin and stdout, and serve; does not return."""
    env = given_environment()
    forbid_inspection()  # from here on its own environment cannot be read either
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which PID 1 ignores
    inp, out = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    wake, wake_write = os.pipe()
    for fd in (inp, out, wake, wake_write):
        set_nonblocking(fd)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    Server(inp, out, wake, env).run()
