"""Which files of the suite an import may load: the static import graph below the root directory."""

# ruff: noqa: PTH100, PTH109, PTH119, PTH120 (paths are text for speed: a thousand tests mean a hundred thousand
# look-ups)
from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_agenteval.record.fingerprint.source import ByFile, read_source, stamp
from pytest_agenteval.record.fingerprint.syntax import Code, Import

__all__ = ["Reached", "Root", "reached", "sentences"]

_PLUGIN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class Root:
    """The root directory. What lies below it belongs to the suite, except for packages installed there."""

    folder: str
    """Absolute."""

    def place(self, path: str) -> str | None:
        """The path, if it lies below the root directory (symbolic links resolved); None if it is not the suite's."""
        return _place(self.folder, path)

    def name(self, path: str) -> str:
        """The file's name in reports: relative to the root directory, with `/`."""
        return os.path.relpath(path, self.folder).replace(os.sep, "/")

    def above(self, path: str) -> Iterator[str]:
        """The folders from the file's own up to the root directory."""
        folder = os.path.dirname(path)
        while _below(self.folder, folder):
            yield folder
            if folder == self.folder:
                return
            folder = os.path.dirname(folder)


@dataclass(frozen=True, slots=True)
class Reached:
    """What the imports of some files reach, without those files."""

    digests: Mapping[str, str]
    """By the file's name."""
    files: frozenset[str]
    doubts: tuple[str, ...]
    """One sentence each."""


def reached(starts: Mapping[str, frozenset[Import]], whole: Iterable[str], root: Root) -> Reached:
    """Follow imports to every file of the suite.

    A name is looked up in the importing file's folder, the folders above it, the root directory and its `src`, and the
    parts of `sys.path` below the root. Every file that it may mean counts: which one Python takes depends on the order
    in which pytest puts folders into `sys.path`.

    Args:
        starts: files below the root directory, each with those of its imports that count.
        whole: files that count with all their imports and belong to the result.
        root: what lies below it belongs to the suite.
    """
    paths = _search_paths(root, tuple(sys.path), os.getcwd())
    key = (tuple(starts.items()), tuple(whole), root.folder, paths)
    cached = _REACHED.get(key)
    if cached is None or any(stamp(path) != then for path, then in cached[0].items()):
        graph = _Graph(root, paths)
        result = graph.walk(starts, key[1])
        cached = _REACHED[key] = ({path: stamp(path) for path in graph.read}, result)
    return cached[1]


_REACHED: dict[object, tuple[dict[str, object], Reached]] = {}
"""Results, with the stamps of everything that was read for them."""


def sentences(name: str, codes: Iterable[Code]) -> Iterator[str]:
    """The doubts about the code in the file of that name."""
    for code in codes:
        for line, what in code.doubts:
            yield f"{name}:{line} {what}" if line else f"{name} {what}"


@lru_cache(maxsize=64)
def _search_paths(root: Root, entries: tuple[str, ...], here: str) -> tuple[str, ...]:
    below = (root.place(os.path.normpath(_join(here, entry))) for entry in entries)
    return tuple(dict.fromkeys(path for path in below if path is not None))


class _Graph:
    def __init__(self, root: Root, paths: tuple[str, ...]) -> None:
        self.root = root
        self.paths = paths
        self.read: set[str] = set()

    def walk(self, starts: Mapping[str, frozenset[Import]], whole: Iterable[str]) -> Reached:
        files: set[str] = set()
        todo = list(whole)
        for path, imports in starts.items():
            todo.extend(self.packages(path))
            todo.extend(self.loaded(path, imports))
        while todo:
            path = todo.pop()
            if path in files or path in starts or self.root.place(path) is None:
                continue
            files.add(path)
            self.read.add(path)
            todo.extend(self.packages(path))
            todo.extend(self.loaded(path, read_source(path).code.imports))
        names = {path: self.root.name(path) for path in sorted(files)}
        return Reached(
            {name: read_source(path).code.digest for path, name in names.items()},
            frozenset(files),
            tuple(doubt for path, name in names.items() for doubt in sentences(name, [read_source(path).code])),
        )

    def packages(self, path: str) -> Iterator[str]:
        """The `__init__.py` of each package that a file is in: Python runs them first."""
        for folder in self.root.above(path):
            if "__init__.py" not in self.listing(folder):
                return
            yield _join(folder, "__init__.py")

    def loaded(self, path: str, imports: Iterable[Import]) -> Iterator[str]:
        above = list(self.root.above(path))
        around = dict.fromkeys([*above, self.root.folder, _join(self.root.folder, "src"), *self.paths])
        for each in imports:
            bases = above[each.level - 1 : each.level] if each.level else around
            for base in bases:
                yield from self.module(base, each)

    def module(self, folder: str, wanted: Import) -> Iterator[str]:
        for part in filter(None, wanted.module.split(".")):
            inner = _join(folder, part)
            entries = self.listing(folder)
            package = "__init__.py" in self.listing(inner) if entries.get(part) else False
            if package:
                yield _join(inner, "__init__.py")
            elif f"{part}.py" in entries:
                yield f"{inner}.py"
                return
            elif not entries.get(part):
                return
            folder = inner
        names = set(wanted.names)
        if wanted.names and "__init__.py" in self.listing(folder):
            yield _join(folder, "__init__.py")
            if "*" in names:
                names |= read_source(_join(folder, "__init__.py")).exports
        for name in names - {"*"}:
            yield from self.module(folder, Import(0, name))

    def listing(self, folder: str) -> Mapping[str, bool]:
        self.read.add(folder)
        return _listing(folder)


def _list(folder: str) -> Mapping[str, bool]:
    """The names in a folder, and whether each is a folder; empty if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.is_dir() for entry in entries}
    except OSError:
        return {}


_listing = ByFile(_list)
_join = os.path.join


def _below(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


@lru_cache(maxsize=65_536)
def _place(root: str, path: str) -> str | None:
    if not _below(root, path):
        real_root, real = os.path.realpath(root), os.path.realpath(path)
        if not _below(real_root, real):
            return None
        path = os.path.normpath(_join(root, os.path.relpath(real, real_root)))
    folder = path
    while folder != root:
        installed = os.path.basename(folder) in _INSTALLED or "pyvenv.cfg" in _listing(folder)
        if installed or folder == _PLUGIN:
            return None
        folder = os.path.dirname(folder)
    return path
