"""Runs that could not say what they were asked: never green, and never a failure either."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scripted_policy import CommandPolicy
from support.scripted_server import ScriptedServer
from support.traps import Trap, spring

SCRIPTED = "openai-api/scripted/agent-1"
PRICES = f'[models."{SCRIPTED}"]\ninput = 10.0\noutput = 10.0\n'
GATES = ("--min-pass-at-1=0", "--min-pass-k=0", "--agent-max-tool-failure-rate=1", "--agent-max-env-error-rate=1")
"""All of them hold whatever an agent does."""

TASK = """
async def test_task(agent):
    await agent.run("go")
"""
UNAVAILABLE = """
import pytest_agenteval.engine.eval.tries as trial
from inspect_ai.util import SandboxUnavailableError
from tenacity import wait_none

trial.wait_exponential_jitter = lambda **_: wait_none()
"""


def test_an_environment_error_that_a_fresh_sandbox_mends(tmp_path: Path) -> None:
    suite = (
        UNAVAILABLE
        + """
async def test_once(agent, attempt):
    await agent.run("go")
    if attempt.number == 2 and first_try(attempt):
        raise SandboxUnavailableError("gone")
"""
    )
    trap = spring(tmp_path / "above", suite, k=3)
    assert trap.blames("test_once") == ["passed"] * 3
    assert [seen.retries for _, seen in sorted(trap.attempts["test_once"].items())] == [0, 1, 0]
    assert (trap.reported("test_once"), trap.status) == ("PASSED", 10)
    assert "environment errors 1 of 4 tries (25.0%)" in trap.text
    allowed = spring(tmp_path / "allowed", suite, "--agent-max-env-error-rate=0.25", k=3)
    assert allowed.status == 0


def test_an_environment_error_that_stays(tmp_path: Path) -> None:
    suite = (
        UNAVAILABLE
        + """
async def test_stays(agent, attempt):
    await agent.run("go")
    if attempt.number == 2:
        raise SandboxUnavailableError("gone")
"""
    )
    trap = spring(tmp_path, suite, "--agent-max-env-error-rate=1", k=3)
    assert trap.blames("test_stays") == ["passed", "environment_error (sandbox)", "passed"]
    assert trap.attempts["test_stays"][2].retries == 2
    assert (trap.reported("test_stays"), trap.status) == ("UNDECIDED", 10)


def test_one_attempt_of_k_that_can_be_evaluated(tmp_path: Path) -> None:
    suite = (
        UNAVAILABLE
        + """
@agent_task(solution="touch solved")
async def test_one(agent, sandbox, attempt):
    await agent.run("go")
    if attempt.number != 2:
        raise SandboxUnavailableError("gone")
    assert (await sandbox.exec(["test", "-e", "solved"])).success
"""
    )
    arguments = ("--agent-env-retries=0", "--agent-max-env-error-rate=1")
    trap = spring(tmp_path / "passes", suite, *arguments, "--min-pass-k=0.5", k=3)
    assert trap.blames("test_one") == ["environment_error (sandbox)", "passed", "environment_error (sandbox)"]
    assert trap.status == 10
    assert "pass^3 not measured" in trap.text
    fails = spring(tmp_path / "fails", suite, *arguments, "--min-pass-k=0.5", k=3, model="agenteval/null")
    assert fails.blames("test_one")[1] == "failed"
    assert fails.status == 1  # whatever the other two would have been, not all three passed


def test_nothing_but_environment_errors(tmp_path: Path) -> None:
    suite = (
        UNAVAILABLE
        + """
async def test_never(agent, attempt):
    await agent.run("go")
    raise SandboxUnavailableError("gone")

async def test_not_even_started(agent, attempt):
    raise SandboxUnavailableError("gone")
"""
    )
    for name, arguments in (("judged", ("--agent-max-env-error-rate=1",)), ("gated", GATES)):
        trap = spring(tmp_path / name, suite, *arguments)
        assert trap.blames("test_never") == ["environment_error (sandbox)"] * 2
        assert trap.blames("test_not_even_started") == ["environment_error (sandbox)"] * 2
        assert trap.status == 10


def test_a_budget_that_runs_out(tmp_path: Path) -> None:
    policy = CommandPolicy(extra_steps=3)  # a call costs 1000 tokens in and 100 out: 1.1 cents
    with ScriptedServer({"go": policy}) as server:
        trap = spring(
            tmp_path, TASK, "--max-cost=0.2", "--agent-generate=max_tokens=100", "--agent-concurrency=2", *GATES,
            *("--agent-allow-local", "--agent-prices=prices.toml"),
            model=SCRIPTED, k=12, environment=server.environment, prices_toml=PRICES,
        )  # fmt: skip
        answered = sum(entry.answered == 200 for entry in server.journal)
    assert trap.status == 10
    assert "INCOMPLETE" in trap.summary
    seen = [attempt for _, attempt in sorted(trap.attempts["test_task"].items())]
    assert {attempt.blame for attempt in seen} == {"passed", "not_run (budget)"}
    assert sum(attempt.cost or 0 for attempt in seen) == pytest.approx(answered * 0.011)
    assert answered * 0.011 <= 0.2


def test_a_budget_that_cannot_be_held(tmp_path: Path) -> None:
    with ScriptedServer({"go": CommandPolicy()}) as server:
        trap = spring(
            tmp_path, TASK, "--max-cost=1", "--agent-allow-local", model=SCRIPTED, environment=server.environment
        )
        assert server.journal == ()
    assert (trap.status, trap.attempts) == (4, {})
    assert f"the price of {SCRIPTED} is not known" in trap.text


@pytest.mark.parametrize("arguments", [("-k", "nothing"), ("--deselect", "test_trap.py::test_task")])
def test_all_tasks_deselected(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    trap = spring(tmp_path / "gated", TASK, "--min-pass-at-1=0", *arguments)
    assert (trap.status, trap.attempts) == (10, {})
    assert "UNDECIDED" in trap.text
    assert "0 of 1 task selected" in trap.text
    assert spring(tmp_path / "bare", TASK, *arguments).status == 5


@pytest.mark.parametrize("model", ["", " "])
def test_an_empty_model_name(tmp_path: Path, model: str) -> None:
    trap = spring(tmp_path, TASK, model=model)
    assert (trap.status, trap.attempts) == (4, {})
    assert "model" in _error(trap)


def test_a_model_that_comes_from_an_empty_variable_in_the_ini_file(tmp_path: Path) -> None:
    trap = spring(tmp_path, TASK, "-o", "agent_models=", model="")
    assert trap.status == 4


def _error(trap: Trap) -> str:
    (line,) = [line for line in trap.text.splitlines() if line.startswith("ERROR")]
    return line
