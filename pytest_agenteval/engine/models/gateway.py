"""The one place that stands around Inspect's models: every call passes here, whoever makes it. From the outside in:

Model.generate      meter    records the answer, or that none came
                    content  makes what is asked encodable
  Model._generate   blame    notes in which role the model is asked
    (Inspect's cache and retries; its hooks let the meter pay for a call before it is made)
    api.generate    blame    decides whose fault it is where no answer came
                    content  makes the answer harmless before anybody reads it
      ModelCall     blame    hears the raw reply

Inspect's provider classes make an output of some refusals (`model_length`, `content_filter`), each of those whose words
it knows; other errors they let through, with the request behind them. Here one table decides for all of them.
"""

from __future__ import annotations

import contextvars
import functools
import json
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from inspect_ai.hooks import BeforeModelGenerate, Hooks, ModelRetry, hooks
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, Model, ModelAPI, ModelCall, ModelOutput, StopReason
from inspect_ai.util import LimitExceededError

from pytest_agenteval.collect.plays import Plays
from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.conduct.reshaped import Reshaping
from pytest_agenteval.engine.models.content_guard import harmless_answer, harmless_input
from pytest_agenteval.engine.models.meter import CallMeter, current_meter
from pytest_agenteval.engine.models.provider_errors import (
    ConversationRefused,
    ProviderFailed,
    Said,
    one_line,
    said_by,
    said_in,
)
from pytest_agenteval.engine.models.provider_table import Blame, blame
from pytest_agenteval.record.outcome_table import Unanswered
from pytest_agenteval.record.outcomes import Cause

__all__ = ["stand_around_models"]

_NOT_THE_PROVIDERS = (LimitExceededError, inspect_private.PrerequisiteError, inspect_private.TerminateSampleError)
_STOPS: dict[Blame, StopReason] = {Blame.CONTEXT: "model_length", Blame.CONTENT: "content_filter"}
"""What Inspect calls them: its agents can shorten the conversation, or end."""
_CAUSES = {Blame.CONTEXT: Cause.CONTEXT, Blame.PROVIDER: Cause.PROVIDER}
_WITHHELD = {"model_length": "the model's context window is full", "content_filter": "the provider withheld the answer"}
_NO_JSON = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)

_heard: contextvars.ContextVar[list[_Body] | None] = contextvars.ContextVar("agenteval_heard", default=None)
"""What came for the call under way: events of the log lose it, for not every call is logged whole."""
_role: contextvars.ContextVar[str | None] = contextvars.ContextVar("agenteval_role", default=None)
_guarded: weakref.WeakSet[ModelAPI] = weakref.WeakSet()
"""Instances, for a provider's class has a `generate` of its own."""


@functools.cache
def stand_around_models() -> None:
    """Wrap what Inspect calls, once per process: no hook of its own tells of an answer without usage, or of a failure.

    Outside of attempts only the content is looked after.
    """
    model: Any = Model
    raw_call: Any = ModelCall
    generate, generate_inside = model.generate, model._generate
    should_retry, before_retry, set_response = model.should_retry, model.before_retry, raw_call.set_response

    @functools.wraps(generate)
    async def called(self: Model, input: str | list[ChatMessage], *arguments: Any, **named: Any) -> Any:
        meter, asked = current_meter(), harmless_input(input)
        if meter is not None and meter.plays is not None and self.role is not None:
            asked = _by_play(meter.plays, meter.attempt.number, asked)
        call = functools.partial(generate, self, asked, *arguments, **named)
        if meter is None:
            return await call()
        since = transcript().history.event_count
        try:
            output = await call()
        except BaseException as error:
            meter.broke_off(self, error, since)
            raise
        meter.answered(self, output, since)
        return output

    @functools.wraps(generate_inside)
    async def called_inside(self: Model, *arguments: Any, **named: Any) -> Any:
        _stand_before(self.api, str(self))
        token = _role.set(self.role)
        try:
            return await generate_inside(self, *arguments, **named)
        finally:
            _role.reset(token)

    @functools.wraps(should_retry)
    def asked_again(self: Model, error: BaseException) -> bool:
        if isinstance(error, ProviderFailed) and error.again:  # with status 200, which no client takes for a failure
            inspect_private.report_http_retry(model=self.api.qualified_model_name)
            return True
        return bool(should_retry(self, _original(error)))

    @functools.wraps(before_retry)
    async def before_asked_again(self: Model, error: BaseException) -> None:
        await before_retry(self, _original(error))

    @functools.wraps(set_response)
    def heard(self: ModelCall, *arguments: Any, **named: Any) -> None:
        set_response(self, *arguments, **named)
        if (replies := _heard.get()) is not None and self.response is not None:
            replies.append(_Body(self.response, bool(self.error)))

    model.generate, model._generate, raw_call.set_response = called, called_inside, heard
    model.should_retry, model.before_retry = asked_again, before_asked_again


