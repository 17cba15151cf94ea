"""Fixtures and marks that attempts cannot share, by the plugin that provides them, and what to use instead.

Attempts of all tasks run at the same time in one process. The module of a definition decides, not its name: a suite's
own fixture called `settings` is allowed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = ["MARKS", "is_foreign", "named_by_user", "package_of", "why_not_shared", "why_soft_checks"]

_STATE = (
    "changes process-wide state{by}, and attempts of agent tasks run at the same time in one process: do without it "
    "here, for example by values in the prompt, by files in the sandbox or by `sandbox.exec(..., env={{...}})`"
)
_OUTCOME = (
    "reports to pytest past the k attempts of the task{by}, so no attempt would fail by it: use `assert`, or make each "
    "case a task with pytest.mark.parametrize"
)
_DATABASE = (
    "uses one database connection for all attempts{by}, which run at the same time: give each attempt a database in "
    "its sandbox, or prepare data once in a wider-scoped fixture (django_db_setup and django_db_blocker)"
)
_TRIO = "needs trio{by}, and agent tasks run on asyncio: do without it here"

_FIXTURES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "_pytest": {
        _STATE: (
            "monkeypatch", "capsys", "capsysbinary", "capfd", "capfdbinary", "capteesys", "caplog", "recwarn",
            "pytester", "testdir",
        ),
        _OUTCOME: ("subtests",),
    },
    "pytest_subtests": {_OUTCOME: ("subtests",)},
    "pytest_mock": {_STATE: ("mocker",)},
    "pytest_benchmark": {_STATE: ("benchmark", "benchmark_weave")},
    "pytest_freezer": {_STATE: ("freezer",)},
    "pytest_freezegun": {_STATE: ("freezer",)},
    "time_machine": {_STATE: ("time_machine",)},
    "pytest_httpx": {_STATE: ("httpx_mock",)},
    "requests_mock": {_STATE: ("requests_mock",)},
    "respx": {_STATE: ("respx_mock",)},
    "pytest_socket": {_STATE: ("socket_disabled", "socket_enabled")},
    "pytest_subprocess": {_STATE: ("fp", "fake_process")},
    "pyfakefs": {_STATE: ("fs",)},
    "pytest_django": {
        _STATE: ("settings", "mailoutbox"),
        _DATABASE: (
            "_django_db_helper", "db", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback",
        ),
    },
    "pytest_trio": {_TRIO: ("nursery", "mock_clock", "autojump_clock")},
}  # fmt: skip

_SOFT_CHECKS = {"pytest_check": "pytest-check", "pytest_assume": "pytest-assume"}
"""By package."""

MARKS: Mapping[str, str] = {
    "trio": "agent tasks run on asyncio, not on trio: leave out the mark trio",
    "django_db": f"the mark django_db {_DATABASE.format(by='')}",
}
"""Marks that no agent task may have, and why."""


def why_not_shared(name: str, func: Callable[..., Any], through: str | None) -> str | None:
    """Why attempts cannot use a fixture, in a sentence; None if they can.

    Args:
        name: the fixture's name.
        func: the fixture's function.
        through: the fixture that requests it, or None if the test does.
    """
    package = package_of(func)
    for why, names in _FIXTURES.get(package, {}).items():
        if name in names:
            return _told(name, why, "" if package == "_pytest" else f" of {package}", through)
    return None


def named_by_user(name: str, through: str | None) -> str:
    """Why a fixture is refused if the user listed it with `--agent-unsafe-fixture`."""
    return _told(name, _STATE, "", through)


def why_soft_checks(test: Callable[..., Any], fixtures: Iterable[object]) -> str | None:
    """Why a test cannot use a library that collects failures for the process, in a sentence; None where it uses none.

    Args:
        test: its function.
        fixtures: the functions of the fixtures that attempts set up.
    """
    names = test.__code__.co_names if inspect.isfunction(test) else ()
    used = [*fixtures, *(test.__globals__.get(name) for name in names)]
    found = [_soft_checks(each) for each in used]
    found += ["pytest-assume"] * ("assume" in names and hasattr(pytest, "assume"))
    library = next(filter(None, found), None)
    if library is None:
        return None
    return (
        f"{library} keeps failed checks in one list for the whole process and fails the test when pytest "
        "reports it, and attempts of agent tasks run at the same time: use assert here, or collect what is "
        "wrong in a list of the test's own and assert that it is empty"
    )


def _soft_checks(value: object) -> str | None:
    """The library of soft checks that a function, a module or an object comes from; None where it is none."""
    home = getattr(value, "__module__", None) or getattr(type(value), "__module__", "")
    home = getattr(value, "__name__", "") if inspect.ismodule(value) else home
    return _SOFT_CHECKS.get(str(home).partition(".")[0])


def package_of(func: Callable[..., Any]) -> str:
    """The package that defines a fixture."""
    return str(getattr(func, "__module__", "")).partition(".")[0]


def is_foreign(func: Callable[..., Any], root: Path) -> bool:
    """Whether an installed plugin defines a fixture, rather than the suite itself or pytest.

    Args:
        func: the fixture's function.
        root: pytest's rootdir.
    """
    code = getattr(func, "__code__", None)
    if code is None or package_of(func) == "_pytest":
        return False
    file = Path(code.co_filename)
    return not file.is_relative_to(root) or not {"site-packages", "dist-packages"}.isdisjoint(file.parts)


def _told(name: str, why: str, of: str, through: str | None) -> str:
    asked_by = f" (fixture {through!r} asks for it)" if through else ""
    return f"fixture {name!r}{of} {why.format(by=asked_by)}"
