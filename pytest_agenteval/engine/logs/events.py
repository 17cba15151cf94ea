"""What the transcript says an attempt did: its tool calls, and its last steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from inspect_ai.event import Event, InfoEvent, ModelEvent, SandboxEvent, SpanBeginEvent, ToolEvent
from inspect_ai.model import ContentReasoning

from pytest_agenteval.engine.logs.bridged_calls import BridgedCalls
from pytest_agenteval.engine.logs.exits import RECORDED, of_inspects_tools, program_exit
from pytest_agenteval.record.digest import digest
from pytest_agenteval.record.records import ToolCall
from pytest_agenteval.texts import beginning, shortened

__all__ = ["fingerprint", "last_steps", "tool_calls"]

_LONGEST = 400
_SESSIONS = ("bash_session",)
"""Inspect's tools that run commands without reporting their exit status."""
_NAME = 80


def tool_calls(events: Sequence[Event]) -> tuple[ToolCall, ...]:
    """The agent's tool calls with their failures, and the exit code of the last command that each ran.

    Those that Inspect ran come first, then those of own agents, which their messages show or which they recorded.
    """
    bridged = BridgedCalls({event.id for event in events if isinstance(event, ToolEvent)})
    exit_codes = {
        event.span_id: event.result
        for event in events
        if isinstance(event, SandboxEvent) and event.action == "exec" and not of_inspects_tools(event)
    }
    of_tools = {event.id for event in events if isinstance(event, SpanBeginEvent) and event.type == "tool"}
    spans: list[SpanBeginEvent] = []
    calls = []
    for event in events:
        if isinstance(event, SpanBeginEvent) and event.type == "tool":
            spans.append(event)
        elif isinstance(event, ModelEvent) and event.requested_model is not None:
            if not (event.pending or event.error or event.output.empty):
                bridged.model_answered(event)
        elif isinstance(event, SandboxEvent) and event.span_id not in of_tools:
            bridged.command_ended(event)
        elif isinstance(event, InfoEvent) and event.source == RECORDED and isinstance(event.data, dict):
            bridged.agent_recorded(ToolCall(**cast(dict[str, Any], event.data), known_by="recorded"))
        elif isinstance(event, ToolEvent) and not event.pending:
            span = _span_of(event, spans)
            calls.append(
                ToolCall(
                    tool=event.function,
                    arguments=json.dumps(event.arguments, ensure_ascii=False, default=str),
                    seconds=event.working_time,
                    error=event.error.type if event.error else ("unknown" if event.failed else None),
                    message=beginning(event.error.message, _LONGEST) if event.error else None,
                    exit_code=exit_codes.get(span.id) if span is not None else None,
                    exit_known=event.function not in _SESSIONS or event.error is not None,
                )
            )
    return (*calls, *bridged.calls)


def _span_of(call: ToolEvent, opened: list[SpanBeginEvent]) -> SpanBeginEvent | None:
    """What a call does is recorded in a span of its own, opened just before the call's event, beside it."""
    for index in range(len(opened) - 1, -1, -1):
        if opened[index].name == call.function and opened[index].parent_id == call.span_id:
            return opened.pop(index)
    return None


def fingerprint(events: Iterable[Event]) -> str | None:
    """A digest of what the agent's model said, thought and called with which arguments; None if it said nothing."""
    said = []
    for event in events:
        if isinstance(event, ModelEvent) and event.role is None and not event.error and not event.output.empty:
            message = event.output.message
            content = [] if isinstance(message.content, str) else message.content
            thought = [part.reasoning for part in content if isinstance(part, ContentReasoning)]
            calls = [[call.function, call.arguments, call.parse_error] for call in message.tool_calls or ()]
            said.append([message.text, thought, calls])
    text = json.dumps(said, sort_keys=True, default=str)
    return digest(text) if said else None


def last_steps(events: Iterable[Event], most: int = 5) -> tuple[str, ...]:
    """What the agent did last, newest last: a line per tool call with what came back, its last words, how it ended."""
    steps: list[str] = []
    words: str | None = None
    events = list(events)
    for call in tool_calls(events):
        if call.known_by != "inspect":
            outcome = f"exit {call.exit_code}" if call.exit_code else "?" * (not call.failure_known)
            outcome = f"{call.error}: {_line(call.message or '')}" if call.error else outcome
            steps.append(f"{shortened(call.tool, _NAME)}({beginning(call.arguments, 200)}) -> {outcome or 'done'}")
    ended: str | None = None
    for event in events:
        if isinstance(event, InfoEvent) and (exit := program_exit(event)) is not None:
            ended = str(exit)
        elif isinstance(event, ToolEvent) and not event.pending:
            arguments = ", ".join(f"{name}={value!r}" for name, value in event.arguments.items())
            result = event.error.message if event.error else str(event.result)
            outcome = f"{event.error.type}: " if event.error else ""
            steps.append(f"{shortened(event.function, _NAME)}({beginning(arguments, 200)}) -> {outcome}{_line(result)}")
        elif isinstance(event, ModelEvent) and event.role is None and not event.error and not event.output.empty:
            words = event.output.message.text.strip() or None
    if words is not None:
        steps.append(f"said: {_line(words)}")
    if ended is not None:
        steps.append(_line(ended))
    return tuple(beginning(step, _LONGEST) for step in steps[-most:])


def _line(text: str) -> str:
    return " ".join(text.split())
