"""Inspect's bridge into a sandbox, without network: a program in there asks its model at a port of its own machine.

`sandbox_agent_bridge` runs a proxy in the sandbox, and a service out here that looks for the proxy's requests. Many
Inspect agents open one, too (Claude Code, Codex and all others of inspect_swe), and for all of them the service is held
to what this package promises. Inspect's own has three faults: at an agent's limit it ends the whole sample, so that
nobody grades; it looks for requests only every two seconds; and a failing provider looks like a mere HTTP error to the
program. Added is the wait for the proxy's port, and what cannot have a bridge.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from inspect_ai.agent import AgentState, sandbox_agent_bridge
from inspect_ai.util import (
    LimitExceededError,
    SandboxUnavailableError,
    sandbox,
    suspend_working_limit,
)

from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.agents.clients import is_installed
from pytest_agenteval.engine.conduct.faulty_clients import bridge_fault
from pytest_agenteval.engine.models.meter import CallMeter, current_meter

__all__ = ["ContainerBridge", "NoBridge", "check_program", "limits_end", "watch_bridges"]

LISTEN_SECONDS = 60
"""How long the proxy may take until it listens."""

_ports = itertools.cycle(range(13131, 14131))  # a second run in the same sandbox does not wait for the first one's port
_LISTENS = """
until cat /proc/net/tcp /proc/net/tcp6 2> /dev/null | grep -q ":$1 [0-9A-F]*:0000 0A "; do sleep 0.05; done
"""
"""Ends when the port (in hexadecimal) is listened at."""


class NoBridge(Exception):
    """The sandbox cannot have such an agent, in one sentence: this says nothing about the agent."""


@dataclass(frozen=True, slots=True)
class ContainerBridge:
    """A bridge into the attempt's sandbox, for one run of a program."""

    port: int = field(default_factory=lambda: next(_ports))

    @property
    def address(self) -> str:
        """Where Anthropic's and Google's clients find their model; OpenAI's have `/v1` after it."""
        return f"http://localhost:{self.port}"

    @asynccontextmanager
    async def open(self, state: AgentState) -> AsyncIterator[None]:
        """While in here the program can call; `state` follows the conversation. The time this takes is not the agent's.

        All that it asks goes to the model under evaluation, whatever model it names, with the program's own settings
        (temperature, max_tokens, ...) unless the run sets them.

        Raises:
            NoBridge: Inspect's tools cannot be put into the sandbox.
            SandboxUnavailableError: the sandbox is gone, or the bridge does not come up.
            LimitExceededError: the program has run into a limit: the call gets no answer, and what is in here ends.
        """
        async with AsyncExitStack() as opened:
            with suspend_working_limit():
                await _put_tools()
                bridge = sandbox_agent_bridge(state, port=self.port, forward_generation_config=True)
                await opened.enter_async_context(bridge)
                await self._listening()
            yield

    async def _listening(self) -> None:
        """Wait for the proxy: Inspect does not."""
        silent = f"Inspect's bridge did not listen at port {self.port} of the sandbox"
        try:
            done = await sandbox().exec(["sh", "-c", _LISTENS, "sh", f"{self.port:04X}"], timeout=LISTEN_SECONDS)
        except TimeoutError:
            raise SandboxUnavailableError(f"{silent} within {LISTEN_SECONDS} s") from None
        if not done.success:
            raise SandboxUnavailableError(f"{silent}: {done.stderr.strip() or done.returncode}")


async def _put_tools() -> None:
    """What the bridge runs in the sandbox; Inspect would do it, and tell less of what went wrong."""
    try:
        await inspect_private.sandbox_with_injected_tools()
    except inspect_private.SandboxInjectionError as error:
        if isinstance(error.cause, SandboxUnavailableError):
            raise error.cause from error
        raise NoBridge(f"Inspect's bridge cannot be put into this sandbox: {error}") from error


async def check_program(
    program: str, *, cwd: str | None = None, env: Mapping[str, str] | None = None, user: str | None = None
) -> None:
    """Raise `NoBridge` unless the attempt's sandbox is a container that has the program, before a bridge is built."""
    try:
        box = sandbox()
    except ProcessLookupError:
        raise NoBridge("an agent in the sandbox needs one: let the test, or its fixture, ask for `sandbox`") from None
    with suppress(TypeError):
        box.as_type(inspect_private.LocalSandboxEnvironment)
        raise NoBridge("an agent in the sandbox needs a container: leave out --agent-sandbox=local")
    script = ["sh", "-c", 'command -v "$1" > /dev/null || exit 100', "sh", program]
    found = await box.exec(script, cwd=cwd, env=dict(env or {}), user=user, timeout=LISTEN_SECONDS)
    if found.returncode == 100:
        raise NoBridge(f"the sandbox has no program {program!r}: install it in the task's image, or give its path")
    if not found.success:
        said = " ".join(found.stderr.split()) or f"exit status {found.returncode}"
        raise NoBridge(f"the sandbox cannot be asked for the program {program!r}, because that needs sh: {said}")


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
            if library is not None and not is_installed(library):
                self.meter.attempt.miswired = (
                    f"the agent asks its model as {library}'s clients do, and to understand that Inspect needs the "
                    f"package here: pip install {library.replace('.', '-')}"
                )
                return await self._stop(RuntimeError(self.meter.attempt.miswired))
            if library is not None and (fault := bridge_fault(self.meter.injector, name)) is not None:
                await self.meter.agent_asks()
                return {inspect_private.PROVIDER_ERROR_KEY: fault}
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
    module: Any = inspect_private.service
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

    active: Any = inspect_private.ActiveSample
    ends_sample = active.limit_exceeded

    @functools.wraps(ends_sample)
    def limit_exceeded(self: inspect_private.ActiveSample, error: LimitExceededError) -> None:
        at_limit = _at_limit.get()
        if at_limit is None:
            ends_sample(self, error)
        else:
            at_limit(error)

    active.limit_exceeded = limit_exceeded


@contextmanager
def limits_end() -> Iterator[anyio.CancelScope]:
    """Where Inspect would end the sample for a limit that the agent in here has reached, only this block is cancelled.

    That is so in sandbox services that an agent runs itself. Raises that limit, when there is one.
    """
    reached: list[LimitExceededError] = []

    def at_limit(error: LimitExceededError) -> None:
        reached.append(error)
        scope.cancel()

    with anyio.CancelScope() as scope:
        token = _at_limit.set(at_limit)
        try:
            yield scope
        finally:
            _at_limit.reset(token)
    if reached:
        raise reached[0]
