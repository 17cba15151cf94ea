"""Files read and written by the exec server, as its own user and without ever waiting: no pipe, device or socket.

A path belongs to the agent: it may be a link to anything. What is opened is looked at after it was opened.
"""

# Plain `os` and `try`: fewer modules to load, so a container starts faster.
# ruff: noqa: PTH103, PTH120

from __future__ import annotations

import errno
import os
import stat
import struct

from pytest_agenteval.sandbox.exec.inside.wire import PIECE, Wire

__all__ = ["Files"]

FILE = 3
"""The stage in which these calls fail."""
COMMON = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Files:
    """All files a server has open."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reads: dict[int, tuple[int, int]] = {}
        self._writes: dict[int, int] = {}

    @property
    def reading(self) -> bool:
        """Whether a file is to be read on."""
        return bool(self._reads)

    def open_write(self, call: int, path: bytes) -> None:
        """Open a file for writing, with its directories."""
        flags = COMMON | os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            try:
                fd = os.open(path, flags, 0o666)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                fd = os.open(path, flags, 0o666)
            mode = os.fstat(fd).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
                os.close(fd)
                raise OSError(errno.EINVAL, "")
            self._writes[call] = fd
        except (OSError, ValueError) as error:
            self._wire.fail(call, error, FILE)

    def write(self, call: int, data: bytes) -> bool:
        """Write on; False when the call has no file open."""
        if call not in self._writes:
            return False
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._writes[call], view) :]
        except OSError as error:
            os.close(self._writes.pop(call))
            self._wire.fail(call, error, FILE)
        self._wire.acknowledge(call, len(data))
        return True

    def end_write(self, call: int) -> None:
        """Close a written file, if the call has one, and report that it is whole."""
        if call in self._writes:
            try:
                os.close(self._writes.pop(call))
                self._wire.done(call)
            except OSError as error:
                self._wire.fail(call, error, FILE)

    def open_read(self, call: int, payload: bytes) -> None:
        """Open a regular file for reading."""
        (limit,) = struct.unpack_from("<Q", payload)
        try:
            fd = os.open(payload[8:], COMMON | os.O_RDONLY)
            info = os.fstat(fd)
            problem = 0
            if stat.S_ISDIR(info.st_mode):
                problem = errno.EISDIR
            elif not stat.S_ISREG(info.st_mode):
                problem = errno.EINVAL
            elif not info.st_mode & stat.S_IRUSR:  # for root too, as with Inspect's docker provider
                problem = errno.EACCES
            elif info.st_size > limit:
                problem = errno.EFBIG
            if problem:
                os.close(fd)
                raise OSError(problem, "")
            self._reads[call] = fd, limit
        except (OSError, ValueError) as error:
            self._wire.fail(call, error, FILE)

    def read_on(self) -> None:
        """Send the next piece of every file, as long as the host keeps up."""
        for call, (fd, left) in list(self._reads.items()):
            if self._wire.paused:
                return
            try:
                data = os.read(fd, PIECE)
                if len(data) > left:
                    raise OSError(errno.EFBIG, "")
            except OSError as error:
                self._end_read(call)
                self._wire.fail(call, error, FILE)
                continue
            if data:
                self._reads[call] = fd, left - len(data)
                self._wire.send("1", call, data)
            else:
                self._end_read(call)
                self._wire.done(call)

    def cancel(self, call: int) -> None:
        """Close what the call has open."""
        if call in self._reads:
            self._end_read(call)
        if call in self._writes:
            os.close(self._writes.pop(call))

    def _end_read(self, call: int) -> None:
        os.close(self._reads.pop(call)[0])
