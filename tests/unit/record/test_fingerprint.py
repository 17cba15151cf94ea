from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.made_suites import MadeSuite, function_in

from pytest_agenteval.record.fingerprint import conftests_above
from pytest_agenteval.record.stored import differences

BODY, CONFTEST, MODULE, FILE = (
    "the test's body",
    "a conftest.py above it",
    "a suite module it imports",
    "a file it declares",
)

SUITE = '''"""Tasks about sums."""
import pytest
from helpers import marked, prompt

pytestmark = pytest.mark.agent_task(time_limit=120)
LIMIT = 3

@pytest.fixture
def test_data():
    return "1 2"

def total(numbers):
    """Adds."""
    return sum(numbers)  # in floats

@marked(4)
async def test_it(agent, test_data, limit=LIMIT):
    """Add up."""
    answer = await agent.run(prompt("add"))
    # the sum
    assert answer == total([1, 2])

def test_other(agent):
    """Another task."""
    import json
    # a comment in another test
    assert agent

class TestOther:
    size = 1

    def test_in_class(self):
        assert self.size
'''

FILES = {
    "test_suite.py": SUITE,
    "conftest.py": "import pytest\n\n@pytest.fixture\ndef agent():\n    return 1  # an agent\n",
    "helpers.py": "def prompt(word):\n    return word  # as is\n\ndef marked(number):\n    return lambda test: test\n",
    "data/case.json": "{}",
}


@pytest.fixture
def suite(tmp_path: Path) -> MadeSuite:
    return MadeSuite(tmp_path, FILES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('prompt("add")', 'prompt("add up")'),
        ('"""Add up."""', '"""Add it up."""'),
        ("@marked(4)", "@marked(5)"),
        ("@marked(4)", "@pytest.mark.xfail\n@marked(4)"),
        ("limit=LIMIT", "limit=2"),
        ("async def test_it", "def test_it"),
        ("total([1, 2])", "total([1, 2.0])"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("return sum(numbers)", "return sum(numbers) + 1"),
        ('"""Adds."""', '"""Adds up."""'),
        ('return "1 2"', 'return "1 3"'),
        ("time_limit=120", "time_limit=121"),
        ("import pytest\n", "import pytest\nimport os\n"),
        ("Tasks about sums.", "Tasks about products."),
    ],
)
def test_of_its_own_module_this_changes_the_body(suite: MadeSuite, old: str, new: str) -> None:
    assert suite.changed_by("test_suite.py", old, new) == (BODY,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment in another test", "# another comment in another test"),
        ("    # a comment in another test\n    assert agent", "    assert not agent"),
        ("Another task.", "Quite another task."),
        ("import json", "import helpers_of_the_other"),
        ("import json", "exec(agent)"),
        ("def test_other(agent)", "@pytest.mark.agent_task(files=['x'])\nasync def test_renamed(agent, sandbox)"),
        ("def test_other", "def test_new(agent):\n    assert 0\n\ndef test_other"),
        ("size = 1", "size = 2"),
        ("class TestOther", "class TestRenamed(object)"),
        ("    # the sum\n", ""),
        ("  # in floats", "\n    # in floats"),
        ("total([1, 2])", "(total(\n        [1,\n         2]))"),
        ('prompt("add")', "prompt('add')"),
    ],
)
def test_of_its_own_module_this_changes_nothing(suite: MadeSuite, old: str, new: str) -> None:
    suite.write({"helpers_of_the_other.py": "import importlib\nimportlib.import_module(str())\n"})
    assert suite.changed_by("test_suite.py", old, new) == ()


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("helpers.py", "return word", "return word * 2", (MODULE,)),
        ("helpers.py", "# as is", "# unchanged", ()),
        ("conftest.py", "return 1", "return 2", (CONFTEST,)),
        ("conftest.py", "# an agent", "# the agent", ()),
        ("data/case.json", "{}", "[]", (FILE,)),
    ],
)
def test_of_other_files_this_changes(suite: MadeSuite, name: str, old: str, new: str, changed: tuple[str, ...]) -> None:
    assert suite.changed_by(name, old, new, files=["data/*.json"]) == changed


def test_a_file_that_no_test_declares_or_imports_does_not_count(suite: MadeSuite) -> None:
    suite.write({"test_elsewhere.py": "def test_it():\n    pass\n"})
    assert suite.changed_by("data/case.json", "{}", "[]") == ()
    assert suite.changed_by("test_elsewhere.py", "pass", "import helpers") == ()


def test_a_suite_is_the_same_in_another_checkout(suite: MadeSuite, tmp_path: Path) -> None:
    shutil.copytree(tmp_path, tmp_path.parent / "elsewhere")
    other = MadeSuite(tmp_path.parent / "elsewhere", {})
    assert other.parts(files=["data"]) == suite.parts(files=["data"])
    (tmp_path.parent / "linked").symlink_to(tmp_path)
    linked = MadeSuite(tmp_path.parent / "linked", {})
    assert linked.parts(files=["data"]) == suite.parts(files=["data"])


@pytest.mark.parametrize(
    ("old", "new", "files"),
    [("helpers.py", "helper.py", ()), ("data/case.json", "data/other.json", ["data"])],
)
def test_a_renamed_file_is_a_change(suite: MadeSuite, old: str, new: str, files: Any) -> None:
    before = suite.parts(files=files)
    (suite.root / old).rename(suite.root / new)
    assert differences(before, suite.parts(files=files)) != ()


