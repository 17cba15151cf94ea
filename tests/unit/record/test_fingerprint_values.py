from __future__ import annotations

import array
import enum
import functools
import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.made_suites import MadeSuite, function_in

from pytest_agenteval.record.stored import differences

VALUE, PLUGIN, MODULE = "a parameter's value", "a plugin whose fixture it uses", "a suite module it imports"


@pytest.fixture
def suite(tmp_path: Path) -> MadeSuite:
    return MadeSuite(tmp_path, {"test_suite.py": "def test_it(): ...\n"})


class Plain:
    pass


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Case:
    words: set[str]
    made: Any = field(default=1, repr=False)


PLAIN = f"it holds a {__name__}.Plain without a __repr__ of its own"


class Loud:
    def __repr__(self) -> str:
        raise RuntimeError("no text today")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2), (1, 1.0), (1, True), ("1", 1), ("a", b"a"), (None, "None"), ([1], (1,)), ([1], [1, 1]),
        ({"a": 1}, {"a": 2}),
        ({1}, {2}), ({1}, frozenset({1})), (math.sin, math.cos), (Plain, Colour), (Colour.RED, Colour.BLUE),
        (Pair(1, 2), (1, 2)), (Case({"a"}), Case({"b"})), (Case({"a"}), Case({"a"}, made=2)),
        (re.compile("a"), re.compile("a", re.I)),
        (re.compile("a" * 500), re.compile("a" * 501)),
        (functools.partial(int, base=2), functools.partial(int, base=3)),
        (Path("a"), "a"), (np.array([1, 2]), np.array([1, 3])), ([{"a": (1, [Plain])}], [{"a": (1, [Colour])}]),
        ("x at 0x7f", "x at 0x80"), ("wait ...", "wait ... "), (json, re), (Case({1}).__repr__, Case({2}).__repr__),
    ],
)  # fmt: skip
def test_another_value_is_a_change(suite: MadeSuite, one: Any, other: Any) -> None:
    before = suite.parts(parameters={"x": one})
    assert differences(before, suite.parts(parameters={"x": one})) == ()
    assert differences(before, suite.parts(parameters={"x": other})) == (VALUE,)


def test_another_name_is_a_change_and_another_order_is_none(suite: MadeSuite) -> None:
    before = suite.parts(parameters={"x": 1, "y": 2})
    assert suite.parts(parameters={"y": 2, "x": 1}) == before
    assert differences(before, suite.parts(parameters={"x": 1, "z": 2})) == (VALUE,)
    assert differences(before, suite.parts()) == (VALUE,)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Plain(), PLAIN),
        ([{"deep": (Plain(),)}], PLAIN),
        (Case({"a"}, made=Plain()), PLAIN),
        (functools.partial(print, Plain()), PLAIN),
        (Plain().__init__, "it holds a"),
        (np.arange(5_000), "the text of a numpy.ndarray leaves something out"),
        (Loud(), "no text today"),
    ],
)
def test_a_value_without_a_stable_text_is_a_doubt(suite: MadeSuite, value: Any, why: str) -> None:
    (doubt,) = suite.fingerprint(parameters={"good": 1, "case": value}).doubts
    assert doubt.startswith(f"the value of the parameter case has no text that can be compared ({why}")


def test_a_value_that_holds_itself_is_a_doubt(suite: MadeSuite) -> None:
    value: list[Any] = []
    value.append(value)
    assert len(suite.fingerprint(parameters={"x": value}).doubts) == 1


def test_arrays_of_the_standard_library_have_a_text(suite: MadeSuite) -> None:
    assert suite.parts(parameters={"x": array.array("i", [1])}) != suite.parts(parameters={"x": array.array("i", [2])})


def test_paths_of_the_suite_are_the_same_in_another_checkout(tmp_path: Path) -> None:
    one, other = (MadeSuite(tmp_path / name, {"test_suite.py": "def test_it(): ...\n"}) for name in "ab")
    parts = [each.parts(parameters={"case": each.root / "cases/1.json"}) for each in (one, other)]
    assert parts[0] == parts[1]
    assert one.parts(parameters={"case": PurePosixPath("/etc")}) != one.parts(
        parameters={"case": PurePosixPath("/usr")}
    )


SAY = """
import sys
from pytest_agenteval.record.fingerprint.values import texts_of
from dataclasses import dataclass
@dataclass
class Case:
    words: set
words = {"one", "two", "three", "four", "five"}
print(texts_of({"x": words, "y": Case(words), "z": frozenset(words)}, "/"))
"""


def test_sets_have_the_same_text_in_every_process() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", SAY], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(said) == 1


def test_fixtures_of_plugins_count_by_module_and_version(suite: MadeSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    from anyio import pytest_plugin as anyio_plugin

    from pytest_agenteval.record.fingerprint import origins

    before = suite.parts()
    using = suite.parts(fixtures=[anyio_plugin.pytest_configure])
    assert differences(before, using) == (PLUGIN,)
    monkeypatch.setattr(metadata, "version", {"anyio": "99.1"}.__getitem__)
    origins.version_of.cache_clear()
    try:
        assert differences(using, suite.parts(fixtures=[anyio_plugin.pytest_configure])) == (PLUGIN,)
    finally:
        origins.version_of.cache_clear()


def test_fixtures_of_pytest_and_of_this_plugin_do_not_count(suite: MadeSuite) -> None:
    from _pytest.capture import CaptureFixture
    from _pytest.tmpdir import get_user_id

    from pytest_agenteval.plugin import pytest_addoption

    ours = [CaptureFixture, get_user_id, pytest_addoption, pytest.fixture]
    assert suite.parts(fixtures=ours) == suite.parts()


def test_fixtures_of_the_suite_that_nothing_imports_count_as_modules(suite: MadeSuite) -> None:
    suite.write({"plugged/fixtures.py": "import deeper\n", "plugged/deeper.py": ""})
    fixtures = [function_in(suite.root / "plugged/fixtures.py"), function_in(suite.root / "test_suite.py")]
    assert differences(suite.parts(), suite.parts(fixtures=fixtures)) == (MODULE,)
    assert suite.changed_by("plugged/fixtures.py", "deeper", "deeper as x", fixtures=fixtures) == (MODULE,)
    before = suite.parts(fixtures=fixtures)
    suite.write({"plugged/deeper.py": "x = 1"})
    assert differences(before, suite.parts(fixtures=fixtures)) == (MODULE,)


def test_a_plugin_that_is_not_installed_counts_by_its_source(tmp_path: Path) -> None:
    suite = MadeSuite(tmp_path / "root", {"test_suite.py": "def test_it(): ...\n"})
    loose = tmp_path / "loose.py"
    loose.write_text("x = 1")
    fixture = function_in(loose)
    fixture.__module__ = "a_loose_plugin"
    before = suite.parts(fixtures=[fixture])
    loose.write_text("x = 12")
    assert differences(before, suite.parts(fixtures=[fixture])) == (PLUGIN,)
    loose.unlink()
    assert suite.fingerprint(fixtures=[fixture]).doubts == (
        "a fixture comes from a_loose_plugin, whose version is not known",
    )
