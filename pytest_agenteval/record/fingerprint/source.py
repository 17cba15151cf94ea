"""A Python file split into the pieces of code that a test consists of. A file is read again when it has changed."""

# ruff: noqa: PTH116, PTH123 (paths are text, as in reachable)
from __future__ import annotations

import ast
import hashlib
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pytest_agenteval.record.fingerprint.syntax import Code, code_of, digest_of, last_name, loaders_of

__all__ = ["ByFile", "Piece", "Source", "file_digest", "read_source", "stamp"]

Made = TypeVar("Made")

_FRESH_NS = 100_000_000
"""A file changed less than this before it was read may change again without a visible change of its time stamp."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement of a module or of a test class."""

    name: str
    """The name of a test function or test class; empty for code that counts for every test beside it."""
    code: Code
    """For a test class, the code without its members."""
    members: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A source file."""

    code: Code
    """All code of the file."""
    pieces: tuple[Piece, ...] = ()
    """Its statements, in order."""
    exports: frozenset[str] = frozenset()
    """The names in its `__all__`: `from package import *` imports the modules among them."""
    unread: bool = False
    """Whether it could not be read as Python. Its code is then a digest of its text, with a doubt."""


def stamp(path: str) -> object:
    """Changes when a file, or a folder's list of files, changes; equal to nothing while that is too recent to tell."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if abs(time.time_ns() - status.st_mtime_ns) < _FRESH_NS:
        return object()
    return status.st_mtime_ns, status.st_size, status.st_ino


class ByFile(Generic[Made]):
    """The result of a function of a file or folder, computed again only when that has changed."""

    def __init__(self, make: Callable[[str], Made]) -> None:
        self._make = make
        self._made: dict[str, tuple[object, Made]] = {}

    def __call__(self, path: str) -> Made:
        """The result for this file as it is now."""
        now = stamp(path)
        cached = self._made.get(path)
        if cached is None or cached[0] != now:
            cached = self._made[path] = (now, self._make(path))
        return cached[1]


def _contents(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return None


file_digest = ByFile(_contents)
"""The digest of a file's contents; None if it cannot be read."""


def _source(path: str) -> Source:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        return Source(Code("unreadable", doubts=((0, f"cannot be read ({error.strerror})"),)), unread=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes: importing the file shows them
            tree = ast.parse(text)
        loaders = loaders_of(tree, text)
        pieces = tuple(_piece(statement, loaders) for statement in tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 0
        why = f"cannot be read as Python ({getattr(error, 'msg', error)})"
        return Source(Code(hashlib.sha256(text).hexdigest()[:16], doubts=((line, why),)), unread=True)
    return Source(_joined(pieces), pieces, _exports(tree))


read_source = ByFile(_source)
"""A source file. If it cannot be read or parsed, that is a doubt, never an exception."""


def _piece(node: ast.stmt, loaders: Mapping[str, str]) -> Piece:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        test = node.name.startswith("test") and not any(map(_makes_a_fixture, node.decorator_list))
        return Piece(node.name if test else "", code_of(node, loaders))
    if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
        members = tuple(_piece(member, loaders) for member in node.body)
        node.body = []
        return Piece(node.name, code_of(node, loaders), members)
    return Piece("", code_of(node, loaders))


def _makes_a_fixture(decorator: ast.expr) -> bool:
    return last_name(decorator.func if isinstance(decorator, ast.Call) else decorator).endswith("fixture")


def _joined(pieces: Sequence[Piece]) -> Code:
    codes = list(_in_order(pieces))
    return Code(
        digest_of(code.digest for code in codes),
        frozenset().union(*(code.imports for code in codes)),
        frozenset().union(*(code.tests for code in codes)),
        tuple(doubt for code in codes for doubt in code.doubts),
    )


def _in_order(pieces: Sequence[Piece]) -> Iterator[Code]:
    for piece in pieces:
        yield piece.code
        if piece.members:
            yield from (Code("("), *_in_order(piece.members), Code(")"))


def _exports(tree: ast.Module) -> frozenset[str]:
    assigned = (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign))
    return frozenset(
        part.value
        for node in assigned
        if "__all__" in map(last_name, node.targets if isinstance(node, ast.Assign) else [node.target])
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )
