"""What a scripted model does: pure functions of the seed, so that a test can compute every count in advance.

Each draw has its own name (seed, model, task, conversation, what is drawn) and no state. Changing one probability
therefore changes no other draw, and no draw depends on the order of requests or on concurrency.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol

__all__ = [
    "CommandPolicy",
    "Expected",
    "Faults",
    "Plan",
    "Policy",
    "Refusal",
    "Step",
    "StepKind",
    "TextPolicy",
    "Tokens",
    "make_plan",
    "total",
]

StepKind = Literal["command", "malformed_arguments", "unknown_tool", "failing_command", "final"]
Refusal = Literal[429, 500, "hang"]

MALFORMED_ARGUMENTS = '{"command": "ls'
UNKNOWN_TOOL = "no_such_tool"


def _draw(*name: object) -> float:
    """A number in [0, 1) that depends on `name` alone."""
    digest = hashlib.sha256(json.dumps(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _check_probabilities(**probabilities: float) -> None:
    for name, value in probabilities.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}: give a probability between 0 and 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The `usage` of every answered call. `cached` tokens are part of `prompt`, as in OpenAI's API.

    `instead` is what an answer says of its usage in place of that; `{}`: it says nothing, and has no `usage`.
    """

    prompt: int = 1000
    completion: int = 100
    cached: int = 0
    instead: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.cached <= self.prompt:
            raise ValueError(f"cached is {self.cached}: give a number between 0 and prompt ({self.prompt}).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often a request is refused instead of answered; at most one refusal per request.

    `retry_after` (seconds) goes out as `Retry-After` with 429 and 500; None sends no header. A hang holds the
    connection for `hang_seconds` and closes it without an answer. One call of a conversation is refused at most
    `most_per_call` times. A client may meet more refusals of its first request than that, when other clients take over
    the conversations it was refused in: let clients retry often.
    """

    p_429: float = 0.0
    p_500: float = 0.0
    p_hang: float = 0.0
    retry_after: float | None = 0.001
    hang_seconds: float = 0.05
    most_per_call: int = 2

    def __post_init__(self) -> None:
        together = self.p_429 + self.p_500 + self.p_hang
        _check_probabilities(
            p_429=self.p_429, p_500=self.p_500, p_hang=self.p_hang, p_429_and_p_500_and_p_hang=together
        )


class Policy(Protocol):
    """What the model does with one task."""

    @property
    def p_success(self) -> float:
        """Probability that a conversation does the task right."""

    @property
    def tokens(self) -> Tokens:
        """Usage of every answered call."""

    @property
    def latency(self) -> float:
        """Seconds before every answer."""

    @property
    def faults(self) -> Faults:
        """How often requests are refused."""

    def steps(self, success: bool, name: tuple[object, ...]) -> tuple[Step, ...]:
        """Return the answers of one conversation; `name` is the conversation's, for further draws."""


@dataclass(frozen=True, slots=True)
class Step:
    """One answer: a call of `tool` with the JSON text `arguments`; `text` is said where the tool is not offered."""

    kind: StepKind
    tool: str | None
    arguments: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPolicy:
    """Runs commands with the tool `bash`, one per call, then gives the answer to the tool `submit`.

    `extra_steps` calls of the command `true` come first. The three kinds of tool fault are drawn once each per
    conversation, and each adds one call before the commands: arguments that are no JSON, a tool that does not exist,
    a command that exits with 3.
    """

    p_success: float = 1.0
    p_malformed_arguments: float = 0.0
    p_unknown_tool: float = 0.0
    p_failing_command: float = 0.0
    success: tuple[str, ...] = ("true",)
    failure: tuple[str, ...] = ("true",)
    extra_steps: int = 0
    answer: str = "done"
    wrong_answer: str = "done"
    tokens: Tokens = field(default_factory=Tokens)
    latency: float = 0.0
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        _check_probabilities(
            p_success=self.p_success,
            p_malformed_arguments=self.p_malformed_arguments,
            p_unknown_tool=self.p_unknown_tool,
            p_failing_command=self.p_failing_command,
        )

    def steps(self, success: bool, name: tuple[object, ...]) -> tuple[Step, ...]:
        """Return tool faults first, then the extra steps, the commands and the answer."""
        text = self.answer if success else self.wrong_answer
        steps: list[Step] = []
        if _draw(*name, "malformed_arguments") < self.p_malformed_arguments:
            steps.append(Step("malformed_arguments", "bash", MALFORMED_ARGUMENTS, text))
        if _draw(*name, "unknown_tool") < self.p_unknown_tool:
            steps.append(Step("unknown_tool", UNKNOWN_TOOL, "{}", text))
        if _draw(*name, "failing_command") < self.p_failing_command:
            steps.append(Step("failing_command", "bash", json.dumps({"command": "exit 3"}), text))
        commands = ("true",) * self.extra_steps + (self.success if success else self.failure)
        steps += [Step("command", "bash", json.dumps({"command": command}), text) for command in commands]
        return (*steps, Step("final", "submit", json.dumps({"answer": text}), text))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPolicy:
    """Says one text and calls no tool; asked again in the same conversation it says the same."""

    p_success: float = 1.0
    answer: str = "done"
    wrong_answer: str = "I do not know."
    tokens: Tokens = field(default_factory=Tokens)
    latency: float = 0.0
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        _check_probabilities(p_success=self.p_success)

    def steps(self, success: bool, name: tuple[object, ...]) -> tuple[Step, ...]:
        """Return the one text."""
        return (Step("final", None, "", self.answer if success else self.wrong_answer),)


@dataclass(frozen=True, slots=True)
class Expected:
    """Counts over conversations that run to their end; `calls` and the tokens count answered requests only.

    They hold for requests that offer `bash`: without it a conversation is one text and its tool faults do not happen.
    """

    conversations: int = 0
    successes: int = 0
    malformed_arguments: int = 0
    unknown_tools: int = 0
    failing_commands: int = 0
    calls: int = 0
    refused_429: int = 0
    refused_500: int = 0
    hangs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def requests(self) -> int:
        """HTTP requests, answered and refused."""
        return self.calls + self.refused_429 + self.refused_500 + self.hangs


def total(several: Iterable[Expected]) -> Expected:
    """Return the sum, count by count."""
    several = list(several)
    return Expected(*(sum(getattr(one, each.name) for one in several) for each in fields(Expected)))


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one conversation does."""

    policy: Policy
    name: tuple[object, ...]
    success: bool
    steps: tuple[Step, ...]

    def step(self, number: int) -> Step:
        """Return the answer to step `number` (from 0); after the last step the last one is repeated."""
        return self.steps[min(number, len(self.steps) - 1)]

    def refusal(self, step: int, refused: int) -> Refusal | None:
        """Return how the request for `step` is refused, `refused` requests for it having been refused before."""
        faults = self.policy.faults
        if refused >= faults.most_per_call:
            return None
        drawn = _draw(*self.name, "fault", step, refused)
        if drawn < faults.p_429:
            return 429
        if drawn < faults.p_429 + faults.p_500:
            return 500
        return "hang" if drawn < faults.p_429 + faults.p_500 + faults.p_hang else None

    def refusals(self, step: int) -> list[Refusal]:
        """Return all refusals that come before the answer to `step`."""
        met: list[Refusal] = []
        while (refusal := self.refusal(step, len(met))) is not None:
            met.append(refusal)
        return met

    def expected(self) -> Expected:
        """Return the counts of this conversation."""
        kinds = [step.kind for step in self.steps]
        refusals = [refusal for step in range(len(self.steps)) for refusal in self.refusals(step)]
        tokens = self.policy.tokens
        return Expected(
            conversations=1,
            successes=int(self.success),
            malformed_arguments=kinds.count("malformed_arguments"),
            unknown_tools=kinds.count("unknown_tool"),
            failing_commands=kinds.count("failing_command"),
            calls=len(kinds),
            refused_429=refusals.count(429),
            refused_500=refusals.count(500),
            hangs=refusals.count("hang"),
            prompt_tokens=len(kinds) * tokens.prompt,
            completion_tokens=len(kinds) * tokens.completion,
            cached_tokens=len(kinds) * tokens.cached,
        )


def make_plan(policy: Policy, seed: int, model: str, task: str, conversation: int) -> Plan:
    """Return what conversation number `conversation` (from 0) of `model` on `task` does."""
    name = (seed, model, task, conversation)
    success = _draw(*name, "success") < policy.p_success
    return Plan(policy, name, success, policy.steps(success, name))
