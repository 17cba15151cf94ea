from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.made_suites import MadeSuite, function_in

from pytest_agenteval.record.fingerprint import declared_files, fingerprint
from pytest_agenteval.record.fingerprint.source import read_source
from pytest_agenteval.record.stored import differences

BODY, MODULE, FILE = "the test's body", "a suite module it imports", "a file it declares"


@pytest.fixture
def suite(tmp_path: Path) -> MadeSuite:
    text = "from helpers import prompt\n\ndef test_it(agent):\n    agent.run(prompt(1))\n"
    helpers = "def prompt(word):\n    return word\n"
    return MadeSuite(tmp_path, {"test_suite.py": text, "helpers.py": helpers, "data/case.json": "{}"})


REAL = """
import functools

def kept(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

def lost(function):
    def wrapper(*args):
        return function(*args)
    return wrapper

@kept
def test_kept(): pass

@lost
def test_lost(): pass

class TestBase:
    def test_it(self): pass

class TestHeir(TestBase):
    own = 1
"""


def test_a_function_tells_where_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = MadeSuite(tmp_path, {"real_suite.py": REAL})
    spec = importlib.util.spec_from_file_location("real_suite", tmp_path / "real_suite.py")
    assert spec is not None and spec.loader is not None
    real_suite = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "real_suite", real_suite)
    spec.loader.exec_module(real_suite)

    def told(function: Any) -> Any:
        return fingerprint(function, rootdir=tmp_path, conftests=())

    assert told(real_suite.test_kept) == suite.fingerprint("real_suite.py::test_kept")
    assert told(real_suite.TestBase().test_it) == suite.fingerprint("real_suite.py::TestBase::test_it")
    heir = told(real_suite.TestHeir().test_it)
    assert heir == suite.fingerprint("real_suite.py::TestHeir::test_it")
    suite.edit("real_suite.py", "own = 1", "own = 2")
    assert differences(heir.parts, told(real_suite.TestHeir().test_it).parts) == (BODY,)
    assert told(real_suite.test_lost).doubts == (
        "the source of lost.<locals>.wrapper was not found in real_suite.py or what it imports",
    )
    assert suite.fingerprint("real_suite.py::test_lost", function=real_suite.test_lost).doubts == ()


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("def test_it(:\n", "test_suite.py:1 cannot be read as Python (invalid syntax)"),
        ("x = '\0'\ndef test_it(): ...\n", "test_suite.py"),
        ("def test_it():\n    exec('1')\n", "test_suite.py:2 runs code that cannot be read beforehand (exec)"),
        ("def test_other(): ...\n", "the source of test_it was not found in test_suite.py or what it imports"),
    ],
)
def test_what_cannot_be_read_of_a_test_is_a_doubt(tmp_path: Path, text: str, doubt: str) -> None:
    suite = MadeSuite(tmp_path, {"test_suite.py": text})
    doubts = suite.fingerprint(function=function_in(Path(__file__))).doubts
    assert doubts and doubts[0].startswith(doubt)


def test_a_source_file_that_cannot_be_opened_is_a_doubt(tmp_path: Path) -> None:
    suite = MadeSuite(tmp_path, {"conftest.py": "X = 1"})
    assert "test_suite.py cannot be read (No such file or directory)" in suite.fingerprint().doubts
    (tmp_path / "conftest.py").unlink()
    path = tmp_path / "test_suite.py"
    path.write_text("def test_it(): ...")
    gone = fingerprint(
        function_in(path), rootdir=tmp_path, conftests=[tmp_path / "conftest.py"], file=path, name="test_it"
    )
    assert gone.doubts == ("conftest.py cannot be read (No such file or directory)",)


def test_a_file_that_cannot_be_parsed_is_known_by_its_text(tmp_path: Path) -> None:
    suite = MadeSuite(tmp_path, {"test_suite.py": "import broken\ndef test_it(): ...\n", "broken.py": "def f(:\n"})
    before = suite.fingerprint()
    assert before.doubts == ("broken.py:1 cannot be read as Python (invalid syntax)",)
    suite.edit("broken.py", "f(:", "g(:")
    assert differences(before.parts, suite.fingerprint().parts) == (MODULE,)


def test_a_suite_outside_the_root_directory_is_a_doubt(tmp_path: Path) -> None:
    suite = MadeSuite(tmp_path, {"a/test_suite.py": "import helpers\ndef test_it(): ...\n", "b/conftest.py": ""})
    path = suite.root / "a/test_suite.py"
    found = fingerprint(function_in(path), rootdir=tmp_path / "b", conftests=(), file=path, name="test_it")
    assert any("is no file of the suite" in doubt for doubt in found.doubts)


def test_source_with_invalid_escapes_raises_no_warning(tmp_path: Path) -> None:
    MadeSuite(tmp_path, {"test_suite.py": "def test_it():\n    assert '\\d'\n"}).parts()


def test_declared_files_are_paths_globs_and_folders(tmp_path: Path) -> None:
    names = ["a.txt", "b[1].txt", "in/c.txt", "in/deep/d.txt", "in/.hidden", "in/__pycache__/c.pyc", "e.json"]
    MadeSuite(tmp_path, dict.fromkeys(names, ""))

    def found(*patterns: str) -> list[str]:
        return [str(file.relative_to(tmp_path)) for file in declared_files(patterns, tmp_path)]

    assert found("a.txt") == ["a.txt"]
    assert found("b[1].txt", "e.json", "a.txt", "*.txt") == ["a.txt", "b[1].txt", "e.json"]
    assert found("in") == ["in/c.txt", "in/deep/d.txt"] == found("in/**") == found("i*")
    assert found("in/.hidden") == ["in/.hidden"]
    assert found(str(tmp_path / "*.json")) == ["e.json"]
    assert declared_files(["../a.txt"], tmp_path / "in") == (tmp_path / "a.txt",)
    with pytest.raises(ValueError, match=r"agent_task\(files=\['\*\.csv'\]\) means no file: give a path or a glob in "):
        declared_files(["a.txt", "*.csv"], tmp_path)


def test_a_declared_file_that_is_missing_is_a_doubt_in_the_same_words(suite: MadeSuite) -> None:
    (doubt,) = suite.fingerprint(files=["data", "gone.json"]).doubts
    assert doubt.startswith("agent_task(files=['gone.json']) means no file")


def test_a_declared_file_counts_by_name_and_content(suite: MadeSuite) -> None:
    before = suite.parts(files=["data"])
    suite.write({"data/more.json": ""})
    assert differences(before, suite.parts(files=["data"])) == (FILE,)
    assert suite.parts(files=["data", "data/*.json"]) == suite.parts(files=["data"])


def test_a_file_is_read_again_only_when_it_has_changed(suite: MadeSuite) -> None:
    path = suite.root / "helpers.py"
    os.utime(path, (1, 1))
    first = read_source(str(path))
    assert read_source(str(path)) is first
    before = suite.parts()
    suite.edit("helpers.py", "return word", "return 1234")
    os.utime(path, (2, 2))
    assert differences(before, suite.parts()) == (MODULE,)


def test_a_file_that_changed_twice_within_one_tick_of_the_clock_is_read_twice(suite: MadeSuite) -> None:
    path = suite.root / "helpers.py"
    now = time.time_ns()
    digests = set()
    for number in "123":
        path.write_text(f"X = {number}")
        os.utime(path, ns=(now, now))
        digests.add(read_source(str(path)).code.digest)
    assert len(digests) == 3
