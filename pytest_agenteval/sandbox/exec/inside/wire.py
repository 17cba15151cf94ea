"""The exec server's loop of watched file descriptors, and the frames on their way to the host.

Nothing blocks. When the host reads too slowly the outputs of commands are no longer watched, but input always is, so
the two sides can never wait for each other.
"""

# Plain `os` and `try`: fewer modules to load, so a container starts faster.
# ruff: noqa: SIM105

from __future__ import annotations

import errno
import os
import select
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FRAME", "PIECE", "RESULT", "Wire"]

FRAME = struct.Struct("<IBI")
RESULT = struct.Struct("<iB")
PIECE = 256 << 10
"""The most that is read, and put into one frame, at a time; in bytes."""
HIGH, LOW = 4 << 20, 1 << 20
"""Bytes of unsent output at which commands are no longer read, and at which they are read again."""


class Wire:
    """Watches file descriptors, and sends frames without ever waiting for the host."""

    def __init__(self, out: int, on_lost: Callable[[], None]) -> None:
        self.linger = False
        """Whether to go on when the host has gone."""
        self.paused = False
        """Whether so much is unsent that sources are not watched."""
        self._out = out
        self._on_lost = on_lost
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._sources: set[int] = set()
        self._unsent: list[bytes | memoryview] = []
        self._unsent_bytes = 0
        self._out_watched = False

    def watch(self, fd: int, events: int, handler: Callable[[], None]) -> None:
        """Call `handler` when `fd` is ready."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`, whether it was watched or not."""
        self._sources.discard(fd)
        if self._handlers.pop(fd, None) is not None:
            try:
                self._epoll.unregister(fd)
            except OSError:  # a source, in a pause
                pass

    def watches(self, fd: int) -> bool:
        """Whether `fd` has a handler."""
        return fd in self._handlers

    def add_source(self, fd: int, handler: Callable[[], None]) -> None:
        """Watch the output of a command; left alone during a pause."""
        self._handlers[fd] = handler
        self._sources.add(fd)
        if not self.paused:
            self._epoll.register(fd, select.EPOLLIN)

    def poll(self, wait: float | None) -> None:
        """Wait for at most `wait` seconds (None: for ever) and call the handlers of what is ready."""
        for fd, _ in self._epoll.poll(wait):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler()

    def send(self, kind: str, call: int, payload: bytes = b"") -> None:
        """Queue one frame."""
        self._unsent.append(FRAME.pack(len(payload), ord(kind), call) + payload)
        self._unsent_bytes += FRAME.size + len(payload)
        if self._unsent_bytes > HIGH and not self.paused:
            self.paused = True
            for fd in self._sources:
                self._epoll.unregister(fd)

    def acknowledge(self, call: int, count: int) -> None:
        """Report that `count` bytes of input have been passed on, or will never be."""
        self.send("A", call, struct.pack("<I", count))

    def done(self, call: int, code: int = 0, timed_out: bool = False) -> None:
        """Report that a call has been carried out."""
        self.send("D", call, RESULT.pack(code, timed_out))

    def fail(self, call: int, error: Exception, stage: int) -> None:
        """Report the operating system error that stopped a call."""
        self.send("F", call, RESULT.pack(getattr(error, "errno", None) or errno.EINVAL, stage))

    def flush(self) -> None:
        """Write what the host takes now; the rest when it can take more."""
        while self._unsent:
            try:
                count = os.writev(self._out, self._unsent[:64])
            except BlockingIOError:
                if not self._out_watched:
                    self.watch(self._out, select.EPOLLOUT, lambda: None)
                    self._out_watched = True
                return
            except OSError:  # nobody listens
                if not self.linger:
                    self._on_lost()
                count = sum(map(len, self._unsent[:64]))
            self._drop(count)
        if self._out_watched:
            self._out_watched = False
            self.unwatch(self._out)

    def _drop(self, count: int) -> None:
        """Forget `count` bytes that have been written."""
        self._unsent_bytes -= count
        sent = 0
        while sent < len(self._unsent) and count >= len(self._unsent[sent]):
            count -= len(self._unsent[sent])
            sent += 1
        del self._unsent[:sent]
        if count:
            self._unsent[0] = memoryview(self._unsent[0])[count:]
        if self.paused and self._unsent_bytes < LOW:
            self.paused = False
            for fd in self._sources:
                self._epoll.register(fd, select.EPOLLIN)
