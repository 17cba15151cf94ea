from __future__ import annotations

import ast
import struct
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.sandbox.exec import frames
from pytest_agenteval.sandbox.exec.frames import Demultiplexer, Done, FrameReader, ProtocolError, pack

HELLO = struct.pack("<IBI", 5 + 7, ord("H"), 0) + struct.pack("<BI", 1, 1000) + b"/python"
payloads = st.tuples(st.sampled_from(b"12ADFP"), st.integers(0, 2**32 - 1), st.binary(max_size=300))


def engine_frame(kind: int, data: bytes) -> bytes:
    """The engine's documented header: kind, three zeros, length in network order."""
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(payloads, max_size=20), st.lists(st.integers(0, 10_000), max_size=30))
def test_frames_are_the_same_however_the_stream_is_cut(sent: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    reader = FrameReader()
    stream = HELLO + b"".join(pack(*frame) for frame in sent)
    received = [frame for piece in pieces(stream, cuts) for frame in reader.feed(piece)]
    assert received == [(ord("H"), 0, HELLO[9:]), *sent]


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=200)), max_size=20),
    st.lists(st.integers(0, 10_000), max_size=30),
)
def test_the_engines_framing_comes_off_however_the_stream_is_cut(
    sent: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    demultiplexer = Demultiplexer(keep_stderr=50)
    stream = b"".join(engine_frame(*each) for each in sent)
    stdout = b"".join(bytes(demultiplexer.feed(piece)) for piece in pieces(stream, cuts))
    assert stdout == b"".join(data for kind, data in sent if kind == 1)
    assert demultiplexer.stderr == b"".join(data for kind, data in sent if kind == 2)[:50]


def test_bare_text_of_the_engine_is_its_message() -> None:
    with pytest.raises(ProtocolError, match="unable to find user x"):
        Demultiplexer().feed(b"unable to find user x: no matching entries\r\n")


@pytest.mark.parametrize(
    "stream",
    [
        b"Traceback (most recent call last):\n",
        pack(ord("1"), 1, b"output"),
        struct.pack("<IBI", 4097, ord("H"), 0),
        HELLO + struct.pack("<IBI", frames.MAX_PAYLOAD + 1, ord("1"), 1),
    ],
)
def test_what_an_exec_server_never_sends_is_an_error(stream: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(FrameReader().feed(stream))


@pytest.mark.parametrize("payload", [b"", b"\0" * 4, b"\0" * 6, struct.pack("<iB", 256, 0), struct.pack("<iB", -65, 0)])
def test_an_end_that_cannot_be_is_an_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.unpack_done(payload)
    with pytest.raises(ProtocolError):
        frames.unpack_done(struct.pack("<iB", 0, 2))


@pytest.mark.parametrize(
    "payload", [b"", struct.pack("<iB", 0, 1), struct.pack("<iB", -2, 1), struct.pack("<iB", 2, 4)]
)
def test_a_failure_that_cannot_be_is_an_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.unpack_failure(payload)


def test_ends_and_hellos_are_read() -> None:
    assert frames.unpack_done(struct.pack("<iB", -9, 1)) == Done(-9, True)
    assert frames.unpack_hello(HELLO[9:]) == frames.Hello(1000, "/python")
    with pytest.raises(ProtocolError, match="version"):
        frames.unpack_hello(b"\x02\0\0\0\0/python")


def test_a_command_travels_as_it_is() -> None:
    payload = frames.exec_payload(["a b", "\udcff", ""], "/c", {"K": "v=w"}, 1.5, True)
    assert payload == struct.pack("<IBII", 1500, 1, 3, 1) + b"/c\0a b\0\xff\0\0K=v=w"
    assert frames.exec_payload(["a"], "/", {}, 0, False)[:4] == struct.pack("<I", 1)


@pytest.mark.parametrize("words", [(["a\0"], "/", {}), (["a"], "/\0", {}), (["a"], "/", {"k": "\0"}), ([], "/", {})])
def test_a_command_that_cannot_travel_is_refused(words: tuple[list[str], str, dict[str, str]]) -> None:
    with pytest.raises(ValueError):
        frames.exec_payload(*words, None, False)


def test_the_exec_server_is_written_in_python_3_8_and_needs_no_module_beyond_its_core() -> None:
    core = {
        "ctypes",
        "errno",
        "grp",
        "os",
        "pwd",
        "select",
        "signal",
        "socket",
        "stat",
        "struct",
        "sys",
        "time",
        "__future__",
    }
    for file in resources.files("pytest_agenteval.sandbox.exec.inside").iterdir():
        if file.name.endswith(".py"):
            tree = ast.parse(file.read_text(), feature_version=(3, 8))
            imported = {
                node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                for node in ast.walk(tree)
                if isinstance(node, ast.Import | ast.ImportFrom)
            }
            outside = {
                str(name) for name in imported if not str(name).startswith("pytest_agenteval.sandbox.exec.inside.")
            }
            assert outside - {"collections.abc"} <= core, file.name
