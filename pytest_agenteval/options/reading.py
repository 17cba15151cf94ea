"""Registers options and ini keys with pytest, and reads the checked `Settings` from them."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.options.settings import Settings, settings_of
from pytest_agenteval.options.table import OPTIONS, SWITCHES, Option

__all__ = ["SETTINGS", "add_options", "defaults", "settings"]

SETTINGS = pytest.StashKey[Settings]()


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
            group.addoption(*long, **keywords)  # another plugin owns the short name; the long one still works
        meaning = f"{option.help} (as {option.flags[0]})"
        if option.repeat:
            parser.addini(_ini(option), meaning, type="linelist", default=[])
        else:
            parser.addini(_ini(option), meaning, type="string", default="")
    for flag, key, meaning in SWITCHES:
        group.addoption(flag, dest=_dest(key), help=meaning, action="store_true", default=False)


def _is_taken(parser: pytest.Parser, flag: str) -> bool:
    """Whether another plugin has this option. pytest 8 itself reports that only when it reads the command line."""
    if pytest.version_tuple >= (9,):
        return False
    try:
        return flag not in parser.parse_known_and_unknown_args([flag])[1]
    except (pytest.UsageError, SystemExit):  # it is taken, and its value is missing
        return True


def defaults() -> dict[str, Any]:
    """The value of each setting if the user gives none."""
    return {option.key: option.default for option in OPTIONS} | {key: False for _, key, _ in SWITCHES}


def settings(config: pytest.Config) -> Settings:
    """The checked settings of a run.

    Raises:
        pytest.UsageError: an option has a value that cannot be used. The message is one sentence.
    """
    checked = config.stash.get(SETTINGS, None)
    if checked is None:
        checked = config.stash[SETTINGS] = _read(config)
    return checked


def _read(config: pytest.Config) -> Settings:
    given = {option.flags[0]: option for option in OPTIONS if _given(config, option)}
    values = {option.key: _value(config, option) for option in OPTIONS}
    values |= {key: bool(config.getoption(_dest(key))) for _, key, _ in SWITCHES}
    starts = [flag for flag in ("--agent-model", "--k") if flag in given] + ["--agent-run"] * values["run"]
    starts += ["--agent-plan"] * values["plan"]
    checked = settings_of(values, active=bool(starts))
    _refuse_slip_of_k(config, used=bool(given or starts or checked.agents.models))
    _refuse_missing_model(checked, starts, [flag for flag, option in given.items() if option.gate])
    if not checked.active and not config.getoption("collectonly", False):
        _refuse_idle(config, [flag for flag, option in given.items() if option.idle])
    if len(set(checked.agents.models)) != len(checked.agents.models):
        twice = next(model for model in checked.agents.models if checked.agents.models.count(model) > 1)
        raise pytest.UsageError(f"--agent-model names {twice} twice: name each model once, because it makes one cell")
    if len(set(checked.agents.scaffolds)) != len(checked.agents.scaffolds):
        again = next(name for name in checked.agents.scaffolds if checked.agents.scaffolds.count(name) > 1)
        raise pytest.UsageError(
            f"--agent-scaffold names {again} twice: name each scaffold once, because it makes one cell"
        )
    roles = [name for name, _ in checked.agents.roles]
    if len(set(roles)) != len(roles):
        raise pytest.UsageError(f"--agent-role gives {max(roles, key=roles.count)} twice: give each role one model")
    if checked.store.resume or checked.store.top_up or checked.store.max_age is not None:
        from pytest_agenteval.options.rules import why_not_taken_over

        if reason := why_not_taken_over(checked):
            raise pytest.UsageError(reason)
    if checked.active:
        from pytest_agenteval.options.rules import why_not_early, why_not_on_host

        for model in checked.agents.models:
            if reason := why_not_on_host(checked, model):
                raise pytest.UsageError(reason)
        _refuse_shared_budget(config, checked)
        early = checked.attempts.early_stop
        if early is not None and (reason := why_not_early(checked, early, distributed=_distributed(config))):
            raise pytest.UsageError(reason)
    return checked


def _refuse_slip_of_k(config: pytest.Config, *, used: bool) -> None:
    keyword = config.getoption("keyword", "") or ""
    if used and (match := re.fullmatch(r"=?\s*(\d+)", keyword)):
        raise pytest.UsageError(
            f"-k {keyword} selects tests by name: did you mean --k={match[1]}? "
            f"(if not, write -k '({match[1]})' to select them)"
        )


def _refuse_missing_model(made: Settings, starts: list[str], gates: list[str]) -> None:
    if (starts or gates) and not made.agents.models:
        raise pytest.UsageError(
            f"{(starts + gates)[0]} needs a model to evaluate: add --agent-model=PROVIDER/MODEL "
            "(agenteval/noisy costs nothing), or set agent_models in the ini file"
        )
    if gates and not starts:
        raise pytest.UsageError(
            f"{gates[0]} judges agent tasks, but nothing asks for them to run: add --agent-run or --agent-model"
        )


def _refuse_idle(config: pytest.Config, flags: list[str]) -> None:
    """Refuse such options if they were typed; in `addopts` and ini keys they wait for a run of agent tasks."""
    for flag in flags:
        if any(str(word).partition("=")[0] == flag for word in config.invocation_params.args):
            raise pytest.UsageError(
                f"{flag} is about agent tasks, but nothing asks for them to run: "
                "add --agent-model=PROVIDER/MODEL or --agent-run"
            )


def _refuse_shared_budget(config: pytest.Config, made: Settings) -> None:
    if made.money.max_cost is not None and _distributed(config):
        raise pytest.UsageError(
            "--max-cost cannot be held across xdist's processes: leave out -n "
            "(attempts already run concurrently, see --agent-concurrency)"
        )


def _distributed(config: pytest.Config) -> bool:
    """Whether xdist distributes the tests over processes."""
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
