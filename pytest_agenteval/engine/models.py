"""Models by Inspect's names, made once per run, with what they cost made known to Inspect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import GenerateConfig, Model, ModelCost, ModelInfo, get_model, get_model_info, set_model_info
from pydantic import ValidationError

from pytest_agenteval.money.prices import PriceBook
from pytest_agenteval.options import Settings

__all__ = ["ModelNotReady", "open_models", "tell_prices"]

MAX_RETRIES = 6
"""How often the provider is asked again before it counts as down: about three minutes with Inspect's waits. Inspect's
own default is to ask for ever, which would end attempts by their time limit for a fault that is not theirs."""


class ModelNotReady(Exception):
    """A model cannot be used, in one sentence."""


def open_models(names: Iterable[str], settings: Settings) -> Mapping[str, Model]:
    """The models of a run, by name.

    Raises:
        ModelNotReady: unknown provider, missing provider package or key, or an argument it does not take.
    """
    try:
        config = GenerateConfig(**{"max_retries": MAX_RETRIES, **dict(settings.generate)})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ModelNotReady(f"--agent-generate={name}={first['input']} cannot be used: {first['msg']}") from None
    unknown = set(dict(settings.generate)) - set(GenerateConfig.model_fields)
    if unknown:
        raise ModelNotReady(f"--agent-generate={sorted(unknown)[0]}=...: Inspect's GenerateConfig has no such setting")
    return {name: _open(name, settings, config) for name in dict.fromkeys(names)}


def _open(name: str, settings: Settings, config: GenerateConfig) -> Model:
    arguments: dict[str, Any] = dict(settings.model_args)
    try:
        return get_model(name, config=config, base_url=settings.model_base_url, memoize=False, **arguments)
    except PrerequisiteError as error:
        raise ModelNotReady(f"model {name}: {_one_sentence(str(error.message))}") from None
    except (ValueError, LookupError, TypeError, ImportError) as error:
        raise ModelNotReady(f"model {name} cannot be made: {_one_sentence(str(error))}") from None


def tell_prices(models: Iterable[str], prices: PriceBook) -> None:
    """Make the base rates known to Inspect, so that its logs and viewer show costs too."""
    for name in models:
        rates = prices.rates(name)
        if rates is None:
            continue
        cost = ModelCost(
            input=rates.input,
            output=rates.output,
            input_cache_write=rates.cache_write_or_input,
            input_cache_read=rates.cache_read_or_input,
        )
        known = get_model_info(name)
        set_model_info(name, known.model_copy(update={"cost": cost}) if known else ModelInfo(cost=cost))


def _one_sentence(text: str) -> str:
    """Inspect's messages are written for a terminal: markup, blank lines and indentation go."""
    import re

    return " ".join(re.sub(r"\[/?[a-z_ ]+\]", "", text).split())
