"""The tables of the reference against the code: the same names in them, with the same defaults and meanings."""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import Any

import pytest
from support.pages import DOCS, ROOT, tables

from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.collect.fixtures import NAMES
from pytest_agenteval.engine.models.rehearsal import Noise
from pytest_agenteval.judge.exit_status import RunVerdict, exit_status
from pytest_agenteval.options.table import OPTIONS, SWITCHES
from pytest_agenteval.options.values import BUILT_IN_MODELS
from pytest_agenteval.record.outcomes import Cause, Outcome

REFERENCE = DOCS / "reference"


def rows(page: str, *header: str) -> list[list[str]]:
    """The rows of all tables of a page that have this header."""
    return [row for table in tables(REFERENCE / page) if table[0] == list(header) for row in table[1:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def shown(default: Any) -> str:
    if default is False:
        return "no"
    if default in (None, ()):
        return "none"
    return f'`"{default}"`' if isinstance(default, str) else f"{default:g}"


def test_the_options_and_their_ini_keys_and_defaults() -> None:
    documented = {
        (tuple(name.partition("=")[0] for name in flags), key): default
        for cell, default, _ in rows("options.md", "option, ini key", "default", "meaning")
        for *flags, key in [code(cell)]
    }
    assert documented.keys() == {(option.flags, f"agent_{option.key}") for option in OPTIONS}
    for option in OPTIONS:
        default = documented[option.flags, f"agent_{option.key}"]
        assert option.default in (None, ()) if default == "none" else option.parse(default) == option.default


def test_each_option_is_documented_with_what_it_takes() -> None:
    documented = {
        name.partition("=")[0]: name.partition("=")[2].replace("\\|", "|")
        for cell, *_ in rows("options.md", "option, ini key", "default", "meaning")
        for name in code(cell)[:-1]
    }
    assert documented == {flag: option.metavar for option in OPTIONS for flag in option.flags}


def test_options_that_may_be_repeated_say_so() -> None:
    table = rows("options.md", "option, ini key", "default", "meaning")
    repeated = {code(cell)[-1] for cell, _, meaning in table if "**Repeat**" in meaning}
    assert repeated == {f"agent_{option.key}" for option in OPTIONS if option.repeat}


def test_the_switches() -> None:
    assert {cell for cell, _ in rows("options.md", "switch", "meaning")} == {f"`{flag}`" for flag, *_ in SWITCHES}


def test_the_options_of_a_task() -> None:
    documented = [(*code(name), default) for name, default, _ in rows("tasks.md", "option", "default", "meaning")]
    assert documented == [(field.name, shown(field.default)) for field in dataclasses.fields(TaskOptions)]


def test_the_fixtures() -> None:
    assert sorted(code(name)[0] for name, _ in rows("tasks.md", "fixture", "what it is")) == sorted(NAMES)


def test_the_built_in_models() -> None:
    assert [code(name)[0] for name, _ in rows("tasks.md", "model", "what it does")] == list(BUILT_IN_MODELS)
    documented = [(*code(name), default) for name, default, _ in rows("tasks.md", "argument", "default", "meaning")]
    assert documented == [(field.name, shown(field.default)) for field in dataclasses.fields(Noise)]


def test_the_outcomes_in_their_order() -> None:
    table = rows("outcomes.md", "outcome", "when", "counts", "retried")
    assert [code(name)[0] for name, *_ in table] == [outcome.value for outcome in Outcome]
    assert [counts == "yes" for _, _, counts, _ in table] == [outcome.counts for outcome in Outcome]


def test_the_causes() -> None:
    table = rows("outcomes.md", "cause", "of", "meaning")
    assert sorted(name for cell, *_ in table for name in code(cell)) == sorted(cause.value for cause in Cause)


def test_the_words_for_how_a_run_ended() -> None:
    table = rows("exit-status.md", "verdict", "exit status", "meaning")
    documented = {code(name)[0]: status for name, status, _ in table}
    assert documented.keys() == {verdict.value for verdict in RunVerdict}
    for ended in (exit_status(0), exit_status(1), exit_status(0, broken=1), exit_status(0, incomplete=["x"]),
                  exit_status(2), exit_status(3), exit_status(4), exit_status(5)):  # fmt: skip
        assert str(ended.code) in re.findall(r"\d+", documented[ended.verdict])


def test_the_readme_has_the_same_exit_statuses() -> None:
    in_readme = [table for table in tables(ROOT / "README.md") if table[0] == ["status", "meaning"]]
    assert in_readme == [[["status", "meaning"], *rows("exit-status.md", "status", "meaning")]]


def commands(parser: argparse.ArgumentParser, above: str = "") -> dict[str, argparse.ArgumentParser]:
    """The parsers of all commands that have none below them, by their words."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                found |= commands(below, f"{above} {name}".strip()) or {f"{above} {name}".strip(): below}
    return found


@pytest.fixture(scope="module")
def script() -> dict[str, argparse.ArgumentParser]:
    from pytest_agenteval.cli.main import _parser

    return commands(_parser())


def test_the_commands_of_the_script(script: dict[str, argparse.ArgumentParser]) -> None:
    documented = {name for row in rows("console-script.md", "command", "what it does") for name in code(row[0])}
    words = {" ".join(re.findall(r"\b[a-z]+(?:-[a-z]+)*\b", name.partition("--")[0])) for name in documented}
    assert words == {name.replace("images list", "images") for name in script}


@pytest.mark.parametrize(("command", "page"), [
    ("check", "reference/console-script.md"), ("new-suite", "reference/console-script.md"),
    ("report", "reference/console-script.md"),
    ("compare", "reference/console-script.md"), ("cleanup", "reference/console-script.md"),
    ("variants make", "reference/console-script.md"),
    ("export eee", "how-to/export.md"),
])  # fmt: skip
def test_the_options_of_the_script(command: str, page: str, script: dict[str, argparse.ArgumentParser]) -> None:
    text = (DOCS / page).read_text("utf-8")
    if page.startswith("reference"):
        text = re.split(r"^## ", text.split(f"\n## {command}\n")[1], flags=re.MULTILINE)[0]
    for action in script[command]._actions:
        if flags := set(action.option_strings) - {"-h", "--help"}:
            assert any(re.search(rf"`{flag}[`= ]", text) for flag in flags), f"{flags} is not on the page"
