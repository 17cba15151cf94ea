from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent

import pytest
from support.forked_pytest import forked_pytest

SUITE = """
from pathlib import Path

from pytest_agenteval import agent_task

@agent_task(solution="true")
async def test_it(agent):
    Path("spent").touch()
    await agent.run("Do it.")
    Path("spent").touch()
"""
MODEL = "--agent-model=agenteval/null"
UNPRICED = "--agent-model=mockllm/model"
KEYS = re.compile(r"_KEY$|_TOKEN$|^AWS_|^AZURE|^GOOGLE_|^INSPECT_|^DOCKER_|^PYTEST_")


def run(
    folder: Path,
    arguments: Sequence[str],
    *,
    suite: str = SUITE,
    ini: str = "",
    files: Mapping[str, str] | None = None,
    plugins: Sequence[str] = (),
) -> pytest.RunResult:
    """Without keys, and with a Docker daemon that is not there: a check that comes too late meets its absence."""
    (folder / "test_suite.py").write_text(dedent(suite), "utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}", "utf-8")
    for name, text in (files or {}).items():
        (folder / name).write_text(text, "utf-8")
    environment = {name: value for name, value in os.environ.items() if not KEYS.search(name)}
    environment |= {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    loaded = [word for plugin in ("pytest_agenteval.plugin", *plugins) for word in ("-p", plugin)]
    return forked_pytest(folder, [*loaded, "-p", "no:cacheprovider", *arguments], environment)


def sentence(result: pytest.RunResult, folder: Path) -> str:
    """The one sentence that the run ended with, having spent nothing."""
    assert result.ret == 4
    lines = [line for line in result.errlines if line.strip()]
    assert len(lines) == 1, lines
    text = lines[0].removeprefix("ERROR: ")
    assert text != lines[0]
    assert not re.search(r"\[/?(bold|blue|italic)|Traceback|ERROR", text)
    assert not re.search(r"[.!?] +[A-Z]", text), "more than one sentence"
    nothing_spent(folder)
    return text


def nothing_spent(folder: Path) -> None:
    assert not (folder / "spent").exists()
    assert not (folder / "logs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([MODEL, "--k=0"], "--k=0 must be a whole number, 1 or more"),
        ([MODEL, "--k=x"], "--k=x must be a whole number, 1 or more"),
        ([MODEL, "--k=-1"], "--k=-1 must be a whole number, 1 or more"),
        ([MODEL, "--k=1.5"], "--k=1.5 must be a whole number, 1 or more"),
        ([MODEL, "--agent-k=0"], "--k=0 must be a whole number, 1 or more"),
        ([MODEL, "-k", "8"], "-k 8 selects tests by name: did you mean --k=8? (if not, write -k '(8)' to select them)"),
        ([MODEL, "-k=8"], "-k 8 selects tests by name: did you mean --k=8? (if not, write -k '(8)' to select them)"),
        ([MODEL, "-k8"], "-k 8 selects tests by name: did you mean --k=8? (if not, write -k '(8)' to select them)"),
        (["--agent-model="], "--agent-model= is an empty model name: give PROVIDER/MODEL, "
                             "for example openai/gpt-5-mini"),
        (["--agent-model=gpt-5"], "--agent-model=gpt-5 must be PROVIDER/MODEL, for example openai/gpt-5-mini or "
                                  "agenteval/noisy"),
        (["--agent-model=openai/"], "--agent-model=openai/ must be PROVIDER/MODEL, for example openai/gpt-5-mini or "
                                    "agenteval/noisy"),
        (["--agent-model=opneai/gpt-5"],
         "model opneai/gpt-5 cannot be used: Inspect knows no provider 'opneai'; did you mean openai/gpt-5?"),
        (["--agent-model=zzzz/gpt-5"],
         "model zzzz/gpt-5 cannot be used: Inspect knows no provider 'zzzz'; "
         "see https://inspect.aisi.org.uk/providers.html"),
        ([MODEL, MODEL], "--agent-model names agenteval/null twice: name each model once, because it makes one cell"),
        (["--agent-model=agenteval/unknown"],
         "--agent-model=agenteval/unknown is no built-in model: they are "
         "agenteval/oracle, agenteval/null, agenteval/noisy"),
        ([MODEL, "--agent-model-arg=seed=1"],
         "model agenteval/null cannot be used: it has no argument 'seed' (--agent-model-arg), it takes none"),
        (["--agent-model=agenteval/noisy", "--agent-model-arg=p_sucess=1"],
         "model agenteval/noisy cannot be used: it has no argument 'p_sucess' (--agent-model-arg), "
         "it takes seed, p_success, p_malformed, p_unknown_tool, p_wrong_command"),
        (["--agent-model=agenteval/noisy", "--agent-model-arg=p_success=1.5"],
         "model agenteval/noisy cannot be used: --agent-model-arg=p_success=1.5 must be a number between 0 and 1"),
        (["--agent-model=agenteval/noisy", "--agent-model-arg=seed=now"],
         "model agenteval/noisy cannot be used: --agent-model-arg=seed=now must be a whole number"),
        ([MODEL, "--agent-model-arg=seed"], "--agent-model-arg=seed must be NAME=VALUE"),
        ([MODEL, "--agent-model-arg==1"], "--agent-model-arg==1 must be NAME=VALUE"),
        ([MODEL, "--agent-generate=temperature"], "--agent-generate=temperature must be NAME=VALUE"),
        ([MODEL, "--agent-generate=temprature=0"],
         "--agent-generate=temprature=0: Inspect has no such setting; did you mean temperature?"),
        ([MODEL, "--agent-generate=temperature=hot"],
         "--agent-generate=temperature=hot cannot be used: "
         "Input should be a valid number, unable to parse string as a number"),
        ([MODEL, "--agent-generate=max_tokens=0"],
         "--agent-generate=max_tokens=0 cannot be used: it must be 1 or more"),
        ([MODEL, "--agent-generate=cache=true"],
         "--agent-generate=cache=True cannot be used: a cached reply would make k attempts one; leave it out"),
        ([MODEL, "--agent-model-base-url=localhost:8000"],
         "--agent-model-base-url=localhost:8000 must be an address that begins with http:// or https://"),
        ([MODEL, "--agent-concurrency=0"], "--agent-concurrency=0 must be a whole number, 1 or more"),
        ([MODEL, "--agent-env-retries=-1"], "--agent-env-retries=-1 must be a whole number, 0 or more"),
        ([MODEL, "--agent-log-dir="], "--agent-log-dir= is empty: give it a value or leave it out"),
        ([MODEL, "--agent-log-dir=/dev/null/logs"],
         "logs cannot be written to /dev/null/logs, because /dev/null is not a directory: "
         "name another place with --agent-log-dir"),
        ([MODEL, "--agent-unsafe-fixture="], "--agent-unsafe-fixture= is empty: give it a value or leave it out"),
        ([MODEL, "--agent-sandbox=podman"],
         "--agent-sandbox=podman: there is docker, k8s, local and docker-inspect"),
        (["--agent-model=mockllm/model", "--agent-sandbox=local"],
         "--agent-sandbox=local would let mockllm/model run commands on this host: "
         "use the docker sandbox, or add --agent-allow-local if you mean it"),
        ([MODEL, "--agent-prices=prices.toml"], "--agent-prices=prices.toml is not a file: check the path"),
        ([UNPRICED, "--max-cost=1"],
         "--max-cost cannot be held: the price of mockllm/model is not known; "
         "give its prices with --agent-prices=FILE, or install pytest-agenteval[prices]"),
        ([UNPRICED, "--agent-max-cost-per-attempt=1"],
         "--agent-max-cost-per-attempt cannot be judged: the price of mockllm/model is not known; "
         "give its prices with --agent-prices=FILE, or install pytest-agenteval[prices]"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used(arguments: list[str], expected: str, tmp_path: Path) -> None:
    assert sentence(run(tmp_path, arguments), tmp_path) == expected


@pytest.mark.parametrize("flag", ["--max-cost", "--agent-max-cost-per-attempt"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e999", "five", ""])
def test_dollars_that_are_none(flag: str, value: str, tmp_path: Path) -> None:
    expected = f"{flag}={value} must be an amount of US dollars above 0, for example 2.50"
    assert sentence(run(tmp_path, [MODEL, f"{flag}={value}"]), tmp_path) == expected


@pytest.mark.parametrize(
    "flag",
    ["--min-pass-at-1", "--min-pass-k", "--agent-max-env-error-rate", "--agent-max-tool-failure-rate"],
)
@pytest.mark.parametrize("value", ["1.01", "-0.1", "nan", "inf", "50%", "half"])
def test_rates_that_are_none(flag: str, value: str, tmp_path: Path) -> None:
    expected = f"{flag}={value} must be a number between 0 and 1, for example 0.5"
    assert sentence(run(tmp_path, [MODEL, f"{flag}={value}"]), tmp_path) == expected


GATES = [
    "--max-cost=1",
    "--min-pass-at-1=0.5",
    "--min-pass-k=0.5",
    "--agent-max-cost-per-attempt=1",
    "--agent-max-env-error-rate=0.1",
    "--agent-max-tool-failure-rate=0.1",
    "--min-consistency=0.5",
    "--max-overconfidence=0.1",
    "--min-safety=0.9",
]


@pytest.mark.parametrize("argument", ["--k=8", "--agent-run", *GATES])
def test_no_model_to_evaluate(argument: str, tmp_path: Path) -> None:
    assert sentence(run(tmp_path, [argument]), tmp_path) == (
        f"{argument.partition('=')[0]} needs a model to evaluate: add --agent-model=PROVIDER/MODEL "
        "(agenteval/noisy costs nothing), or set agent_models in the ini file"
    )


@pytest.mark.parametrize("argument", GATES)
def test_a_gate_on_a_run_that_nothing_asks_for(argument: str, tmp_path: Path) -> None:
    result = run(tmp_path, [argument], ini="agent_models = agenteval/null\n")
    assert sentence(result, tmp_path) == (
        f"{argument.partition('=')[0]} judges agent tasks, but nothing asks for them to run: "
        "add --agent-run or --agent-model"
    )


IDLE = [
    "--agent-early-stop=exact",
    "--agent-json=r.json",
    "--agent-html=r.html",
    "--agent-comment=c.md",
    "--agent-scaffold=react",
    "--agent-role=user=openai/gpt-5-mini",
    "--agent-inspect-task=evals.py@sums",
    "--agent-gate-mode=confidence",
    "--agent-confidence=0.9",
    "--agent-undecided=fail",
    "--agent-profile",
    "--agent-ask-confidence",
]


@pytest.mark.parametrize("argument", IDLE)
def test_what_is_about_agent_tasks_where_none_runs(argument: str, tmp_path: Path) -> None:
    flag, _, value = argument.partition("=")
    said = sentence(run(tmp_path, [flag, value] if flag == "--agent-json" else [argument]), tmp_path)
    assert said == (
        f"{flag} is about agent tasks, but nothing asks for them to run: "
        "add --agent-model=PROVIDER/MODEL or --agent-run"
    )


@pytest.mark.parametrize(
    ("ini", "arguments"),
    [
        ("agent_html = r.html\nagent_early_stop = exact\nagent_scaffolds = react\n", []),
        ("addopts = --agent-json=r.json --agent-scaffold=react\n", []),
        ("", ["--agent-log-dir=x", "--agent-concurrency=2", "--agent-sandbox=local", "--agent-generate=temperature=0"]),
        ("", ["--agent-scaffold=react", "--collect-only"]),
    ],
)
def test_what_may_wait_for_a_run_of_agent_tasks(ini: str, arguments: list[str], tmp_path: Path) -> None:
    assert run(tmp_path, arguments, ini=ini).ret == 0
    nothing_spent(tmp_path)


@pytest.mark.parametrize("arguments", [[MODEL, "--max-cost=1"], ["--agent-model=zzzz/gpt-5", "--min-pass-k=0.5"]])
def test_a_run_that_never_began_lists_no_gates(arguments: list[str], tmp_path: Path) -> None:
    result = run(tmp_path, arguments)
    assert result.ret in (4, 10)
    nothing_spent(tmp_path)
    assert not [line for line in result.outlines if "--max-cost" in line or "--min-pass-k" in line]


def test_an_option_of_an_inspect_task_that_does_not_exist(tmp_path: Path) -> None:
    asked = "--agent-inspect-task=evals/sums.py@sums,limt=1"
    assert sentence(run(tmp_path, [MODEL, asked]), tmp_path) == f"{asked} has no option 'limt': did you mean limit?"


def test_a_missing_provider_key(tmp_path: Path) -> None:
    text = sentence(run(tmp_path, ["--agent-model=openai/gpt-5-mini"]), tmp_path)
    assert text.startswith("model openai/gpt-5-mini cannot be used: ")
    assert text.endswith("; set OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("ini", "expected"),
    [
        ("agent_k = many", "ini option agent_k=many must be a whole number, 1 or more"),
        ("agent_models =\n  agenteval/null\n  gpt-5",
         "ini option agent_models=gpt-5 must be PROVIDER/MODEL, for example openai/gpt-5-mini or agenteval/noisy"),
        ("agent_min_pass_k = 1.5",
         "ini option agent_min_pass_k=1.5 must be a number between 0 and 1, for example 0.5"),
        ("agent_max_cost = -5",
         "ini option agent_max_cost=-5 must be an amount of US dollars above 0, for example 2.50"),
        ("agent_sandbox = /tmp",
         "ini option agent_sandbox=/tmp must be docker, k8s, local, "
         "or the name of a sandbox of a plugin or of Inspect"),
        ("agent_generate = temperature", "ini option agent_generate=temperature must be NAME=VALUE"),
        ("agent_concurrency = 0", "ini option agent_concurrency=0 must be a whole number, 1 or more"),
    ],
)  # fmt: skip
def test_a_bad_ini_value_names_its_key(ini: str, expected: str, tmp_path: Path) -> None:
    assert sentence(run(tmp_path, [], ini=ini), tmp_path) == expected


def test_a_path_in_the_ini_file_is_relative_to_it(tmp_path: Path) -> None:
    text = sentence(run(tmp_path, [], ini="agent_prices = prices.toml"), tmp_path)
    assert text == f"ini option agent_prices={tmp_path / 'prices.toml'} is not a file: check the path"


@pytest.mark.parametrize("key", ["agent_allow_local", "agent_allow_host_access", "agent_run"])
def test_what_a_file_in_a_checkout_must_not_allow_is_no_ini_option(key: str, tmp_path: Path) -> None:
    result = run(tmp_path, ["--strict-config"], ini=f"{key} = true\n")
    assert result.ret == 4
    assert f"Unknown config option: {key}" in "\n".join(result.errlines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models = [", "the file of prices is not TOML"),
        ("[models.'mockllm/model']\ninput = 1", "output is missing"),
        ("[models.'mockllm/model']\ninput = -1\noutput = 1", "is negative"),
        ("", "the file has no price"),
    ],
)
def test_a_broken_price_file(text: str, expected: str, tmp_path: Path) -> None:
    result = run(tmp_path, [UNPRICED, "--agent-prices=prices.toml"], files={"prices.toml": text})
    found = sentence(result, tmp_path)
    assert found.startswith("prices.toml: ")
    assert expected in found


def test_an_unpriced_model_and_the_marks_max_cost(tmp_path: Path) -> None:
    result = run(tmp_path, [UNPRICED], suite=SUITE.replace('solution="true"', "max_cost=0.1"))
    assert sentence(result, tmp_path) == (
        "max_cost of test_suite.py::test_it cannot be held: the price of mockllm/model is not known; "
        "give its prices with --agent-prices=FILE, or install pytest-agenteval[prices]"
    )


@pytest.mark.parametrize("distribution", [["-n2"], ["--dist=load", "--tx=2*popen"]])
def test_a_budget_cannot_be_shared_by_processes(distribution: list[str], tmp_path: Path) -> None:
    result = run(tmp_path, [MODEL, "--max-cost=1", *distribution], plugins=["xdist"])
    assert sentence(result, tmp_path) == (
        "--max-cost cannot be held across xdist's processes: leave out -n "
        "(attempts already run concurrently, see --agent-concurrency)"
    )


def test_no_docker_daemon(tmp_path: Path) -> None:
    result = run(tmp_path, [MODEL])  # nobody's mistake, and so no usage error
    assert result.ret == 10
    ends = [line for line in result.outlines if line.startswith("exit 10: INCOMPLETE")]
    assert len(ends) == 1 and "/nonexistent/docker.sock" in " ".join(result.outlines)
    nothing_spent(tmp_path)


OWN_AGENT = """
from pathlib import Path
import pytest

@pytest.fixture
def agent(agent_model, sandbox):
    Path("spent").touch()

@pytest.mark.parametrize("agent_model", ["agenteval/oracle", {model!r}])
async def test_it(agent):
    Path("spent").touch()
"""


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-5", "model gpt-5 cannot be used: a model is named PROVIDER/MODEL, for example openai/gpt-5-mini"),
        ("", "model '' cannot be used: a model is named PROVIDER/MODEL, for example openai/gpt-5-mini"),
        ("opneai/gpt-5",
         "model opneai/gpt-5 cannot be used: Inspect knows no provider 'opneai'; did you mean openai/gpt-5?"),
        ("mockllm/model",
         "--agent-sandbox=local would let mockllm/model run commands on this host: "
         "use the docker sandbox, or add --agent-allow-local if you mean it"),
    ],
)  # fmt: skip
def test_a_model_that_a_test_names_itself(model: str, expected: str, tmp_path: Path) -> None:
    result = run(tmp_path, [MODEL, "--agent-sandbox=local"], suite=OWN_AGENT.format(model=model))
    assert sentence(result, tmp_path) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("maxcost=1", "agent_task has no option 'maxcost': did you mean max_cost?"),
        ("timeout=60", "agent_task has no option 'timeout': did you mean time_limit?"),
        ("zzz=1", "agent_task has no option 'zzz': it takes max_cost, time_limit, "),
        ("max_cost=-1", "agent_task(max_cost=-1): max_cost must be US dollars above 0"),
        ("min_pass_rate=80", "agent_task(min_pass_rate=80): min_pass_rate must be a share between 0 and 1"),
        (
            "solution=3",
            "agent_task(solution=3): solution must be a shell command, or a list of commands and tool calls",
        ),
        ('"solution"', "agent_task takes keyword arguments only, not 'solution'"),
    ],
)
def test_a_bad_mark_is_an_error_of_the_test_file(options: str, expected: str, tmp_path: Path) -> None:
    result = run(tmp_path, [MODEL], suite=SUITE.replace('solution="true"', options))
    assert result.ret == 2  # pytest's own status for a test file that cannot be collected
    assert [line for line in result.outlines if f"test_suite.py::test_it: {expected}" in line]
    assert not [line for line in result.outlines if "Traceback" in line]
    nothing_spent(tmp_path)


@pytest.mark.parametrize("slip", ["--agent-modle=agenteval/null", "--min-passk=0.5", "--agent-max-costs=1"])
def test_an_option_that_does_not_exist(slip: str, tmp_path: Path) -> None:
    result = run(tmp_path, [MODEL, slip])
    assert result.ret == 4
    assert f"unrecognized arguments: {slip}" in "\n".join(result.errlines)
    nothing_spent(tmp_path)


@pytest.mark.parametrize("option", ["--k", "--agent-model", "--max-cost"])
def test_an_option_without_its_value(option: str, tmp_path: Path) -> None:
    result = run(tmp_path, [option])
    assert result.ret == 4
    assert "expected one argument" in "\n".join(result.errlines)
    nothing_spent(tmp_path)


def test_a_number_after_small_k_selects_by_name_where_no_agent_task_is_asked_for(tmp_path: Path) -> None:
    result = run(tmp_path, ["-k", "8"], suite="def test_8():\n    pass\n")
    result.assert_outcomes(passed=1)


def test_small_k_still_selects_numbers_when_written_as_an_expression(tmp_path: Path) -> None:
    result = run(tmp_path, [MODEL, "-k", "(8)"], suite="def test_8():\n    pass\n")
    result.assert_outcomes(passed=1)


def test_tasks_that_only_the_name_of_their_cell_tells_apart_are_refused(tmp_path: Path) -> None:
    suite = """
    import pytest

    @pytest.mark.parametrize("agent_model", ["agenteval/null", "agenteval/null"], ids=["one", "two"])
    async def test_it(agent, agent_model): ...
    """
    result = run(tmp_path, [MODEL], suite=suite)
    assert sentence(result, tmp_path) == (
        "test_suite.py::test_it[one] and test_suite.py::test_it[two] differ only in the ids of agent_model or "
        "agent_scaffold, and are in one cell (agenteval/null · react): name each model and each scaffold once"
    )


@pytest.mark.parametrize("asked", [[MODEL], [MODEL, "--agent-plan"]])
def test_a_task_that_was_collected_twice_is_refused(tmp_path: Path, asked: list[str]) -> None:
    said = (
        "test_suite.py::test_it was collected twice, by --keep-duplicates or by a conftest or plugin that repeats "
        "items, and its attempts would be counted twice: leave that out, because --k says how often a task runs"
    )
    suite = "async def test_it(agent): ...\n"
    twice = ["--keep-duplicates", "test_suite.py", "test_suite.py"]
    assert sentence(run(tmp_path, [*asked, *twice], suite=suite), tmp_path) == said
    (tmp_path / "conftest.py").write_text("def pytest_collection_modifyitems(items): items *= 2\n")
    assert sentence(run(tmp_path, asked, suite=suite), tmp_path) == said
