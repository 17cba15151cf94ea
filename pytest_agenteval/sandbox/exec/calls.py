"""A command to be run in a container, one call of an exec server, and what either has returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from pytest_agenteval.sandbox.exec import frames
from pytest_agenteval.sandbox.exec.frames import Done, Failure

__all__ = ["Call", "Command", "Output", "ServerError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to be run in a container."""

    words: Sequence[str]
    """The program and its arguments."""
    limit: int
    """How many bytes of the end of each stream of its output are kept."""
    stdin: bytes | None = None
    """None: it has no input."""
    cwd: str = ""
    """Empty is the container's own; an exec server needs one."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Beside the container's own variables."""
    user: str | None = None
    """A name or number; None is the container's own."""
    timeout: float | None = None
    """Seconds until SIGTERM goes to its session, with SIGKILL 5 s later; None for no limit."""


class ServerError(Exception):
    """The server could not carry out a call, because of an operating system error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"error {failure.errno} in stage {failure.stage}")
        self.errno = failure.errno
        self.stage = failure.stage
        """One of `frames.STAGE_...`."""


class Output:
    """The output of a command or the content of a file: the last `limit` bytes of each stream."""

    def __init__(self, limit: int, done: Done = Done(0, False)) -> None:  # noqa: B008 (frozen)
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.done = done
        self._limit = limit
        self._cut: set[int] = set()

    def add(self, kind: int, data: bytes | bytearray) -> None:
        """Take in a piece of a stream, `frames.STDOUT` or `frames.STDERR`."""
        stream = self.stdout if kind == frames.STDOUT else self.stderr
        stream += data
        if len(stream) > 2 * self._limit:
            self._keep_end(kind, stream)

    def text(self, kind: int) -> str:
        """The stream's last `limit` bytes as text; a character that the cut went through is left out."""
        stream = self.stdout if kind == frames.STDOUT else self.stderr
        if len(stream) > self._limit:
            self._keep_end(kind, stream)
        start = 0
        if kind in self._cut:
            while start < min(3, len(stream)) and stream[start] & 0xC0 == 0x80:
                start += 1
        return stream[start:].decode("utf-8", "replace")

    def _keep_end(self, kind: int, stream: bytearray) -> None:
        del stream[: len(stream) - self._limit]
        self._cut.add(kind)


class Call:
    """A call in progress."""

    __slots__ = ("credit", "failure", "kind", "limit", "output", "settled", "wake")

    def __init__(self, kind: int, limit: int) -> None:
        self.kind = kind
        self.limit = limit
        self.output = Output(limit)
        self.settled = False
        self.failure: Failure | None = None
        self.credit = 0
        """Bytes of input sent and not acknowledged."""
        self.wake: anyio.Event | None = None
        """Set when there may be news, while the call waits and does not read itself."""
