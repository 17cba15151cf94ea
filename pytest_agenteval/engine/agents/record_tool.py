"""Tool calls that an own agent records itself: what it ran, whether it failed, how long it took."""

from __future__ import annotations

import functools
import inspect
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from inspect_ai.event import InfoEvent
from inspect_ai.log import transcript
from pydantic import JsonValue

from pytest_agenteval.engine.agents.clients import current_gate
from pytest_agenteval.engine.models.meter import current_meter
from pytest_agenteval.record.records import ToolCall

__all__ = ["record_tool", "recorded_call", "recorded_tool"]

_SOURCE = "pytest_agenteval.tool"

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
        transcript().info(data, source=_SOURCE)

    gate = current_gate()
    if gate is not None and not gate.here():
        gate.wait(write())
    else:
        transcript().info(data, source=_SOURCE)


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


def recorded_call(event: InfoEvent) -> ToolCall | None:
    """The call that :func:`record_tool` wrote, or None if the event has another origin."""
    if event.source != _SOURCE or not isinstance(event.data, dict):
        return None
    return ToolCall(**cast(dict[str, Any], event.data), known_by="recorded")
