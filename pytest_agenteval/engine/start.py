"""Everything that is checked and prepared before the first attempt: models, prices, sandboxes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from pytest_agenteval.engine.evaluation import Evaluation
from pytest_agenteval.engine.models import ModelNotReady, open_models, tell_prices
from pytest_agenteval.engine.sandboxes import Sandboxes, SandboxFailed, SandboxSpec
from pytest_agenteval.engine.trial import Services
from pytest_agenteval.items import AgentItem
from pytest_agenteval.money.budget import RunBudget
from pytest_agenteval.money.prices import PriceBook, PriceFileError, open_prices
from pytest_agenteval.options import Settings
from pytest_agenteval.readiness import NotReady

__all__ = ["prepare", "start"]

CONFIG_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "Dockerfile")
"""Beside a test file, they are its suite's sandbox; in this order, as Inspect looks for them."""


def start(settings: Settings, items: Sequence[AgentItem], say: Callable[[str], None]) -> Evaluation:
    """Check what the run needs and make its evaluation; nothing is spent yet.

    Args:
        settings: of the run.
        items: the agent tasks that will run.
        say: tells the user what takes a while (building an image).

    Raises:
        NotReady: a model, a price or a sandbox is missing, in one sentence.
    """
    names = list(dict.fromkeys([*settings.models, *(item.model for item in items if item.model)]))
    try:
        prices = open_prices(settings.prices)
        models = open_models(names, settings)
    except (PriceFileError, ModelNotReady) as error:
        raise NotReady(str(error)) from None
    _refuse_unpriced(settings, items, names, prices)
    tell_prices(names, prices)
    services = Services(Sandboxes(), RunBudget(settings.max_cost), prices, settings.env_retries)
    metadata = {
        "pytest_agenteval": version("pytest-agenteval"),
        "k": settings.k,
        "prices": {name: prices.source(name) for name in names},
    }
    return Evaluation(settings, models, _sandboxes(settings, items, say), services, metadata)


async def prepare(evaluation: Evaluation) -> None:
    """Let the sandbox providers check, build and pull, on the loop that will use them.

    Raises:
        NotReady: a sandbox cannot be had.
    """
    try:
        await evaluation.services.sandboxes.prepare(evaluation.sandboxes.values())
    except SandboxFailed as error:
        raise NotReady(str(error)) from None


def _refuse_unpriced(settings: Settings, items: Sequence[AgentItem], names: Sequence[str], prices: PriceBook) -> None:
    unpriced = [name for name in names if prices.source(name) is None]
    if not unpriced:
        return
    way_out = "give its prices with --agent-prices=FILE, or install pytest-agenteval[prices]"
    if settings.max_cost is not None:
        raise NotReady(f"--max-cost cannot be held: the price of {unpriced[0]} is not known; {way_out}")
    if settings.max_cost_per_attempt is not None:
        what = "--agent-max-cost-per-attempt cannot be judged"
        raise NotReady(f"{what}: the price of {unpriced[0]} is not known; {way_out}")
    for item in items:
        if item.options.max_cost is not None and item.model in unpriced:
            what = f"max_cost of {item.nodeid} cannot be held"
            raise NotReady(f"{what}: the price of {item.model} is not known; {way_out}")


def _sandboxes(settings: Settings, items: Sequence[AgentItem], say: Callable[[str], None]) -> dict[str, SandboxSpec]:
    suites = {item.nodeid.split("::")[0]: item.path.parent for item in items}
    if settings.sandbox == "local":
        return {suite: SandboxSpec("local", None, _name(suite)) for suite in suites}
    configs = {suite: _config_beside(folder) for suite, folder in suites.items()}
    if not any(item.plan.uses_ours("agent", "sandbox") for item in items):
        return {suite: SandboxSpec("docker", config, _name(suite)) for suite, config in configs.items()}
    _refuse_host_access(settings, configs)
    default = _default_sandbox(configs, say)
    return {
        suite: SandboxSpec("docker", config, _name(suite)) if config else replace(default, name=_name(suite))
        for suite, config in configs.items()
    }


def _default_sandbox(configs: dict[str, Path | None], say: Callable[[str], None]) -> SandboxSpec:
    """What suites without a compose file or Dockerfile get: the default image, in our provider where it can be used."""
    from pytest_agenteval.sandbox.compose import default_compose
    from pytest_agenteval.sandbox.containers import ContainerConfig
    from pytest_agenteval.sandbox.daemon import SandboxSetupError
    from pytest_agenteval.sandbox.engine_api import Endpoint
    from pytest_agenteval.sandbox.preflight import Needs, preflight

    wanted = None in configs.values()
    try:
        ours = Endpoint.current() is not None
        needs_compose = not ours or any(config is not None for config in configs.values())
        ready = preflight(Needs(compose=needs_compose, default_image=wanted), say)
    except SandboxSetupError as error:
        raise NotReady(str(error)) from None
    if ready.image is None or ours:
        return SandboxSpec("agenteval", ContainerConfig(image=ready.image.name if ready.image else None), "")
    path = Path(tempfile.mkdtemp(prefix="agenteval-")) / "compose.yaml"
    path.write_text(default_compose(ready.image.name), "utf-8")
    return SandboxSpec("docker", path, "")


def _refuse_host_access(settings: Settings, configs: dict[str, Path | None]) -> None:
    from pytest_agenteval.sandbox.compose import host_access

    for path in dict.fromkeys(configs.values()):
        if path is None or path.name == "Dockerfile" or settings.allow_host_access:
            continue
        try:
            content: Any = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise NotReady(f"{path} cannot be read as a compose file: {error}") from None
        if not isinstance(content, dict):
            raise NotReady(f"{path} is not a compose file: it has no keys")
        if keys := host_access(content):
            raise NotReady(
                f"{path} gives containers access to this host by {', '.join(keys)}; "
                "remove it, or add --agent-allow-host-access if you mean it"
            )


def _config_beside(folder: Path) -> Path | None:
    return next((folder / name for name in CONFIG_FILES if (folder / name).is_file()), None)


def _name(suite: str) -> str:
    return suite.removesuffix(".py").replace("/", "-")
