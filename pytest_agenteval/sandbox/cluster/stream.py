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
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import ProtocolError

from pytest_agenteval.sandbox.exec.backend import EngineGone

__all__ = ["PROTOCOLS", "PodStream"]

PROTOCOLS = "v5.channel.k8s.io, v4.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _STATUS, _RESIZE = range(5)
_HEADER = struct.Struct(">BxxxI")
_PIECE = 256 << 10
_RECEIVE = 128 << 10
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, OSError, RuntimeError)
_GONE = "the connection to the pod broke"


class PodStream:
    """A connection to a process of a pod; see `Stream` for its methods."""

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
        self._writing = anyio.Lock()

    def send_now(self, data: bytes) -> int:
        """Nothing: what is sent is framed and encrypted first."""
        return 0

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it to the process's stdin. Raises `EngineGone` when the connection is broken."""
        async with self._writing:
            for at in range(0, len(data), _PIECE):
                await self._write(BytesMessage(bytes((_STDIN,)) + bytes(data[at : at + _PIECE])))

    async def stay(self) -> None:
        """Keep the connection from being cut as idle, if nothing is being sent anyway.

        This is a resize of a terminal that is not there: a ping would not reset the timers of the kubelet's runtime.
        """
        if not self.ended and not self._writing.locked():
            async with self._writing:
                await self._write(BytesMessage(bytes((_RESIZE,)) + b'{"Width":80,"Height":24}'))

    async def receive(self) -> bytes:
        """The next output, with its headers; none at the end or after the connection broke."""
        while not self.ended:
            try:
                data = await self._raw.read(_RECEIVE)
            except _BROKEN:
                data = b""
            found, answers = self._take(data)
            for answer in answers:
                async with self._writing:
                    await self._write(answer)
            if found:
                return found
        return b""

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        self.ended = True
        with anyio.CancelScope(shield=True):
            await self._response.aclose()

    def _take(self, data: bytes) -> tuple[bytes, list[Any]]:
        """The output in a piece of the connection, and the pings to answer. Nothing is awaited, so nothing is lost."""
        if not data:
            return self._end(), []
        found, answers = bytearray(), []
        try:
            self._socket.receive_data(data)
            for event in self._socket.events():
                if isinstance(event, BytesMessage | TextMessage):
                    piece = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                    found += self._message(piece, whole=event.message_finished)
                elif isinstance(event, Ping):
                    answers.append(event.response())
                elif isinstance(event, CloseConnection):
                    found += self._end()
        except ProtocolError:
            found += self._end()
        return bytes(found), answers

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
        try:
            self.status = dict(json.loads(self._status))
        except (ValueError, TypeError):
            return b""
        if self.status.get("status") == "Success" or self.status.get("reason") == "NonZeroExitCode":
            return b""
        words = str(self.status.get("message") or "").encode()
        return _HEADER.pack(_STDERR, len(words)) + words

    async def _write(self, event: Any) -> None:
        if self.ended:
            raise EngineGone(_GONE)
        whole = False
        try:
            await self._raw.write(self._socket.send(event))
            whole = True
        except _BROKEN as error:
            raise EngineGone(_GONE) from error
        finally:
            if not whole:  # a frame has been cut in two; nothing can follow it
                self.ended = True
