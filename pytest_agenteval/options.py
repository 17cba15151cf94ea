"""The command line and ini options: one table, and the checked `Settings` made from them.

pytest loads this module at each start. Hence its classes are named tuples, which are made several times faster than
dataclasses, and annotations are not postponed: `NamedTuple` would compile each of them from its text.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_agenteval import option_values as values

__all__ = ["LOOKALIKES", "MARK", "SETTINGS", "Settings", "add_options", "defaults", "settings", "why_not_on_host"]


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
    path: bool = False
    """A path: in an ini file it is relative to that file."""


# fmt: off
_OPTIONS = (
    _Option(("--agent-model",), "models", values.model, (), "PROVIDER/MODEL",
            "evaluate this model, by Inspect's name (repeat: one cell each); "
            "agenteval/oracle, /null and /noisy cost nothing", repeat=True),
    _Option(("--k", "--agent-k"), "k", values.number_from_1, 1, "N", "attempts at each task (default 1)"),
    _Option(("--max-cost", "--agent-max-cost"), "max_cost", values.amount, None, "USD",
            "what the whole run may cost, all roles and retries included; the run stops before it costs more",
            gate=True),
    _Option(("--min-pass-at-1", "--agent-min-pass-at-1"), "min_pass_at_1", values.rate, None, "RATE",
            "gate: pass@1, the share of attempts that pass, averaged over tasks", gate=True),
    _Option(("--min-pass-k", "--agent-min-pass-k"), "min_pass_k", values.rate, None, "RATE",
            "gate: pass^k: all k attempts pass, averaged over tasks", gate=True),
    _Option(("--agent-max-cost-per-attempt",), "max_cost_per_attempt", values.amount, None, "USD",
            "gate: the mean cost of an attempt", gate=True),
    _Option(("--agent-max-env-error-rate",), "max_env_error_rate", values.rate, 0.05, "RATE",
            "above this share of environment errors nothing passes (default 0.05)", gate=True),
    _Option(("--agent-max-tool-failure-rate",), "max_tool_failure_rate", values.rate, None, "RATE",
            "gate: the share of tool calls that fail", gate=True),
    _Option(("--agent-baseline",), "baseline", values.place, None, "PATH",
            "gate: compare with an earlier run, its .eval logs or a directory of them; a regression fails the run",
            gate=True, path=True),
    _Option(("--agent-gate-mode",), "gate_mode", values.one_of(values.GATE_MODES), "grid", "|".join(values.GATE_MODES),
            "what gates on pass rates are about: these very attempts (grid, the default), or the truth behind them"),
    _Option(("--agent-confidence",), "confidence", values.confidence, 0.95, "LEVEL",
            "how sure a gate in confidence mode must be (default 0.95)"),
    _Option(("--agent-undecided",), "undecided", values.one_of(values.UNDECIDED), "incomplete",
            "|".join(values.UNDECIDED),
            "what a gate in confidence mode says when the attempts settle it neither way (default incomplete)"),
    _Option(("--agent-early-stop",), "early_stop", values.one_of(values.EARLY_STOPS), None,
            "|".join(values.EARLY_STOPS),
            "run only what can still change a verdict; exact+first runs every task's first attempt, for pass@1"),
    _Option(("--agent-concurrency",), "concurrency", values.number_from_1, 16, "N",
            "attempts in flight at once (default 16)"),
    _Option(("--agent-env-retries",), "env_retries", values.count, 2, "N",
            "how often an attempt that met an environment error is tried again (default 2)"),
    _Option(("--agent-model-arg",), "model_args", values.pair, (), "NAME=VALUE",
            "argument for the model's provider, as JSON or text (repeat)", repeat=True),
    _Option(("--agent-model-base-url",), "model_base_url", values.url, None, "URL", "address of the model's API"),
    _Option(("--agent-generate",), "generate", values.pair, (), "NAME=VALUE",
            "how the model generates, by Inspect's names: temperature=0, max_tokens=4096, "
            "reasoning_effort=low (repeat)", repeat=True),
    _Option(("--agent-prices",), "prices", values.file, None, "FILE",
            "TOML file of prices in USD per million tokens", path=True),
    _Option(("--agent-sandbox",), "sandbox", values.sandbox, "docker", "|".join(values.SANDBOXES),
            "where attempts run (default docker); local is a directory on this host, not isolated"),
    _Option(("--agent-sandbox-default",), "sandbox_default", values.text, None, "SANDBOX",
            "the sandbox of tasks that name none and have no compose file or Dockerfile beside them: a name, "
            "a path from the rootdir, or image:NAME:TAG"),
    _Option(("--agent-log-dir",), "log_dir", values.text, "logs/agenteval", "DIR",
            "where Inspect's .eval logs go (default logs/agenteval)", path=True),
    _Option(("--agent-unsafe-fixture",), "unsafe_fixtures", values.text, (), "NAME",
            "refuse this fixture in agent tasks because it changes process-wide state (repeat)", repeat=True),
)
_SWITCHES = (
    ("--agent-run", "run", "evaluate with the model that the ini file names"),
    ("--agent-allow-local", "allow_local",
     "let a real model run commands on this host with --agent-sandbox=local"),
    ("--agent-allow-host-access", "allow_host_access",
     "let compose files mount host paths, share host namespaces or run privileged"),
    ("--agent-plan", "plan", "say what the run would cost and could show, and run nothing"),
    ("--agent-keep-sandbox", "keep_sandbox",
     "leave the sandbox of an attempt that failed, and say how to enter it"),
)
"""Options without a value: flag, key, help. They have no ini key: a file in a checkout must not be able to set them."""
# fmt: on


class Settings(NamedTuple):
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
    baseline: Path | None
    gate_mode: str
    confidence: float
    undecided: str
    early_stop: str | None
    plan: bool
    concurrency: int
    env_retries: int
    model_args: tuple[tuple[str, Any], ...]
    model_base_url: str | None
    generate: tuple[tuple[str, Any], ...]
    prices: Path | None
    sandbox: str
    sandbox_default: str | None
    allow_local: bool
    allow_host_access: bool
    keep_sandbox: bool
    log_dir: str
    unsafe_fixtures: tuple[str, ...]

    @property
    def setup(self) -> str:
        """How the models are set up, as text: with another setup it is another agent. Secrets are left out."""
        given = dict(self.model_args) | dict(self.generate)
        if self.model_base_url is not None:
            given["base_url"] = self.model_base_url
        secret = re.compile("key|token$|secret|password", re.IGNORECASE)
        return ", ".join(f"{name}={'...' if secret.search(name) else given[name]}" for name in sorted(given))


SETTINGS = pytest.StashKey[Settings]()
MARK = "agent_task"
"""The name of the mark (`tasks.py`), here because pytest is told of it at each start."""
LOOKALIKES = pytest.StashKey[list[str]]()
"""Node ids of ordinary tests with a fixture named `agent` that is not ours."""


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini key."""
    group = parser.getgroup("agenteval", "agent evaluation (pytest-agenteval)")
    for option in _OPTIONS:
        action = "append" if option.repeat else "store"
        keywords = {"dest": _dest(option.key), "help": option.help, "metavar": option.metavar, "action": action}
        try:
            group.addoption(*option.flags, **keywords)
        except (ValueError, argparse.ArgumentError):
            if len(option.flags) == 1:
                raise
            group.addoption(*option.flags[1:], **keywords)  # a neighbour owns the short name: the long one still works
        meaning = f"{option.help} (as {option.flags[0]})"
        if option.repeat:
            parser.addini(_ini(option), meaning, type="linelist", default=[])
        else:
            parser.addini(_ini(option), meaning, type="string", default="")
    for flag, key, meaning in _SWITCHES:
        group.addoption(flag, dest=_dest(key), help=meaning, action="store_true", default=False)


