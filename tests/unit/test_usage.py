"""What is believed of an answer's usage."""

from __future__ import annotations

import pytest
from google.genai.types import GenerateContentResponseUsageMetadata
from inspect_ai.model import ModelOutput, ModelUsage
from inspect_ai.model._providers.google import usage_metadata_to_model_usage

from pytest_agenteval.engine.usage import tokens_of
from pytest_agenteval.money.rates import TokenUsage


def answer(usage: ModelUsage | None, text: str = "hello") -> ModelOutput:
    output = ModelOutput.from_content("m", text)
    output.usage = usage
    return output


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (ModelUsage(input_tokens=800, output_tokens=100, total_tokens=900), TokenUsage(800, 100)),
        (
            ModelUsage(input_tokens=0, output_tokens=7, input_tokens_cache_read=50, input_tokens_cache_write=3),
            TokenUsage(0, 7, 50, 3),
        ),
        (ModelUsage(input_tokens=100_000_000, output_tokens=1), TokenUsage(100_000_000, 1)),
    ],
)
def test_what_can_be_is_believed(usage: ModelUsage, tokens: TokenUsage) -> None:
    assert tokens_of(answer(usage)) == tokens


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(None, id="none"),
        pytest.param(ModelUsage(), id="zeros"),
        pytest.param(ModelUsage(total_tokens=900), id="a sum only"),
        pytest.param(ModelUsage(input_tokens=0, output_tokens=100, total_tokens=100), id="read nothing"),
        pytest.param(ModelUsage(input_tokens=800, output_tokens=0, total_tokens=800), id="wrote nothing"),
        pytest.param(ModelUsage(input_tokens=-4900, output_tokens=7, input_tokens_cache_read=5000), id="more cached"),
        pytest.param(ModelUsage(input_tokens=800, output_tokens=-1), id="negative"),
        pytest.param(ModelUsage(input_tokens=800, output_tokens=10**30), id="absurd"),
    ],
)
def test_what_cannot_be_is_unknown(usage: ModelUsage | None) -> None:
    assert tokens_of(answer(usage)) is None


def test_an_empty_answer_may_have_no_tokens() -> None:
    assert tokens_of(answer(ModelUsage(input_tokens=800, output_tokens=0), text="")) == TokenUsage(800, 0)


def test_google_has_zeros_where_its_answer_says_nothing() -> None:
    """What Inspect makes of it; where this fails it may have begun to say None, which is right too."""
    assert usage_metadata_to_model_usage(None) is None
    empty = usage_metadata_to_model_usage(GenerateContentResponseUsageMetadata())
    assert (empty is None) or (empty.input_tokens, empty.output_tokens) == (0, 0)
    assert tokens_of(answer(empty)) is None
