"""Prices from the package genai-prices, if it is installed (the extra `prices`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_agenteval.money.rates import Rates, TokenUsage

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

__all__ = ["GenaiPrices"]

_LOCAL = frozenset([
    "agenteval", "hf", "llama-cpp", "llama-cpp-python", "lm-studio", "lmstudio", "local", "localhost", "mockllm",
    "nnterp", "none", "ollama", "sagemaker", "sglang", "transformer_lens", "vllm", "vllm-completions",
])  # fmt: skip
"""Providers, and services of `openai-api`, without a price per token: models run on one's own machine or by the
hour."""

_COMPATIBLE = frozenset(["openai-api", "openai-api-completions", "litellm-proxy"])
"""Providers of Inspect whose next name part says who actually serves the model: `openai-api/<service>/<model>`."""

_SERVICES = frozenset(["azure", "bedrock", "vertex"])
"""Clouds that may follow the provider in Inspect's names and that then send the bill: `anthropic/bedrock/<model>`."""

_PROVIDERS = {
    "azureai": "azure",
    "bedrock": "aws",
    "grok": "x-ai",
    "moonshot": "moonshotai",
    "together-ai": "together",
    "vertex": "google",
    "xai": "x-ai",
}
"""Providers that genai-prices and Inspect call by different names."""


class GenaiPrices:
    """The prices of genai-prices, looked up by Inspect's names; all unknown if the package is not installed.

    Offline: the prices are those in the installed package. A price is looked up at the provider in the model's name. If
    that provider does not list the model, it is looked up by the model's bare name, which finds the price of its
    vendor, and the source then says "by name". Models that run locally have no price, nor do models without both an
    input and an output rate.

    Raises:
        ImportError: genai-prices is installed but cannot be imported (at the first look-up, not before).
    """

    def __init__(self, snapshot: DataSnapshot | None = None) -> None:
        """Prices from a snapshot, or from the one in the installed package, which is loaded at the first look-up."""
        self._snapshot = snapshot
        self._loaded = snapshot is not None
        self._found: dict[str, tuple[Provider, ModelInfo, bool] | None] = {}

    def price(self, model: str, usage: TokenUsage) -> float | None:
        """What one call costs now, in dollars and at the tier of its prompt, or None if the price is unknown."""
        prices = self._prices(model)
        if prices is None:
            return None
        from genai_prices import Usage

        # genai-prices counts the cached tokens within the input tokens; Inspect does not.
        tokens = Usage(
            input_tokens=usage.total_input,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            output_tokens=usage.output,
        )
        return float(prices.calc_price(tokens)["total_price"])

    def rates(self, model: str, input_tokens: int = 0) -> Rates | None:
        """Today's rates for a call that reads `input_tokens` tokens in all, or None if they are unknown."""
        prices = self._prices(model)
        if prices is None:
            return None
        read, write = _rate(prices.input_mtok, input_tokens), _rate(prices.output_mtok, input_tokens)
        if read is None or write is None:
            return None
        return Rates(
            input=read,
            output=write,
            cache_read=_rate(prices.cache_read_mtok, input_tokens),
            cache_write=_rate(prices.cache_write_mtok, input_tokens),
            per_call=(_rate(prices.requests_kcount, input_tokens) or 0.0) / 1000,
        )

    def source(self, model: str) -> str | None:
        """The package, its version, and the matching provider and model, or None."""
        found = self._find(model)
        if found is None or self._prices(model) is None:
            return None
        from genai_prices import __version__

        provider, info, by_name = found
        return f"genai-prices {__version__}: {provider.id}/{info.id}" + (" (by name)" if by_name else "")

    def _prices(self, model: str) -> ModelPrice | None:
        found = self._find(model)
        if found is None:
            return None
        prices = found[1].get_prices(datetime.now(UTC))
        # Without one of the two (embeddings, audio) the package would count those tokens as free.
        return None if prices.input_mtok is None or prices.output_mtok is None else prices

    def _find(self, model: str) -> tuple[Provider, ModelInfo, bool] | None:
        if model not in self._found:
            self._found[model] = self._look_up(model)
        return self._found[model]

    def _look_up(self, model: str) -> tuple[Provider, ModelInfo, bool] | None:
        parts = _split(model)
        snapshot = None if parts is None else self._load()
        if parts is None or snapshot is None:
            return None
        provider, name = parts
        # By exact id: the package would also take any provider whose name merely contains "openai".
        listed = next((each for each in snapshot.providers if each.id == provider), None)
        if listed is not None and (info := listed.find_model(name, all_providers=snapshot.providers)):
            return listed, info, False
        try:
            vendor, info = snapshot.find_provider_model(name, None, None, None)
        except LookupError:
            return None
        return vendor, info, True

    def _load(self) -> DataSnapshot | None:
        if not self._loaded:
            try:
                import genai_prices  # noqa: F401
            except ModuleNotFoundError as error:
                if error.name != "genai_prices":
                    raise
            else:
                # Not the package's current snapshot, because other code in this process may be updating that over the
                # network.
                from genai_prices.data import providers
                from genai_prices.data_snapshot import DataSnapshot

                self._snapshot = DataSnapshot(providers=providers, from_auto_update=False)
            self._loaded = True
        return self._snapshot


def _split(model: str) -> tuple[str, str] | None:
    """The provider and the model as genai-prices names them, or None for a model that is not billed by token."""
    provider, _, name = model.partition("/")
    second, _, rest = name.partition("/")
    if rest and (provider in _COMPATIBLE or second in _SERVICES):
        provider, name = second, rest
    if provider in _LOCAL or not name:
        return None
    return _PROVIDERS.get(provider, provider), name


def _rate(price: Decimal | TieredPrices | None, input_tokens: int) -> float | None:
    """The rate of the tier that a prompt of this size has reached. As in genai-prices, it applies to all tokens."""
    from genai_prices.types import TieredPrices

    if not isinstance(price, TieredPrices):
        return None if price is None else float(price)
    reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return float(reached[-1] if reached else price.base)
