from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.made_suites import MadeSuite

from pytest_agenteval.record.stored import differences

MODULE = "a suite module it imports"
TEST = "\ndef test_it():\n    pass\n"


def counting(suite: MadeSuite, *names: str) -> list[str]:
    """Which of these files count: a line more in them changes what the test is made of."""
    found = []
    for name in names:
        before = suite.parts()
        suite.write({name: (suite.root / name).read_text() + "\nmore = 1\n"})
        if changed := differences(before, suite.parts()):
            assert changed == (MODULE,)
            found.append(name)
    return found


LAYOUTS: Mapping[str, tuple[str, dict[str, str], list[str]]] = {
    "absolute imports, and what they import": (
        "test_suite.py",
        {"test_suite.py": "import one\nfrom two import x", "one.py": "import three as x", "two.py": "x = 1",
         "three.py": ""},
        ["one.py", "two.py", "three.py"],
    ),
    "a module that nothing imports": ("test_suite.py", {"test_suite.py": "", "one.py": ""}, []),
    "relative imports in packages": (
        "suite/inner/test_suite.py",
        {
            "suite/__init__.py": "", "suite/inner/__init__.py": "from . import side",
            "suite/inner/test_suite.py": "from . import near\nfrom ..far import x\nfrom .. import up\n"
             "from .deep.er import y",
            "suite/inner/near.py": "", "suite/inner/side.py": "", "suite/far.py": "x = 1",
            "suite/up.py": "from .inner import near",
            "suite/inner/deep/__init__.py": "", "suite/inner/deep/er.py": "y = 1", "suite/inner/unused.py": "",
            "suite/unused.py": "",
        },
        ["suite/__init__.py", "suite/inner/__init__.py", "suite/inner/near.py", "suite/inner/side.py", "suite/far.py",
         "suite/up.py", "suite/inner/deep/__init__.py", "suite/inner/deep/er.py"],
    ),
    "a name that is no module": (
        "test_suite.py",
        {"test_suite.py": "from package import name, module", "package/__init__.py": "name = 1",
         "package/module.py": "",
         "package/other.py": ""},
        ["package/__init__.py", "package/module.py"],
    ),
    "circular imports": (
        "test_suite.py",
        {"test_suite.py": "import one", "one.py": "import two\nimport test_suite", "two.py": "import one"},
        ["one.py", "two.py"],
    ),
    "star imports": (
        "test_suite.py",
        {"test_suite.py": "from helpers import *\nfrom package import *", "helpers.py": "from deeper import *",
         "deeper.py": "x = 1",
         "package/__init__.py": "__all__ = ['listed']", "package/listed.py": "", "package/unlisted.py": ""},
        ["helpers.py", "deeper.py", "package/__init__.py", "package/listed.py"],
    ),
    "namespace packages": (
        "test_suite.py",
        {"test_suite.py": "import space.one\nfrom space.inner import two\nfrom space import three",
         "space/one.py": "", "space/inner/two.py": "", "space/three.py": "", "space/unused.py": ""},
        ["space/one.py", "space/inner/two.py", "space/three.py"],
    ),
    "a namespace package in two folders": (
        "tests/test_suite.py",
        {"tests/test_suite.py": "import space.one, space.two", "tests/space/one.py": "", "src/space/two.py": ""},
        ["tests/space/one.py", "src/space/two.py"],
    ),
    "a package that shares its name with a module": (
        "test_suite.py",
        {"test_suite.py": "import helpers", "helpers.py": "", "helpers/__init__.py": ""},
        ["helpers/__init__.py"],
    ),
    "a module that shares its name with a folder": (
        "test_suite.py",
        {"test_suite.py": "import helpers", "helpers.py": "", "helpers/notes.py": ""},
        ["helpers.py"],
    ),
    "imports in functions and branches": (
        "test_suite.py",
        {"test_suite.py": "def help():\n    import one\nif 1:\n    import two\ntry:\n    import missing\n"
         "except ImportError:\n    import three",
         "one.py": "", "two.py": "", "three.py": ""},
        ["one.py", "two.py", "three.py"],
    ),
    "imports that only type checkers read": (
        "test_suite.py",
        {"test_suite.py": "import typing as t\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import one\n"
         "else:\n    import two\n"
                          "if t.TYPE_CHECKING:\n    from three import x\nif not TYPE_CHECKING:\n    import four",
         "one.py": "", "two.py": "", "three.py": "x = 1", "four.py": ""},
        ["two.py", "four.py"],
    ),
    "importlib by a literal name": (
        "suite/test_suite.py",
        {"suite/__init__.py": "",
         "suite/test_suite.py": "import importlib, pytest\nfrom importlib import import_module as load\n"
                                "importlib.import_module('one')\nload('package.two')\n__import__('three')\n"
                                "importlib.import_module('.four', package=__package__)\n"
                                 "importlib.import_module('.five', 'package.two')\n"
                                "importlib.import_module('..six', 'package.two')\npytest.importorskip('seven')",
         "one.py": "", "package/__init__.py": "", "package/two/__init__.py": "", "three.py": "", "suite/four.py": "",
         "package/two/five.py": "", "package/six.py": "", "seven.py": ""},
        ["suite/__init__.py", "one.py", "package/__init__.py", "package/two/__init__.py", "three.py", "suite/four.py",
         "package/two/five.py", "package/six.py", "seven.py"],
    ),
    "the project itself in src": (
        "tests/test_suite.py",
        {"tests/test_suite.py": "import project.core", "src/project/__init__.py": "",
         "src/project/core.py": "from project import more",
         "src/project/more.py": "", "src/project/unused.py": ""},
        ["src/project/__init__.py", "src/project/core.py", "src/project/more.py"],
    ),
    "a module of the suite with the name of an installed one": (
        "tests/test_suite.py",
        {"tests/test_suite.py": "import hypothesis, json_of_ours", "tests/hypothesis.py": "x = 1",
         "tests/json_of_ours.py": ""},
        ["tests/hypothesis.py", "tests/json_of_ours.py"],
    ),
    "a base class and a decorator from other modules": (
        "tests/test_suite.py",
        {"tests/test_suite.py": "from bases import Base\nfrom marks import mark\n@mark\nclass TestMore(Base):\n"
         "    pass",
         "tests/bases.py": "class Base:\n    def test_base(self): ...", "tests/marks.py": "from deeper import mark",
         "tests/deeper.py": "def mark(kind): return kind"},
        ["tests/bases.py", "tests/marks.py", "tests/deeper.py"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_modules_that_count(layout: str, tmp_path: Path) -> None:
    test, files, expected = LAYOUTS[layout]
    suite = MadeSuite(tmp_path, files | {test: files[test] + TEST}, f"{test}::test_it")
    assert sorted(counting(suite, *(name for name in files if name != test))) == sorted(expected)


SAY = """
import json, os, runpy, sys
root, folders, module = json.loads(sys.argv[1])
sys.path[:0] = folders
sys.dont_write_bytecode = True
try:
    loaded = __import__(module, fromlist=["x"])
    vars(loaded).get("help", int)()
finally:
    files = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    print(json.dumps([os.path.relpath(file, root) for file in files if file.startswith(root)]))
"""


def test_what_python_really_loads_counts(tmp_path: Path) -> None:
    """One process for all layouts would keep modules of the one for the next."""
    running = {}
    for number, (layout, (test, files, _)) in enumerate(LAYOUTS.items()):
        root = tmp_path / str(number)
        MadeSuite(root, files)
        package = (root / test).parent
        while (package / "__init__.py").exists():
            package = package.parent
        module = ".".join((root / test).relative_to(package).with_suffix("").parts)
        folders = [str(folder) for folder in (package, root, root / "src")]
        arguments = [sys.executable, "-c", SAY, json.dumps([str(root), folders, module])]
        running[layout] = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    for layout, process in running.items():
        test, _, expected = LAYOUTS[layout]
        out, _ = process.communicate()
        loaded = set(json.loads(out)) - {test}
        assert process.returncode == 0
        assert loaded == set(expected), layout


def test_conftests_are_followed_and_the_plugins_that_they_name(tmp_path: Path) -> None:
    suite = MadeSuite(
        tmp_path,
        {
            "conftest.py": "import top\npytest_plugins = ['plugged.fixtures']",
            "tests/conftest.py": "from helpers import x",
            "tests/test_suite.py": "pytest_plugins = 'alone'" + TEST,
            "top.py": "", "plugged/__init__.py": "", "plugged/fixtures.py": "", "tests/helpers.py": "x = 1",
            "alone.py": "",
        },
        "tests/test_suite.py::test_it",
    )  # fmt: skip
    files = ("top.py", "plugged/__init__.py", "plugged/fixtures.py", "tests/helpers.py", "alone.py")
    assert counting(suite, *files) == list(files)


def test_every_module_that_a_name_may_mean_counts(tmp_path: Path) -> None:
    files = {
        "a/b/test_suite.py": "import helpers" + TEST,
        "a/b/helpers.py": "",
        "a/helpers.py": "",
        "helpers.py": "",
        "c/helpers.py": "",
    }
    suite = MadeSuite(tmp_path, files, "a/b/test_suite.py::test_it")
    assert counting(suite, *list(files)[1:]) == ["a/b/helpers.py", "a/helpers.py", "helpers.py"]


def test_folders_of_sys_path_below_the_root_directory_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = MadeSuite(tmp_path / "root", {"test_suite.py": "import helpers, other" + TEST, "library/helpers.py": ""})
    (tmp_path / "other.py").write_text("")
    assert counting(suite, "library/helpers.py") == []
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "root" / "library"), str(tmp_path)])
    assert counting(suite, "library/helpers.py", "../other.py") == ["library/helpers.py"]


