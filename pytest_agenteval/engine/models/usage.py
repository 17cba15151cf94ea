"""What an answer says about its tokens, if that can be trusted, and the record of its call."""

from __future__ import annotations

from inspect_ai.model import Model, ModelOutput

from pytest_agenteval.money.rates import PriceBook, TokenUsage
from pytest_agenteval.record.records import ModelCall

__all__ = ["model_call", "tokens_of"]

_ABSURD = 100_000_000
"""No context window is nearly this large."""


def model_call(model: Model, output: ModelOutput, prices: PriceBook, retries: int) -> ModelCall:
    """The record of an answered call, with its price: the one place where a call is priced."""
    name, role, tokens = str(model), model.role or "agent", tokens_of(output)
    seconds, version = output.time, output.model or None
    if tokens is None:
        unknown = (None, None, None, None)
        return ModelCall(name, role, *unknown, seconds=seconds, retries=retries, version=version)
    return ModelCall(
        model=name,
        role=role,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cost=prices.price(name, tokens),
        seconds=seconds,
        retries=retries,
        version=version,
        cost_uncached=prices.price(name, TokenUsage(tokens.total_input, tokens.output)),
    )


def tokens_of(output: ModelOutput) -> TokenUsage | None:
    """The tokens in the classes that are priced; None if the provider does not report them, or reports impossible
    numbers.

    Providers that leave usage out give None, or zeros (Google's, Mistral's). A count below zero is one that others were
    subtracted from in vain: more cached tokens than the prompt had.
    """
    usage = output.usage
    if usage is None:
        return None
    cache_read, cache_write = usage.input_tokens_cache_read or 0, usage.input_tokens_cache_write or 0
    counts = (usage.input_tokens, usage.output_tokens, cache_read, cache_write)
    if min(counts) < 0 or max(counts) > _ABSURD:
        return None
    tokens = TokenUsage(*counts)
    read_nothing = tokens.total_input == 0
    wrote_nothing = tokens.output == 0 and _says_something(output)
    return None if read_nothing or wrote_nothing else tokens


def _says_something(output: ModelOutput) -> bool:
    return any(choice.message.text or choice.message.tool_calls for choice in output.choices)
