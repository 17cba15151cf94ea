"""A test's fingerprint: one digest for each part that the test consists of. And that of a module which a task names."""

# ruff: noqa: PTH100, PTH207 (paths are text, as in reachable; Path.glob takes no absolute patterns and finds hidden
# files)
from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from pytest_agenteval.record.fingerprint.origins import file_of, origins, version_of
from pytest_agenteval.record.fingerprint.reachable import Root, reached, sentences
from pytest_agenteval.record.fingerprint.source import Piece, Source, file_digest, read_source
from pytest_agenteval.record.fingerprint.syntax import Code, Import, digest_of
from pytest_agenteval.record.fingerprint.values import texts_of

__all__ = [
    "BODY", "CONFTEST", "FILES", "FOREIGN_FIXTURES", "MODULES", "PARAMETERS",
    "Fingerprint", "conftests_above", "declared_files", "fingerprint", "module_fingerprint",
]  # fmt: skip

BODY = "the test's body"
"""The test function with its decorators, its class, and everything in its module except other tests."""
CONFTEST = "a conftest.py above it"
MODULES = "a suite module it imports"
FILES = "a file it declares"
FOREIGN_FIXTURES = "a plugin whose fixture it uses"
PARAMETERS = "a parameter's value"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a test consists of."""

    parts: Mapping[str, str]
    """Digests (first 16 hexadecimal digits of a SHA-256) by part; a part's name is a noun that fits "... changed"."""
    doubts: tuple[str, ...] = ()
    """What the digests do not cover, one sentence each. With a doubt, no stored attempt matches the task."""


def conftests_above(file: Path, rootdir: Path) -> tuple[Path, ...]:
    """The conftest.py files from the root directory down to the test module's folder."""
    folders = [folder for folder in file.parents if folder.is_relative_to(rootdir)]
    return tuple(conftest for folder in reversed(folders) if (conftest := folder / "conftest.py").is_file())


def fingerprint(
    function: Callable[..., Any],
    *,
    rootdir: Path,
    conftests: Sequence[Path],
    files: Sequence[str | Path] = (),
    fixtures: Sequence[Callable[..., Any]] = (),
    parameters: Mapping[str, object] = MappingProxyType({}),
    file: Path | None = None,
    name: str | None = None,
) -> Fingerprint:
    """Read a test's source and what it reaches, each file once until it changes. What cannot be read becomes a doubt.

    Args:
        function: the test function; a method is bound to an instance.
        rootdir: source below it belongs to the suite, except for packages installed there.
        conftests: those that apply to the test, outermost first (`conftests_above`).
        files: the paths and globs that it declares, as for `declared_files`.
        fixtures: the functions of all fixtures that it uses.
        parameters: the values of its parameters by name.
        file: the test module that pytest collected; by default the file in which the function or its class is written.
        name: the test's name in that file, for example `TestRepair.test_adds`; by default the function's own, which a
            decorator may have changed.
    """
    root = Root(os.path.abspath(rootdir))
    test = _located(function, file, name, root)
    own = list(_counted(test)) if test.source.pieces else [test.source.code]
    above = {_placed(conftest, root): read_source(_placed(conftest, root)).code for conftest in conftests}
    given = origins(fixtures, root)

    starts = {path: code.imports for path, code in above.items()}
    starts[test.path] = frozenset[Import]().union(*(code.imports for code in own))
    modules = reached(starts, sorted(given.files - starts.keys()), root)

    declared, missing = _declared(files, Path(test.path).parent)
    values, unknown = texts_of(parameters, root.folder)
    return Fingerprint(
        {
            BODY: digest_of(code.digest for code in own),
            CONFTEST: digest_of(f"{root.name(path)} {code.digest}" for path, code in above.items()),
            MODULES: digest_of(f"{name} {digest}" for name, digest in modules.digests.items()),
            FILES: digest_of(declared),
            FOREIGN_FIXTURES: digest_of(given.foreign),
            PARAMETERS: digest_of(values),
        },
        tuple(dict.fromkeys([
            *test.doubts(root, {*modules.files, *starts}),
            *sentences(root.name(test.path), own),
            *(doubt for path, code in above.items() for doubt in sentences(root.name(path), [code])),
            *modules.doubts, *missing, *given.doubts, *unknown,
        ])),
    )  # fmt: skip


