"""The command line and ini options: one table, and the checked `Settings` made from them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

__all__ = ["Settings", "add_options", "gates_asked", "settings"]

SANDBOXES = ("docker", "local")
BUILT_IN_MODELS = ("agenteval/oracle", "agenteval/null", "agenteval/noisy")


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d+", text.strip()) or int(text) < 1:
        raise ValueError("must be a whole number, 1 or more")
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"\d+", text.strip()):
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _rate(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise ValueError("must lie between 0 and 1")
    return value


def _dollars(text: str) -> float:
    value = _number(text.removeprefix("$"))
    if value <= 0:
        raise ValueError("must be an amount of US dollars above 0")
    return value


def _model(text: str) -> str:
    name = text.strip()
    if not name:
        raise ValueError("is an empty model name")
    if "/" not in name or name.startswith("/") or name.endswith("/"):
        raise ValueError("must be PROVIDER/MODEL, for example openai/gpt-5-mini or agenteval/noisy")
    return name


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError("must be NAME=VALUE")
    return name.strip(), _literal(value)


def _literal(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _file(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ValueError("is not a file")
    return path


def _sandbox(text: str) -> str:
    if text not in SANDBOXES:
        raise ValueError(f"must be one of {', '.join(SANDBOXES)}")
    return text


class _Option(NamedTuple):
    flags: tuple[str, ...]
    key: str
    """Of the settings, and with `agent_` before it the ini key."""
    parse: Callable[[str], Any]
    default: Any
    metavar: str
    help: str
    repeat: bool = False
    gate: bool = False
    """Judges the run: without a model it has nothing to judge."""
    command_line_only: bool = False
    """Allows access to the host, so a file in a checkout must not be able to set it."""
    switch: bool = False


_OPTIONS = (
    _Option(("--agent-model",), "models", _model, (), "PROVIDER/MODEL",
            "evaluate this model, by Inspect's name (repeat: one cell each); agenteval/oracle, /null and /noisy cost nothing",
            repeat=True),
    _Option(("--k", "--agent-k"), "k", _whole, 1, "N", "attempts at each task (default 1)"),
    _Option(("--agent-run",), "run", bool, False, "", "evaluate with the model that the ini file names", switch=True),
    _Option(("--max-cost", "--agent-max-cost"), "max_cost", _dollars, None, "USD",
            "what the whole run may cost, all roles and retries included; the run stops before it costs more"),
    _Option(("--min-pass-at-1", "--agent-min-pass-at-1"), "min_pass_at_1", _rate, None, "RATE",
            "gate: pass@1, the share of attempts that pass, averaged over tasks", gate=True),
    _Option(("--min-pass-k", "--agent-min-pass-k"), "min_pass_k", _rate, None, "RATE",
            "gate: pass^k: all k attempts pass, averaged over tasks", gate=True),
    _Option(("--agent-max-cost-per-attempt",), "max_cost_per_attempt", _dollars, None, "USD",
            "gate: the mean cost of an attempt", gate=True),
    _Option(("--agent-max-env-error-rate",), "max_env_error_rate", _rate, 0.05, "RATE",
            "above this share of environment errors nothing passes (default 0.05)"),
    _Option(("--agent-max-tool-failure-rate",), "max_tool_failure_rate", _rate, None, "RATE",
            "gate: the share of tool calls that fail", gate=True),
    _Option(("--agent-concurrency",), "concurrency", _whole, 16, "N", "attempts in flight at once (default 16)"),
    _Option(("--agent-env-retries",), "env_retries", _count, 2, "N",
            "how often an attempt that met an environment error is tried again (default 2)"),
    _Option(("--agent-model-arg",), "model_args", _pair, (), "NAME=VALUE",
            "argument for the model's provider, as JSON or text (repeat)", repeat=True),
    _Option(("--agent-model-base-url",), "model_base_url", str, None, "URL", "address of the model's API"),
    _Option(("--agent-generate",), "generate", _pair, (), "NAME=VALUE",
            "how the model generates, by Inspect's names: temperature=0, max_tokens=4096, reasoning_effort=low (repeat)",
            repeat=True),
    _Option(("--agent-prices",), "prices", _file, None, "FILE", "TOML file of prices in USD per million tokens"),
    _Option(("--agent-sandbox",), "sandbox", _sandbox, "docker", "docker|local",
            "where attempts run (default docker); local is a directory on this host, not isolated"),
    _Option(("--agent-allow-local",), "allow_local", bool, False, "",
            "let a real model run commands on this host with --agent-sandbox=local",
            command_line_only=True, switch=True),
    _Option(("--agent-allow-host-access",), "allow_host_access", bool, False, "",
            "let compose files mount host paths, share host namespaces or run privileged",
            command_line_only=True, switch=True),
    _Option(("--agent-log-dir",), "log_dir", str, "logs/agenteval", "DIR",
            "where Inspect's .eval logs go (default logs/agenteval)"),
    _Option(("--agent-unsafe-fixture",), "unsafe_fixtures", str, (), "NAME",
            "refuse this fixture in agent tasks because it changes process-wide state (repeat)", repeat=True),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for, checked. Rates lie in [0, 1], costs are US dollars, None means not asked."""

    active: bool
    """Whether agent tasks run at all: only when `--agent-model`, `--k` or `--agent-run` was given."""
    models: tuple[str, ...]
    k: int
    run: bool
    max_cost: float | None
    min_pass_at_1: float | None
    min_pass_k: float | None
    max_cost_per_attempt: float | None
    max_env_error_rate: float
    max_tool_failure_rate: float | None
    concurrency: int
    env_retries: int
    model_args: tuple[tuple[str, Any], ...]
    model_base_url: str | None
    generate: tuple[tuple[str, Any], ...]
    prices: Path | None
    sandbox: str
    allow_local: bool
    allow_host_access: bool
    log_dir: str
    unsafe_fixtures: tuple[str, ...]


