"""What a model's answer says that it used, if that can be trusted, and what an agent has used of its own limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from inspect_ai.model import Model, ModelOutput
from inspect_ai.util import LimitExceededError

from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.money.rates import PriceBook, TokenUsage
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import ModelCall, total_of

__all__ = ["Usage", "model_call", "tokens_of"]

_ABSURD = 100_000_000
"""No context window is nearly this large."""


def model_call(model: Model, output: ModelOutput, prices: PriceBook, retries: int) -> ModelCall:
    """The record of an answered call, with its price: the one place where a call is priced."""
    name, tokens, unknown = str(model), tokens_of(output), (None, None, None, None)
    seconds, version = output.time, output.model or None
    call = ModelCall(name, model.role or "agent", *unknown, seconds=seconds, retries=retries, version=version)
    if tokens is None:
        return call
    return replace(
        call,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cost=prices.price(name, tokens),
        cost_uncached=prices.price(name, TokenUsage(tokens.total_input, tokens.output)),
    )


def tokens_of(output: ModelOutput) -> TokenUsage | None:
    """The tokens in the classes that are priced; None if the provider reports none, or impossible numbers.

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
    says_something = any(choice.message.text or choice.message.tool_calls for choice in output.choices)
    return None if tokens.total_input == 0 or (tokens.output == 0 and says_something) else tokens


@dataclass(slots=True)
class Usage:
    """What the agent has used so far of its limits, over all its runs in one try."""

    cost: float | None = 0.0
    """US dollars; None as soon as the cost of one call is unknown."""
    tokens: int | None = 0
    """None as soon as an answer does not say how many it took."""
    turns: int = 0
    seconds: float = 0.0
    uncounted: str | None = None
    """The first model that answered without saying how many tokens it took."""
    unpriced: str | None = None
    """The first model whose answer has no known cost."""

    def add(self, call: ModelCall) -> None:
        """Count an answered call."""
        self.cost = total_of((self.cost, call.cost))
        self.tokens = total_of((self.tokens, call.tokens))
        self.turns += 1
        if call.cost is None:
            self.unpriced = self.unpriced or call.model
            self.uncounted = self.uncounted or (call.model if call.tokens is None else None)

    def untold(self, options: TaskOptions) -> str | None:
        """The limits of which nobody can tell whether they are reached, as a text; None where there are none."""
        if options.max_cost is not None and self.cost is None:
            return "max_cost" if options.token_limit is None else "max_cost and token_limit"
        return "token_limit" if options.token_limit is not None and self.tokens is None else None

    def reached(self, options: TaskOptions, *, spent: bool) -> tuple[Cause, LimitExceededError] | None:
        """The limit that stops the agent: before a call one that is used up, after it (`spent`) one that is exceeded.

        Tokens are held here and not by Inspect's `token_limit`, which raises before it says that a call was answered;
        turns because its `turn_limit` lets one call more be paid.
        """
        held: tuple[tuple[Cause, Literal["cost", "token", "turn"], float | None, float | None, str], ...] = (
            (Cause.COST, "cost", self.cost, options.max_cost, "${:g} of max_cost"),
            (Cause.TOKENS, "token", self.tokens, options.token_limit, "{} tokens of token_limit"),
            (Cause.TURNS, "turn", None if spent else self.turns, options.turn_limit, "{} calls of turn_limit"),
        )
        for cause, kind, used, limit, words in held:
            if used is not None and limit is not None and (used > limit or (used == limit and not spent)):
                message = f"the agent has used up its {words.format(limit)}"
                return cause, LimitExceededError(kind, value=used, limit=limit, message=message)
        return None
