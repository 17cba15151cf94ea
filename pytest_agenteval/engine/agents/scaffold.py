"""What a scaffold is: the agent program around the model, and what a test asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inspect_ai.agent import AgentState
from inspect_ai.event import Event, InfoEvent
from inspect_ai.model import ChatMessage
from inspect_ai.tool import Tool, ToolDef, ToolSource

from pytest_agenteval.engine.logs.events import tool_calls
from pytest_agenteval.engine.logs.exits import ProgramExit, program_exit
from pytest_agenteval.engine.models.meter import CallMeter
from pytest_agenteval.record.records import ModelCall, ToolCall, total_of

__all__ = ["REACT", "AgentRequest", "AgentResult", "Scaffold", "agent_result"]

REACT = "react"
"""The default scaffold, Inspect's."""


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """What a test asks of the agent with one `agent.run`."""

    model: str
    tools: Sequence[Tool | ToolDef | ToolSource] | None
    instructions: str | None
    submit: bool


class Scaffold(Protocol):
    """An agent program around the model."""

    def refuse(self, request: AgentRequest) -> None:
        """Refuse what this program cannot do, before the agent starts.

        Raises:
            TypeError: in one sentence.
        """

    async def run(self, state: AgentState, request: AgentRequest, meter: CallMeter) -> AgentState:
        """Work on the conversation, extending it in place, and return it."""


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What one `agent.run` did, for assertions in a test."""

    answer: str
    """What the agent submitted; empty if it submitted nothing."""
    messages: tuple[ChatMessage, ...]
    """The whole conversation, as Inspect keeps it."""
    tool_calls: tuple[ToolCall, ...]
    cost: float | None
    """US dollars, or None if the cost of a call is unknown: it has no known price, or its answer has no usage."""
    tokens: int | None
    """Tokens of all kinds, or None if an answer does not say how many it used."""
    turns: int
    """Model calls."""
    limit: str | None
    """`cost`, `tokens`, `time`, `turns` or `context` if the agent reached that limit of its own, otherwise None."""
    program: ProgramExit | None = None
    """How the program ended, if the agent is one in the sandbox (:class:`pytest_agenteval.SandboxAgent`)."""


def agent_result(
    state: AgentState, events: Sequence[Event], calls: Sequence[ModelCall], meter: CallMeter
) -> AgentResult:
    """The summary of the events and the answered calls of one run."""
    exits = [found for event in events if isinstance(event, InfoEvent) and (found := program_exit(event))]
    return AgentResult(
        answer=state.output.completion if not state.output.empty else "",
        messages=tuple(state.messages),
        tool_calls=tool_calls(events),
        cost=total_of(call.cost for call in calls),
        tokens=total_of(call.tokens for call in calls),
        turns=len(calls),
        limit=meter.attempt.limit,
        program=exits[-1] if exits else None,
    )