def defaults() -> dict[str, Any]:
    """What each setting is that nobody has asked for."""
    return {option.key: option.default for option in _OPTIONS} | {key: False for _, key, _ in _SWITCHES}


def settings(config: pytest.Config) -> Settings:
    """The checked settings of a run.

    Raises:
        pytest.UsageError: an option has a value that cannot be used, in one sentence.
    """
    found = config.stash.get(SETTINGS, None)
    if found is None:
        found = config.stash[SETTINGS] = _read(config)
    return found


def _read(config: pytest.Config) -> Settings:
    given = {option.flags[0]: option for option in _OPTIONS if _given(config, option)}
    asked = {option.key: _value(config, option) for option in _OPTIONS}
    asked |= {key: bool(config.getoption(_dest(key))) for _, key, _ in _SWITCHES}
    starts = [flag for flag in ("--agent-model", "--k") if flag in given] + ["--agent-run"] * asked["run"]
    starts += ["--agent-plan"] * asked["plan"]
    made = Settings(active=bool(starts), **asked)
    _refuse_slip_of_k(config, used=bool(given or starts or made.models))
    _refuse_missing_model(made, starts, [flag for flag, option in given.items() if option.gate])
    if len(set(made.models)) != len(made.models):
        twice = next(model for model in made.models if made.models.count(model) > 1)
        raise pytest.UsageError(f"--agent-model names {twice} twice: name each model once, for it makes one cell")
    if made.active:
        from pytest_agenteval.option_rules import why_not_early

        for model in made.models:
            if reason := why_not_on_host(made, model):
                raise pytest.UsageError(reason)
        _refuse_shared_budget(config, made)
        if reason := why_not_early(made, distributed=_distributed(config)):
            raise pytest.UsageError(reason)
    return made


