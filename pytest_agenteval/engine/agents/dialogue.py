"""A dialogue of the agent with a simulated user, message by message, as in tau-bench (Yao et al. 2024)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Model,
    get_model,
    model_roles,
)
from inspect_ai.tool import Tool, ToolDef, ToolSource

from pytest_agenteval.engine.agents.agent import Agent, AgentRequest
from pytest_agenteval.engine.agents.confidence import ask_if_asked_for
from pytest_agenteval.options.values import BUILT_IN_MODELS
from pytest_agenteval.record.records import ToolCall, total_of

__all__ = ["Dialogue", "SimulatedUser", "dialogue"]

_GREETING = "Hi! How can I help you today?"
"""The opening message of the agent in the prompt of the user's model. The agent itself never sees it."""
_OPENING = "Hello, I need your help."
"""The first message of a user who would end the dialogue before it has begun."""
_RULES = """\
You play a person who talks with an agent. The person and what they want:

{scenario}

- Write the person's next message and nothing else, in a line or a few.
- Say only what is needed for the next step: do not tell everything at once.
- Do not make up what is not written above. Asked for it, say that you do not know it or do not have it at hand.
- Use your own words; stay with what the person wants and how they are.
- When it is done, or the agent has made clear that it will not be done, answer with {stop} alone: that ends the talk.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedUser:
    """Who talks with the agent: a model that plays a person, or that person's lines in a rehearsal.

    The model is that of the role (`--agent-role=user=PROVIDER/MODEL`). Agents with a built-in model (`agenteval/...`)
    get the lines instead, because such a run costs nothing.
    """

    scenario: str
    """Who the person is, what they know and what they want; the agent does not see it."""
    script: Sequence[str]
    """What the person says to a rehearsed agent, message by message; after the last one they are done."""
    role: str = "user"
    """The role whose model plays the person."""
    stop: str = "###STOP###"
    """What the model says when the person is done."""

    def __post_init__(self) -> None:
        if isinstance(self.script, str) or not self.script:
            raise ValueError("SimulatedUser(script=...) must be a list with the person's messages, one at least")
        if not self.stop.strip():
            raise ValueError("SimulatedUser(stop=...) must not be empty: it is what ends the dialogue")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The result of a dialogue, for assertions in a test."""

    messages: tuple[ChatMessage, ...]
    """The conversation as the agent saw it, with its tool calls."""
    said: tuple[str, ...]
    """What the agent said to the user, message by message."""
    heard: tuple[str, ...]
    """What the user said."""
    tool_calls: tuple[ToolCall, ...]
    turns: int
    """How often the agent had its turn."""
    ended_by: Literal["user", "turns", "limit"]
    """The user was done, the turns were used up, or the agent ran into a limit of its own."""
    limit: str | None
    """That limit: `cost`, `tokens`, `time` or `turns`."""
    cost: float | None
    """What the agent cost in US dollars, or None if the cost of a call is unknown."""
    user_cost: float | None
    """What the user's model cost; 0.0 for a user that was not played by a model."""


async def dialogue(
    agent: Agent,
    user: SimulatedUser,
    *,
    tools: Sequence[Tool | ToolDef | ToolSource] | None = None,
    instructions: str | None = None,
    max_turns: int = 20,
) -> Dialogue:
    """Let the user and the agent talk: the user begins, and each of the agent's turns ends with a message to the user.

    The user's model counts in the run's budget, and not against the limits of the agent.

    Args:
        agent: under evaluation.
        user: who talks with it.
        tools: the agent's, instead of the bash tool.
        instructions: the agent's system message, for example a policy.
        max_turns: the dialogue ends after this many turns of the agent.

    Raises:
        RuntimeError: the agent is a real model and nobody plays the user.
        TypeError: the scaffold takes no tools, or no instructions.
        ValueError: `max_turns` is less than 1.
    """
    if max_turns < 1:
        raise ValueError(f"max_turns={max_turns}: give the agent one turn at least")
    request = AgentRequest(agent.model, tools, instructions, submit=False)
    agent._program.refuse(request)
    person, start = _person(agent, user), len(agent._meter.calls)
    messages: list[ChatMessage] = []
    said, heard, calls = list[str](), list[str](), list[ToolCall]()
    ended_by: Literal["user", "turns", "limit"] = "turns"
    limit: str | None = None
    attempt = agent._meter.attempt
    sure_before = attempt.said
    while len(said) < max_turns:
        attempt.agent_begins()  # a slow user must not count as slow grading; the agent's own limits do not apply here
        try:
            text = await person(said[-1] if said else None)
        finally:
            attempt.agent_ends()
        if text is None:
            ended_by = "user"
            break
        heard.append(text)
        messages.append(ChatMessageUser(content=text))
        result = await agent._turn(messages, request)
        messages = [message for message in result.messages if not isinstance(message, ChatMessageSystem)]
        calls += result.tool_calls
        said.append(result.answer)
        if result.limit is not None:
            ended_by, limit = "limit", result.limit
            break
    paid = agent._meter.calls[start:]
    await ask_if_asked_for(agent._meter, agent._state.messages, sure_before)
    return Dialogue(
        messages=tuple(messages),
        said=tuple(said),
        heard=tuple(heard),
        tool_calls=tuple(calls),
        turns=len(said),
        ended_by=ended_by,
        limit=limit,
        cost=total_of(call.cost for call in paid if call.role != user.role),
        user_cost=total_of(call.cost for call in paid if call.role == user.role),
    )


_Person = Callable[[str | None], Awaitable[str | None]]
"""What a person says to what the agent said (None: it has not said anything yet), or None: they are done."""


@dataclass(slots=True)
class _Played:
    """Played by a model, for which the agent is the user and the person itself the assistant."""

    model: Model
    user: SimulatedUser
    _messages: list[ChatMessage] = field(default_factory=list)

    async def answer(self, agent_said: str | None) -> str | None:
        if not self._messages:
            rules = _RULES.format(scenario=self.user.scenario.strip(), stop=self.user.stop)
            self._messages.append(ChatMessageSystem(content=rules))
        heard = _GREETING if agent_said is None else agent_said or "(The agent says nothing.)"
        self._messages.append(ChatMessageUser(content=heard))
        output = await self.model.generate(self._messages)
        text = output.completion.strip()
        self._messages.append(ChatMessageAssistant(content=text))
        if self.user.stop not in text:
            return text
        return (text.replace(self.user.stop, "").strip() or _OPENING) if agent_said is None else None


def _person(agent: Agent, user: SimulatedUser) -> _Person:
    if agent.model in BUILT_IN_MODELS:
        lines = iter(user.script)

        async def next_line(agent_said: str | None) -> str | None:
            return next(lines, None)

        return next_line
    if user.role not in model_roles():
        raise RuntimeError(
            f"the dialogue needs a model for the simulated user: add --agent-role={user.role}=PROVIDER/MODEL"
        )
    return _Played(get_model(role=user.role), user).answer
