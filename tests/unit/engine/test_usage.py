"""What is believed of an answer's usage, and how unknown tokens and costs are added and written."""

from __future__ import annotations

import pytest
from google.genai.types import GenerateContentResponseUsageMetadata
from inspect_ai.model import ModelOutput, ModelUsage
from inspect_ai.model._providers.google import usage_metadata_to_model_usage

from pytest_agenteval.engine.logs.scorecard import record_of, score_of
from pytest_agenteval.engine.models.usage import tokens_of
from pytest_agenteval.money.rates import TokenUsage
from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, ModelCall, total_of


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


def test_a_sum_with_an_unknown_part_is_unknown_and_of_nothing_it_is_zero() -> None:
    assert total_of([1, 2, 3]) == 6
    assert total_of([0.1] * 10) == 1.0
    assert total_of([1, None]) is None
    assert total_of([]) == 0


UNCOUNTED = ModelCall("m", "agent", None, None, None, None, cost_at_most=0.5)
COUNTED = ModelCall("m", "agent", 800, 100, 200, cost=0.25)
UNPRICED = ModelCall("free", "agent", 800, 100)


def test_costs_tell_uncounted_calls_from_unpriced_ones() -> None:
    cost = Cost.of_calls([UNCOUNTED, COUNTED])
    assert (cost.total, cost.priced, cost.at_most, cost.exact) == (None, 0.25, 0.75, False)
    assert (cost.unpriced_calls, cost.uncounted_calls) == (1, 1)
    assert figures.cost(cost) == "unknown"
    assert figures.cost_doubts(cost) == [
        "1 call answered without saying how many tokens they took", "at least $0.250", "at most $0.750",
    ]  # fmt: skip
    both = Cost.of([cost, Cost.of_calls([UNPRICED])])
    assert (both.unpriced_calls, both.uncounted_calls, both.at_most) == (2, 1, None)
    assert figures.cost(both) == "unpriced"
    half = cost.per(2)
    assert half is not None
    assert (half.priced, half.at_most, half.uncounted_calls) == (0.125, 0.375, 1)
    unreserved = Cost.of_calls([ModelCall("m", "agent", None, None)])
    assert (unreserved.uncounted_calls, unreserved.at_most) == (1, None)


def test_unknown_tokens_survive_the_log() -> None:
    record = AttemptRecord(1, Outcome.PASSED, model_calls=(UNCOUNTED, COUNTED))
    metadata = score_of(record).metadata
    assert metadata is not None
    assert record_of(metadata, "a.eval") == AttemptRecord(
        1, Outcome.PASSED, model_calls=(UNCOUNTED, COUNTED), log="a.eval"
    )
    assert (record.tokens, record.cost) == (None, None)


def test_a_record_of_an_older_log_reads_as_it_did() -> None:
    call = '{"model":"m","role":"agent","input_tokens":800,"output_tokens":100,"cache_read_tokens":200,"cost":0.00182}'
    piece = f'{{"number":1,"outcome":"passed","model_calls":[{call}]}}'
    record = record_of({"record.0000": [piece]}, "a.eval")
    assert record is not None
    assert (record.tokens, record.cost) == (1100, 0.00182)
    assert Cost.of_attempt(record) == Cost(0.00182)
