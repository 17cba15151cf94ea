"""Agents that are programs in the sandbox: a command line in the task's image, its model calls over the bridge."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from inspect_ai.agent import AgentState
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, ChatMessageUser, ModelOutput
from inspect_ai.util import sandbox

from pytest_agenteval.engine.agents.agent import AgentResult, agent_result
from pytest_agenteval.engine.agents.clients import CLIENT_MODEL
from pytest_agenteval.engine.agents.confidence import ask_if_asked_for
from pytest_agenteval.engine.agents.container_bridge import ContainerBridge, NoBridge, check_program
from pytest_agenteval.engine.logs.exits import note_exit
from pytest_agenteval.engine.models.meter import CallMeter, current_meter
from pytest_agenteval.engine.models.provider_errors import ProviderFailed, Said
from pytest_agenteval.record.conduct import Confidence
from pytest_agenteval.record.confidence import read_answer
from pytest_agenteval.record.outcomes import Cause

__all__ = ["SandboxAgent", "run_program"]

_PLACES = ("task", "instructions", "model", "base_url", "api_key")
_PLACE = re.compile(r"\{\{(\w+)\}\}|(?<!\$)\{([A-Za-z_]\w*)\}")
_CLIENTS = {
    "OPENAI_BASE_URL": "{base_url}/v1",
    "OPENAI_API_KEY": "{api_key}",
    "ANTHROPIC_BASE_URL": "{base_url}",
    "ANTHROPIC_API_KEY": "{api_key}",
    "GOOGLE_GEMINI_BASE_URL": "{base_url}",
    "GEMINI_API_KEY": "{api_key}",
}
"""Where the clients of OpenAI, Anthropic and Google look by themselves."""
_LONGEST_ANSWER = 100_000
_KILL_SECONDS = 10
_KILL = """
for round in 1 2; do
    for each in /proc/[0-9]*; do
        grep -qs "$1" "$each/environ" && kill -9 "${each#/proc/}"
    done
done
exit 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxAgent:
    """An agent that is a program in the task's image: `SandboxAgent(command=["my-agent", "-m", "{model}", "{task}"])`.

    Name it with `--agent-scaffold=my_agents:my_agent`, or return it from a fixture `agent`. It runs in the attempt's
    container, which needs no network: every model call goes to the model under evaluation, is paid, counted and held to
    the limits like any other agent's. Its answer is what it writes to stdout.

    In `command`, `env` and `stdin`, `{task}`, `{instructions}`, `{model}`, `{base_url}` and `{api_key}` are filled in;
    `{{task}}` stands for `{task}` itself.

    Raises:
        TypeError: the command is a text, or not of texts.
        ValueError: it is empty, or names a place that does not exist.
    """

    command: Sequence[str]
    """The program and its arguments. No shell reads them."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Beside the variables in which the clients of OpenAI, Anthropic and Google look for address and key."""
    stdin: str | None = None
    user: str | None = None
    """Instead of the image's own."""
    cwd: str | None = None
    """Instead of the sandbox's working directory."""
    confidence: str | None = None
    """A pattern (regular expression) with one group that finds in the output how sure the program is, a number from 0
    to 100: `r"confidence: (.+)"`. The last match counts; without one the program gave no number."""

    def __post_init__(self) -> None:
        if isinstance(self.command, str) or not all(isinstance(word, str) for word in self.command):
            raise TypeError('the command of a SandboxAgent is a list of texts: command=["my-agent", "{task}"]')
        if not self.command:
            raise ValueError('the command of a SandboxAgent is empty: command=["my-agent", "{task}"]')
        if self.confidence is not None:
            _check_pattern(self.confidence)
        for name in self.places():
            if name not in _PLACES:
                known = ", ".join(f"{{{place}}}" for place in _PLACES)
                raise ValueError(f"a SandboxAgent has no {{{name}}}, only {known}; {{{{{name}}}}} stands for itself")

    def places(self) -> Iterator[str]:
        """The names of all places to be filled in."""
        for text in (*self.command, *self.env.values(), self.stdin or ""):
            yield from (found[2] for found in _PLACE.finditer(text) if found[2])

    async def run(self, prompt: str | Sequence[ChatMessage], *, instructions: str | None = None) -> AgentResult:
        """For a fixture `agent` that returns this: let the program work on a task in the attempt's sandbox.

        Args:
            prompt: the task, as text or as messages, whose texts are joined.
            instructions: what goes into `{instructions}`.

        Raises:
            RuntimeError: this code runs for no attempt, or its sandbox cannot have such an agent.
            LimitExceededError: the agent has run into a limit of its own, or the run's budget is spent.
        """
        meter = current_meter()
        if meter is None:
            raise RuntimeError("SandboxAgent.run was called outside of an attempt: call it in the body of a test")
        messages: list[ChatMessage] = [ChatMessageUser(content=prompt)] if isinstance(prompt, str) else list(prompt)
        messages = meter.disturbance.prompt(messages)
        start, paid = len(transcript().events), len(meter.calls)
        said = meter.attempt.said
        async with meter.agent_at_work():
            meter.attempt.agent_begins()
            with meter.agent_speaks():
                state = await run_program(self, AgentState(messages=messages), instructions, meter)
        result = agent_result(state, transcript().events[start:], meter.calls[paid:], meter)
        await ask_if_asked_for(meter, result.messages, said)
        return result

    def filled(self, values: Mapping[str, str]) -> tuple[list[str], dict[str, str], str | None]:
        """Command, environment and stdin with all places filled in."""

        def fill(text: str) -> str:
            return _PLACE.sub(lambda found: f"{{{found[1]}}}" if found[1] else values[found[2]], text)

        env = {name: fill(text) for name, text in (_CLIENTS | dict(self.env)).items()}
        return [fill(word) for word in self.command], env, None if self.stdin is None else fill(self.stdin)


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"confidence of a SandboxAgent is not a pattern: {error}") from None
    if groups != 1:
        raise ValueError('confidence of a SandboxAgent needs one group: confidence=r"confidence: (.+)"')


