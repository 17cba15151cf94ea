"""The agent under evaluation: a scaffold around the model, held to the task's limits, and what its run returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from inspect_ai.agent import AgentState
from inspect_ai.event import Event, InfoEvent
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, ChatMessageUser
from inspect_ai.solver import TaskState
from inspect_ai.tool import Tool, ToolDef, ToolSource
from inspect_ai.util import Limit, apply_limits, span, turn_limit, working_limit

from pytest_agenteval.engine.agents.confidence import ask_if_asked_for
from pytest_agenteval.engine.agents.container_bridge import limits_end, watch_bridges
from pytest_agenteval.engine.agents.own_code import bridged_body, record_tool
from pytest_agenteval.engine.logs.events import tool_calls
from pytest_agenteval.engine.logs.exits import ProgramExit, program_exit
from pytest_agenteval.engine.models.faults import ProviderSilent, limit_cause, limit_in, needing, provider_to_blame
from pytest_agenteval.engine.models.meter import CallMeter
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import ModelCall, ToolCall, total_of

__all__ = [
    "REACT", "Agent", "AgentRequest", "AgentResult", "Scaffold", "agent_limits", "agent_result",
    "own_agent_limits",
]  # fmt: skip

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
        """Raise `TypeError`, in one sentence, for what this program cannot do; called before the agent starts."""

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
    answer = state.output.completion if not state.output.empty else ""
    meter.watch.answer, meter.watch.messages = answer, tuple(state.messages)
    return AgentResult(
        answer=answer,
        messages=tuple(state.messages),
        tool_calls=tool_calls(events),
        cost=total_of(call.cost for call in calls),
        tokens=total_of(call.tokens for call in calls),
        turns=len(calls),
        limit=meter.attempt.limit,
        program=exits[-1] if exits else None,
    )


@dataclass(slots=True)
class Agent:
    """The agent under evaluation, in this attempt's sandbox (the fixture `agent`)."""

    model: str
    """Inspect's name of the model."""
    scaffold: str
    """The name of the agent program around the model."""
    _program: Scaffold = field(repr=False)
    _meter: CallMeter = field(repr=False)
    _state: TaskState = field(repr=False)

    async def run(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        tools: Sequence[Tool | ToolDef | ToolSource] | None = None,
        instructions: str | None = None,
        submit: bool = True,
    ) -> AgentResult:
        """Let the agent work until it submits an answer or runs into a limit of the task; both return.

        Args:
            prompt: the task, as text or as messages.
            tools: instead of the scaffold's own; `react` has bash.
            instructions: the system message, instead of the scaffold's own.
            submit: give the agent a submit tool; without one it ends with the first message without a tool call.
                Scaffolds that have no such choice end as they do.

        Raises:
            TypeError: the scaffold takes no tools, or no instructions: nothing has run yet.
            SandboxUnavailableError, or what the provider raised: the attempt becomes an environment error.
        """
        before = self._meter.attempt.said
        result = await self._turn(prompt, AgentRequest(self.model, tools, instructions, submit))
        await ask_if_asked_for(self._meter, result.messages, before)
        return result

    async def _turn(self, prompt: str | Sequence[ChatMessage], request: AgentRequest) -> AgentResult:
        """One run of the program, after which nobody asks how sure the agent is: a dialogue has many."""
        messages: list[ChatMessage] = [ChatMessageUser(content=prompt)] if isinstance(prompt, str) else list(prompt)
        messages = self._meter.disturbance.prompt(messages)
        self._program.refuse(request)
        state = AgentState(messages=messages)
        start, paid = len(transcript().events), len(self._meter.calls)
        try:
            async with self._meter.agent_at_work(), agent_limits(self._meter), span(name="agent", type="agent"):
                with self._meter.agent_speaks(), needing(f"scaffold {self.scaffold}"):
                    state = await self._program.run(state, request, self._meter)
        finally:  # after a limit the program never returned, but it extended the conversation in place
            self._state.messages, self._state.output = state.messages, state.output
        return agent_result(state, transcript().events[start:], self._meter.calls[paid:], self._meter)

    record_tool = staticmethod(record_tool)


