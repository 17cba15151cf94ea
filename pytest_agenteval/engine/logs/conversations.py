"""Conversations of attempts, read one at a time from Inspect's logs: only what a report can show stays in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from inspect_ai.event import Event, ModelEvent, SandboxEvent, SpanBeginEvent, ToolEvent
from inspect_ai.log import EvalSample, read_eval_log_sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ContentReasoning, ContentText

from pytest_agenteval.engine.logs.events import tool_calls
from pytest_agenteval.engine.logs.journal import entry_of
from pytest_agenteval.record.confidence import QUESTION
from pytest_agenteval.record.conversation import Conversation, Message, Text, ToolUse, cut_text
from pytest_agenteval.redaction import redact

__all__ = ["LogConversations", "conversation_of", "read_conversation"]

_LONGEST = 8_000
"""Characters of one text."""
_FIRST, _LAST = 80, 220
"""So many messages from the beginning and from the end of a longer conversation."""
_ATTACHED = "attachment://"


@dataclass(frozen=True, slots=True)
class LogConversations:
    """Reads conversations from logs, one attempt at a time: a `ConversationReader`."""

    secrets: Collection[str] = ()
    """Values to redact wherever they occur, in addition to anything with the shape of a key."""

    def __call__(self, task: str, attempt_number: int, log: str) -> Conversation | None:
        """The conversation of one attempt, or None if the log (a path or URL) does not hold it or cannot be read.

        pytest's node id is the id of Inspect's sample, and the attempt's number in the log, from 1, is its epoch.
        """
        for file in (log, entry_of(log, task, attempt_number)):
            with suppress(Exception):  # whatever a missing or damaged file makes Inspect, zipfile, fsspec, ... raise
                sample = read_eval_log_sample(
                    file, id=task, epoch=attempt_number, format="eval", exclude_fields={"store"}
                )
                return conversation_of(sample, self.secrets)
        return None


read_conversation = LogConversations()
"""Where no values are known to be secret."""


def conversation_of(sample: EvalSample, secrets: Collection[str] = ()) -> Conversation:
    """What was said and done in a sample, from its events: of all tries, by the agent, other roles and the test."""
    builder = _Builder(sample.attachments, secrets)
    builder.read(sample.events)
    messages = tuple(replace(draft.message, calls=tuple(draft.calls)) for draft in builder.drafts)
    left_out = len(messages) - _FIRST - _LAST
    if left_out <= 0:
        return Conversation(messages)
    return Conversation(messages[:_FIRST] + messages[-_LAST:], left_out, _FIRST)


@dataclass(slots=True)
class _Draft:
    message: Message
    calls: list[ToolUse] = field(default_factory=list)


@dataclass(slots=True)
class _Builder:
    """Puts what events say at different times together: a call is asked for in one and answered in another."""

    attachments: dict[str, str]
    secrets: Collection[str]
    drafts: list[_Draft] = field(default_factory=list)
    _try: int = 0
    _try_span: str | None = None
    _seen: set[object] = field(default_factory=set)
    _asked: dict[str, tuple[_Draft, int]] = field(default_factory=dict)
    _agent_spoke: bool = False

    def read(self, events: Sequence[Event]) -> None:
        """Take in all events of a sample."""
        done = iter(tool_calls(events))
        for event in events:
            if isinstance(event, SpanBeginEvent) and event.type == "try":
                self._try, self._try_span = self._try + 1, event.id
                self._seen.clear()
                self._asked.clear()
                self._agent_spoke = False
            elif isinstance(event, ModelEvent) and not event.pending:
                self._model(event)
            elif isinstance(event, ToolEvent) and not event.pending:
                self._tool(event, next(done).exit_code)
            elif isinstance(event, SandboxEvent) and self._of_test(event):
                arguments, output = self._text(event.cmd or ""), self._text(event.output or "")
                call = ToolUse("sandbox.exec", arguments, output, exit_code=event.result)
                self._add("test", "").calls.append(call)

    def _model(self, event: ModelEvent) -> None:
        self._agent_spoke = True
        asked = bool(event.input) and event.input[-1].text == QUESTION  # what came before it has been heard
        for message in event.input[-1:] if asked else event.input:
            self._heard(message, event.role)
        if event.error:
            self._add("error", event.error, event.role)
        elif not event.output.empty:
            self._heard(event.output.message, event.role)

    def _heard(self, message: ChatMessage, speaker: str | None) -> None:
        """A message, if it is news: the input of a call repeats everything that was said before."""
        key = message.id or (message.role, message.text, getattr(message, "tool_call_id", None))
        if (speaker, key) in self._seen:
            return
        self._seen.add((speaker, key))
        if isinstance(message, ChatMessageTool) and message.tool_call_id in self._asked:
            draft, place = self._asked[message.tool_call_id]
            use, failure = draft.calls[place], message.error
            if use.result is None and use.error is None:
                kind, why = (failure.type, self._text(failure.message)) if failure else (None, None)
                draft.calls[place] = replace(use, result=self._text(self._said(message)), error=kind, message=why)
            return
        draft = self._add(message.role, self._said(message), speaker, self._thought(message))
        if isinstance(message, ChatMessageAssistant):
            for call in message.tool_calls or ():
                self._asked[call.id] = draft, len(draft.calls)
                arguments = self._text(self._json(call.arguments))
                error = "parsing" if call.parse_error else None
                told = self._text(call.parse_error) if call.parse_error else None
                draft.calls.append(ToolUse(call.function, arguments, error=error, message=told))

    def _tool(self, event: ToolEvent, exit_code: int | None) -> None:
        error = event.error
        call = ToolUse(
            tool=event.function,
            arguments=self._text(self._json(event.arguments)),
            result=None if error else self._text(self._result(event.result)),
            error=error.type if error else ("unknown" if event.failed else None),
            message=self._text(error.message) if error else None,
            exit_code=exit_code,
            seconds=event.working_time,
        )
        if event.id in self._asked:
            draft, place = self._asked[event.id]
            draft.calls[place] = call
        else:
            self._add("assistant", "").calls.append(call)

    def _of_test(self, event: SandboxEvent) -> bool:
        """Whether the test ran a command itself, after the agent: what it checks with."""
        return event.action == "exec" and self._agent_spoke and event.span_id == self._try_span

    def _add(self, role: str, text: str, speaker: str | None = None, reasoning: str = "") -> _Draft:
        thought = self._text(reasoning) if reasoning else None
        number = max(1, self._try)
        self.drafts.append(_Draft(Message(role, self._text(text), (), speaker, thought, number)))
        return self.drafts[-1]

    def _said(self, message: ChatMessage) -> str:
        """The text of a message; parts that are not text are named."""
        if isinstance(message.content, str):
            return self._whole(message.content)
        return "\n".join(
            self._whole(part.text) if isinstance(part, ContentText) else f"[{part.type}]"
            for part in message.content
            if not isinstance(part, ContentReasoning)
        )

    def _thought(self, message: ChatMessage) -> str:
        parts = [] if isinstance(message.content, str) else message.content
        thoughts = (part for part in parts if isinstance(part, ContentReasoning))
        told = (part.summary or "" if part.redacted else part.reasoning for part in thoughts)
        return "\n".join(self._whole(text) for text in told)

    def _result(self, result: Any) -> str:
        if isinstance(result, list):
            return "\n".join(self._result(part) for part in result)
        if isinstance(result, ContentText):
            return self._whole(result.text)
        return self._whole(result) if isinstance(result, str) else str(getattr(result, "type", result))

    def _json(self, arguments: Any) -> str:
        return json.dumps(self._resolved(arguments), ensure_ascii=False, default=str)

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._whole(value)
        if isinstance(value, dict):
            return {name: self._resolved(each) for name, each in value.items()}
        return [self._resolved(each) for each in value] if isinstance(value, list) else value

    def _whole(self, text: str) -> str:
        """Inspect keeps long texts once, beside the events."""
        if not text.startswith(_ATTACHED):
            return text
        return self.attachments.get(text.removeprefix(_ATTACHED), text)

    def _text(self, text: str) -> Text:
        return cut_text(self._whole(text), _LONGEST, lambda whole: redact(whole, self.secrets))
