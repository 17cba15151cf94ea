"""Which fixtures a test uses, and who sets them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.collect import fixtures
from pytest_agenteval.collect.unshareable import package_of, why_not_shared

__all__ = ["Definition", "FixturePlan"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition of a fixture."""

    name: str
    func: Callable[..., Any]
    argnames: tuple[str, ...]
    scope: str

    @staticmethod
    def chain(found: Iterable[Any]) -> tuple[Definition, ...]:
        """pytest's own definitions of one name, nearest last."""
        return tuple(Definition(each.argname, each.func, tuple(each.argnames), each.scope) for each in found)

    @property
    def ours(self) -> bool:
        """Whether it is the plugin's own. Identity decides, not the name."""
        return self.func.__module__ == fixtures.__name__


@dataclass(frozen=True, slots=True)
class FixturePlan:
    """The fixtures of one test: pytest sets up the shared ones, each attempt sets up the local ones."""

    argnames: tuple[str, ...]
    """The argument names of the test function."""
    definitions: Mapping[str, tuple[Definition, ...]]
    """By name, the chain of overrides, nearest last."""
    reached: frozenset[tuple[str, int]]
    """(name, level) of every definition that is actually used; level -1 is the nearest."""
    local: tuple[str, ...]
    """Names of function scope, in pytest's order."""
    shared: tuple[str, ...]
    """Names of wider scopes, in pytest's order."""
    params: Mapping[str, Any]
    """Values of `parametrize` and of fixture params."""
    left_out: tuple[str, ...] = ()
    """Autouse fixtures of other plugins that are left out of attempts, because they need what attempts cannot share."""

    @classmethod
    def of(
        cls,
        info: Any,
        initial: Sequence[str],
        argnames: tuple[str, ...],
        params: Mapping[str, Any],
        lookup: Callable[[str], Sequence[Any]],
    ) -> FixturePlan:
        """What a test really uses, followed from definition to definition.

        Args:
            info: pytest's, of the test's fixtures.
            initial: the names to begin with.
            argnames: of the test function.
            params: values of `parametrize` and of fixture params.
            lookup: gives pytest's definitions of a name: pytest 8 leaves some out of the closure.
        """
        names = [name for name in info.names_closure if name in info.name2fixturedefs]
        definitions = {name: Definition.chain(info.name2fixturedefs[name]) for name in names}
        reached: set[tuple[str, int]] = set()
        todo = [(name, -1) for name in initial]
        while todo:
            name, level = todo.pop()
            if name not in definitions and (found := lookup(name)):
                definitions[name] = Definition.chain(found)
                names.append(name)
            if (name, level) in reached or name not in definitions or -level > len(definitions[name]):
                continue
            reached.add((name, level))
            for wanted in definitions[name][level].argnames:
                todo.append((wanted, level - 1 if wanted == name else -1))
        used = [name for name in names if (name, -1) in reached]
        local = tuple(name for name in used if definitions[name][-1].scope == "function")
        shared = tuple(name for name in used if name not in local)
        return cls(argnames, definitions, frozenset(reached), local, shared, params)

    def uses_ours(self, *names: str) -> bool:
        """Whether one of the plugin's own definitions (with one of these names, or any) is actually used."""
        wanted = names or fixtures.NAMES
        return any(name in wanted and self.definitions[name][level].ours for name, level in self.reached)

    def not_shared(self) -> str | None:
        """Why attempts cannot use one of the fixtures, in a sentence; None if they can use all."""
        for name, level in sorted(self.reached, key=lambda each: (each[0] not in self.argnames, each)):
            definition = self.definitions[name][level]
            if definition.scope == "function" and (why := why_not_shared(name, definition.func, self.wanted_by(name))):
                return why
        return None

    @property
    def shared_params(self) -> dict[str, Any]:
        """Params of shared fixtures. Tasks with different values cannot overlap."""
        return {name: self.params[name] for name in self.shared if name in self.params}

    @property
    def lookalike(self) -> bool:
        """Whether an ordinary test uses an unrelated fixture that happens to be called `agent`."""
        return ("agent", -1) in self.reached and not self.uses_ours()

    @property
    def left_out_note(self) -> str:
        """Which fixtures are left out of attempts, and whose they are."""
        plugins = sorted({package_of(self.definitions[name][-1].func) for name in self.left_out})
        return (
            f"left out of attempts, which run at the same time in one process: {', '.join(self.left_out)} "
            f"(autouse, of {', '.join(plugins)})"
        )

    def wanted_by(self, name: str) -> str | None:
        """The fixture through which the test uses `name`, or None if the test names it itself."""
        if name in self.argnames:
            return None
        wanting = (n for n, level in self.reached if n != name and name in self.definitions[n][level].argnames)
        return min(wanting, default=None)
