"""The one place that stands around Inspect's models: every call passes here, whoever makes it. From the outside in:

Model.generate      meter    records the answer, or that none came
                    content  makes what is asked encodable
  Model._generate   blame    notes in which role the model is asked
    (Inspect's cache and retries; its hooks let the meter pay for a call before it is made)
    api.generate    blame    decides whose fault it is where no answer came
                    content  makes the answer harmless before anybody reads it
      ModelCall     blame    hears the raw reply
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

from inspect_ai.hooks import BeforeModelGenerate, Hooks, ModelRetry, hooks
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, Model, ModelAPI, ModelCall

from pytest_agenteval.engine.inspect_private import report_http_retry
from pytest_agenteval.engine.models.content_guard import harmless_answer, harmless_input
from pytest_agenteval.engine.models.meter import current_meter
from pytest_agenteval.engine.models.model_watch import blamed, hear, in_role, original, worth_another

__all__ = ["stand_around_models"]

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
        call = functools.partial(generate, self, harmless_input(input), *arguments, **named)
        if (meter := current_meter()) is None:
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
        with in_role(self.role):
            return await generate_inside(self, *arguments, **named)

    @functools.wraps(should_retry)
    def asked_again(self: Model, error: BaseException) -> bool:
        if worth_another(error):
            report_http_retry(model=self.api.qualified_model_name)
            return True
        return bool(should_retry(self, original(error)))

    @functools.wraps(before_retry)
    async def before_asked_again(self: Model, error: BaseException) -> None:
        await before_retry(self, original(error))

    @functools.wraps(set_response)
    def heard(self: ModelCall, *arguments: Any, **named: Any) -> None:
        set_response(self, *arguments, **named)
        hear(self)

    model.generate, model._generate, raw_call.set_response = called, called_inside, heard
    model.should_retry, model.before_retry = asked_again, before_asked_again


def _stand_before(api: ModelAPI, model: str) -> None:
    if api in _guarded:
        return
    _guarded.add(api)
    generate: Any = api.generate

    @functools.wraps(generate)
    async def asked(input: list[ChatMessage], *arguments: Any, **named: Any) -> Any:
        async def answer() -> Any:
            return harmless_answer(await generate(input, *arguments, **named))

        meter = current_meter()
        return await (answer() if meter is None else blamed(meter, model, input, answer))

    api.generate = asked  # type: ignore[method-assign]


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
        """A call failed and will be retried."""
        if meter := current_meter():
            meter.refused(data)
