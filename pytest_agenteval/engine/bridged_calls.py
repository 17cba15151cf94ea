"""The tool calls of an own agent, as the messages that pass the bridge show them, joined with those it recorded.

The model's answer names the calls, a later request brings their results. A result says that its call failed where the
client's format has a flag for it (Anthropic's `is_error`), where the call could not be made at all (arguments that do
not parse, a tool that was not offered), or in the fixed words of a framework. Anything else is unknown, not a success.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace

from inspect_ai.event import ModelEvent
from inspect_ai.model import ChatMessageTool

from pytest_agenteval.records import ToolCall

__all__ = ["BridgedCalls"]

_SAID = re.compile(
    r"^An error occurred while (?:parsing tool arguments|running the tool)\."  # OpenAI Agents SDK
    r"|^Error (?:invoking|executing) tool "  # LangGraph's ToolNode
    r"|^Error: .*\n Please fix your mistakes\.$"  # the same, in versions before 1.0
    r"|^Error: \S+ is not a valid tool, try one of "
    r'|^\{"error":"[^"]*"\}$'  # Pydantic AI
    r"|\n\nFix the errors and try again\.$",  # the same, in versions before 2.0
    re.DOTALL,
)
"""How the tool messages of frameworks begin or end where a tool raised."""


class BridgedCalls:
    """Follows the messages of one attempt, event by event, oldest first."""

    def __init__(self, ran: Collection[str] = ()) -> None:
        """Without the calls of these ids: Inspect ran them itself."""
        self._ran = ran
        self.calls: list[ToolCall] = []
        self._open: dict[str, int] = {}
        """Calls whose result has not been seen, by their id: where they are in `calls`."""
        self._unrecorded: list[int] = []

    def model_answered(self, event: ModelEvent) -> None:
        """A call of the model: it brings results of earlier tool calls, and names new ones."""
        for message in event.input:
            if isinstance(message, ChatMessageTool) and message.tool_call_id in self._open:
                self._result(self._open.pop(message.tool_call_id), message)
        offered = {tool.name for tool in event.tools}
        for choice in event.output.choices[:1]:
            for call in choice.message.tool_calls or ():
                if call.id in self._ran:
                    continue
                problem = call.parse_error or (
                    None if call.function in offered else f"the model was offered no tool {call.function}"
                )
                arguments = json.dumps(call.arguments, ensure_ascii=False, default=str)
                self.calls.append(
                    ToolCall(
                        tool=call.function,
                        arguments=arguments,
                        error="parsing" if problem else None,
                        message=problem[:400] if problem else None,
                        known_by="messages",
                        failure_known=problem is not None,
                    )
                )
                self._open[call.id] = len(self.calls) - 1
                self._unrecorded.append(len(self.calls) - 1)

    def agent_recorded(self, call: ToolCall) -> None:
        """The agent says what it ran: that is the call of the same name and arguments, else the first of that name."""
        same = [at for at in self._unrecorded if self.calls[at].tool == call.tool]
        exact = [at for at in same if _equal(self.calls[at].arguments, call.arguments)]
        for at in (exact or same)[:1]:
            self._unrecorded.remove(at)
            self.calls[at] = call
            return
        self.calls.append(call)

    def _result(self, at: int, message: ChatMessageTool) -> None:
        call = self.calls[at]
        if call.known_by == "recorded" or call.error is not None:
            return
        if message.error is not None:
            self.calls[at] = replace(call, error=message.error.type, message=_cut(message.error), failure_known=True)
        elif _SAID.search(text := message.text.strip()):
            self.calls[at] = replace(call, error="unknown", message=text[:400], failure_known=True)


def _cut(error: object) -> str:
    return str(getattr(error, "message", error))[:400]


def _equal(one: str, other: str) -> bool:
    return bool(json.loads(one) == json.loads(other))
