"""Own agents: code that asks models through clients, led over Inspect's bridge, and may record its own tool calls."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar, cast

import anyio
from inspect_ai.agent import AgentState, agent_bridge
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, ModelOutput
from inspect_ai.tool import Tool, ToolDef, ToolSource
from inspect_ai.util import SandboxEnvironment, sandbox
from pydantic import JsonValue

from pytest_agenteval.engine.agents.clients import (
    CLIENT_MODEL,
    ClientGate,
    clients_loaded,
    current_gate,
    gated,
    watch_clients,
)
from pytest_agenteval.engine.logs.exits import RECORDED
from pytest_agenteval.engine.models.meter import CallMeter, current_meter
from pytest_agenteval.run.threads import AttemptThread

__all__ = ["AgentContext", "bridged", "bridged_body", "is_async", "record_tool", "recorded_tool", "run_own_code"]

GRACE_SECONDS = 5.0
"""How long an agent that was told to stop may take to return; after that it is cancelled."""

T = TypeVar("T")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


def record_tool(
    name: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    error: str | BaseException | None = None,
    seconds: float | None = None,
    exit_code: int | None = None,
) -> None:
    """Record one call of a tool by an own agent in the attempt that this code runs for.

    It takes the place of the same call as the agent's messages show it, so a call is never counted twice.

    Args:
        name: of the tool, as the model calls it.
        arguments: of the call.
        error: the exception that the tool raised, or its message, if the call failed; otherwise None.
        seconds: how long it took.
        exit_code: the exit status of the command that it ran. A non-zero one is counted as such, not as a failure of
            the call. None if it ran no command, or ran one in the sandbox, where the status is found.

    Raises:
        RuntimeError: this code runs for no attempt.
    """
    if current_meter() is None:
        raise RuntimeError("record_tool was called outside of an attempt: call it from the agent's own code")
    kind = type(error).__name__ if isinstance(error, BaseException) else "error" if error is not None else None
    text = json.dumps(dict(arguments or {}), ensure_ascii=False, default=str)
    data: dict[str, JsonValue] = {"tool": name, "arguments": text, "seconds": seconds, "error": kind}
    data["message"] = None if error is None else str(error)[:400]
    data |= {"exit_code": exit_code, "exit_known": exit_code is not None}

    async def write() -> None:
        transcript().info(data, source=RECORDED)

    gate = current_gate()
    if gate is not None and not gate.here():
        gate.wait(write())
    else:
        transcript().info(data, source=RECORDED)


def recorded_tool(function: F, run: Callable[..., Any] | None = None) -> F:
    """A decorator: record every call of a tool, sync or async, with its arguments, its time and what it raised.

    The exit status, too, where what it returns or raises has a `returncode`.

    Args:
        function: the tool.
        run: calls what records in the attempt, where the tool may be called in a thread that carries no context.
    """
    parameters = inspect.signature(function)

    def record(start: float, given: tuple[Any, ...], named: dict[str, Any], ended: Any) -> None:
        arguments = parameters.bind_partial(*given, **named).arguments
        error = ended if isinstance(ended, BaseException) else None
        seconds, code = time.monotonic() - start, getattr(ended, "returncode", None)
        exit_code = code if isinstance(code, int) else None
        write = record_tool if run is None else functools.partial(run, record_tool)
        write(function.__name__, arguments, error=error, seconds=seconds, exit_code=exit_code)

    @functools.wraps(function)
    async def asynchronous(*given: Any, **named: Any) -> Any:
        start = time.monotonic()
        try:
            value = await function(*given, **named)
        except Exception as error:
            record(start, given, named, error)
            raise
        record(start, given, named, value)
        return value

    @functools.wraps(function)
    def synchronous(*given: Any, **named: Any) -> Any:
        start = time.monotonic()
        try:
            value = function(*given, **named)
        except Exception as error:
            record(start, given, named, error)
            raise
        record(start, given, named, value)
        return value

    return cast(F, asynchronous if inspect.iscoroutinefunction(function) else synchronous)


@dataclass(frozen=True, slots=True)
class AgentContext:
    """What an own agent receives in addition to its task."""

    model: str
    """Inspect's name for the model under evaluation, for example `openai/gpt-5-mini`: for display, not for calls."""
    messages: tuple[ChatMessage, ...]
    """The task as messages, if the test gave it in that form."""
    instructions: str | None
    """The system message that the test asks for, or None."""
    tools: tuple[Tool | ToolDef | ToolSource, ...]
    """Inspect tools that the test gives the agent."""
    client_model: str = CLIENT_MODEL
    """The model's name for clients: with it their calls go to the model under evaluation, and are paid and counted."""
    client_options: Mapping[str, Any] = field(
        default_factory=lambda: {"api_key": "unused", "base_url": "http://bridge.invalid"}
    )
    """Arguments for `AsyncOpenAI`, `OpenAI`, `AsyncAnthropic`, `Anthropic`: no key is needed, and no address."""
    _gate: ClientGate | None = field(default=None, repr=False)

    @property
    def sandbox(self) -> SandboxEnvironment:
        """The attempt's sandbox: Inspect's own (exec, read_file, write_file), from any thread."""
        return self._run(sandbox)

    def wait(self, awaitable: Awaitable[T]) -> T:
        """From sync code in any thread: run a coroutine, for example `context.wait(context.sandbox.exec([...]))`.

        It runs on the attempt's event loop, also where the caller has a loop of its own, which then stands still.

        Raises:
            RuntimeError: the caller is async: use `await`. Or it is code of another attempt.
        """

        async def run() -> T:
            return await awaitable

        assert self._gate is not None
        if self._gate.here():
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("context.wait() is for sync agents; in an async one use await")
        return self._gate.wait(run())

    def record_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        error: str | BaseException | None = None,
        seconds: float | None = None,
        exit_code: int | None = None,
    ) -> None:
        """Record a call of one of the agent's tools, from any thread; see :func:`pytest_agenteval.record_tool`."""
        self._run(record_tool, name, arguments, error=error, seconds=seconds, exit_code=exit_code)

    def recorded_tool(self, function: F) -> F:
        """A decorator that records every call of a tool function, in any thread."""
        return recorded_tool(function, self._run)

    def _run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return function(*arguments, **named) if self._gate is None else self._gate.run(function, *arguments, **named)


