"""What was said and done in one attempt, cut to what a report can show: messages, tool calls and their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Conversation", "ConversationReader", "Message", "Text", "ToolUse", "cut_text"]


@dataclass(frozen=True, slots=True)
class Text:
    """A text, or its two ends where it was too long."""

    head: str
    cut: int = 0
    """How many characters were cut out after the head."""
    tail: str = ""
    """What follows the cut; empty if nothing was cut."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call and its result, or a command that the test itself ran in the sandbox."""

    tool: str
    arguments: Text
    result: Text | None = None
    """None if there was no result."""
    error: str | None = None
    """The type of the tool-call failure, or None."""
    message: Text | None = None
    """The message of the failure."""
    exit_code: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message, with the tool calls it asked for."""

    role: str
    """`system`, `user`, `assistant` or `tool`; `test` for what the test did, `error` for a model call that failed."""
    text: Text
    calls: tuple[ToolUse, ...] = ()
    speaker: str | None = None
    """The model role (a judge, a simulated user), if this is not the agent's own conversation."""
    reasoning: Text | None = None
    try_number: int = 1
    """From 1; higher if environment errors were retried."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything that was said and done in one attempt, oldest first, including its earlier tries."""

    messages: tuple[Message, ...]
    left_out: int = 0
    """How many messages were cut out of the middle of a very long conversation, after the first `left_out_after`."""
    left_out_after: int = 0


class ConversationReader(Protocol):
    """Reads the conversation of an attempt."""

    def __call__(self, task: str, attempt_number: int, log: str) -> Conversation | None:
        """The conversation, or None if the log does not hold it or cannot be read.

        Args:
            task: pytest's node id, as the run used it.
            attempt_number: its number in the log, from 1.
            log: the `.eval` log that holds the attempt.
        """


def cut_text(text: str, longest: int, clean: Callable[[str], str] = str) -> Text:
    """The text, or its first two thirds and last third if it is longer than `longest` characters.

    Args:
        text: of any length.
        longest: how many characters may stay.
        clean: applied before the cut, because half a secret may no longer look like one. Of texts longer than a million
            characters it sees the first and the last half million.
    """
    cut = 0
    if len(text) > 2 * _HALF:
        cut = len(text) - 2 * _HALF
        first, last = clean(text[:_HALF]), clean(text[-_HALF:])
    else:
        text = clean(text)
        if len(text) <= longest:
            return Text(text)
        first = last = text
        cut -= len(text)
    tail = longest // 3
    head = longest - tail
    return Text(first[:head], cut + len(first) + len(last) - head - tail, last[len(last) - tail :])


_HALF = 500_000
