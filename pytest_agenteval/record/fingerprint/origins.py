"""Where a test's fixtures come from: files of the suite, or plugins of some version."""

# ruff: noqa: PTH100, PTH110 (paths are text, as in reachable)
from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.record.fingerprint.reachable import Root
from pytest_agenteval.record.fingerprint.source import file_digest

__all__ = ["Origins", "file_of", "origins", "version_of"]

_LEFT_OUT = frozenset({"_pytest", "pytest", __name__.partition(".")[0]})
"""The versions of pytest and of this plugin say nothing about the test."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Where fixtures come from."""

    files: frozenset[str]
    """Files of the suite."""
    foreign: tuple[str, ...]
    """Module and version of the fixtures from elsewhere."""
    doubts: tuple[str, ...]


def origins(fixtures: Iterable[Callable[..., Any]], root: Root) -> Origins:
    """The origins of these fixture functions."""
    files, foreign, doubts = set(), set(), set()
    for fixture in fixtures:
        module, file = _module(fixture), file_of(fixture)
        if module.partition(".")[0] in _LEFT_OUT:
            continue
        if file is not None and (own := root.place(file)) is not None:
            files.add(own)
        elif version := version_of(module.partition(".")[0]) or (file and file_digest(file)):
            foreign.add(f"{module} {version}")
        else:
            foreign.add(module)
            doubts.add(f"a fixture comes from {module}, whose version is not known")
    return Origins(frozenset(files), tuple(sorted(foreign)), tuple(sorted(doubts)))


def file_of(function: Callable[..., Any]) -> str | None:
    """The absolute path of the file in which a callable is written; None if there is none."""
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    code = getattr(inner, "__code__", None)
    name = code.co_filename if code is not None else getattr(sys.modules.get(_module(inner)), "__file__", None)
    path = None if name is None else os.path.abspath(name)
    return path if path is not None and os.path.exists(path) else None


def _module(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__module__", None) or type(function).__module__


@functools.cache
def version_of(package: str) -> str | None:
    """The versions of the distributions that provide a package; None if it was not installed."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(package, ())
    return ", ".join(sorted({f"{name} {metadata.version(name)}" for name in names})) or None
