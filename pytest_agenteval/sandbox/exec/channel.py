"""The host's side of an exec server: many calls at once over one stream.

There is no background task. One of the waiting calls reads the stream for all; when it has what it waited for, or is
cancelled, another takes over. The container on the other side belongs to the agent. Anything that an exec server would
never say ends the channel, and a channel that has ended gives errors, never results.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
from collections.abc import Callable, Iterable

import anyio

from pytest_agenteval.sandbox.exec import frames
from pytest_agenteval.sandbox.exec.backend import EngineGone, Stream
from pytest_agenteval.sandbox.exec.calls import Call, Command, Output, ServerError
from pytest_agenteval.sandbox.exec.frames import Demultiplexer, Failure, FrameReader, Hello, ProtocolError

__all__ = ["Channel", "ChannelClosed"]

_PIECE = 256 << 10
_WINDOW = 1 << 20
"""How many bytes of a call's input may be in transit without an acknowledgement."""
_LONGEST_SURVEY = 4 << 20
_SEND_SECONDS = 30.0
"""How long a server may leave a frame unread."""
_SILENCE_SECONDS = 30.0
"""After this many seconds of silence a server is asked whether it is alive; after as many again it counts as dead."""
_GRACE_SECONDS = 5.0 + 30.0
"""How long after its time-out a command may be reported: the server's grace before SIGKILL, and a margin."""


class ChannelClosed(Exception):
    """The server is dead or lies. The message says what happened."""


