"""The price of a model call, from the first source that knows it: the user's file, built-in models, genai-prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_agenteval.money.genai import GenaiPrices
from pytest_agenteval.money.price_file import BUILT_IN, PriceTable
from pytest_agenteval.money.rates import PriceBook, Rates, TokenUsage

__all__ = [
    "BuiltInPrices",
    "FirstKnown",
    "GenaiPrices",
    "PriceBook",
    "PriceTable",
    "Rates",
    "TokenUsage",
    "open_prices",
]


@dataclass(frozen=True, slots=True)
class BuiltInPrices:
    """The built-in models (`agenteval/...`) cost nothing, and that is a known price."""

    def price(self, model: str, usage: TokenUsage) -> float | None:
        """0.0 for a built-in model, None for any other."""
        return 0.0 if model.startswith(BUILT_IN) else None

    def rates(self, model: str, input_tokens: int = 0) -> Rates | None:
        """Rates of 0.0 for a built-in model, None for any other."""
        return Rates(0.0, 0.0, 0.0, 0.0) if model.startswith(BUILT_IN) else None

    def source(self, model: str) -> str | None:
        """`built in` for a built-in model, None for any other."""
        return "built in" if model.startswith(BUILT_IN) else None


@dataclass(frozen=True, slots=True)
class FirstKnown:
    """Several sources of prices as one: the first that knows a model answers everything about it."""

    books: Sequence[PriceBook]

    def price(self, model: str, usage: TokenUsage) -> float | None:
        """What one call costs, in dollars, or None if no source knows the model."""
        book = self._book(model)
        return None if book is None else book.price(model, usage)

    def rates(self, model: str, input_tokens: int = 0) -> Rates | None:
        """The rates for a call that reads `input_tokens` tokens in all, or None if no source knows the model."""
        book = self._book(model)
        return None if book is None else book.rates(model, input_tokens)

    def source(self, model: str) -> str | None:
        """Where the price comes from, or None if no source knows the model."""
        book = self._book(model)
        return None if book is None else book.source(model)

    def _book(self, model: str) -> PriceBook | None:
        return next((book for book in self.books if book.rates(model) is not None), None)


def open_prices(file: Path | None = None, offered: Sequence[PriceBook] = ()) -> PriceBook:
    """The prices of a run: the user's file, what plugins offer, the built-in models, then genai-prices.

    Args:
        file: the user's price file, if there is one.
        offered: sources that plugins offer.

    Raises:
        NotReady: the user's file cannot be used.
    """
    known: list[PriceBook] = [*offered, BuiltInPrices(), GenaiPrices()]
    return FirstKnown(known if file is None else [PriceTable.read(file), *known])
