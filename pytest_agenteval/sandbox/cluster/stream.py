"""A process of a pod at the end of a websocket: what `attach` and `exec` of the API server are.

The first byte of a message is its channel. What comes on 1 and 2 gets the header that Docker puts before its output, so
the exec server's channel reads both alike.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import anyio
import httpcore
import httpx
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import ProtocolError

from pytest_agenteval.sandbox.exec.backend import EngineGone

__all__ = ["PROTOCOLS", "PodStream"]

PROTOCOLS = "v5.channel.k8s.io, v4.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _STATUS, _RESIZE = range(5)
_HEADER = struct.Struct(">BxxxI")
_PIECE = 256 << 10
_RECEIVE = 128 << 10
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, OSError, RuntimeError)
_MOST_UNSENT = 1 << 20


class PodStream:
    """A connection to a process of a pod; see `Stream` for its methods. Its owner runs `write`."""

    def __init__(self, response: httpx.Response) -> None:
        self.status: dict[str, Any] | None = None
        """How the process ended: the API server's last word, a `Status`; None until then."""
        self.ended = False
        """Whether nothing more can come: the process, its pod, or the connection has ended."""
        self._response = response
        self._raw = response.extensions["network_stream"]
        self._socket = Connection(ConnectionType.CLIENT)
        self._channel = -1
        self._inside = False
        self._status = bytearray()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._filled, self._written = anyio.Event(), anyio.Event()

    def send_now(self, data: bytes) -> int:
        """Hand all of it to `write`, if that keeps up; nothing is awaited, so no cancellation can cut a message."""
        if self.ended or self._unsent_bytes >= _MOST_UNSENT:
            return 0
        for at in range(0, len(data), _PIECE):
            self._put(BytesMessage(bytes((_STDIN,)) + bytes(data[at : at + _PIECE])))
        return len(data)

    async def send(self, data: bytes | memoryview) -> None:
        """Hand all of it to `write`, as soon as that keeps up. Raises `EngineGone` when the connection is broken."""
        while not self.ended and self._unsent_bytes >= _MOST_UNSENT:
            await self._written.wait()
        if not self.send_now(bytes(data)) and data:
            raise EngineGone("the connection to the pod broke")

    def stay(self) -> None:
        """Keep the connection from being cut as idle.

        This is a resize of a terminal that is not there: a ping would not reset the timers of the kubelet's runtime.
        """
        if not self.ended and not self._unsent:
            self._put(BytesMessage(bytes((_RESIZE,)) + b'{"Width":80,"Height":24}'))

    async def flush(self) -> None:
        """Return when all has been written, or the connection has ended."""
        while not self.ended and self._unsent_bytes:
            await self._written.wait()

    async def write(self) -> None:
        """Write what is sent, until the end: to be run beside all calls, for a cancelled write would cut a record."""
        while not self.ended:
            if not self._unsent:
                self._filled = anyio.Event()
                await self._filled.wait()
                continue
            data = b"".join(self._unsent)
            self._unsent.clear()
            try:
                await self._raw.write(data)
            except Exception:  # whatever it is, nothing can follow it, and others are written beside
                self.ended = True
            self._unsent_bytes -= len(data)
            self._written.set()
            self._written = anyio.Event()

    async def receive(self) -> bytes:
        """The next output, with its headers; none at the end or after the connection broke."""
        while not self.ended:
            try:
                data = await self._raw.read(_RECEIVE)
            except _BROKEN:
                data = b""
            if found := self._take(data):
                return found
        return b""

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        self.ended = True
        self._filled.set()
        self._written.set()
        with anyio.CancelScope(shield=True):
            await self._response.aclose()

    def _put(self, event: Event) -> None:
        data = self._socket.send(event)
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        self._filled.set()

    def _take(self, data: bytes) -> bytes:
        """The output in a piece of the connection. Nothing is awaited, so nothing is lost."""
        if not data:
            return self._end()
        found = bytearray()
        try:
            self._socket.receive_data(data)
            for event in self._socket.events():
                if isinstance(event, BytesMessage | TextMessage):
                    piece = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                    found += self._message(piece, whole=event.message_finished)
                elif isinstance(event, Ping):
                    self._put(event.response())
                elif isinstance(event, CloseConnection):
                    found += self._end()
        except ProtocolError:
            found += self._end()
        return bytes(found)

    def _message(self, piece: bytes, *, whole: bool) -> bytes:
        if not self._inside and piece:  # only the first piece of a message has the channel's number
            self._channel, piece = piece[0], piece[1:]
        self._inside = not whole
        if self._channel == _STATUS:
            self._status += piece
        if not piece or self._channel not in (_STDOUT, _STDERR):
            return b""
        return _HEADER.pack(self._channel, len(piece)) + piece

    def _end(self) -> bytes:
        """Note the end; returns why the process could not be started, as if it had said so itself, if that was so."""
        if self.ended:
            return b""
        self.ended = True
        self._filled.set()
        try:
            self.status = dict(json.loads(self._status))
        except (ValueError, TypeError):
            return b""
        if self.status.get("status") == "Success" or self.status.get("reason") == "NonZeroExitCode":
            return b""
        words = str(self.status.get("message") or "").encode()
        return _HEADER.pack(_STDERR, len(words)) + words
