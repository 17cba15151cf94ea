from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.options import values
from pytest_agenteval.options.reading import defaults, settings
from pytest_agenteval.options.settings import Settings, settings_of
from pytest_agenteval.options.table import OPTIONS, Option, add_options, is_any_used

SHORT = {
    "--k", "--max-cost", "--min-pass-at-1", "--min-pass-k", "--min-consistency", "--max-overconfidence", "--min-safety",
    "--max-violations", "--min-robustness",
}  # fmt: skip
PLUGIN = ("-p", "pytest_agenteval")


@pytest.fixture
def read(pytester: pytest.Pytester) -> Callable[..., Settings]:
    def read(*arguments: str, ini: str = "") -> Settings:
        pytester.makeini(f"[pytest]\n{ini}")
        return settings(pytester.parseconfig(*PLUGIN, *arguments))

    return read


class Registered:
    """Stands for pytest's parser and notes what is registered."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self.taken = taken
        self.flags: list[str] = []
        self.keys: list[str] = []
        self.switches: set[str] = set()
        self.help: list[str] = []

    def getgroup(self, name: str, description: str) -> Registered:
        return self

    def addoption(self, *flags: str, **keywords: Any) -> None:
        if self.taken & set(flags):
            raise argparse.ArgumentError(None, "conflicting option string")
        self.flags += flags
        self.help.append(keywords["help"])
        self.switches |= set(flags) if keywords["action"] == "store_true" else set()

    def addini(self, name: str, help: str, **keywords: Any) -> None:
        self.keys.append(name)

    def parse_known_and_unknown_args(self, words: list[str]) -> tuple[None, list[str]]:
        return None, words


def registered(*taken: str) -> Registered:
    parser = Registered(frozenset(taken))
    add_options(parser)  # type: ignore[arg-type]
    return parser


def test_every_other_option_begins_with_agent() -> None:
    assert {flag for flag in registered().flags if not flag.startswith("--agent-")} == SHORT


def test_each_option_with_a_value_has_an_ini_key() -> None:
    parser = registered()
    plural = {
        "--agent-inspect-task": "inspect_tasks",
        "--agent-model": "models",
        "--agent-model-arg": "model_args",
        "--agent-perturb": "perturbations",
        "--agent-role": "roles",
        "--agent-scaffold": "scaffolds",
        "--agent-scaffold-arg": "scaffold_args",
        "--agent-unsafe-fixture": "unsafe_fixtures",
    }
    long = {flag for flag in parser.flags if flag.startswith("--agent-")} - parser.switches
    assert {"agent_" + plural.get(flag, flag.removeprefix("--agent-").replace("-", "_")) for flag in long} == set(
        parser.keys
    )


def test_no_file_can_start_a_run_or_allow_access_to_the_host() -> None:
    assert {"--agent-run", "--agent-allow-local", "--agent-allow-host-access"} <= registered().switches


def test_the_help_of_min_pass_k_says_what_pass_hat_k_is() -> None:
    assert any("pass^k" in text and "all k attempts pass" in text for text in registered().help)


@pytest.mark.parametrize("flag", sorted(SHORT))
def test_a_neighbour_that_owns_a_short_name_leaves_us_the_long_one(flag: str) -> None:
    parser = registered(flag)
    assert flag not in parser.flags
    assert f"--agent-{flag.removeprefix('--')}" in parser.flags


def test_a_clash_over_a_name_of_our_own_is_an_error() -> None:
    with pytest.raises(argparse.ArgumentError):
        registered("--agent-model")


def test_a_neighbour_that_comes_first_does_not_kill_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        neighbour="def pytest_addoption(parser):\n    parser.addoption('--max-cost', dest='other', default=None)\n"
    )
    pytester.syspathinsert()
    config = pytester.parseconfig(
        "-p", "neighbour", *PLUGIN, "--agent-model=agenteval/null", "--agent-max-cost=2", "--max-cost=x"
    )
    assert settings(config).money.max_cost == 2
    assert config.getoption("other") == "x"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_option_knows_how_its_text_is_read(option: Option) -> None:
    with pytest.raises(ValueError, match=r"^(must be|is) "):
        option.parse("")


def test_what_the_help_offers_is_what_can_be_given() -> None:
    offered = {option.key: option.metavar.split("|") for option in OPTIONS if "|" in option.metavar}
    assert set(offered) == {"gate_mode", "undecided", "early_stop", "sandbox", "profile"}
    for option in OPTIONS:
        for word in offered.get(option.key, ()):
            assert option.parse(word) == word


@pytest.mark.parametrize(
    ("arguments", "ini", "form", "asks"),
    [
        ((), "", None, False),
        (("--agent-profile",), "", "unbiased", False),
        (("--agent-profile=published",), "agent_profile = unbiased\n", "published", False),
        ((), "agent_profile = published\nagent_ask_confidence = yes\n", "published", True),
        (("--agent-ask-confidence",), "agent_ask_confidence = no\n", None, True),
    ],
)
def test_options_whose_value_may_be_left_out(
    read: Callable[..., Settings], arguments: tuple[str, ...], ini: str, form: str | None, asks: bool
) -> None:
    found = read("--agent-model=agenteval/null", *arguments, ini=ini)
    assert (found.reports.profile, found.agents.ask_confidence) == (form, asks)


def test_a_path_behind_the_profile_is_not_taken_for_its_form(read: Callable[..., Settings]) -> None:
    with pytest.raises(pytest.UsageError, match="with a path after it, write --agent-profile=unbiased"):
        read("--agent-model=agenteval/null", "--agent-profile", "tests")


@pytest.mark.parametrize("gate", ["--min-consistency=0.5", "--max-overconfidence=0.1", "--min-safety=0.9"])
def test_gates_on_the_profile_need_every_attempt(gate: str, read: Callable[..., Settings]) -> None:
    with pytest.raises(pytest.UsageError, match=f"cannot go with {gate.partition('=')[0]}, which needs every attempt"):
        read("--agent-model=agenteval/null", "--k=2", "--min-pass-k=0.5", "--agent-early-stop=exact", gate)


def test_the_role_that_is_asked_how_sure_it_is_is_the_agents(read: Callable[..., Settings]) -> None:
    asked = ("--agent-model=agenteval/null", "--agent-role=confidence=openai/gpt-5-mini")
    assert read(*asked).agents.roles
    with pytest.raises(pytest.UsageError, match="give the other role another name"):
        read(*asked, "--agent-ask-confidence")


@pytest.mark.parametrize("arguments", [(), ("-k", "8"), ("--collect-only",)])
def test_a_run_without_our_options_has_nothing_to_read(arguments: tuple[str, ...], pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\n")
    config = pytester.parseconfig(*PLUGIN, *arguments)
    assert not is_any_used(config)
    assert settings(config) == settings_of(defaults(), active=False)


@pytest.mark.parametrize(
    ("arguments", "ini"),
    [
        (("--k=2",), ""),
        (("--agent-prices=",), ""),
        (("--agent-role=user=a/b",), ""),
        (("--agent-allow-local",), ""),
        (("-o", "agent_k=2"), ""),
        ((), "agent_models = agenteval/null\n"),
        ((), "addopts = --agent-concurrency=1\n"),
    ],
)
def test_every_way_to_use_an_option_is_seen(arguments: tuple[str, ...], ini: str, pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\n{ini}")
    assert is_any_used(pytester.parseconfig(*PLUGIN, *arguments))


def test_nothing_is_active_by_default(read: Callable[..., Settings]) -> None:
    asked = read()
    assert not asked.active
    assert asked.agents.models == ()
    assert (
        asked.attempts.k,
        asked.attempts.concurrency,
        asked.attempts.env_retries,
        asked.gates.max_env_error_rate,
    ) == (1, 16, 2, 0.05)
    assert asked.sandboxes.kind == "docker"
    assert not (asked.sandboxes.allow_local or asked.sandboxes.allow_host_access)
    assert {
        asked.money.max_cost,
        asked.gates.min_pass_at_1,
        asked.gates.min_pass_k,
        asked.gates.max_cost_per_attempt,
    } == {None}


@pytest.mark.parametrize(
    ("arguments", "active"),
    [
        ((), False),
        (("--agent-run",), True),
        (("--k=3",), True),
        (("--agent-k=3",), True),
        (("--agent-model=agenteval/oracle",), True),
        (("--agent-sandbox=local",), False),
    ],
)
def test_a_model_in_the_ini_file_runs_nothing_by_itself(
    arguments: tuple[str, ...], active: bool, read: Callable[..., Settings]
) -> None:
    assert read(*arguments, ini="agent_models = agenteval/null\nagent_k = 5\n").active is active


def test_the_command_line_wins_over_the_ini_file(read: Callable[..., Settings]) -> None:
    ini = """\