@pytest.mark.parametrize("home", ["lib/site-packages", "env"])
def test_what_is_installed_below_the_root_directory_does_not_count(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"test_suite.py": "import helpers" + TEST, f"{home}/helpers.py": "exec(x)", "env/pyvenv.cfg": "home = /usr"}
    suite = MadeSuite(tmp_path, files)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / home)])
    assert counting(suite, f"{home}/helpers.py") == []


def test_a_new_file_that_an_import_may_mean_counts(tmp_path: Path) -> None:
    suite = MadeSuite(
        tmp_path, {"test_suite.py": "try:\n    import late\nexcept ImportError: pass" + TEST, "old.py": ""}
    )
    for folder in (tmp_path, tmp_path.parent):
        os.utime(folder, (1, 1))
    before = suite.parts()
    suite.write({"late.py": "import old"})
    assert differences(before, suite.parts()) == (MODULE,)
    assert counting(suite, "old.py") == ["old.py"]


def test_an_import_in_another_test_is_not_followed(tmp_path: Path) -> None:
    text = "def test_other():\n    import one\n" + TEST.replace("pass", "import two")
    suite = MadeSuite(tmp_path, {"test_suite.py": text, "one.py": "exec(x)", "two.py": ""})
    assert counting(suite, "one.py", "two.py") == ["two.py"]
    assert suite.fingerprint("test_suite.py::test_other").doubts == (
        "one.py:1 runs code that cannot be read beforehand (exec)",
    )


def test_a_doubt_about_a_module_names_it_and_only_where_it_is_reached(tmp_path: Path) -> None:
    suite = MadeSuite(
        tmp_path,
        {
            "suite/test_suite.py": "import helpers" + TEST,
            "suite/helpers.py": "import importlib\n\ndef load(name):\n    return importlib.import_module(name)\n",
            "suite/unused.py": "exec(x)",
            "conftest.py": "__import__(x)",
        },
        "suite/test_suite.py::test_it",
    )
    assert suite.fingerprint().doubts == (
        "conftest.py:1 imports a module by a computed name",
        "suite/helpers.py:4 imports a module by a computed name",
    )


def test_the_plugin_itself_is_not_of_the_suite_also_below_the_root_directory(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    suite = MadeSuite(root, {}, "example_suites/quickstart/test_repair.py::test_it")
    text = (root / "example_suites/quickstart/test_repair.py").read_text()
    assert "from pytest_agenteval import" in text
    name = text.partition("def test_")[2].partition("(")[0]
    assert suite.fingerprint(f"example_suites/quickstart/test_repair.py::test_{name}").doubts == ()