@asynccontextmanager
async def bridged(meter: CallMeter, state: AgentState) -> AsyncIterator[ClientGate]:
    """Lead the clients of the code in here over the bridge; `state` follows the conversation.

    The agent's own settings (temperature, max_tokens, ...) are part of it and hold, unless the run sets them.
    """
    async with agent_bridge(state, forward_generation_config=True):
        watch_clients()
        with gated(meter) as gate:
            try:
                yield gate
            finally:
                with anyio.CancelScope(shield=True):
                    await gate.closed()


@asynccontextmanager
async def bridged_body(meter: CallMeter) -> AsyncIterator[None]:
    """The same for the body of a test, whose agent may be any code; a rehearsal without clients needs no bridge."""
    if meter.attempt.model.startswith("agenteval/") and not clients_loaded():
        yield
        return
    async with bridged(meter, AgentState(messages=[])):
        yield


async def run_own_code(
    code: Callable[..., Any], arguments: Mapping[str, Any], context: AgentContext, state: AgentState, meter: CallMeter
) -> AgentState:
    """Run `code(task, context, **arguments)`, in its own thread if it is sync.

    Raises `LimitExceededError` where the agent was told to stop, no matter how its code handled that.
    """
    task = "\n\n".join(message.text for message in state.messages)
    async with bridged(meter, state) as gate:
        context = replace(context, _gate=gate)
        answer, ended = None, False
        with anyio.CancelScope() as scope, _stopping(meter, scope):
            try:
                answer = await _called(code, task, context, arguments)
            except Exception:
                if meter.stopped_by is None:
                    raise
            else:
                ended = True
        if meter.stopped_by is not None and not ended:
            raise meter.stopped_by  # itself, not what the agent's code made of it
    if isinstance(answer, AgentState):
        return answer
    if answer is not None and (state.output.empty or str(answer) != state.output.completion):
        state.output = ModelOutput.from_content(context.model, str(answer))
    return state


async def _called(code: Callable[..., Any], task: str, context: AgentContext, arguments: Mapping[str, Any]) -> Any:
    if is_async(code):
        return await code(task, context, **arguments)
    thread = AttemptThread("own agent")
    try:
        answer = await thread(code, task, context, **arguments)
    finally:
        thread.close()
    return await answer if inspect.isawaitable(answer) else answer


def is_async(code: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(code) or inspect.iscoroutinefunction(getattr(code, "__call__", None))  # noqa: B004


@contextmanager
def _stopping(meter: CallMeter, scope: anyio.CancelScope) -> Iterator[None]:
    """Inside this context, an agent that was told to stop and does not end is cancelled."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def stop() -> None:
        nonlocal timer
        timer = timer or loop.call_later(GRACE_SECONDS, scope.cancel)

    meter.stopped_by, meter.on_stop = None, stop
    try:
        yield
    finally:
        meter.on_stop = lambda: None
        if timer is not None:
            timer.cancel()