def module_fingerprint(module: ModuleType, part: str, rootdir: Path) -> Fingerprint:
    """A digest of a module and everything it reaches in the suite, or of its installed version.

    Args:
        module: already loaded.
        part: the name of the digest, a noun that fits "... has changed".
        rootdir: source below it belongs to the suite, except for packages installed there.
    """
    root = Root(os.path.abspath(rootdir))
    own = None if module.__file__ is None else root.place(os.path.abspath(module.__file__))
    if own is not None:
        modules = reached({}, [own], root)
        return Fingerprint({part: digest_of(f"{name} {it}" for name, it in modules.digests.items())}, modules.doubts)
    package = module.__name__.partition(".")[0]
    version = version_of(package)
    doubts = () if version else (f"{module.__name__} lies outside {root.folder}, and its version is not known",)
    return Fingerprint({part: digest_of([f"{package} {version}"])}, doubts)


def declared_files(patterns: Iterable[str | Path], folder: Path) -> tuple[Path, ...]:
    """The files that these paths and globs (`**` too) match, relative to the suite's folder; sorted.

    A folder means all files in it. Globs and folders leave out hidden files and `__pycache__`.

    Raises:
        ValueError: a path or glob matches no file.
    """
    found: set[Path] = set()
    for pattern in patterns:
        matched = {file for path in _paths(str(pattern), folder) for file in _files(path)}
        if not matched:
            raise ValueError(f"agent_task(files=[{str(pattern)!r}]) means no file: give a path or a glob in {folder}")
        found |= matched
    return tuple(sorted(found))


def _paths(pattern: str, folder: Path) -> Iterator[Path]:
    exact = Path(os.path.normpath(folder / pattern))
    if exact.exists():
        yield exact
        return
    for name in glob.iglob(pattern, root_dir=folder, recursive=True):
        yield Path(os.path.normpath(folder / name))


def _files(path: Path) -> Iterator[Path]:
    inner = (path / name for name in glob.iglob("**", root_dir=path, recursive=True)) if path.is_dir() else (path,)
    yield from (file for file in inner if file.is_file() and "__pycache__" not in file.parts)


@dataclass(frozen=True, slots=True)
class _Test:
    path: str
    names: tuple[str, ...]
    """The names of its classes, outermost first, then its own."""
    written: str | None
    """The file in which the function is written."""
    source: Source

    def doubts(self, root: Root, covered: Set[str | None]) -> Iterator[str]:
        if root.place(self.path) is None:
            yield f"{self.path} is no file of the suite below {root.folder}, so that its imports were not followed"
        if self.source.unread or _is_written(self.source.pieces, self.names):
            return
        if self.written is None or root.place(self.written) not in covered or "<locals>" in self.names:
            yield f"the source of {'.'.join(self.names)} was not found in {root.name(self.path)} or what it imports"


def _located(function: Callable[..., Any], file: Path | None, name: str | None, root: Root) -> _Test:
    written = file_of(function)
    instance = getattr(function, "__self__", None)
    home = written
    if name is None and instance is not None:
        kind = instance if isinstance(instance, type) else type(instance)
        home, name = file_of(kind) or written, f"{kind.__qualname__}.{function.__name__}"
    path = _placed(file or Path(home or os.devnull), root)
    names = (name or getattr(function, "__qualname__", "") or type(function).__qualname__).split(".")
    return _Test(path, tuple(names), written, read_source(path))


def _placed(path: Path, root: Root) -> str:
    whole = os.path.abspath(path)
    return root.place(whole) or whole


def _is_written(pieces: Sequence[Piece], names: Sequence[str]) -> bool:
    return any(
        piece.name == names[0] and (len(names) == 1 or _is_written(piece.members, names[1:])) for piece in pieces
    )


def _counted(test: _Test) -> tuple[Code, ...]:
    """The code that counts for a test: all that is not a test, the test, and the tests it names (it may call them)."""
    named: frozenset[str] = frozenset()
    while True:
        codes = tuple(_picked(test.source.pieces, test.names, named))
        names = frozenset[str]().union(*(code.tests for code in codes))
        if names <= named:
            return codes
        named |= names


def _picked(pieces: Sequence[Piece], names: Sequence[str], named: frozenset[str]) -> Iterator[Code]:
    for piece in pieces:
        wanted = piece.name == names[0]
        if wanted or not piece.name or piece.name in named:
            yield piece.code
            inner = names[1:] if wanted else names[-1:]  # a class that is named may be a base class that holds the test
            yield from _picked(piece.members, inner or names, named)


def _declared(patterns: Iterable[str | Path], folder: Path) -> tuple[list[str], list[str]]:
    found, doubts = [], []
    for pattern in patterns:
        try:
            files = declared_files([pattern], folder)
        except ValueError as error:
            doubts.append(str(error))
            continue
        for file in files:
            digest = file_digest(str(file))
            name = os.path.relpath(file, folder).replace(os.sep, "/")
            found.append(f"{name} {digest}")
            if digest is None:
                doubts.append(f"the declared file {name} cannot be read")
    return sorted(set(found)), doubts
