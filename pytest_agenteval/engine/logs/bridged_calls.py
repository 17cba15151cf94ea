"""The tool calls of an own agent, as the messages that pass the bridge show them, joined with those it recorded.

The model's answer names the calls, and a later request brings their results. A call is known to have failed in three
cases: the client's format has a flag for it (Anthropic's `is_error`); the call could not be made at all (arguments that
do not parse, a tool that was not offered); or the result has the fixed words of a framework. Anything else is unknown,
not a success.

As in every scaffold, a command that ended with a non-zero status is not a failed call, though many frameworks flag it
as one. The status is known if the sandbox saw the command, or if a harness reports it to its model in fixed words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace
from typing import get_args, get_type_hints

from inspect_ai.event import ModelEvent, SandboxEvent
from inspect_ai.model import ChatMessageTool
from inspect_ai.tool import ToolCallError

from pytest_agenteval.engine.logs.exits import Commands, told_exit
from pytest_agenteval.record.records import ToolCall

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
_MORE_THAN_AN_EXIT = {*get_args(get_type_hints(ToolCallError)["type"]), "TimeoutError"} - {"unknown"}
"""Kinds of failure that say more than a non-zero exit: a time-out, a permission, ..."""


class BridgedCalls:
    """Follows the messages of one attempt, event by event, oldest first."""

    def __init__(self, ran: Collection[str] = ()) -> None:
        """Without the calls of these ids: Inspect ran them itself."""
        self._ran = ran
        self.calls: list[ToolCall] = []
        self._open: dict[str, int] = {}
        """Calls whose result has not been seen, by their id: the index in `calls`."""
        self._unrecorded: list[int] = []
        self._commands = Commands()
        self._since: dict[int, int] = {}
        """When the calls were named."""

    def command_ended(self, event: SandboxEvent) -> None:
        """The agent's own code ran a command in the sandbox."""
        self._commands.add(event)

    def model_answered(self, event: ModelEvent) -> None:
        """A call of the model: it brings results of earlier tool calls, and names new ones."""
        results = [
            (self._open[message.tool_call_id], message)
            for message in event.input
            if isinstance(message, ChatMessageTool) and message.tool_call_id in self._open
        ]
        alone = len(self._open) == 1
        for at, message in results:
            self._open.pop(message.tool_call_id or "", None)
            self._result(at, message, alone=alone)
        offered = {tool.name for tool in event.tools}
        for choice in event.output.choices[:1]:
            for call in choice.message.tool_calls or ():
                if call.id in self._ran:
                    continue
                problem = call.parse_error or (
                    None if call.function in offered else f"the model was offered no tool {call.function}"
                )
                self.calls.append(
                    ToolCall(
                        tool=call.function,
                        arguments=json.dumps(call.arguments, ensure_ascii=False, default=str),
                        error="parsing" if problem else None,
                        message=problem[:400] if problem else None,
                        known_by="messages",
                        failure_known=problem is not None,
                        exit_known=problem is not None,
                    )
                )
                at = len(self.calls) - 1
                self._open[call.id], self._since[at] = at, self._commands.now
                self._unrecorded.append(at)

    def agent_recorded(self, call: ToolCall) -> None:
        """The agent says what it ran: that is the call of the same name and arguments, else the first of that name."""
        same = [at for at in self._unrecorded if self.calls[at].tool == call.tool]
        arguments = json.loads(call.arguments)
        exact = [at for at in same if json.loads(self.calls[at].arguments) == arguments]
        if not same:
            self.calls.append(self._ended(call, 0, alone=False))
            return
        at = (exact or same)[0]
        self._unrecorded.remove(at)
        self.calls[at] = self._ended(call, self._since[at], alone=len(self._open) == 1)

    def _ended(self, call: ToolCall, since: int, *, alone: bool) -> ToolCall:
        """A recorded call with its exit status, where that is known."""
        if call.exit_known:
            return _no_failure(call, call.exit_code)
        code, _ = self._commands.of(call.arguments, since, alone=alone)
        return call if code is None else _no_failure(call, code)

    def _result(self, at: int, message: ChatMessageTool, *, alone: bool) -> None:
        call = self.calls[at]
        if call.known_by == "recorded" or call.error is not None:
            return
        text = message.text.strip()
        if message.error is not None:
            call = replace(call, error=message.error.type, message=message.error.message[:400], failure_known=True)
        elif _SAID.search(text):
            call = replace(call, error="unknown", message=text[:400], failure_known=True)
        told, timed_out = told_exit(text)
        code, is_its_command = self._commands.of(call.arguments, self._since[at], alone=alone)
        if timed_out:
            call = replace(call, error="timeout", message=text[:400], failure_known=True, exit_known=True)
        elif told is not None or is_its_command:  # it could be run to its end, and that is all a tool call can do
            call = replace(_no_failure(call, code if is_its_command else told), failure_known=True)
        elif code is not None:
            call = _no_failure(call, code)
        self.calls[at] = call


def _no_failure(call: ToolCall, code: int | None) -> ToolCall:
    """The call with its exit status; where that is not zero, an error without a type of its own says no more."""
    call = replace(call, exit_code=code, exit_known=True)
    if code and call.error is not None and call.error not in _MORE_THAN_AN_EXIT:
        call = replace(call, error=None, message=None)
    return call