agent_models =
    agenteval/null
    agenteval/noisy
agent_k = 5
agent_max_cost = $2.50
agent_generate = temperature=0
"""
    asked = read("--agent-run", ini=ini)
    assert asked.agents.models == ("agenteval/null", "agenteval/noisy")
    assert (asked.attempts.k, asked.money.max_cost, asked.agents.generate) == (5, 2.5, (("temperature", 0),))
    asked = read("--agent-model=agenteval/oracle", "--k=2", "--agent-generate=top_p=0.5", ini=ini)
    assert asked.agents.models == ("agenteval/oracle",)
    assert (asked.attempts.k, asked.money.max_cost, asked.agents.generate) == (2, 2.5, (("top_p", 0.5),))


def test_a_budget_in_the_ini_file_does_not_stop_ordinary_runs_of_xdist(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nagent_max_cost = 5\n")
    config = pytester.parseconfig(*PLUGIN, "-p", "xdist", "-n2")
    assert settings(config).money.max_cost == 5


def test_paths_of_the_ini_file_are_relative_to_it(
    read: Callable[..., Settings], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = pytester.path / "prices.toml"
    prices.touch()
    pytester.mkdir("below")
    monkeypatch.chdir(pytester.path / "below")
    asked = read("--rootdir=..", "-c", "../tox.ini", ini="agent_prices = prices.toml\nagent_log_dir = logs\n")
    assert asked.money.prices == prices
    assert asked.store.log_dir == str(pytester.path / "logs")


def test_a_log_folder_elsewhere_stays_as_it_is(read: Callable[..., Settings]) -> None:
    assert read(ini="agent_log_dir = s3://bucket/logs\n").store.log_dir == "s3://bucket/logs"


def test_settings_are_read_once(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig(*PLUGIN)
    assert settings(config) is settings(config)


@given(st.integers(-(10**12), 10**12))
def test_whole_numbers(number: int) -> None:
    for parse, least in ((values.number_from_1, 1), (values.count, 0)):
        if least <= number < 10**9:
            assert parse(str(number)) == number
        else:
            with pytest.raises(ValueError, match="must be a whole number"):
                parse(str(number))


def test_more_attempts_than_can_be_counted_are_refused() -> None:
    assert values.attempts("10000") == 10_000
    for absurd in ("10001", "100000000"):
        with pytest.raises(ValueError, match="is more than the 10000 attempts"):
            values.attempts(absurd)


@given(st.floats())
def test_rates_and_amounts(number: float) -> None:
    for parse, right in ((values.rate, 0 <= number <= 1), (values.amount, 0 < number < math.inf)):
        if right:
            assert parse(repr(number)) == number
        else:
            with pytest.raises(ValueError, match="must be"):
                parse(repr(number))


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("seed=3", ("seed", 3)),
        ("temperature=0.5", ("temperature", 0.5)),
        ("cache=true", ("cache", True)),
        ('stop_seqs=["a"]', ("stop_seqs", ["a"])),
        ("tier=flex", ("tier", "flex")),
        ("name=", ("name", "")),
        (" name =a=b", ("name", "a=b")),
    ],
)
def test_pairs(text: str, pair: tuple[str, object]) -> None:
    assert values.pair(text) == pair


@pytest.mark.parametrize(
    "name", ["openai/gpt-5-mini", "openrouter/openai/gpt-5", "openai-api/local/x", *values.BUILT_IN_MODELS]
)
def test_names_of_models(name: str) -> None:
    assert values.model(f" {name} ") == name


@pytest.mark.parametrize("name", ["", " ", "/", "gpt-5", "openai/", "/gpt-5", "agenteval/", "agenteval/other"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match=r"PROVIDER/MODEL|built-in model"):
        values.model(name)


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prices.toml").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert values.file("~/prices.toml") == tmp_path / "prices.toml"
    for wrong in ("~/nothing.toml", str(tmp_path)):
        with pytest.raises(ValueError, match="is not a file"):
            values.file(wrong)
