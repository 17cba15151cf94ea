"""A Python file as the pieces of code that a test is made of; files are read again when they have changed."""

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
"""A file that changed less than this before it was read may change again within one tick of the file system's clock."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement of a module or of a test class."""

    name: str
    """Of a test function or a test class; empty for what counts for every test beside it."""
    code: Code
    """Of a test class without its members."""
    members: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A source file."""

    code: Code
    """All of it."""
    pieces: tuple[Piece, ...] = ()
    """Its statements in their order."""
    exports: frozenset[str] = frozenset()
    """The names in its `__all__`: `from package import *` imports the modules among them."""
    unread: bool = False
    """Whether it could not be read as Python: its code is then only a digest of its text, and a doubt."""


def stamp(path: str) -> object:
    """What changes when a file, or a folder's list of files, does; equal to nothing while that is too fresh to tell."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if abs(time.time_ns() - found.st_mtime_ns) < _FRESH_NS:
        return object()
    return found.st_mtime_ns, found.st_size, found.st_ino


class ByFile(Generic[Made]):
    """What a function makes of a file or folder, made again only when that has changed."""

    def __init__(self, make: Callable[[str], Made]) -> None:
        self._make = make
        self._made: dict[str, tuple[object, Made]] = {}

    def __call__(self, path: str) -> Made:
        """Of this file as it is now."""
        now = stamp(path)
        kept = self._made.get(path)
        if kept is None or kept[0] != now:
            kept = self._made[path] = (now, self._make(path))
        return kept[1]


def _contents(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return None


file_digest = ByFile(_contents)
"""The digest of a file's contents; None where it cannot be read."""


def _source(path: str) -> Source:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        return Source(Code("unreadable", doubts=((0, f"cannot be read ({error.strerror})"),)), unread=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes: whoever imports the file hears of them
            tree = ast.parse(text)
        loaders = loaders_of(tree, text)
        pieces = tuple(_piece(statement, loaders) for statement in tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 0
        why = f"cannot be read as Python ({getattr(error, 'msg', error)})"
        return Source(Code(hashlib.sha256(text).hexdigest()[:16], doubts=((line, why),)), unread=True)
    return Source(_joined(pieces), pieces, _exports(tree))


read_source = ByFile(_source)
"""A source file; that it cannot be read or parsed is a doubt, never an exception."""


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