def test_a_conftest_in_a_nearer_folder_counts_and_one_in_another_folder_does_not(tmp_path: Path) -> None:
    suite = MadeSuite(tmp_path, {"a/b/test_suite.py": "def test_it(): ..."}, "a/b/test_suite.py::test_it")
    before = suite.parts()
    suite.write({"c/conftest.py": "X = 1", "a/b/c/conftest.py": "X = 1"})
    assert differences(before, suite.parts()) == ()
    suite.write({"a/conftest.py": "X = 1"})
    assert differences(before, suite.parts()) == (CONFTEST,)
    assert conftests_above(tmp_path / "a/b/test_suite.py", tmp_path) == (tmp_path / "a/conftest.py",)


CLASSES = """
from bases import Base

class TestBase:
    shared = 1

    def test_it(self):
        assert self.shared

    def test_next(self):
        assert not self.shared

@decorated
class TestIt(Base, TestBase, size=1):
    word = "a"

    def ask(self):
        return self.word

    def test_it(self):
        assert self.ask() == "a"

    def test_other(self):
        assert 1

    class TestInner:
        depth = 2

        def test_it(self):
            assert 2

class TestHeir(TestBase):
    own = 1

class TestFar(Base):
    pass
"""
BASES = "class Base:\n    def help(self):\n        return 1\n\n    def test_far(self):\n        assert 2\n"


@pytest.mark.parametrize(
    ("test", "old", "new", "changed"),
    [
        ("TestIt::test_it", 'self.ask() == "a"', 'self.ask() == "b"', (BODY,)),
        ("TestIt::test_it", 'word = "a"', 'word = "b"', (BODY,)),
        ("TestIt::test_it", "return self.word", "return self.word * 2", (BODY,)),
        ("TestIt::test_it", "size=1", "size=2", (BODY,)),
        ("TestIt::test_it", "@decorated", "@decorated(1)", (BODY,)),
        ("TestIt::test_it", "shared = 1", "shared = 2", (BODY,)),
        ("TestIt::test_it", "assert 1", "assert 3", ()),
        ("TestIt::test_it", "assert 2", "assert 3", ()),
        ("TestIt::test_it", "depth = 2", "depth = 3", ()),
        ("TestIt::test_it", "own = 1", "own = 2", ()),
        ("TestIt::test_it", "assert not self.shared", "assert 3", ()),
        ("TestIt::TestInner::test_it", "depth = 2", "depth = 3", (BODY,)),
        ("TestIt::TestInner::test_it", "assert 2", "assert 3", (BODY,)),
        ("TestIt::TestInner::test_it", "assert 1", "assert 3", ()),
        ("TestHeir::test_it", "own = 1", "own = 2", (BODY,)),
        ("TestHeir::test_it", "shared = 1", "shared = 2", (BODY,)),
        ("TestHeir::test_it", "assert self.shared", "assert 3", (BODY,)),
        ("TestHeir::test_it", "assert not self.shared", "assert 3", ()),
        ("TestHeir::test_it", 'word = "a"', 'word = "b"', ()),
    ],
)
def test_of_classes_this_changes(tmp_path: Path, test: str, old: str, new: str, changed: tuple[str, ...]) -> None:
    suite = MadeSuite(tmp_path, {"test_suite.py": CLASSES, "bases.py": BASES}, f"test_suite.py::{test}")
    assert suite.changed_by("test_suite.py", old, new) == changed


def test_a_test_that_a_class_inherits_from_another_module_changes_with_that_module(tmp_path: Path) -> None:
    suite = MadeSuite(tmp_path, {"test_suite.py": CLASSES, "bases.py": BASES}, "test_suite.py::TestFar::test_far")
    inherited = function_in(tmp_path / "bases.py")
    assert suite.changed_by("bases.py", "assert 2", "assert 3", function=inherited) == (MODULE,)
    assert suite.changed_by("bases.py", "return 1", "return 2", function=inherited) == (MODULE,)


def test_a_test_that_another_one_uses_counts_for_that_one(tmp_path: Path) -> None:
    text = """
def test_base(): return 1
def test_alone(): return 2
def test_marked(): return 3
test_marked.__test__ = False
def test_it(request):
    test_base()
    request.getfixturevalue("test_named")
def test_named(): return 4
"""
    suite = MadeSuite(tmp_path, {"test_suite.py": text})
    assert suite.changed_by("test_suite.py", "return 1", "return 0") == (BODY,)
    assert suite.changed_by("test_suite.py", "return 2", "return 0") == ()
    assert suite.changed_by("test_suite.py", "return 3", "return -1") == (BODY,)
    assert suite.changed_by("test_suite.py", "return 4", "return -2") == (BODY,)


def test_differences_name_what_changed_appeared_or_went() -> None:
    assert differences({}, {}) == ()
    assert differences({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == ("c", "d", "a")


def test_reformatting_a_suite_changes_nothing(suite: MadeSuite) -> None:
    before = suite.parts()
    for name in ("test_suite.py", "helpers.py", "conftest.py"):
        text = (suite.root / name).read_text()
        suite.write({name: ast.unparse(ast.parse(text))})
        assert (suite.root / name).read_text() != text
    assert suite.parts() == before
