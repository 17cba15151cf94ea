"""Asks an agent that has ended how sure it is, without touching what it did."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ChatMessageUser, get_model
from inspect_ai.util import suspend_working_limit

from pytest_agenteval.engine.models.meter import CallMeter
from pytest_agenteval.record.conduct import Confidence
from pytest_agenteval.record.confidence import ASKING, QUESTION, read_answer

__all__ = ["ask_if_asked_for"]

_PATIENCE = 180.0
"""Seconds for an answer, with the provider's retries. The attempt then goes on without one."""


async def ask_if_asked_for(meter: CallMeter, messages: Sequence[ChatMessage], before: Confidence | None) -> None:
    """Where the run asks for it, put the question to the agent's model after its whole conversation.

    It is a call of a role of its own: paid from the run's budget, and counted against no limit, time or figure of the
    attempt. Without an answer that can be read, for whatever reason, no number takes its place.

    Args:
        meter: of the attempt; the agent's limits are closed.
        messages: the conversation, which is left as it is.
        before: what the agent had said before it began. If it has said something since, it is not asked.
    """
    attempt = meter.attempt
    if not meter.ask_confidence or attempt.said is not before:
        return
    attempt.said = Confidence(None)
    answered = _answered(messages)
    if not answered:
        return
    with meter.aside(), attempt.clock_stopped(), suspend_working_limit(), anyio.move_on_after(_PATIENCE):
        try:
            model = get_model(role=ASKING, default=get_model())  # the one under evaluation
            output = await model.generate([*answered, ChatMessageUser(content=QUESTION)], tools=[])
        except Exception:  # refused, out of money, gone: the attempt stays what it is, and the log has the error
            return
        if not output.empty:
            attempt.said = read_answer(output.completion)


def _answered(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Up to the last tool call that has no result, because a limit struck: providers refuse such a conversation."""
    results = {message.tool_call_id for message in messages if isinstance(message, ChatMessageTool)}
    for place, message in enumerate(messages):
        if isinstance(message, ChatMessageAssistant) and any(c.id not in results for c in message.tool_calls or ()):
            return list(messages[:place])
    return list(messages)
