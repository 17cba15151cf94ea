"""What an answer says about its tokens, if that can be trusted, and the record of its call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inspect_ai.model import Model, ModelOutput

from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.money.rates import PriceBook, TokenUsage
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import ModelCall, total_of

__all__ = ["LimitKind", "Reached", "Usage", "model_call", "tokens_of"]

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


LimitKind = Literal["custom", "cost", "token", "turn"]
"""Inspect's names; `custom` where it is not a limit of the agent's that stops it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that the agent has run into."""

    cause: Cause
    kind: LimitKind
    used: float
    limit: float
    message: str


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

    def reached(self, options: TaskOptions, *, spent: bool) -> Reached | None:
        """The limit that stops the agent: before a call one that is used up, after it (`spent`) one that is exceeded.

        Tokens are held here and not by Inspect's `token_limit`, which raises before it says that a call was answered;
        turns because its `turn_limit` lets one call more be paid.
        """
        cost, tokens, turns = options.max_cost, options.token_limit, options.turn_limit
        if cost is not None and self.cost is not None and _over(self.cost, cost, spent):
            message = f"the agent has used up its ${cost:g} of max_cost"
            return Reached(Cause.COST, "cost", self.cost, cost, message)
        if tokens is not None and self.tokens is not None and _over(self.tokens, tokens, spent):
            message = f"the agent has used up its {tokens} tokens of token_limit"
            return Reached(Cause.TOKENS, "token", self.tokens, tokens, message)
        if turns is not None and self.turns >= turns and not spent:
            message = f"the agent has used up its {turns} calls of turn_limit"
            return Reached(Cause.TURNS, "turn", self.turns, turns, message)
        return None


def _over(used: float, limit: float, spent: bool) -> bool:
    return used > limit or (used == limit and not spent)