SETTINGS = pytest.StashKey[Settings]()
LOOKALIKES = pytest.StashKey[list[str]]()
"""Node ids of ordinary tests with a fixture named `agent` that is not ours."""


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini key."""
    group = parser.getgroup("agenteval", "agent evaluation (pytest-agenteval)")
    for option in _OPTIONS:
        keywords: dict[str, Any] = {"dest": f"agenteval_{option.key}", "help": option.help}
        if option.switch:
            keywords |= {"action": "store_true", "default": None}
        else:
            keywords |= {"action": "append" if option.repeat else "store", "metavar": option.metavar, "default": None}
        try:
            group.addoption(*option.flags, **keywords)
        except ValueError:
            if len(option.flags) == 1:
                raise
            group.addoption(*option.flags[1:], **keywords)  # a neighbour owns the short name: the long one still works
        if not option.command_line_only:
            kind = "linelist" if option.repeat else "string"
            parser.addini(_ini(option), f"{option.help} (as {option.flags[0]})", type=kind, default=[] if option.repeat else "")


def settings(config: pytest.Config) -> Settings:
    """The checked settings of a run.

    Raises:
        pytest.UsageError: an option has a value that cannot be used, in one sentence.
    """
    found = config.stash.get(SETTINGS, None)
    if found is None:
        found = config.stash[SETTINGS] = _read(config)
    return found


def gates_asked(config: pytest.Config) -> list[str]:
    """The gates named on the command line, as the user would type them."""
    return [option.flags[0] for option in _OPTIONS if option.gate and _given(config, option)]


def _read(config: pytest.Config) -> Settings:
    keyword = config.getoption("keyword", "") or ""
    if match := re.fullmatch(r"=?\s*(\d+)", keyword):
        raise pytest.UsageError(f"-k {keyword} selects tests by name; did you mean --k={match[1]}?")
    values = {option.key: _value(config, option) for option in _OPTIONS}
    started = [o.flags[0] for o in _OPTIONS if o.key in ("models", "k", "run") and _given(config, o)]
    gates = gates_asked(config) + (["--max-cost"] if config.getoption("agenteval_max_cost") is not None else [])
    active = bool(started)
    if (started or gates) and not values["models"]:
        raise pytest.UsageError(
            f"{(started + gates)[0]} needs a model to evaluate: add --agent-model=PROVIDER/MODEL "
            "(agenteval/noisy costs nothing), or set agent_models in the ini file"
        )
    if gates and not active:
        raise pytest.UsageError(
            f"{gates[0]} judges agent tasks, but nothing asks for them to run: add --agent-run or --agent-model"
        )
    if len(set(values["models"])) != len(values["models"]):
        raise pytest.UsageError("--agent-model names the same model twice: each cell is one model")
    real = [model for model in values["models"] if model not in BUILT_IN_MODELS]
    if active and values["sandbox"] == "local" and real and not values["allow_local"]:
        raise pytest.UsageError(
            f"--agent-sandbox=local would let {real[0]} run commands on this host; "
            "use the docker sandbox, or add --agent-allow-local if you mean it"
        )
    if values["max_cost"] is not None and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError(
            "--max-cost cannot be held across xdist's processes: leave out -n "
            "(attempts already run concurrently, see --agent-concurrency)"
        )
    return Settings(active=active, **values)


def _ini(option: _Option) -> str:
    return f"agent_{option.key}"


def _given(config: pytest.Config, option: _Option) -> bool:
    return config.getoption(f"agenteval_{option.key}") not in (None, [])


def _value(config: pytest.Config, option: _Option) -> Any:
    if _given(config, option):
        source, raw = option.flags[0], config.getoption(f"agenteval_{option.key}")
    elif option.command_line_only:
        return option.default
    else:
        source, raw = f"ini option {_ini(option)}", config.getini(_ini(option))
        if raw in ("", []):
            return option.default
    if option.switch:
        if isinstance(raw, bool):
            return raw
        if raw.lower() not in ("true", "false", "1", "0"):
            raise pytest.UsageError(f"{source}={raw} must be true or false")
        return raw.lower() in ("true", "1")
    if not option.repeat:
        return _parsed(source, raw, option.parse)
    return tuple(_parsed(source, text, option.parse) for text in _texts(raw))


def _texts(raw: str | Sequence[str]) -> Sequence[str]:
    return [raw] if isinstance(raw, str) else raw


def _parsed(source: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise pytest.UsageError(f"{source}={text} {error}") from None
