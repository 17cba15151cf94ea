"""What a model call's price depends on: its tokens, a model's rates, and where rates are looked up."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Protocol

__all__ = ["MILLION", "PriceBook", "Rates", "TokenUsage"]

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one model call, each token in exactly one class, as Inspect counts them.

    Raises:
        ValueError: a count is negative.
    """

    input: int = 0
    """Fresh input tokens, without those read from or written to the provider's cache."""
    output: int = 0
    """Output tokens, including reasoning."""
    cache_read: int = 0
    cache_write: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            if getattr(self, item.name) < 0:
                raise ValueError(f"The number of {item.name} tokens is negative: {getattr(self, item.name)}.")

    @property
    def total_input(self) -> int:
        """All tokens the model read, fresh and cached: the size of the prompt."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of one model, in dollars per million tokens.

    Raises:
        ValueError: a rate is negative, infinite or not a number.
    """

    input: float
    output: float
    cache_read: float | None = None
    """None means unknown. Such tokens are then priced at the input rate, which is too much if cached tokens are
    cheaper."""
    cache_write: float | None = None
    """None means unknown. Such tokens are then priced at the input rate, which is right if writing to the cache has no
    surcharge, and too little if it has one."""
    per_call: float = 0.0
    """Dollars for each call on top of its tokens (a request fee)."""

    def __post_init__(self) -> None:
        for item in fields(self):
            rate = getattr(self, item.name)
            if rate is not None and not (math.isfinite(rate) and rate >= 0):
                raise ValueError(f"The rate {item.name} is not a price: {rate}.")

    @property
    def cache_read_or_input(self) -> float:
        """The rate applied to tokens read from the cache."""
        return self.input if self.cache_read is None else self.cache_read

    @property
    def cache_write_or_input(self) -> float:
        """The rate applied to tokens written to the cache."""
        return self.input if self.cache_write is None else self.cache_write

    def cost(self, usage: TokenUsage) -> float:
        """What one call with these tokens costs, in dollars."""
        parts = (
            usage.input * self.input,
            usage.output * self.output,
            usage.cache_read * self.cache_read_or_input,
            usage.cache_write * self.cache_write_or_input,
        )
        return math.fsum(parts) / MILLION + self.per_call


class PriceBook(Protocol):
    """Where prices are looked up. A model has a price exactly when it has rates and a source."""

    def price(self, model: str, usage: TokenUsage) -> float | None:
        """What one call costs, in dollars, or None if the price is unknown.

        Tiers and cache classes apply to each call, so price each call and then add. Never price a sum of tokens.
        """

    def rates(self, model: str, input_tokens: int = 0) -> Rates | None:
        """The rates for a call that reads `input_tokens` tokens in all, or None if they are unknown.

        The default gives the base tier, which is what Inspect needs. For a worst case, pass the estimated size of the
        prompt, so that a long prompt is estimated at the tier it will be billed at.
        """

    def source(self, model: str) -> str | None:
        """Where the price comes from, in a few words for a report, or None if it is unknown."""