def _by_play(plays: Plays, number: int, asked: Any) -> Any:
    """What a scripted attempt asks a judge instead."""
    if isinstance(asked, str):
        return plays.for_judge(number, asked)
    return [
        message.model_copy(update={"content": plays.for_judge(number, message.content)})
        if message.role == "user" and isinstance(message.content, str)
        else message
        for message in asked
    ]


def _original(error: BaseException) -> BaseException:
    """The error that the provider's class knows."""
    return error.__cause__ if isinstance(error, ProviderFailed) and error.__cause__ is not None else error


def _stand_before(api: ModelAPI, model: str) -> None:
    if api in _guarded:
        return
    _guarded.add(api)
    generate: Any = api.generate

    @functools.wraps(generate)
    async def asked(input: list[ChatMessage], *arguments: Any, **named: Any) -> Any:
        async def answer() -> Any:
            reshaping = _reshaping(model)
            if reshaping is None:
                return harmless_answer(await generate(input, *arguments, **named))
            given = dict(zip(("tools", "tool_choice", "config"), arguments, strict=False)) | named
            tools = given["tools"]
            messages, told, choice = reshaping.asked(input, tools, given["tool_choice"])
            result = harmless_answer(await generate(messages, **given | {"tools": told, "tool_choice": choice}))
            output, *others = result if isinstance(result, tuple) else (result,)
            if isinstance(output, ModelOutput):
                output = reshaping.answered(output, tools)
            return (output, *others) if others else output

        meter = current_meter()
        return await (answer() if meter is None else _blamed(meter, model, input, answer))

    api.generate = asked  # type: ignore[method-assign]


def _reshaping(model: str) -> Reshaping | None:
    """How the agent's model is told about tools, if a perturbation changes that; the built-in ones are never told."""
    meter = current_meter()
    if meter is None or not meter.agent_running or _role.get() is not None:
        return None
    found = meter.disturbance.reshaping
    if found is not None and model.startswith("agenteval/"):
        found.met = True
        return None
    return found


@hooks(name="pytest_agenteval_meter", description="pytest-agenteval: run budget and agent limits")
class MeterHooks(Hooks):
    """Inspect's documented place to stand before and after every model call, whatever model made it."""

    def enabled(self) -> bool:
        """Only inside an attempt; elsewhere (the banner at start, other evals) it is not there."""
        return current_meter() is not None

    async def on_before_model_generate(self, data: BeforeModelGenerate) -> None:
        """A call, or a retry of one, is about to be made."""
        if meter := current_meter():
            await meter.before_call(data)

    async def on_model_retry(self, data: ModelRetry) -> None:
        """The provider will be asked again. An error it answered with was not billed; a lost answer may have been."""
        if meter := current_meter():
            meter.gave_up(data.status_code)


