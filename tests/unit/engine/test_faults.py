from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest
from inspect_ai.model import Model, get_model

from pytest_agenteval.engine.models.faults import InspectFaults
from pytest_agenteval.engine.models.provider_errors import ConversationRefused, ProviderFailed, Said
from pytest_agenteval.record.outcomes import Cause

FAULTS = InspectFaults()


@pytest.mark.parametrize(
    "ask", [lambda model: model.generate("?"), lambda model: model.count_tokens("?")], ids=["generate", "count_tokens"]
)
def test_what_comes_out_of_a_model_is_the_providers(ask: Callable[[Model], Coroutine[Any, Any, object]]) -> None:
    model = get_model("mockllm/model", memoize=False)

    async def down(*arguments: object, **named: object) -> object:
        raise ValueError("down")

    model.api.generate = model.api.count_tokens = down  # type: ignore[method-assign, assignment]
    with pytest.raises(ValueError, match="down") as raised:
        anyio.run(ask, model)
    assert FAULTS.cause_of(raised.value) is Cause.PROVIDER


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ProviderFailed(Said(500, "", "no")), Cause.PROVIDER),
        (ConversationRefused(Said(400, "", "no")), None),
        (ValueError("no"), None),
    ],
)
def test_whose_fault_an_exception_is_does_not_depend_on_what_it_was_wrapped_in(
    error: Exception, cause: Cause | None
) -> None:
    wrapped = RuntimeError("gave up")
    wrapped.__cause__ = error
    assert FAULTS.cause_of(error) is FAULTS.cause_of(wrapped) is cause


def test_what_the_provider_said_comes_first() -> None:
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("gave up") from ProviderFailed(Said(500, "", "no"))
    assert FAULTS.message_of(raised.value) == "HTTP 500: no\nRuntimeError: gave up"
    assert FAULTS.message_of(ProviderFailed(Said(None, "", "no answer"))) == "no answer"
