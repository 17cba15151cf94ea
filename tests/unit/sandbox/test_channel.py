from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from pytest_agenteval.sandbox.exec import channel as channel_module
from pytest_agenteval.sandbox.exec import exec_server
from pytest_agenteval.sandbox.exec.backend import Stream
from pytest_agenteval.sandbox.exec.calls import Command, Output, ServerError
from pytest_agenteval.sandbox.exec.channel import Channel, ChannelClosed
from pytest_agenteval.sandbox.exec.frames import STDOUT, pack

HELLO = pack(ord("H"), 0, struct.pack("<BI", 1, 1000) + b"/python")
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def framed(data: bytes, kind: int = 1) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class Script(Stream):
    """A server that says what the test has it say."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self._says, self._heard = anyio.create_memory_object_stream[bytes](math.inf)

    def say(self, data: bytes) -> None:
        self._says.send_nowait(framed(data))

    def say_bare(self, data: bytes) -> None:
        self._says.send_nowait(data)

    def send_now(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    async def receive(self) -> bytes:
        try:
            return await self._heard.receive()
        except anyio.EndOfStream:
            return b""

    def hang_up(self) -> None:
        self._says.close()

    async def close(self) -> None:
        self._says.close()
        self._heard.close()


async def greeted(script: Script) -> Channel:
    script.say(HELLO)
    channel = Channel(script)
    assert (await channel.start(b"program", 5)).python == "/python"
    return channel


def run(test: Callable[[Script], Awaitable[None]], backend: str = "asyncio") -> None:
    async def main() -> None:
        script = Script()
        try:
            with anyio.fail_after(20):
                await test(script)
        finally:
            await script.close()

    anyio.run(main, backend=backend)


async def execute(channel: Channel, **options: object) -> Output:
    return await channel.exec(Command(words=["true"], cwd="/", **{"limit": 1000, **options}))  # type: ignore[arg-type]


DONE = struct.pack("<iB", 0, 0)
LIES = {
    "a frame that is too long": struct.pack("<IBI", 1 << 30, ord("1"), 1),
    "a second hello": HELLO,
    "an end without a status": pack(ord("D"), 1, b""),
    "an impossible status": pack(ord("D"), 1, struct.pack("<iB", 4000, 0)),
    "an impossible error": pack(ord("F"), 1, struct.pack("<iB", 0, 9)),
    "input nobody sent": pack(ord("A"), 1, struct.pack("<I", 5)),
    "an unknown frame": pack(ord("?"), 1, b""),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_ends_the_channel_and_is_never_a_result(lie: bytes) -> None:
    async def test(script: Script) -> None:
        channel = await greeted(script)
        script.say(lie)
        script.say(pack(ord("D"), 1, DONE))
        with pytest.raises(ChannelClosed, match="said what it never says"):
            await execute(channel)
        with pytest.raises(ChannelClosed):
            await execute(channel)

    run(test)


def test_more_of_a_file_than_was_asked_for_is_a_lie() -> None:
    async def test(script: Script) -> None:
        channel = await greeted(script)
        script.say(pack(ord("1"), 1, b"x" * 11))
        with pytest.raises(ChannelClosed, match="said what it never says: more of a file"):
            await channel.read("/file", 10)

    run(test)


def test_frames_of_calls_that_are_over_or_never_were_are_ignored() -> None:
    async def test(script: Script) -> None:
        channel = await greeted(script)
        for number in (0, 7, 4_000_000_000):
            script.say(pack(ord("1"), number, b"forged"))
            script.say(pack(ord("D"), number, DONE))
        script.say(pack(ord("1"), 1, b"real"))
        script.say(pack(ord("D"), 1, DONE))
        assert (await execute(channel)).text(STDOUT) == "real"

    run(test)


def test_a_server_that_dies_in_a_call_is_no_result_and_its_last_words_are_kept() -> None:
    async def test(script: Script) -> None:
        channel = await greeted(script)
        script.say(pack(ord("1"), 1, b"half"))
        script.say_bare(framed(b"MemoryError\n", 2))
        script.hang_up()
        with pytest.raises(ChannelClosed, match=r"the exec server ended \(MemoryError"):
            await execute(channel)
        assert channel.last_words == "MemoryError"

    run(test)


@pytest.mark.parametrize("words", [b"OCI runtime exec failed: no python3\r\n", framed(b"bash: python3: not found\n")])
def test_a_server_that_never_was_is_told_by_what_the_runtime_said(words: bytes) -> None:
    async def test(script: Script) -> None:
        script.say_bare(words)
        script.hang_up()
        with pytest.raises(ChannelClosed, match="python3"):
            await Channel(script).start(b"program", 5)

    run(test)


def test_a_silent_server_is_asked_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "_SILENCE_SECONDS", 0.05)

    async def test(script: Script) -> None:
        channel = await greeted(script)
        with pytest.raises(ChannelClosed, match="stopped answering"):
            await execute(channel)
        assert pack(ord("P"), 0) in script.sent

    run(test)


def test_a_time_out_the_server_does_not_keep_ends_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "_GRACE_SECONDS", 0.05)

    async def test(script: Script) -> None:
        channel = await greeted(script)
        with pytest.raises(ChannelClosed, match="time-out"):
            await execute(channel, timeout=0.01)

    run(test)


@BACKENDS
def test_when_the_call_that_reads_is_cancelled_another_reads_on(backend: str) -> None:
    async def test(script: Script) -> None:
        channel = await greeted(script)
        results: list[str] = []

        async def wait() -> None:
            results.append((await execute(channel)).text(STDOUT))

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as first:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(execute, channel)
                    await anyio.wait_all_tasks_blocked()
                    group.start_soon(wait)
                    group.start_soon(wait)
                    await anyio.wait_all_tasks_blocked()
                    first.cancel()
            assert pack(ord("K"), 1) in script.sent
            for number in (3, 2):
                script.say(pack(ord("1"), number, b"%d" % number) + pack(ord("D"), number, DONE))
        assert sorted(results) == ["2", "3"]

    run(test, backend)


def test_output_keeps_its_end_and_whole_characters() -> None:
    output = Output(10)
    for _ in range(50):
        output.add(STDOUT, "€".encode())
    assert output.text(STDOUT) == "€€€"
    short = Output(10)
    short.add(STDOUT, b"\x80\x80 as it came")
    short.stdout[:] = b"\x80ab"
    assert short.text(STDOUT) == "�ab"


class Pipe(Stream):
    """A real exec server in a process of this machine."""

    def __init__(self) -> None:
        command = exec_server.command(sys.executable)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.defpath}
        )

    def send_now(self, data: bytes) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()
        return len(data)

    async def receive(self) -> bytes:
        assert self.process.stdout is not None
        await anyio.wait_readable(self.process.stdout)
        return framed(os.read(self.process.stdout.fileno(), 65536))

    async def close(self) -> None:
        self.process.communicate()


@BACKENDS
def test_the_exec_server_serves(backend: str, tmp_path: Path) -> None:
    folder = tmp_path.resolve()

    async def main() -> None:
        pipe = Pipe()
        channel = Channel(pipe)
        try:
            with anyio.fail_after(30):
                hello = await channel.start(exec_server.program(), 20)
                assert (hello.uid, hello.python) == (os.getuid(), sys.executable)
                command = ["sh", "-c", 'cat; echo "$A"; pwd; echo err >&2; exit 3']
                output = await channel.exec(
                    Command(words=command, stdin=b"in\n", cwd=str(folder), env={"A": "b"}, timeout=10, limit=1000)
                )
                assert output.text(STDOUT) == f"in\nb\n{folder}\n"
                assert (bytes(output.stderr), output.done.code) == (b"err\n", 3)
                data = os.urandom(3_000_000)
                await channel.write(f"{folder}/new/file", data)
                assert await channel.read(f"{folder}/new/file", len(data)) == data
                with pytest.raises(ServerError) as absent:
                    await channel.read(f"{folder}/absent", 1)
                assert absent.value.errno == 2
        finally:
            await channel.close()
        assert pipe.process.returncode == 0

    anyio.run(main, backend=backend)
