"""What a model is told about tools, in another shape: their order, their names, their arguments', results' keys.

It stands directly before the provider, and turns back what the model answers. So scaffold, tools, log and rules know
the names of the base only, and whatever agent asks is told the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ModelOutput
from inspect_ai.tool import ToolCall, ToolFunction, ToolInfo

__all__ = ["Reshaping"]


class Reshaping:
    """The changes of one attempt."""

    def __init__(self, changes: Sequence[str], random: Random) -> None:
        self.changes = tuple(changes)
        self.met = False
        """Whether anything was changed so far."""
        self._order = random.random()

    def asked(
        self, input: Sequence[ChatMessage], tools: Sequence[ToolInfo], choice: Any
    ) -> tuple[list[ChatMessage], list[ToolInfo], Any]:
        """What the provider gets in place of this."""
        messages, given = list(input), list(tools)
        if "result-keys" in self.changes:
            messages = [self._with_other_keys(message) for message in messages]
        if "argument-names" in self.changes and given:
            given = [self._with_other_arguments(tool) for tool in given]
            messages = [_calling(message, lambda call: _other_arguments(call)) for message in messages]
        if "tool-names" in self.changes and given:
            self.met = True
            given = [tool.model_copy(update={"name": _other_name(tool.name)}) for tool in given]
            messages = [_calling(message, _other_tool) for message in messages]
            messages = [_named(message) for message in messages]
            if isinstance(choice, ToolFunction):
                choice = ToolFunction(name=_other_name(choice.name))
        if "tool-order" in self.changes and len(given) > 1:
            self.met = True
            given = Random(self._order).sample(given, len(given)) if len(given) > 2 else given[::-1]
        return messages, given, choice

    def answered(self, output: ModelOutput, tools: Sequence[ToolInfo]) -> ModelOutput:
        """The answer as if the base had been asked; `tools` are the base's."""
        known = {_other_name(tool.name): tool.name for tool in tools} if "tool-names" in self.changes else {}
        arguments = {
            tool.name: {_other_argument(name): name for name in tool.parameters.properties}
            for tool in tools
            if "argument-names" in self.changes
        }
        if not known and not arguments:
            return output

        def back(call: ToolCall) -> ToolCall:
            function = known.get(call.function, call.function)
            names = arguments.get(function, {})
            given = {names.get(name, name): value for name, value in call.arguments.items()}
            return _with(call, function, given)

        choices = [choice.model_copy(update={"message": _calling(choice.message, back)}) for choice in output.choices]
        return output.model_copy(update={"choices": choices})

    def _with_other_arguments(self, tool: ToolInfo) -> ToolInfo:
        parameters = tool.parameters
        if not parameters.properties:
            return tool
        self.met = True
        other = parameters.model_copy(
            update={
                "properties": {_other_argument(name): value for name, value in parameters.properties.items()},
                "required": [_other_argument(name) for name in parameters.required],
            }
        )
        return tool.model_copy(update={"parameters": other})

    def _with_other_keys(self, message: ChatMessage) -> ChatMessage:
        if not isinstance(message, ChatMessageTool) or not isinstance(message.content, str):
            return message
        try:
            result = json.loads(message.content)
        except ValueError:
            return message
        if not isinstance(result, Mapping | list):
            return message
        self.met = True
        text = json.dumps({"status": "ok", "data": _camel(result)}, ensure_ascii=False)
        return message.model_copy(update={"content": text})


def _other_name(tool: str) -> str:
    return f"{tool}_v2"


def _other_argument(name: str) -> str:
    return f"{name}_value"


def _other_tool(call: ToolCall) -> ToolCall:
    return _with(call, _other_name(call.function), call.arguments)


def _other_arguments(call: ToolCall) -> ToolCall:
    return _with(call, call.function, {_other_argument(name): value for name, value in call.arguments.items()})


def _with(call: ToolCall, function: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(
        id=call.id,
        function=function,
        arguments=arguments,
        parse_error=call.parse_error,
        view=call.view,
        type=call.type,
    )


def _calling(message: Any, change: Any) -> Any:
    """The same message with its tool calls changed."""
    if not isinstance(message, ChatMessageAssistant) or not message.tool_calls:
        return message
    return message.model_copy(update={"tool_calls": [change(call) for call in message.tool_calls]})


def _named(message: ChatMessage) -> ChatMessage:
    if isinstance(message, ChatMessageTool) and message.function is not None:
        return message.model_copy(update={"function": _other_name(message.function)})
    return message


def _camel(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {re.sub(r"_(\w)", lambda found: found[1].upper(), str(key)): _camel(each) for key, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value
