"""What was said and done in one attempt, cut to what a report can show: messages, tool calls and what came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Conversation", "ConversationReader", "Message", "Text", "ToolUse", "cut_text"]


@dataclass(frozen=True, slots=True)
class Text:
    """A text, or what is left of a long one."""

    head: str
    cut: int = 0
    """How many characters are left out after the head."""
    tail: str = ""
    """What follows the characters left out; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call with what came back, or a command that the test itself ran in the sandbox."""

    tool: str
    arguments: Text
    result: Text | None = None
    """None where nothing came back."""
    error: str | None = None
    """The type of the tool-call failure, or None."""
    message: Text | None = None
    """What the failure said."""
    exit_code: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message, with the tool calls that it asked for."""

    role: str
    """`system`, `user`, `assistant` or `tool`; `test` for what the test did, `error` for a model call that failed."""
    text: Text
    calls: tuple[ToolUse, ...] = ()
    speaker: str | None = None
    """The model role (a judge, a simulated user) where it is not the agent's own conversation."""
    reasoning: Text | None = None
    try_number: int = 1
    """From 1; above it where environment errors were retried."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything that was said and done in one attempt, oldest first, its earlier tries included."""

    messages: tuple[Message, ...]
    left_out: int = 0
    """Messages left out of the middle of a very long conversation, after `left_out_after` of them."""
    left_out_after: int = 0


class ConversationReader(Protocol):
    """Gives the conversation of an attempt."""

    def __call__(self, task: str, attempt_number: int, log: str) -> Conversation | None:
        """The conversation, or None where the log does not hold it or cannot be read.

        Args:
            task: pytest's node id, as the run used it.
            attempt_number: its number in the log, from 1.
            log: the `.eval` log that holds the attempt.
        """


def cut_text(text: str, longest: int, clean: Callable[[str], str] = str) -> Text:
    """The text, or its first two thirds and last third of `longest` characters.

    Args:
        text: of any length.
        longest: how many characters may stay.
        clean: is applied before anything is cut, for half of what it looks for may be harmless to it. Of texts beyond
            a million characters it sees the first and the last half million.
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
