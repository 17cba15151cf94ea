"""The checked `Settings`, read from the command line and the ini file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.options.settings import Settings, settings_of
from pytest_agenteval.options.table import OPTIONS, SETTINGS, SWITCHES, Option
from pytest_agenteval.record.confidence import ASKING

__all__ = ["defaults", "given", "settings"]


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


def given(config: pytest.Config) -> dict[str, Any]:
    """The value of each option by key, from the command line or the ini file, each checked by itself.

    Raises:
        pytest.UsageError: an option has a value that cannot be used.
    """
    return {option.key: _value(config, option) for option in OPTIONS}


def _read(config: pytest.Config) -> Settings:
    typed = {option.flags[0]: option for option in OPTIONS if _given(config, option)}
    asked = given(config)
    asked |= {key: bool(config.getoption(f"agenteval_{key}")) for _, key, _ in SWITCHES}
    if asked["measure_only"]:
        judging = {flag: option for flag, option in typed.items() if _judges(option)}
        if judging:
            raise pytest.UsageError(
                f"--agent-measure-only judges nothing, so {next(iter(judging))} cannot go with it: "
                "leave one of the two out"
            )
        asked |= {option.key: option.default for option in OPTIONS if _judges(option)}  # what an ini file asks for
    starts = [flag for flag in ("--agent-model", "--k") if flag in typed] + ["--agent-run"] * asked["run"]
    starts += ["--agent-plan"] * asked["plan"]
    checked = settings_of(asked, active=bool(starts))
    _refuse_slip_of_k(config, used=bool(typed or starts or checked.agents.models))
    _refuse_missing_model(checked, starts, [flag for flag, option in typed.items() if option.gate])
    if not checked.active and not config.getoption("collectonly", False):
        idle = [flag for flag, option in typed.items() if option.idle]
        _refuse_idle(config, [*idle, *(["--agent-measure-only"] if asked["measure_only"] else [])])
    if len(set(checked.agents.models)) != len(checked.agents.models):
        twice = next(model for model in checked.agents.models if checked.agents.models.count(model) > 1)
        raise pytest.UsageError(f"--agent-model names {twice} twice: name each model once, because it makes one cell")
    if len(set(checked.agents.scaffolds)) != len(checked.agents.scaffolds):
        again = next(name for name in checked.agents.scaffolds if checked.agents.scaffolds.count(name) > 1)
        raise pytest.UsageError(
            f"--agent-scaffold names {again} twice: name each scaffold once, because it makes one cell"
        )
    roles = [name for name, _ in checked.agents.roles]
    if checked.agents.ask_confidence and ASKING in roles:
        raise pytest.UsageError(
            f"--agent-role={ASKING} names the role in which --agent-ask-confidence asks the agent's own model: "
            "give the other role another name"
        )
    if len(set(roles)) != len(roles):
        raise pytest.UsageError(f"--agent-role gives {max(roles, key=roles.count)} twice: give each role one model")
    if checked.gates.baseline_cell is not None and checked.gates.baseline is None:
        raise pytest.UsageError("--agent-baseline-cell names a cell of the baseline: add --agent-baseline=PATH")
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


def _judges(option: Option) -> bool:
    """Whether an option is about verdicts. A budget also holds where nothing is judged."""
    return (option.gate and option.key != "max_cost") or option.key == "early_stop"


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


def _given(config: pytest.Config, option: Option) -> bool:
    return config.getoption(option.dest) not in (None, [])


def _value(config: pytest.Config, option: Option) -> Any:
    source, raw = option.flags[0], config.getoption(option.dest)
    if not _given(config, option):
        source, raw = f"ini option {option.ini}", config.getini(option.ini)
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
