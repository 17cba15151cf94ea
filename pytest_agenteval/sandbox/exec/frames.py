"""The protocol between the host and the exec server: frames, and the engine's stream that carries them.

A frame is `<u32 length><u8 kind><u32 call>` and a payload of `length` bytes, in both directions on the server's stdin
and stdout. The engine puts its own 8 byte header before every piece of output. Everything that comes from the container
may be written by the agent and is not trusted: lengths are bounded, and impossible input is a `ProtocolError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "ACK", "DONE", "EOF", "EXEC", "FAILURE", "HELLO", "INPUT", "KILL", "LINGER", "MAX_PAYLOAD", "MAX_REQUEST", "PING",
    "QUELL", "READ", "STAGE_CWD", "STAGE_FILE", "STAGE_PIPES", "STAGE_SPAWN", "STDERR", "STDOUT", "SURVEY", "WRITE",
    "Demultiplexer", "Done", "Failure", "FrameReader", "Hello", "ProtocolError", "exec_payload", "pack",
    "path_payload", "read_payload", "unpack_ack", "unpack_done", "unpack_failure", "unpack_hello",
]  # fmt: skip

# Host to server.
EXEC, INPUT, EOF, KILL, WRITE, READ, LINGER, SURVEY, QUELL = b"XIEKWRLSQ"
# Server to host.
HELLO, STDOUT, STDERR, ACK, DONE, FAILURE = b"H12ADF"
# Both ways: the question whether the server is alive, and its answer.
PING = ord("P")

STAGE_PIPES, STAGE_CWD, STAGE_SPAWN, STAGE_FILE = range(4)
"""What the server was doing when an operating system error stopped it."""

MAX_PAYLOAD = 1 << 20
"""The longest payload accepted from a server, in bytes; it sends pieces of at most 256 KiB."""

MAX_REQUEST = 16 << 20
"""The longest payload that a server accepts, in bytes; the kernel allows no command more than a few megabytes."""

_HEADER = struct.Struct("<IBI")
_ENGINE_HEADER = struct.Struct(">BxxxI")
_EXEC = struct.Struct("<IBII")
_DONE = struct.Struct("<iB")
_ACK = struct.Struct("<I")
_HELLO = struct.Struct("<BI")
_VERSION = 1


class ProtocolError(Exception):
    """The peer sent what an exec server never sends: it is dead, replaced or forged, and nothing it says counts."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame of a server."""

    uid: int
    """The user it runs as, and so every command it starts."""
    python: str
    """The absolute path of its interpreter, for later servers in the same container."""


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a call that could be carried out."""

    code: int
    """The exit status, or minus the number of the signal that ended the command."""
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """An operating system error that stopped a call."""

    errno: int
    stage: int


def pack(kind: int, call: int, payload: bytes | memoryview = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(len(payload), kind, call) + bytes(payload)


def exec_payload(
    cmd: Sequence[str], cwd: str, env: Mapping[str, str], timeout: float | None, with_stdin: bool
) -> bytes:
    """The payload of an `EXEC` frame; `timeout` in seconds, to the millisecond.

    Raises `ValueError` for a part with a NUL character, and where there is no command.
    """
    if not cmd:
        raise ValueError("The command to run in the sandbox is empty; give a program and its arguments.")
    words = [cwd, *cmd, *(f"{name}={value}" for name, value in env.items())]
    if any("\0" in word for word in words):
        raise ValueError("The command to run in the sandbox contains a NUL character; pass such data as input.")
    milliseconds = 0 if timeout is None else max(1, round(timeout * 1000))
    head = _EXEC.pack(min(milliseconds, 0xFFFFFFFF), with_stdin, len(cmd), len(env))
    return head + "\0".join(words).encode("utf-8", "surrogateescape")


def read_payload(path: str, limit: int) -> bytes:
    """The payload of a `READ` frame: at most `limit` bytes of the file are wanted. Raises `ValueError`, see below."""
    return struct.pack("<Q", limit) + path_payload(path)


def path_payload(path: str) -> bytes:
    """The payload of a `WRITE` frame. Raises `ValueError` for a path that contains a NUL character."""
    if "\0" in path:
        raise ValueError(f"The path {path!r} of a file in the sandbox contains a NUL character.")
    return path.encode("utf-8", "surrogateescape")


def _unpack(layout: struct.Struct, payload: bytes | memoryview) -> tuple[int, ...]:
    if len(payload) != layout.size:
        raise ProtocolError("a frame of the wrong size")
    return layout.unpack(payload)


def unpack_done(payload: bytes | memoryview) -> Done:
    """Read a `DONE` payload."""
    code, timed_out = _unpack(_DONE, payload)
    if not -64 <= code <= 255 or timed_out > 1:
        raise ProtocolError("an impossible exit status")
    return Done(code, bool(timed_out))


def unpack_failure(payload: bytes | memoryview) -> Failure:
    """Read a `FAILURE` payload."""
    number, stage = _unpack(_DONE, payload)
    if not 0 < number < 4096 or stage > STAGE_FILE:
        raise ProtocolError("an impossible error")
    return Failure(number, stage)


def unpack_ack(payload: bytes | memoryview) -> int:
    """Read an `ACK` payload: how many bytes of input the server has passed on."""
    return _unpack(_ACK, payload)[0]


def unpack_hello(payload: bytes | memoryview) -> Hello:
    """Read a `HELLO` payload."""
    if len(payload) < _HELLO.size:
        raise ProtocolError("a hello that is too short")
    version, uid = _HELLO.unpack_from(payload)
    if version != _VERSION:
        raise ProtocolError(f"protocol version {version}")
    return Hello(uid, bytes(payload[_HELLO.size :]).decode("utf-8", "surrogateescape"))


class Demultiplexer:
    """Takes the engine's framing off an attach or exec stream without a terminal (Engine API, "Stream format")."""

    def __init__(self, keep_stderr: int = 65536) -> None:
        self.stderr = bytearray()
        """The first `keep_stderr` bytes that came on stderr: what the runtime or a dying interpreter said."""
        self._keep = keep_stderr
        self._pending = bytearray()
        self._kind = 0
        self._left = 0

    def feed(self, data: bytes) -> bytearray:
        """Take in what the stream gave and return what it carried on stdout.

        Raises `ProtocolError` for a stream that is not framed, which is how the engine reports that an exec could not
        start; the message is the engine's text.
        """
        pending = self._pending
        pending += data
        stdout = bytearray()
        at, size = 0, len(pending)
        with memoryview(pending) as view:
            while at < size:
                if self._left:
                    take = min(self._left, size - at)
                    if self._kind == 1:
                        stdout += view[at : at + take]
                    elif len(self.stderr) < self._keep:
                        self.stderr += view[at : at + min(take, self._keep - len(self.stderr))]
                    self._left -= take
                    at += take
                elif size - at < _ENGINE_HEADER.size:
                    break
                else:
                    if view[at] > 2 or view[at + 1] or view[at + 2] or view[at + 3]:
                        raise ProtocolError(bytes(view[at : at + 500]).decode(errors="replace").strip())
                    self._kind, self._left = _ENGINE_HEADER.unpack_from(view, at)
                    at += _ENGINE_HEADER.size
        del pending[:at]
        return stdout


class FrameReader:
    """Cuts the server's stdout into frames. The first must be a hello: anything else is not an exec server."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._greeted = False

    def feed(self, data: bytes | bytearray) -> Iterator[tuple[int, int, bytes]]:
        """Take in a piece of stdout and yield `(kind, call, payload)` for every frame that is complete.

        Raises `ProtocolError` for an oversized frame, or text where the hello should be; the message then is that text.
        """
        pending = self._pending
        pending += data
        at = 0
        try:
            while len(pending) - at >= _HEADER.size:
                size, kind, call = _HEADER.unpack_from(pending, at)
                if not self._greeted and (kind != HELLO or size > 4096):
                    raise ProtocolError(bytes(pending[:500]).decode(errors="replace").strip())
                if size > MAX_PAYLOAD:
                    raise ProtocolError("an oversized frame")
                end = at + _HEADER.size + size
                if len(pending) < end:
                    break
                payload = bytes(memoryview(pending)[at + _HEADER.size : end])
                at = end
                self._greeted = True
                yield kind, call, payload
        finally:
            del pending[:at]
