"""The built-in models, which cost nothing: they rehearse a suite by playing the solutions that its tasks declare.

`agenteval/oracle` plays the solution, `agenteval/null` does nothing and submits, `agenteval/noisy` plays the solution
with faults drawn by task and attempt number, so that neither order nor concurrency changes what an attempt does.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolCall, ToolChoice, ToolInfo
from inspect_ai.util import OutputLimitExceededError, sandbox

from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.collect.plays import Scene
from pytest_agenteval.engine.inspect_private import PrerequisiteError
from pytest_agenteval.engine.models.meter import current_meter
from pytest_agenteval.record.confidence import ASKING, QUESTION
from pytest_agenteval.record.digest import digest
from pytest_agenteval.run.attempt import Attempt

__all__ = ["Noise", "RehearsalAPI", "Step", "confidence", "script"]


_SHELL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of a rehearsed agent: a tool call, arguments as the text a model would have written."""

    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Noise:
    """How often what goes wrong in `agenteval/noisy`; each in [0, 1]. Set by `--agent-model-arg=NAME=VALUE`."""

    seed: int = 0
    p_success: float = 0.9
    """An attempt does the whole solution; otherwise it leaves out one of its steps, or gives up there."""
    p_malformed: float = 0.1
    """An attempt once writes arguments that do not parse."""
    p_unknown_tool: float = 0.1
    """An attempt once calls a tool that does not exist."""
    p_wrong_command: float = 0.2
    """An attempt once runs a command that exits with an error, or calls one of the task's own tools without arguments,
    and goes on."""

    def __post_init__(self) -> None:
        for name in ("p_success", "p_malformed", "p_unknown_tool", "p_wrong_command"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise PrerequisiteError(f"--agent-model-arg={name}={value} must be a number between 0 and 1")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise PrerequisiteError(f"--agent-model-arg=seed={self.seed} must be a whole number")


def script(kind: str, options: TaskOptions, noise: Noise, task: str, attempt: int) -> list[Step]:
    """Everything that a rehearsed attempt will do, in order, ending with the submission.

    `kind` is `oracle`, `null` or `noisy`, which alone uses `noise`; its seed includes the task's id and the attempt's
    number. Without a solution in the task's options there is nothing to play, and the answer alone is submitted.
    """
    if kind == "null":
        return [_submit("")]
    steps = [
        _bash(step) if isinstance(step, str) else Step(step[0], json.dumps(step[1])) for step in options.steps or ()
    ]
    own_tool = next((step.tool for step in steps if step.tool != "bash"), None)
    answer = options.answer
    if kind == "noisy":
        draw = _draw(noise, task, attempt)
        succeeds, *faults = (draw.random() < p for p in (
            noise.p_success, noise.p_malformed, noise.p_unknown_tool, noise.p_wrong_command))  # fmt: skip
        places = [draw.randint(0, len(steps)) for _ in faults]
        gives_up = draw.random() < 0.5
        if not succeeds:
            answer = ""
            wrong = draw.randrange(len(steps)) if steps else 0
            steps = steps[:wrong] if gives_up else [*steps[:wrong], *steps[wrong + 1 :]]
        extra = (
            Step(own_tool or "bash", '{"command": "ls'),
            Step("search_the_web", json.dumps({"query": "how to solve this"})),
            Step(own_tool, "{}") if own_tool else _bash("cat /no/such/file"),
        )
        for happens, place, step in zip(faults, places, extra, strict=True):
            if happens:
                steps.insert(min(place, len(steps)), step)
    return [*steps, _submit(answer)]


def confidence(kind: str, noise: Noise, task: str, attempt: int) -> int:
    """How sure a rehearsed agent says it is, in per cent: the oracle is, the null agent is not.

    The noisy one is rather too sure, and more so where it did the whole solution.
    """
    if kind != "noisy":
        return 100 if kind == "oracle" else 0
    succeeds = _draw(noise, task, attempt).random() < noise.p_success
    return random.Random(f"{noise.seed}/{task}/{attempt}/{ASKING}").randint(*((70, 100) if succeeds else (40, 95)))


def _draw(noise: Noise, task: str, attempt: int) -> random.Random:
    return random.Random(f"{noise.seed}/{task}/{attempt}")


class RehearsalAPI(ModelAPI):
    """Inspect's provider `agenteval`: `agenteval/oracle`, `agenteval/null`, `agenteval/noisy`."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (Inspect's own signature)
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        if model_name not in ("oracle", "null", "noisy"):
            raise PrerequisiteError(f"agenteval/{model_name} is not one of agenteval/oracle, /null and /noisy")
        known = Noise.__dataclass_fields__ if model_name == "noisy" else {}
        for name in model_args:
            if name not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise PrerequisiteError(f"it has no argument {name!r} (--agent-model-arg), {takes}")
        self.noise = Noise(**model_args)

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """The next step of the attempt's script."""
        meter = current_meter()
        if meter is None:
            raise PrerequisiteError("the built-in models play the tasks of pytest-agenteval; they answer nothing else")
        attempt, model = meter.attempt, f"agenteval/{self.model_name}"
        if input and input[-1].text == QUESTION:
            number = str(confidence(self.model_name, self.noise, attempt.task, attempt.number))
            message = ChatMessageAssistant(content=number, model=model)
            choice = ChatCompletionChoice(message=message, stop_reason="stop")
            return ModelOutput(model=model, choices=[choice], usage=_usage(input, number))
        turn = sum(message.role == "assistant" for message in input)
        if meter.plays is not None:
            tool, arguments = await meter.plays.act(_scene(attempt, turn, input, tools))
            step = Step(tool, json.dumps(arguments))
        else:
            steps = script(self.model_name, meter.options, self.noise, attempt.task, attempt.number)
            step = steps[min(turn, len(steps) - 1)]
        message = ChatMessageAssistant(content="", model=model)
        if step.tool not in {tool.name for tool in tools} and step.tool in ("bash", "submit"):
            message.content = json.loads(step.arguments)["answer"] if step.tool == "submit" else step.arguments
        else:
            message.tool_calls = [_call(digest(f"{attempt.task}/{attempt.number}/{turn}"), step)]
        choice = ChatCompletionChoice(message=message, stop_reason="tool_calls" if message.tool_calls else "stop")
        return ModelOutput(model=model, choices=[choice], usage=_usage(input, step.arguments))

    async def count_text_tokens(self, text: str) -> int:
        """A quarter of the characters: no tokenizer is downloaded for models that cost nothing."""
        return math.ceil(len(text) / 4)


def _scene(attempt: Attempt, turn: int, input: list[ChatMessage], tools: list[ToolInfo]) -> Scene:
    prompt = "\n".join(message.text for message in input if message.role == "user")
    system = [message.text for message in input if message.role == "system"]
    told = [tool.model_dump_json(exclude_none=True) for tool in tools]
    request = "\n".join(message.text for message in input)
    return Scene(attempt.number, turn, prompt, "\n".join([*system, *told]), request, _shell, attempt._end_state)


async def _shell(command: str) -> str | None:
    try:
        done = await sandbox().exec(["sh", "-c", command], timeout=_SHELL_SECONDS)
    except (ProcessLookupError, OutputLimitExceededError, TimeoutError, UnicodeDecodeError):
        return None  # there is no sandbox, or it has too much to show
    return done.stdout


def _call(call_id: str, step: Step) -> ToolCall:
    try:
        return ToolCall(id=call_id, function=step.tool, arguments=json.loads(step.arguments))
    except ValueError as error:
        fault = f"not JSON: {step.arguments!r} ({error})"
        return ToolCall(id=call_id, function=step.tool, arguments={}, parse_error=fault)


def _usage(input: list[ChatMessage], said: str) -> ModelUsage:
    read = sum(math.ceil(len(message.text) / 4) for message in input)
    written = math.ceil(len(said) / 4)
    return ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)


def _bash(command: str) -> Step:
    return Step("bash", json.dumps({"command": command}))


def _submit(answer: str) -> Step:
    return Step("submit", json.dumps({"answer": answer}))
