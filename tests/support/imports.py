"""The imports and private accesses of a package, read from its source: also those inside functions."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Import", "Module", "modules"]


@dataclass(frozen=True)
class Import:
    module: str
    """Who imports, dotted."""
    line: int
    target: str
    """What, dotted; for `from a import b` it is a.b."""
    at_start: bool
    """At module level and not only for type checkers: it happens when the module is imported."""
    typing_only: bool
    relative: bool = False

    def reaches(self, *names: str) -> bool:
        return any(f"{self.target}.".startswith(f"{name}.") for name in names)

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@dataclass(frozen=True)
class Module:
    name: str
    tree: ast.Module

    @property
    def imports(self) -> list[Import]:
        return list(self._imports(self.tree, at_start=True, typing_only=False))

    def _imports(self, node: ast.AST, *, at_start: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            for target, relative in _targets(child):
                line = getattr(child, "lineno", 0)
                yield Import(self.name, line, target, at_start and not typing_only, typing_only, relative)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
                body, rest = ast.Module(child.body, []), ast.Module(child.orelse, [])
                yield from self._imports(body, at_start=at_start, typing_only=True)
                yield from self._imports(rest, at_start=at_start, typing_only=typing_only)
            else:
                yield from self._imports(child, at_start=at_start and not inside, typing_only=typing_only)

    def private_accesses(self) -> Iterator[tuple[int, str, str]]:
        """`something._name` where something is not `self`, `cls` or the standard library: line, name, text."""
        near = {"self", "cls", *sys.stdlib_module_names}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and _private(node.attr):
                if not (isinstance(node.value, ast.Name) and node.value.id in near):
                    yield node.lineno, node.attr, ast.unparse(node)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
                name = node.args[1] if len(node.args) > 1 else None
                if isinstance(name, ast.Constant) and isinstance(name.value, str) and _private(name.value):
                    yield node.lineno, name.value, ast.unparse(node)

    def defined_names(self) -> set[str]:
        """Names of attributes, functions and classes that the module makes."""
        names = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
        return names

    def strings_in_calls(self, *functions: str) -> Iterator[tuple[int, str]]:
        """Constant strings among the arguments of calls of these functions (by their last name): line, string."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in functions:
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield node.lineno, part.value


def modules(folder: Path) -> Mapping[str, Module]:
    """All modules of the package in `folder`, by dotted name."""
    found = {}
    for file in sorted(folder.rglob("*.py")):
        parts = [folder.name, *file.relative_to(folder).with_suffix("").parts]
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = Module(name, ast.parse(file.read_text("utf-8"), str(file)))
    return found


def _targets(node: ast.AST) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, False
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield ".".join(filter(None, [node.module, alias.name])), node.level > 0
    elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__"):
        for argument in node.args[:1]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value, False


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
