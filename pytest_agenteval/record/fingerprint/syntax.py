"""A statement's syntax tree: its digest, what it imports, and what it does that cannot be read in advance."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_agenteval.record.digest import digest

__all__ = ["Code", "Import", "code_of", "digest_of", "last_name", "loaders_of"]


class Import(NamedTuple):
    """An import as it is written: `from ..a import b` is `Import(2, "a", ("b",))`."""

    level: int
    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of code as far as it counts: docstrings do, but comments, formatting and positions do not."""

    digest: str
    imports: frozenset[Import] = frozenset()
    """Includes imports inside functions; leaves out those that only type checkers read."""
    tests: frozenset[str] = frozenset()
    """Names in it that may be those of tests: it may use that test as a helper."""
    doubts: tuple[tuple[int, str], ...] = ()
    """Line number, and what the code there does that cannot be read in advance."""


def digest_of(texts: Iterable[str]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of texts, one after another."""
    return digest("\0".join(texts))


def last_name(node: ast.AST | None) -> str:
    """`c` of the expression `a.b.c`; empty for any other expression."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


_BY_NAME = {"import_module", "__import__", "importorskip"}
"""Functions that import a module by its name."""
_UNSEEN = {"exec", "run_path", "run_module", "spec_from_file_location", "SourceFileLoader"}
"""Functions that run code that is elsewhere or does not exist yet."""
_ONLY_OF = {"exec": "builtins", "__import__": "builtins", "run_path": "runpy", "run_module": "runpy"}
"""For names that are also methods of other objects (`sandbox.exec`): the module that has the function."""


def loaders_of(tree: ast.Module, text: bytes) -> Mapping[str, str]:
    """The names by which a module calls functions that load code. `text` is the module's source."""
    loaders = {name: name for name in _BY_NAME | _UNSEEN if _ONLY_OF.get(name) != "runpy"}
    named = any(name in text for name in (b"importlib", b"importorskip", b"runpy", b"builtins"))
    for node in ast.walk(tree) if named else ():
        if isinstance(node, ast.ImportFrom):
            loaders |= {
                alias.asname or alias.name: alias.name for alias in node.names if alias.name in _BY_NAME | _UNSEEN
            }
    return loaders


def code_of(root: ast.stmt, loaders: Mapping[str, str]) -> Code:
    """Walk a statement once. Its digest is the same in all versions of Python that parse it the same way.

    `loaders` is the result of `loaders_of` for its module.
    """
    texts: list[str] = []
    seen = _Seen(loaders)
    todo: list[Any] = [root]
    while todo:
        item = todo.pop()
        kind = type(item)
        if kind is str:  # an identifier, or a text pushed below
            texts.append(item)
        elif kind is list:
            texts.append("[")
            todo.append("]")
            todo.extend(reversed(item))
        elif kind is ast.Constant:
            texts.append(f"={_constant(item.value)}")
            seen.word(item.value)
        elif kind in _FIELDS:
            if kind in _TOLD:
                _TOLD[kind](seen, item)
            texts.append(kind.__name__)
            todo.append(")")
            for field in _FIELDS[kind]:
                value = getattr(item, field, None)
                if value is not None and value != []:
                    todo.append(value)
                    todo.append(field)
        else:
            texts.append(_constant(item))
    return Code(digest_of(texts), frozenset(seen.imports), frozenset(seen.tests), tuple(sorted(seen.doubts)))


def _constant(value: object) -> str:
    """Equal only for equal values of one type. Whole numbers are in hexadecimal: long ones have no decimal text."""
    return f"{type(value).__name__} {value:x}" if isinstance(value, int) else ascii(value)


class _Seen:
    """What a walk has seen."""

    def __init__(self, loaders: Mapping[str, str]) -> None:
        self.loaders = loaders
        self.imports: set[Import] = set()
        self.tests: set[str] = set()
        self.doubts: set[tuple[int, str]] = set()
        self.for_checkers: set[int] = set()

    def word(self, text: object) -> None:
        if isinstance(text, str) and text.startswith(("test", "Test")):
            self.tests.add(text)

    def joined(self, node: ast.JoinedStr) -> None:
        """Join the texts of an f-string: Python 3.12 leaves some of them apart."""
        texts: list[ast.expr] = []
        for part in node.values:
            last = texts[-1] if texts else None
            if (more := _text(part)) is None or (before := _text(last)) is None:
                texts.append(part)
            else:
                texts[-1] = ast.Constant(before + more)
        node.values = [part for part in texts if _text(part) != ""]

    def branch(self, node: ast.If) -> None:
        if last_name(node.test) == "TYPE_CHECKING":
            self.for_checkers.update(id(inner) for statement in node.body for inner in ast.walk(statement))

    def plain_import(self, node: ast.Import) -> None:
        if id(node) not in self.for_checkers:
            self.imports.update(Import(0, alias.name) for alias in node.names)

    def from_import(self, node: ast.ImportFrom) -> None:
        if id(node) not in self.for_checkers:
            self.imports.add(Import(node.level, node.module or "", tuple(alias.name for alias in node.names)))

    def assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is not None and any(last_name(target) == "pytest_plugins" for target in targets):
            self.plugins(node.value)

    def plugins(self, value: ast.expr) -> None:
        for item in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                self.imports.add(Import(0, item.value))
            else:
                self.doubts.add((value.lineno, "names pytest plugins that cannot be read beforehand"))

    def call(self, node: ast.Call) -> None:
        name = last_name(node.func)
        if isinstance(node.func, ast.Attribute):
            elsewhere = name in _ONLY_OF and last_name(node.func.value) != _ONLY_OF[name]
        else:
            name, elsewhere = self.loaders.get(name, ""), False
        if elsewhere or id(node) in self.for_checkers:
            return
        if name in _BY_NAME:
            self.by_name(node)
        elif name in _UNSEEN:
            self.doubts.add((node.lineno, f"runs code that cannot be read beforehand ({name})"))

    def by_name(self, node: ast.Call) -> None:
        given = dict(enumerate(node.args)) | {keyword.arg: keyword.value for keyword in node.keywords}
        name = _text(given.get(0, given.get("name", given.get("modname"))))
        package = given.get(1, given.get("package"))
        level = len(name) - len(name.lstrip(".")) if name else 0
        if name is not None and (not level or last_name(package) in ("__package__", "__name__")):
            self.imports.add(Import(level, name[level:]))
        elif name is not None and (outer := _text(package)):
            self.imports.add(Import(0, outer.rsplit(".", level - 1)[0] + "." + name[level:]))
        else:
            self.doubts.add((node.lineno, "imports a module by a computed name"))


_FIELDS: Mapping[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(field for field in reversed(kind._fields) if field not in ("ctx", "type_comment"))
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
"""The fields that count for each kind of node, last first."""


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


_TOLD: Mapping[type[ast.AST], Any] = {
    ast.Name: lambda seen, node: seen.word(node.id),
    ast.Attribute: lambda seen, node: seen.word(node.attr),
    ast.arg: lambda seen, node: seen.word(node.arg),
    ast.JoinedStr: _Seen.joined,
    ast.If: _Seen.branch,
    ast.Import: _Seen.plain_import,
    ast.ImportFrom: _Seen.from_import,
    ast.Assign: _Seen.assignment,
    ast.AnnAssign: _Seen.assignment,
    ast.AugAssign: _Seen.assignment,
    ast.Call: _Seen.call,
}
