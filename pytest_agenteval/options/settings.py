"""The checked `Settings` made from the command line and ini options.

pytest loads this module at each start. Hence its classes are named tuples, which are made several times faster than
dataclasses, and annotations are not postponed: `NamedTuple` would compile each of them from its text.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_agenteval.options import values
from pytest_agenteval.options.table import OPTIONS, SWITCHES, Option

__all__ = [
    "INSPECT_TASK",
    "LOOKALIKES",
    "MARK",
    "SETTINGS",
    "SHARD_SIZES",
    "Settings",
    "add_options",
    "defaults",
    "settings",
    "why_not_on_host",
]


class Settings(NamedTuple):
    """What the user asked for, checked. Rates lie in [0, 1], costs are US dollars, None means not asked."""

    active: bool
    """Whether agent tasks run at all: only when `--agent-model`, `--k` or `--agent-run` was given."""
    models: tuple[str, ...]
    scaffolds: tuple[str, ...]
    scaffold_args: tuple[tuple[str, Any], ...]
    inspect_tasks: tuple[str, ...]
    k: int
    run: bool
    max_cost: float | None
    min_pass_at_1: float | None
    min_pass_k: float | None
    max_cost_per_attempt: float | None
    max_env_error_rate: float
    max_tool_failure_rate: float | None
    baseline: str | None
    gate_mode: str
    confidence: float
    undecided: str
    early_stop: str | None
    resume: bool
    top_up: bool
    max_age: float | None
    """Seconds."""
    shard: tuple[int, int] | None
    """Which part of how many, from 1."""
    json: Path | None
    comment: Path | None
    html: Path | None
    plan: bool
    stall_notice: float
    """Seconds."""
    concurrency: int
    env_retries: int
    model_args: tuple[tuple[str, Any], ...]
    roles: tuple[tuple[str, str], ...]
    """Roles beside the agent's, each with its model."""
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
    def model_setup(self) -> str:
        """How the models are set up, as text: with another setup it is another model. Secrets are left out."""
        given = dict(self.model_args) | dict(self.generate)
        if self.model_base_url is not None:
            given["base_url"] = self.model_base_url
        return _told(given)

    @property
    def setup(self) -> str:
        """How the agents are set up, as text, beyond their cells: of models, other roles and scaffolds."""
        given: dict[str, Any] = {f"role {name}": model for name, model in self.roles}
        given |= {f"scaffold {name}": value for name, value in self.scaffold_args}
        return ", ".join(filter(None, (self.model_setup, _told(given))))


def _told(given: dict[str, Any]) -> str:
    secret = re.compile("key|token$|secret|password", re.IGNORECASE)
    return ", ".join(f"{name}={'...' if secret.search(name) else given[name]}" for name in sorted(given))


SETTINGS = pytest.StashKey[Settings]()
MARK = "agent_task"
"""The name of the mark (`tasks.py`), here because pytest is told of it at each start."""
INSPECT_TASK = "agenteval_inspect_task"
"""The attribute of a test that is made from an Inspect task (`inspect_tasks.py`)."""
SHARD_SIZES = pytest.StashKey[tuple[int, ...]]()
"""How many agent tasks each part of `--agent-shard` has."""
LOOKALIKES = pytest.StashKey[list[str]]()
"""Node ids of ordinary tests with a fixture named `agent` that is not ours."""


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini key."""
    group = parser.getgroup("agenteval", "agent evaluation (pytest-agenteval)")
    for option in OPTIONS:
        action = "append" if option.repeat else "store"
        keywords = {"dest": _dest(option.key), "help": option.help, "metavar": option.metavar, "action": action}
        short, *long = option.flags
        flags = long if long and _is_taken(parser, short) else option.flags
        try:
            group.addoption(*flags, **keywords)
        except (ValueError, argparse.ArgumentError):
            if not long:
                raise
            group.addoption(*long, **keywords)  # a neighbour owns the short name: the long one still works
        meaning = f"{option.help} (as {option.flags[0]})"
        if option.repeat:
            parser.addini(_ini(option), meaning, type="linelist", default=[])
        else:
            parser.addini(_ini(option), meaning, type="string", default="")
    for flag, key, meaning in SWITCHES:
        group.addoption(flag, dest=_dest(key), help=meaning, action="store_true", default=False)


def _is_taken(parser: pytest.Parser, flag: str) -> bool:
    """Whether pytest 8 has this option of another plugin: it would say so only when it reads the command line."""
    if pytest.version_tuple >= (9,):
        return False
    try:
        return flag not in parser.parse_known_and_unknown_args([flag])[1]
    except (pytest.UsageError, SystemExit):  # it has, and misses the value
        return True


def defaults() -> dict[str, Any]:
    """What each setting is that nobody has asked for."""
    return {option.key: option.default for option in OPTIONS} | {key: False for _, key, _ in SWITCHES}


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
    given = {option.flags[0]: option for option in OPTIONS if _given(config, option)}
    asked = {option.key: _value(config, option) for option in OPTIONS}
    asked |= {key: bool(config.getoption(_dest(key))) for _, key, _ in SWITCHES}
    starts = [flag for flag in ("--agent-model", "--k") if flag in given] + ["--agent-run"] * asked["run"]
    starts += ["--agent-plan"] * asked["plan"]
    made = Settings(active=bool(starts), **asked)
    _refuse_slip_of_k(config, used=bool(given or starts or made.models))
    _refuse_missing_model(made, starts, [flag for flag, option in given.items() if option.gate])
    if not made.active and not config.getoption("collectonly", False):
        _refuse_idle(config, [flag for flag, option in given.items() if option.idle])
    if len(set(made.models)) != len(made.models):
        twice = next(model for model in made.models if made.models.count(model) > 1)
        raise pytest.UsageError(f"--agent-model names {twice} twice: name each model once, for it makes one cell")
    if len(set(made.scaffolds)) != len(made.scaffolds):
        again = next(name for name in made.scaffolds if made.scaffolds.count(name) > 1)
        raise pytest.UsageError(f"--agent-scaffold names {again} twice: name each scaffold once, for it makes one cell")
    roles = [name for name, _ in made.roles]
    if len(set(roles)) != len(roles):
        raise pytest.UsageError(f"--agent-role gives {max(roles, key=roles.count)} twice: give each role one model")
    if made.resume or made.top_up or made.max_age is not None:
        from pytest_agenteval.options.rules import why_not_taken_over

        if reason := why_not_taken_over(made):
            raise pytest.UsageError(reason)
    if made.active:
        from pytest_agenteval.options.rules import why_not_early

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


def _refuse_idle(config: pytest.Config, flags: list[str]) -> None:
    """Refuse what was typed; in `addopts` and ini keys it waits for a run of agent tasks."""
    for flag in flags:
        if any(str(word).partition("=")[0] == flag for word in config.invocation_params.args):
            raise pytest.UsageError(
                f"{flag} is about agent tasks, but nothing asks for them to run: "
                "add --agent-model=PROVIDER/MODEL or --agent-run"
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


def _ini(option: Option) -> str:
    return f"agent_{option.key}"


def _given(config: pytest.Config, option: Option) -> bool:
    return config.getoption(_dest(option.key)) not in (None, [])


def _value(config: pytest.Config, option: Option) -> Any:
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
