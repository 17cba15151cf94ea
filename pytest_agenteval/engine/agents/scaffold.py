"""What a scaffold is: the agent program around the model, and what a test asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inspect_ai.agent import AgentState
from inspect_ai.tool import Tool, ToolDef, ToolSource

from pytest_agenteval.engine.models.meter import CallMeter

__all__ = ["REACT", "AgentRequest", "Scaffold"]

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
