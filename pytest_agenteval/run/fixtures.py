"""Function-scoped fixtures of one attempt: set up in pytest's order, torn down last in first out."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from pytest_agenteval.collect.items import AgentItem

__all__ = ["AttemptRequest", "Caller", "Resolver"]


class Caller(Protocol):
    """Runs sync code where the body runs: on the event loop, or in the attempt's own thread."""

    async def __call__(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call and return, or raise what the call raised."""


class Resolver:
    """Resolves the fixtures of one attempt. Shared fixtures come from pytest, the plugin's own from `provided`."""

    def __init__(
        self,
        item: AgentItem,
        shared: Mapping[str, Any],
        provided: Mapping[str, Callable[[], Any]],
        call: Caller,
        exits: AsyncExitStack,
    ) -> None:
        self.item, self.call, self.exits = item, call, exits
        self.function, self.instance = item.body()
        self.values: dict[tuple[str, int], Any] = {(name, -1): value for name, value in shared.items()}
        """By name and level; -1 is the nearest definition of the name."""
        self._provided = provided

    async def set_up(self) -> dict[str, Any]:
        """Set up all local fixtures and return the arguments of the test function."""
        for name in self.item.plan.local:
            await self._value(name)
        return await self._arguments(self.item.plan.argnames, ())

    async def _value(self, name: str, chain: tuple[str, ...] = ()) -> Any:
        level = -1 - chain.count(name)  # below -1 if a fixture overrides its own name and requests the older one
        key = (name, level)
        if key not in self.values:
            definition = self.item.plan.definitions[name][level]
            if definition.scope != "function":
                pytest.fail(
                    f"function-scoped fixture {name!r} overrides a {definition.scope}-scoped one of the same name and "
                    "asks for it: give one of the two another name",
                    pytrace=False,
                )
            if definition.ours or (name == "tmp_path" and definition.func.__module__.startswith("_pytest.")):
                self.values[key] = self._provided[name]()
            else:
                arguments = await self._arguments(definition.argnames, (*chain, name))
                self.values[key] = await self._enter(name, definition.func, arguments)
        return self.values[key]

    async def _arguments(self, names: Sequence[str], chain: tuple[str, ...]) -> dict[str, Any]:
        plan, found = self.item.plan, {}
        for name in names:
            if name == "request":
                found[name] = AttemptRequest(self, chain[-1] if chain else None)
            elif name in plan.params and name not in plan.definitions:  # set directly by parametrize
                found[name] = plan.params[name]
            else:
                found[name] = await self._value(name, chain)
        return found

    async def _enter(self, name: str, func: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        owner = getattr(func, "__self__", None)
        if self.instance is not None and isinstance(owner, type(self.instance)):
            func = func.__func__.__get__(self.instance)  # type: ignore[attr-defined]
        if inspect.isasyncgenfunction(func):
            generator = func(**arguments)
            try:
                async for value in generator:
                    return value
            finally:  # after the fixture's finalizers: pytest runs those when it is exhausted
                self.exits.push_async_callback(_exhaust, name, generator)
            pytest.fail(f"fixture {name!r} did not yield a value", pytrace=False)
        if inspect.isgeneratorfunction(func):
            steps = func(**arguments)
            try:
                return await self.call(_first, name, steps)
            finally:  # even when cancelled, because a set-up in a thread continues to its yield
                self.exits.push_async_callback(self.call, _exhaust_sync, name, steps)
        value = await self.call(func, **arguments)
        return await value if inspect.isawaitable(value) else value


class AttemptRequest:
    """Replaces pytest's `request` inside one attempt."""

    scope = "function"

    def __init__(self, resolver: Resolver, fixturename: str | None) -> None:
        item = resolver.item
        self._resolver, self.fixturename = resolver, fixturename
        self.node, self.config, self.session = item, item.config, item.session
        self.path, self.keywords = item.path, item.keywords
        self.function, self.instance = resolver.function, resolver.instance
        self.cls, self.module = item.cls, item.module
        self.fixturenames = [*item.plan.shared, *item.plan.local]
        if fixturename is not None and fixturename in item.plan.params:
            self.param = item.plan.params[fixturename]

    def addfinalizer(self, finalizer: Callable[[], object]) -> None:
        """Call `finalizer` when the attempt is torn down."""
        self._resolver.exits.push_async_callback(self._resolver.call, finalizer)

    def applymarker(self, marker: str | pytest.MarkDecorator) -> None:
        """Add a mark to the task."""
        self.node.add_marker(marker)

    def getfixturevalue(self, argname: str) -> Any:
        """The value of a fixture that the attempt has already set up.

        Raises:
            LookupError: it is not set up; name it as a parameter of the test instead.
        """
        if (argname, -1) not in self._resolver.values:
            raise LookupError(
                f"request.getfixturevalue({argname!r}): in an agent task name {argname!r} as a parameter "
                "of the test or fixture instead"
            )
        return self._resolver.values[argname, -1]


async def _exhaust(name: str, generator: AsyncGenerator[Any, None]) -> None:
    async for _ in generator:
        await generator.aclose()
        pytest.fail(f"fixture {name!r} yielded more than once", pytrace=False)


def _first(name: str, generator: Generator[Any, None, None]) -> Any:
    for value in generator:
        return value
    pytest.fail(f"fixture {name!r} did not yield a value", pytrace=False)


def _exhaust_sync(name: str, generator: Generator[Any, None, None]) -> None:
    for _ in generator:
        generator.close()
        pytest.fail(f"fixture {name!r} yielded more than once", pytrace=False)