class Channel:
    """A connection to one exec server."""

    def __init__(self, stream: Stream) -> None:
        self.hello: Hello | None = None
        """Who the server is; None until it has said so."""
        self.closed: str | None = None
        """Why the channel has ended; None while it works."""
        self.heard = -math.inf
        """When something was last received, by the event loop's clock."""
        self._stream = stream
        self._demultiplexer = Demultiplexer()
        self._frames = FrameReader()
        self._ids = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._reading = False
        self._asked = False
        self._sending = anyio.Lock()

    @property
    def last_words(self) -> str:
        """The server's stderr: a message of the runtime or of a dying interpreter, usually nothing."""
        return self._demultiplexer.stderr.decode("utf-8", "replace").strip()

    async def start(self, program: bytes, seconds: float) -> Hello:
        """Send the server its program and wait for its hello. Raises `ChannelClosed`."""
        greeting = Call(frames.HELLO, 0)
        self._calls[0] = greeting
        try:
            with anyio.move_on_after(seconds):
                await self._send(program)
                await self._wait(greeting, lambda: self.hello is not None)
        finally:
            del self._calls[0]
        if self.hello is None:
            self._end(f"no exec server after {seconds:g} s")
            raise self._error()
        return self.hello

    async def exec(self, command: Command) -> Output:
        """Run a command as the server's user; returns its output and how it ended. A cancellation kills it.

        Raises:
            ChannelClosed: the server died or lied; it is unknown whether the command ran.
            ServerError: the command could not be started.
            ValueError: the command contains a NUL character or is empty.
        """
        stdin, timeout = command.stdin, command.timeout
        payload = frames.exec_payload(command.words, command.cwd, command.env, timeout, stdin is not None)
        call = Call(frames.EXEC, command.limit)
        with anyio.move_on_after(math.inf if timeout is None else timeout + _GRACE_SECONDS):
            return await self._run(call, payload, stdin)
        self._end("the exec server did not end a command after its time-out")
        raise self._error()

    async def write(self, path: str, data: bytes) -> None:
        """Write a file, with its directories. Raises `ChannelClosed` and `ServerError`."""
        await self._run(Call(frames.WRITE, 0), frames.path_payload(path), data)

    async def read(self, path: str, limit: int) -> bytearray:
        """Read a regular file of at most `limit` bytes. Raises `ChannelClosed` and `ServerError`."""
        output = await self._run(Call(frames.READ, limit), frames.read_payload(path, limit), None)
        return output.stdout

    async def processes(self) -> str:
        """All processes but the server and the container's first: see `inside/processes.py`. Raises `ChannelClosed`."""
        output = await self._run(Call(frames.SURVEY, _LONGEST_SURVEY), b"", None)
        return output.text(frames.STDOUT)

    async def kill_processes(self, pids: Iterable[str]) -> None:
        """Kill processes, as far as the server's user may. Raises `ChannelClosed`."""
        await self._run(Call(frames.QUELL, 0), " ".join(pids).encode(), None)

    @property
    def busy(self) -> bool:
        """Whether a call is in progress."""
        return bool(self._calls)

    async def linger(self) -> None:
        """Tell the server to stay alive when the host is gone. Raises `ChannelClosed`."""
        await self._send(frames.pack(frames.LINGER, 0))

    async def close(self) -> None:
        """Close the stream: the server kills its commands and exits. Safe to repeat."""
        if self.closed is None:
            self._end("the sandbox has been closed")
        await self._stream.close()

    # Calls -------------------------------------------------------------------------------------------------------

    async def _run(self, call: Call, payload: bytes, data: bytes | None) -> Output:
        if len(payload) > frames.MAX_REQUEST:
            raise ServerError(Failure(errno.E2BIG, frames.STAGE_SPAWN))
        number = next(self._ids)
        self._calls[number] = call
        try:
            first = frames.pack(call.kind, number, payload)
            if data is None:
                await self._send(first)
            elif len(data) <= _PIECE // 4:
                call.credit = len(data)
                piece = frames.pack(frames.INPUT, number, data) if data else b""
                await self._send(first + piece + frames.pack(frames.EOF, number))
            else:
                await self._send(first)
                await self._feed(number, call, data)
            await self._wait(call, lambda: call.settled)
        finally:
            del self._calls[number]
            if not call.settled and self.closed is None:
                with anyio.CancelScope(shield=True), contextlib.suppress(ChannelClosed):
                    await self._send(frames.pack(frames.KILL, number))
        if not call.settled:
            raise self._error()
        if call.failure is not None:
            raise ServerError(call.failure)
        return call.output

    async def _feed(self, number: int, call: Call, data: bytes) -> None:
        """Send a long input, never more than one window ahead of the server."""
        with memoryview(data) as view:
            for at in range(0, len(view), _PIECE):
                piece = view[at : at + _PIECE]
                room = _WINDOW - len(piece)
                await self._wait(call, lambda room=room: call.settled or call.credit <= room)  # type: ignore[misc]
                if call.settled or self.closed is not None:
                    return
                call.credit += len(piece)
                await self._send(frames.pack(frames.INPUT, number, piece))
        await self._send(frames.pack(frames.EOF, number))

    async def _wait(self, call: Call, until: Callable[[], bool]) -> None:
        """Return when `until()` holds or the channel has ended. If no other call is reading, read for all calls."""
        try:
            while not until() and self.closed is None:
                if self._reading:
                    call.wake = anyio.Event()
                    await call.wake.wait()
                    continue
                self._reading = True
                try:
                    while not until() and self.closed is None:
                        await self._read()
                finally:
                    self._reading = False
        finally:
            call.wake = None
            if not self._reading:  # another call must read now, even if this one was woken to read and was cancelled
                for other in self._calls.values():
                    if other.wake is not None and not other.wake.is_set():
                        other.wake.set()
                        break

    async def _read(self) -> None:
        """Read the next part of the stream."""
        with anyio.move_on_after(_SILENCE_SECONDS) as patience:
            data = await self._stream.receive()
        if patience.cancelled_caught:
            if self._asked:
                self._end("the exec server stopped answering")
            else:
                self._asked = True
                await self._send(frames.pack(frames.PING, 0))
            return
        self._asked, self.heard = False, anyio.current_time()
        if not data:
            self._end("the exec server ended")
            return
        try:
            for kind, number, payload in self._frames.feed(self._demultiplexer.feed(data)):
                self._on_frame(kind, number, payload)
        except ProtocolError as error:
            self._end(f"the exec server said what it never says: {error}")

    def _on_frame(self, kind: int, number: int, payload: bytes) -> None:
        if kind == frames.HELLO:
            if self.hello is not None:
                raise ProtocolError("a second hello")
            self.hello = frames.unpack_hello(payload)
            return
        call = self._calls.get(number)
        if call is None or call.settled or kind == frames.PING:
            return
        if kind in (frames.STDOUT, frames.STDERR):
            if call.kind == frames.READ and len(call.output.stdout) + len(payload) > call.limit:
                raise ProtocolError("more of a file than was asked for")
            if call.kind == frames.WRITE:
                raise ProtocolError("output of a write")
            call.output.add(kind, payload)
            return
        if kind == frames.ACK:
            call.credit -= frames.unpack_ack(payload)
            if call.credit < 0:
                raise ProtocolError("input acknowledged that was never sent")
        elif kind == frames.DONE:
            call.output.done = frames.unpack_done(payload)
            call.settled = True
        elif kind == frames.FAILURE:
            call.failure = frames.unpack_failure(payload)
            call.settled = True
        else:
            raise ProtocolError(f"a frame of kind {kind}")
        if call.wake is not None:
            call.wake.set()

    # The stream --------------------------------------------------------------------------------------------------

    async def _send(self, data: bytes) -> None:
        """Send frames whole: a cancellation waits until they are. Raises `ChannelClosed`."""
        if self.closed is not None:
            raise self._error()
        try:
            self._sending.acquire_nowait()
        except anyio.WouldBlock:
            await self._sending.acquire()
        whole = False
        try:
            sent = self._stream.send_now(data)
            whole = sent == len(data)
            if not whole:
                with anyio.move_on_after(_SEND_SECONDS, shield=True):
                    await self._stream.send(memoryview(data)[sent:])
                    whole = True
        except EngineGone:
            self._end("the exec server ended")
        finally:
            if not whole:  # a frame has been cut in two; nothing can follow it
                self._end("the exec server stopped reading")
            self._sending.release()
        if not whole:
            raise self._error()

    def _end(self, why: str) -> None:
        if self.closed is None:
            words = self.last_words
            self.closed = f"{why} ({words[-500:]})" if words else why
        for call in self._calls.values():
            if call.wake is not None:
                call.wake.set()

    def _error(self) -> ChannelClosed:
        return ChannelClosed(self.closed or "the exec server ended")