def _found(pattern: str, output: str) -> Confidence:
    """What the program says of its confidence in the last place that fits."""
    *_, last = ["", *re.findall(pattern, output, re.MULTILINE)]
    return read_answer(last)


async def run_program(agent: SandboxAgent, state: AgentState, instructions: str | None, meter: CallMeter) -> AgentState:
    """Let the program work until it ends or is stopped, and note how; what it wrote to stdout is the answer.

    Raises:
        RuntimeError: the attempt's sandbox cannot have such an agent.
        LimitExceededError: it was stopped for that.
        ProviderFailed: it gave up after a call that the provider did not answer.
    """
    bridge = ContainerBridge()
    meter.injector.without("exec")  # the bridge itself is made of commands in the sandbox
    values = {"model": CLIENT_MODEL, "base_url": bridge.address, "api_key": "unused"}
    values["instructions"] = instructions or ""
    values["task"] = "\n\n".join(message.text for message in state.messages)
    command, env, stdin = agent.filled(values)
    place: dict[str, Any] = {"cwd": agent.cwd, "user": agent.user}
    status, answer = None, ""
    try:
        await check_program(command[0], env=env, **place)
        async with bridge.open(state):
            status, answer = await _run(command, env, stdin, place)
    except NoBridge as error:
        meter.attempt.miswired = str(error)
        raise RuntimeError(str(error)) from error
    if agent.confidence is not None:
        meter.attempt.said = _found(agent.confidence, answer)
    unanswered = meter.attempt.unanswered
    if status and unanswered is not None and unanswered.cause is Cause.PROVIDER:
        raise ProviderFailed(Said(None, "", unanswered.message))
    if answer:
        state.output = ModelOutput.from_content(meter.attempt.model, answer)
    return state


async def _run(command: list[str], env: dict[str, str], stdin: str | None, place: Mapping[str, Any]) -> tuple[int, str]:
    """Run it; when cancelled, kill it with all that it started."""
    mark, start = uuid.uuid4().hex, time.monotonic()
    try:
        # of the places for commands it takes none: it may take as long as the agent's time limit
        done = await sandbox().exec(
            command, input=stdin, env={**env, "INVOCATION_ID": mark}, concurrency=False, **place
        )
    except anyio.get_cancelled_exc_class():
        note_exit(command, None, time.monotonic() - start)
        with anyio.CancelScope(shield=True), anyio.move_on_after(_KILL_SECONDS), suppress(Exception):
            # A provider may leave a command running that nobody waits for any more. If the sandbox is gone, so is the
            # command.
            await sandbox().exec(["sh", "-c", _KILL, "sh", mark], user=place["user"])
        raise
    note_exit(command, done.returncode, time.monotonic() - start, done.stdout, done.stderr)
    return done.returncode, done.stdout.strip()[-_LONGEST_ANSWER:]