async def _blamed(meter: CallMeter, model: str, input: list[ChatMessage], ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask a provider, and decide whose fault it is where no answer comes; raises where no output can say so."""
    call = _Call(meter, model, input)
    token = _heard.set(call.heard)
    try:
        result = await ask()
    except _NOT_THE_PROVIDERS:
        raise
    except Exception as error:
        return _refused(call, error)
    finally:
        _heard.reset(token)
    output, *rest = result if isinstance(result, tuple) else (result,)
    if isinstance(output, Exception):
        output = _refused(call, output)
    elif isinstance(output, ModelOutput) and output.empty:
        output = _refused(call, None)
    elif isinstance(output, ModelOutput):
        _came(call, output)
    return (output, *rest) if rest else output


@dataclass(frozen=True, slots=True)
class _Body:
    """The body of a reply, as JSON."""

    content: dict[str, Any]
    refuses: bool


class _Call:
    """One call of a model."""

    def __init__(self, meter: CallMeter, model: str, input: list[ChatMessage]) -> None:
        self.meter, self.model = meter, model
        self.heard: list[_Body] = []
        self.agents = meter.agent_running and _role.get() is None
        """Whether the agent under evaluation made it: not a judge, and no simulated user."""
        self.answered = model in meter.answered_by and any(message.role == "assistant" for message in input)

    @property
    def answer(self) -> dict[str, Any] | None:
        """The body of a reply with status 200; None where none came."""
        return self.heard[-1].content if self.heard and not self.heard[-1].refuses else None

    def ended(self, unanswered: Unanswered | None) -> None:
        if self.agents:
            self.meter.attempt.unanswered = unanswered


def _came(call: _Call, output: ModelOutput) -> None:
    """An output: an answer, or what Inspect made of a refusal."""
    said = ""
    if output.usage is None and call.heard and call.heard[-1].refuses:
        call.meter.gave_up(400)  # refused, and so not billed
        event = inspect_private.active_model_event.get()
        ids = event.request_ids if event is not None else None
        said = str(Said(ids[-1].status if ids else None, "", one_line(output.error or output.completion)))
    elif call.agents:
        call.meter.answered_by.add(call.model)
    reason = output.stop_reason
    if reason in _WITHHELD:
        cause = Cause.CONTEXT if reason == "model_length" else Cause.REFUSED
        call.ended(Unanswered(cause, said or _WITHHELD[reason]))
    else:
        call.ended(None)


def _refused(call: _Call, error: Exception | None) -> ModelOutput:
    """An error, or (None) an answer without any choice: the output that says so, raised where Inspect has none."""
    said, again = _said(error, call.answer)
    whose = blame(said.status, said.code, said.message, answered=call.answered) if call.agents else Blame.PROVIDER
    call.ended(Unanswered(_CAUSES.get(whose, Cause.REFUSED), str(said)))
    if whose in _STOPS:
        call.meter.gave_up(said.status or 400)
        return ModelOutput.from_content(call.model, said.message, stop_reason=_STOPS[whose], error=str(said))
    body = getattr(error, "body", None)
    if whose is Blame.CONVERSATION:
        raise ConversationRefused(said, body) from error
    raise ProviderFailed(said, body, again=again) from error


def _said(error: Exception | None, answer: dict[str, Any] | None) -> tuple[Said, bool]:
    """What was said, and whether it came with status 200 and may be better if asked again: no client sees that."""
    if error is not None:
        said = said_by(error)
        if said.status is not None:
            return said, False
    if (inside := said_in(answer)) is not None:
        return inside, inside.status is not None and inspect_private.is_retryable_http_status(inside.status)
    if error is not None and answer is None and not isinstance(error, _NO_JSON):
        return said, False
    what = "it names no choice" if error is None else f"{type(error).__name__}: {said.message}"
    if isinstance(answer, dict) and "choices" in answer and not answer["choices"]:
        what = f"choices is {json.dumps(answer['choices'])}"
    return Said(None, "", f"HTTP 200 with an answer that cannot be read: {what}"), True
