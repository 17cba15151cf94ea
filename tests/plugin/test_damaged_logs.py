"""Logs that are damaged, foreign or made to do harm: every command that reads logs says so in a sentence, at once."""

from __future__ import annotations

import json
import os
import random
import re
import time
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zipfile_zstd  # noqa: F401 (Inspect's logs are compressed with it)
from support.forked_pytest import forked_pytest
from support.suite_runs import Run

from pytest_agenteval.cli.main import main
from pytest_agenteval.engine.logs.roll import pack
from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.stored import StoredTask

SUITE = """
    from pytest_agenteval import agent_task

    @agent_task(solution="echo 42 > a.txt")
    async def test_right(agent, sandbox):
        await agent.run("x")
        assert (await sandbox.read_file("a.txt")).strip() == "42"

    @agent_task(solution="true")
    async def test_wrong(agent):
        await agent.run("x")
        assert False
"""
SECONDS = 20.0
"""For all that one log is put through; each command of its own is far faster."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    """A log of two tasks with two attempts each."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "test_suite.py").write_text("\n".join(line[4:] for line in SUITE.splitlines()), "utf-8")
    arguments = ("--agent-model=agenteval/oracle", "--agent-sandbox=local", "--k=2", "--agent-log-dir=logs", "-q")
    forked_pytest(
        folder,
        ("-p", "pytest_agenteval.plugin", *arguments),
        {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    (log,) = (folder / "logs").glob("*.eval")
    yield log.read_bytes()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str]:
    capsys.readouterr()
    try:
        status = main(list(words))
    except SystemExit as refused:  # argparse's own: a baseline that is not there
        status = refused.code
    told = capsys.readouterr()
    return status, told.err


def hold_all_commands_to_it(path: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Judged, or refused with 2 and a sentence; an exception would be the traceback that users see."""
    begun = time.monotonic()
    for words in (
        ("report", str(path)),
        ("report", str(good), f"--agent-baseline={path}"),
        ("compare", str(path), str(good)),
        ("compare", str(good), str(path)),
        ("export", "eee", str(path), "--out", str(path.parent / "out")),
    ):
        status, error = said(capsys, *words)
        assert status in (0, 1, 2, 10), words
        if status == 2:
            assert error.strip(), words
            assert "Traceback" not in error
            assert error.startswith("usage:") or len(error.strip().splitlines()) == 1, error
    assert time.monotonic() - begun < SECONDS


def rewritten(whole: bytes, change: Callable[[str, Any], Any], path: Path) -> Path:
    """The log with every JSON member put through `change`."""
    (path.parent / "whole.zip").write_bytes(whole)
    with zipfile.ZipFile(path.parent / "whole.zip") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = change(name, json.loads(old.read(name)))
            new.writestr(name, data if isinstance(data, bytes) else json.dumps(data))
    (path.parent / "whole.zip").unlink()
    return path


def with_header(**fields: Any) -> Callable[[str, Any], Any]:
    def change(name: str, data: Any) -> Any:
        if name == "header.json" or name.startswith("_journal/start"):
            data["eval"]["metadata"] |= fields
        return data

    return change


@pytest.fixture
def good(whole: bytes, tmp_path: Path) -> Path:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "good.eval").write_bytes(whole)
    return tmp_path / "good" / "good.eval"


HEADERS: dict[str, dict[str, Any]] = {
    "k below zero": {"k": -3},
    "k a word": {"k": "many"},
    "k without end": {"k": 10**9},
    "k of 400 digits": {"k": 10**400},
    "k a fraction": {"k": 1.5},
    "k nothing": {"k": None},
    "k a list": {"k": [8]},
    "a billion shards": {"shard": [1, 10**9]},
    "shard zero": {"shard": [0, 0]},
    "a shard in words": {"shard": "first"},
    "sizes in words": {"shard_sizes": ["x"]},
    "suites a list": {"suites": [1, 2]},
    "suites without end": {"suites": {"t.py": -1}},
    "took a number": {"took": 5},
    "tasks a word": {"tasks": "all"},
    "a task without a cell": {"tasks": [{"task": "t.py::t"}]},
    "setup a list": {"setup": [{}]},
    "early stop a number": {"early_stop": 7},
    "session nested": {"session": {"a": 1}},
    "an identity in a word": {"identity": "ci-7"},
    "a roll in plain text": {"roll": "t.py::t"},
    "a roll that is cut off": {"roll": pack([StoredTask("t.py::t", Cell("m", "s"))])[:-8]},
    "a roll without end": {"roll": b64encode(zlib.compress(b" " * 2**25)).decode()},
    "a roll of no tasks": {"roll": b64encode(zlib.compress(b'{"a": 1}')).decode()},
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_cannot_be_is_refused_in_a_sentence(
    whole: bytes, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    path = rewritten(whole, with_header(**HEADERS[case]), tmp_path / "bad.eval")
    (name,) = HEADERS[case]
    status, error = said(capsys, "report", str(path))
    assert (status, re.search(rf"bad\.eval cannot be read .*: {name}\b.* in its header", error) is not None) == (
        2,
        True,
    )
    hold_all_commands_to_it(path, good, capsys)


def test_a_log_of_another_tool_is_not_ours(whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def foreign(name: str, data: Any) -> Any:
        if name == "header.json" or name.startswith("_journal/start"):
            data["eval"]["metadata"] = {"k": "theirs"}
        return data

    path = rewritten(whole, foreign, tmp_path / "theirs.eval")
    assert said(capsys, "report", str(path)) == (
        2,
        f"pytest-agenteval: {path}: no .eval log of pytest-agenteval is there\n",
    )


RECORDS = {
    "a number below one": ('"number":1', '"number":-1'),
    "a number without end": ('"number":1', '"number":1000000000'),
    "a cost below zero": ('"wall_seconds":', '"lost_cost":-1.0,"wall_seconds":'),
    "a cost that is no number": ('"wall_seconds":', '"lost_cost":NaN,"wall_seconds":'),
    "an outcome of its own": ('"outcome":"passed"', '"outcome":"won"'),
    "no JSON": ('"number":1', '"number":'),
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_that_cannot_be_is_refused_in_a_sentence(
    whole: bytes, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    old, new = RECORDS[case]
    found = 0

    def change(name: str, data: Any) -> Any:
        nonlocal found
        text = json.dumps(data)
        inside = json.dumps(old)[1:-1], json.dumps(new)[1:-1]
        if name == "summaries.json" or name.startswith("_journal/summaries"):
            found += inside[0] in text
            text = text.replace(*inside)
        return text.encode()

    path = rewritten(whole, change, tmp_path / "bad.eval")
    assert found
    status, error = said(capsys, "report", str(path))
    assert (status, "bad.eval cannot be read" in error, "the record of " in error) == (2, True, True), error
    hold_all_commands_to_it(path, good, capsys)


@pytest.mark.parametrize("part", range(20))
def test_a_log_cut_anywhere_is_said(
    whole: bytes, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    path = tmp_path / "cut.eval"
    path.write_bytes(whole[: len(whole) * part // 20])
    status, error = said(capsys, "report", str(path))
    assert (status, "cut.eval cannot be read as an Inspect log" in error) == (2, True)
    if part % 5 == 0:
        hold_all_commands_to_it(path, good, capsys)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_end_in_a_verdict_or_a_sentence(
    whole: bytes, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    chance, data = random.Random(seed), bytearray(whole)
    for _ in range(chance.choice((1, 3, 30))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    (tmp_path / "flipped.eval").write_bytes(data)
    hold_all_commands_to_it(tmp_path / "flipped.eval", good, capsys)


ODD = (None, -1, 0, 10**30, 1e308, float("nan"), "", "x" * 5000, "\x1b[2J::error::", [], [[]], {}, {"a": None}, True)
"""Values of any other type."""


@pytest.mark.parametrize("seed", range(12))
def test_values_of_other_types_end_in_a_verdict_or_a_sentence(
    whole: bytes, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    chance = random.Random(seed)

    def places(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
        for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
            yield data, key
            yield from places(value)

    def change(name: str, data: Any) -> Any:
        if "header" in name or "summaries" in name or "start" in name:
            for holder, key in chance.sample(found := list(places(data)), min(3, len(found))):
                if chance.random() < 0.3 and isinstance(holder, dict):
                    holder.pop(key, None)
                else:
                    holder[key] = chance.choice(ODD)
        return data

    hold_all_commands_to_it(rewritten(whole, change, tmp_path / "odd.eval"), good, capsys)


def test_what_is_no_file_is_said_and_not_waited_for(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.eval").mkdir()
    (tmp_path / "empty.eval").touch()
    (tmp_path / "loop.eval").symlink_to(tmp_path / "loop.eval")
    (tmp_path / "gone.eval").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.eval")
    with zipfile.ZipFile(tmp_path / "other.eval", "w") as file:
        file.writestr("readme.txt", "a zip of somebody else's")
    for name in ("folder", "empty", "loop", "gone", "pipe", "other", "missing"):
        path = tmp_path / f"{name}.eval"
        status, error = said(capsys, "report", str(path))
        assert (status, f"{name}.eval" in error) == (2, True), (name, error)
        hold_all_commands_to_it(path, good, capsys)


def test_a_run_takes_no_harm_from_what_lies_in_its_log_directory(
    run: Run, whole: bytes, pytester: pytest.Pytester
) -> None:
    """A resumed run leaves damaged logs out and says so; a baseline that cannot be read is a usage error."""
    logs = pytester.mkdir("logs")
    asked = ("--k=1", "--agent-log-dir=logs", "--agent-model=agenteval/oracle")
    run(SUITE, *asked, model=None)
    rewritten(whole, with_header(k="many"), logs / "bad.eval")
    (logs / "cut.eval").write_bytes(whole[: len(whole) // 2])
    again = run(SUITE, *asked, "--agent-sandbox=local", "--agent-resume", model=None)
    again.stdout.fnmatch_lines(["*bad.eval cannot be read*k is 'many' in its header*", "*cut.eval cannot be read*"])
    refused = run(SUITE, *asked, "--agent-sandbox=local", "--agent-baseline=logs/bad.eval", model=None)
    assert refused.ret == 4
    assert "bad.eval cannot be read" in "".join(refused.errlines)