@asynccontextmanager
async def agent_limits(meter: CallMeter) -> AsyncIterator[None]:
    """Hold what runs in here to what the task still leaves its agent; running into it ends the block, without an error.

    That is so whatever the agent's code makes of it (an error of its own, a group of a task group's), and where Inspect
    would end the whole sample. `meter.attempt.limit` then says which limit it was. The limits count over all runs of
    the agent in one try; the model's context window holds for each of them. Raises `ProviderSilent` where the time was
    up while the provider had left a call unanswered for most of it.
    """
    attempt, options, used = meter.attempt, meter.options, meter.used
    watch_bridges()
    attempt.agent_begins()
    if attempt.limit is Cause.CONTEXT:
        attempt.limit = None  # each run has a conversation of its own
    clock = working_limit(None)
    limits = [clock, turn_limit(None if options.turn_limit is None else max(0, options.turn_limit - used.turns))]
    seconds = None if options.time_limit is None else max(0.0, options.time_limit - used.seconds)
    silent_for = 0.0
    meter.agent_running, meter.stopped_by = True, None
    try:
        with apply_limits(limits), limits_end() as scope:

            def time_is_up() -> None:
                nonlocal silent_for
                silent_for = meter.silent_for
                scope.cancel()

            watch = None if seconds is None else asyncio.create_task(_after_work(clock, seconds, time_is_up))
            try:
                yield
            finally:
                if watch is not None:
                    watch.cancel()
        if scope.cancelled_caught:
            if provider_to_blame(silent_for, options.time_limit):
                raise ProviderSilent(silent_for, options.time_limit)
            attempt.limit = Cause.TIME
    except Exception as error:
        limit = meter.stopped_by or limit_in(error)
        if limit is None or (limit.source is not None and limit.source not in limits):
            raise
        attempt.limit = limit_cause(limit)
        if attempt.limit is None:  # the run stopped it, not a limit of its own
            raise limit from None
    finally:
        if attempt.limit is None and attempt.unanswered is not None and attempt.unanswered.cause is Cause.CONTEXT:
            attempt.limit = Cause.CONTEXT
        used.seconds += clock.usage
        meter.agent_running = False
        attempt.agent_ends()


@asynccontextmanager
async def own_agent_limits(meter: CallMeter) -> AsyncIterator[None]:
    """Around the body of an own agent: the limits hold from its first model call to the end of the body.

    Calls of model clients go through Inspect, so that they are paid, counted and held to the limits like any other.
    Raises `LimitExceededError` for a limit of cost, tokens or turns; time ends the body through the attempt itself.
    `meter.attempt.limit` then says which limit it was, also where the agent swallowed the error.
    """
    watch_bridges()
    attempt, options = meter.attempt, meter.options
    clock, turns = working_limit(None), turn_limit(options.turn_limit)
    watch: asyncio.Task[None] | None = None

    def started() -> None:
        nonlocal watch
        if options.time_limit is not None:
            watch = asyncio.create_task(_after_work(clock, clock.usage + options.time_limit, time_is_up))

    def time_is_up() -> None:
        attempt.out_of_time(Cause.PROVIDER if provider_to_blame(meter.silent_for, options.time_limit) else Cause.TIME)

    attempt.on_agent_start = started
    meter.agent_running = True
    try:
        with apply_limits([clock, turns]), limits_end():
            async with bridged_body(meter):
                yield
    finally:
        meter.agent_running = False
        if options.turn_limit is not None and turns.usage > options.turn_limit:
            attempt.limit = attempt.limit or Cause.TURNS
        if watch is not None:
            watch.cancel()


async def _after_work(clock: Limit, seconds: float, then: Callable[[], None]) -> None:
    """Call `then` after `seconds` of work; waits for the provider's rate limits and retries are not work."""
    while (left := seconds - clock.usage) > 0:  # noqa: ASYNC110 (time is what is waited for)
        await asyncio.sleep(max(left, 0.01))
    then()
