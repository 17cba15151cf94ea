"""Inspect's service behind every bridge into a sandbox, held to what this package promises.

A program in a sandbox calls its model through `sandbox_agent_bridge`. :class:`pytest_agenteval.SandboxAgent` opens one,
and so do many Inspect agents (Claude Code, Codex and all others of inspect_swe). On the host, a service answers.
Inspect's own service has three faults here: at an agent's limit it ends the whole sample, so that nobody grades; it
looks for requests only every two seconds; and a failing provider looks like a mere HTTP error to the program.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import anyio
from inspect_ai.util import LimitExceededError

from pytest_agenteval.engine.inspect_private import ActiveSample, service
from pytest_agenteval.engine.models.meter import CallMeter, current_meter

__all__ = ["sample_limits_end", "watch_bridges"]

LOOK_SECONDS = 0.2
"""Between two looks for a request of the program."""
_LIBRARIES = {
    "generate_completions": "openai",
    "generate_responses": "openai",
    "generate_anthropic": "anthropic",
    "generate_google": "google.genai",
}
"""Which package Inspect needs out here to understand a request."""

_at_limit: contextvars.ContextVar[Callable[[LimitExceededError], None] | None] = contextvars.ContextVar(
    "agenteval_at_limit", default=None
)


@dataclass(slots=True)
class _Service:
    """One service, for one bridge."""

    meter: CallMeter
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Around it."""
    stopped_by: Exception | None = None
    """Why it must end: its bridge raises this where the agent has opened it, as if the agent itself had asked."""

    def watched(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(**request: Any) -> Any:
            library = _LIBRARIES.get(name)
            if library is not None and not _is_there(library):
                self.meter.attempt.miswired = (
                    f"the agent asks its model as {library}'s clients do, and to understand that Inspect needs the "
                    f"package here: pip install {library.replace('.', '-')}"
                )
                return await self._stop(RuntimeError(self.meter.attempt.miswired))
            try:
                return await method(**request)
            except LimitExceededError as error:
                return await self._stop(error)

        return call

    async def _stop(self, error: Exception) -> None:
        self.stopped_by = error
        self.scope.cancel()
        await anyio.sleep_forever()  # until the scope ends it: the program is to meet no error before its end


@functools.cache
def watch_bridges() -> None:
    """Watch the services of all bridges that are opened in attempts, once per process."""
    module: Any = service
    inspects = module.sandbox_service

    @functools.wraps(inspects)
    async def sandbox_service(name: str, methods: Any, *arguments: Any, **named: Any) -> None:
        meter = current_meter()
        if meter is None:
            await inspects(name, methods, *arguments, **named)
            return
        ours = _Service(meter)
        methods = {method: ours.watched(method, code) for method, code in methods.items()}
        named["polling_interval"] = LOOK_SECONDS
        with ours.scope:
            await inspects(name, methods, *arguments, **named)
        if ours.stopped_by is not None:
            raise ours.stopped_by

    module.sandbox_service = sandbox_service

    active: Any = ActiveSample
    ends_sample = active.limit_exceeded

    @functools.wraps(ends_sample)
    def limit_exceeded(self: ActiveSample, error: LimitExceededError) -> None:
        at_limit = _at_limit.get()
        if at_limit is None:
            ends_sample(self, error)
        else:
            at_limit(error)

    active.limit_exceeded = limit_exceeded


@contextmanager
def sample_limits_end(scope: anyio.CancelScope) -> Iterator[list[LimitExceededError]]:
    """Where Inspect would end the sample for a limit that the agent in here has reached, only `scope` is cancelled.

    That is so in sandbox services that an agent runs itself. Gives the limit, when there is one.
    """
    reached: list[LimitExceededError] = []

    def at_limit(error: LimitExceededError) -> None:
        reached.append(error)
        scope.cancel()

    token = _at_limit.set(at_limit)
    try:
        yield reached
    finally:
        _at_limit.reset(token)


def _is_there(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # not even the namespace
        return False
