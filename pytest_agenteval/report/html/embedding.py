"""Conversations as data of the page, while there is room. Its script turns them into text when they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.record.conversation import Conversation, ConversationReader, Message, Text, ToolUse
from pytest_agenteval.report.html.attempts import RowView
from pytest_agenteval.report.html.text import embedded_json, shown

__all__ = ["Embedded", "Room", "embedded"]


@dataclass(frozen=True, slots=True)
class Room:
    """The space for conversations in a page, which must open on a phone."""

    characters: int = 12_000_000
    conversations: int = 1_500


@dataclass(frozen=True, slots=True)
class Embedded:
    """The conversations in a page."""

    texts: dict[str, str]
    """JSON by the attempt's anchor, fit to stand in a script element."""
    left_out: int
    """Attempts with a log that were left out for lack of room."""
    passed: int
    """How many of these passed."""


def embedded(found: Sequence[RowView], read: ConversationReader, room: Room) -> Embedded:
    """The conversations of attempts that did not pass first, as many as fit."""
    texts: dict[str, str] = {}
    used = tried = left_out = passed = 0
    logged = [
        (attempt, task)
        for row in found
        for cell, task in zip(row.cells, row.identities, strict=True)
        for attempt in cell
        if attempt.log
    ]
    for attempt, task in sorted(logged, key=lambda each: each[0].passed):
        if used < room.characters and tried < room.conversations:
            tried += 1
            conversation = read(attempt.logged_task or task, attempt.epoch, attempt.log or "")
            if conversation is None:
                continue
            text = embedded_json(_plain(conversation))
            if used + len(text) <= room.characters:
                texts[attempt.anchor] = text
                used += len(text)
                continue
        left_out += 1
        passed += attempt.passed
    return Embedded(texts, left_out, passed)


def _plain(conversation: Conversation) -> list[object]:
    messages: list[object] = [_message(message) for message in conversation.messages]
    if conversation.left_out:
        messages.insert(conversation.left_out_after, conversation.left_out)
    return messages


def _message(message: Message) -> dict[str, object]:
    said: dict[str, object] = {"r": message.role, "n": message.try_number}
    if message.text.head:
        said["x"] = _text(message.text)
    if message.speaker is not None:
        said["w"] = shown(message.speaker)
    if message.reasoning is not None:
        said["t"] = _text(message.reasoning)
    if message.calls:
        said["c"] = [_call(call) for call in message.calls]
    return said


def _call(call: ToolUse) -> dict[str, object]:
    said: dict[str, object] = {"f": shown(call.tool), "a": _text(call.arguments)}
    if call.result is not None:
        said["o"] = _text(call.result)
    if call.error is not None:
        said["e"] = shown(call.error)
    if call.message is not None:
        said["m"] = _text(call.message)
    if call.exit_code is not None:
        said["s"] = call.exit_code
    if call.seconds is not None:
        said["d"] = round(call.seconds, 2)
    return said


def _text(text: Text) -> object:
    return [shown(text.head), text.cut, shown(text.tail)] if text.cut else shown(text.head)