def why_not_on_host(asked: Settings, model: str) -> str | None:
    """Why a model may not run, in a sentence: a real one would run commands on this host, and nobody has allowed it."""
    if asked.sandbox != "local" or model in values.BUILT_IN_MODELS or asked.allow_local:
        return None
    return (
        f"--agent-sandbox=local would let {model} run commands on this host: "
        "use the docker sandbox, or add --agent-allow-local if you mean it"
    )


def _refuse_slip_of_k(config: pytest.Config, *, used: bool) -> None:
    keyword = config.getoption("keyword", "") or ""
    if used and (match := re.fullmatch(r"=?\s*(\d+)", keyword)):
        raise pytest.UsageError(
            f"-k {keyword} selects tests by name: did you mean --k={match[1]}? "
            f"(if not, write -k '({match[1]})' to select them)"
        )


def _refuse_missing_model(made: Settings, starts: list[str], gates: list[str]) -> None:
    if (starts or gates) and not made.models:
        raise pytest.UsageError(
            f"{(starts + gates)[0]} needs a model to evaluate: add --agent-model=PROVIDER/MODEL "
            "(agenteval/noisy costs nothing), or set agent_models in the ini file"
        )
    if gates and not starts:
        raise pytest.UsageError(
            f"{gates[0]} judges agent tasks, but nothing asks for them to run: add --agent-run or --agent-model"
        )


def _refuse_shared_budget(config: pytest.Config, made: Settings) -> None:
    if made.max_cost is not None and _distributed(config):
        raise pytest.UsageError(
            "--max-cost cannot be held across xdist's processes: leave out -n "
            "(attempts already run concurrently, see --agent-concurrency)"
        )


def _distributed(config: pytest.Config) -> bool:
    """Whether xdist spreads the tests over processes."""
    option = config.option
    return bool(getattr(option, "numprocesses", None)) or getattr(option, "dist", "no") != "no"


def _dest(key: str) -> str:
    return f"agenteval_{key}"


def _ini(option: _Option) -> str:
    return f"agent_{option.key}"


def _given(config: pytest.Config, option: _Option) -> bool:
    return config.getoption(_dest(option.key)) not in (None, [])


def _value(config: pytest.Config, option: _Option) -> Any:
    source, raw = option.flags[0], config.getoption(_dest(option.key))
    if not _given(config, option):
        source, raw = f"ini option {_ini(option)}", config.getini(_ini(option))
        if raw in ("", []):
            return option.default
        if option.path and config.inipath is not None and "://" not in raw:
            raw = str(config.inipath.parent / Path(raw).expanduser())
    if option.repeat:
        return tuple(_parsed(source, text, option.parse) for text in raw)
    return _parsed(source, raw, option.parse)


def _parsed(source: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise pytest.UsageError(f"{source}={text} {error}") from None
