"""The conversation of an attempt in the terms of the schema: messages, each with the results of its tools."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.record.conversation import Conversation, Message, Text, ToolUse
from pytest_agenteval.report.eee.plain import Clean, plain

__all__ = ["Said", "said_in"]

_OF_THE_TEST = "test"


@dataclass(frozen=True, slots=True)
class Said:
    """What was said in an attempt."""

    messages: Sequence[Mapping[str, Any]] = ()
    prompt: str | None = None
    """The agent's prompt; None if there was none, or it is unknown."""
    cut: bool = False
    """Whether texts or messages are left out."""


def said_in(conversation: Conversation | None, last_try: int, clean: Clean) -> Said:
    """The conversation of an attempt's last try. Earlier tries, in sandboxes that broke, are counted elsewhere.

    Args:
        conversation: None if it is unknown.
        last_try: its number, from 1.
        clean: removes secrets from a text.
    """
    if conversation is None:
        return Said()
    asked = [m for m in conversation.messages if m.role == "user" and m.speaker is None]
    rows = plain(list(_rows(conversation, last_try)), clean)
    return Said(
        messages=[{"turn_idx": number, **row} for number, row in enumerate(rows)],
        prompt=plain(_whole(asked[0].text), clean) if asked else None,
        cut=bool(conversation.left_out)
        or any(text.cut for message in conversation.messages for text in _texts(message)),
    )


def _rows(conversation: Conversation, last_try: int) -> Iterator[dict[str, Any]]:
    calls = 0
    for place, message in enumerate(conversation.messages):
        if conversation.left_out and place == conversation.left_out_after:
            yield _row("note", f"[{conversation.left_out} messages left out]")
        if message.try_number != last_try:
            continue
        role = message.role if message.speaker is None else f"{message.speaker}/{message.role}"
        if message.role == _OF_THE_TEST:
            yield _row(role, "\n".join(filter(None, (_whole(message.text), *map(_checked, message.calls)))))
            continue
        names = [f"call-{calls + number}" for number in range(1, len(message.calls) + 1)]
        calls += len(names)
        row = _row(role, _whole(message.text))
        if message.reasoning is not None:
            row["reasoning_trace"] = _whole(message.reasoning)
        if names:
            row["tool_calls"] = [_call(name, use) for name, use in zip(names, message.calls, strict=True)]
        yield row
        for name, use in zip(names, message.calls, strict=True):
            yield {**_row("tool", _came_back(use)), "tool_call_id": [name]}


def _row(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content, "reasoning_trace": None, "tool_calls": None, "tool_call_id": None}


def _call(name: str, use: ToolUse) -> dict[str, Any]:
    return {"id": name, "name": use.tool, "arguments": _arguments(use.arguments)}


def _arguments(text: Text) -> dict[str, str]:
    """The arguments by name, as texts. If they are not a JSON object (cut, or malformed), all under the name
    `arguments`."""
    try:
        given = json.loads(_whole(text))
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return {"arguments": _whole(text)}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}


def _came_back(use: ToolUse) -> str:
    said = [] if use.result is None else [_whole(use.result)]
    if use.error is not None:
        said.append(f"[tool-call failure: {use.error}] {_whole(use.message) if use.message else ''}".rstrip())
    return "\n".join(said)


def _checked(use: ToolUse) -> str:
    """A command that the test ran. It is not a call of the agent, so it is written as text."""
    exit_code = "" if use.exit_code is None else f" (exit status {use.exit_code})"
    return f"{use.tool} {_whole(use.arguments)}{exit_code}\n{_came_back(use)}".rstrip()


def _whole(text: Text) -> str:
    return text.head if not text.cut else f"{text.head}\n[{text.cut} characters left out]\n{text.tail}"


def _texts(message: Message) -> Iterator[Text]:
    yield message.text
    if message.reasoning is not None:
        yield message.reasoning
    for use in message.calls:
        yield from (text for text in (use.arguments, use.result, use.message) if text is not None)
