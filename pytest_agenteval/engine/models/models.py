"""Models by Inspect's names, made once per run, with what they cost made known to Inspect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from inspect_ai.model import GenerateConfig, Model, ModelCost, ModelInfo, get_model, get_model_info, set_model_info
from pydantic import ValidationError

from pytest_agenteval.engine.inspect_private import PrerequisiteError, registry_find, registry_unqualified_name
from pytest_agenteval.engine.models.faults import one_sentence
from pytest_agenteval.errors import NotReady, did_you_mean, nearest
from pytest_agenteval.money.prices import PriceBook
from pytest_agenteval.options.rules import why_not_on_host
from pytest_agenteval.options.settings import Settings

__all__ = ["max_retries", "open_model", "open_models", "open_roles", "tell_prices", "unknown_provider"]

MAX_RETRIES = 6
"""How often a request is repeated before the provider counts as down: about three minutes with Inspect's waits.
Inspect's own default is to repeat forever, and the attempt's time limit would then end it for a fault that is not its
own."""
REFUSED = {
    "cache": "a cached reply would make k attempts one",
    "fallback_models": "another model than the one under evaluation would answer",
}
"""Settings of Inspect's that would make the figures wrong."""


def max_retries(settings: Settings) -> Any:
    """How often a call is repeated at most: as the user sets, else :data:`MAX_RETRIES`."""
    return dict(settings.agents.generate).get("max_retries", MAX_RETRIES)


def open_models(names: Iterable[str], settings: Settings) -> Mapping[str, Model]:
    """The models of a run, by name. Raises `NotReady`, also for a real model that would run commands on this host."""
    config = _generate_config(dict(settings.agents.generate))
    models = {}
    for name in dict.fromkeys(names):
        if reason := unknown_provider(name):
            raise NotReady(f"model {name or repr(name)} cannot be used: {reason}")
        if reason := why_not_on_host(settings, name):
            raise NotReady(reason)
        models[name] = open_model(name, config, settings.agents.model_base_url, dict(settings.agents.model_args))
    return models


def open_roles(settings: Settings) -> Mapping[str, Model]:
    """The models of the other roles, by role. Settings of the agent's model do not apply to them. Raises `NotReady`."""
    config = GenerateConfig(max_retries=max_retries(settings))
    models = {}
    for role, name in settings.agents.roles:
        if reason := unknown_provider(name):
            raise NotReady(f"model {name} of --agent-role={role} cannot be used: {reason}")
        models[role] = open_model(name, config)
    return models


def _generate_config(asked: dict[str, Any]) -> GenerateConfig:
    for name in asked:
        if name not in GenerateConfig.model_fields:
            hint = did_you_mean(name, GenerateConfig.model_fields, "see GenerateConfig in Inspect's documentation")
            raise NotReady(f"--agent-generate={name}={asked[name]}: Inspect has no such setting; {hint}")
        if name in REFUSED:
            raise NotReady(f"--agent-generate={name}={asked[name]} cannot be used: {REFUSED[name]}; leave it out")
    most = asked.get("max_tokens")
    if isinstance(most, int) and most < 1:
        raise NotReady(f"--agent-generate=max_tokens={most} cannot be used: it must be 1 or more")
    try:
        return GenerateConfig(**{"max_retries": MAX_RETRIES, **asked})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise NotReady(f"--agent-generate={name}={asked[name]} cannot be used: {one_sentence(first['msg'])}") from None


def open_model(
    name: str,
    config: GenerateConfig | None = None,
    base_url: str | None = None,
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> Model:
    """A model by its name. Raises `NotReady` for a missing package or key of its provider, and for a wrong argument."""
    try:
        model = get_model(name, config=config or GenerateConfig(), base_url=base_url, memoize=False, **arguments)
    except PrerequisiteError as error:
        raise NotReady(f"model {name} cannot be used: {one_sentence(str(error.message))}") from None
    except (ValueError, LookupError, TypeError, ImportError) as error:
        raise NotReady(f"model {name} cannot be used: {one_sentence(str(error))}") from None
    # Providers' clients (openai, anthropic) retry twice on their own, so a call may be billed without being counted.
    # Without that, Inspect does all retrying, and every request to the provider passes the meter.
    client: Any = getattr(model.api, "client", None)
    if "max_retries" not in arguments and isinstance(getattr(client, "max_retries", None), int):
        client.max_retries = 0
    return model


def unknown_provider(model: str) -> str | None:
    """Why a text is not the name of a model of one of Inspect's providers, or None."""
    provider, slash, rest = model.partition("/")
    if not slash:
        return "a model is named PROVIDER/MODEL, for example openai/gpt-5-mini"
    # asked as Inspect asks: what is not there makes it load the providers of other packages
    if registry_find(lambda found: found.type == "modelapi" and registry_unqualified_name(found) == provider):
        return None
    known = {registry_unqualified_name(found) for found in registry_find(lambda found: found.type == "modelapi")}
    near = nearest(provider, known)
    hint = f"did you mean {near}/{rest}?" if near else "see https://inspect.aisi.org.uk/providers.html"
    return f"Inspect knows no provider {provider!r}; {hint}"


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
