"""An agent's own limit ends its run and lets the test grade, whatever the agent's code makes of the limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.http_runs import HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Policy, Tokens
from support.scripted_server import ScriptedServer

POLICIES: dict[str, Policy] = {"endless": CommandPolicy(extra_steps=400, tokens=Tokens(prompt=1000, completion=100))}

AGENTS = """
import anyio
from inspect_ai.agent import agent, react, run
from inspect_ai.model import get_model
from inspect_ai.tool import bash
from inspect_ai.util import collect, token_limit

@agent
def in_a_task_group():
    async def execute(state):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(react(tools=[bash()]), state)
        return state
    return execute

@agent
def makes_its_own_error_of_it():
    async def execute(state):
        try:
            return await react(tools=[bash()])(state)
        except Exception:
            raise KeyError("no answer") from None
    return execute

@agent
def swallows_it():
    async def execute(state):
        try:
            return await react(tools=[bash()])(state)
        except Exception:
            return state
    return execute

@agent
def with_a_subagent():
    async def execute(state):
        helper = react(name="helper", description="helps", tools=[bash()])
        _, limit = await run(helper, "Do endless things.", limits=[token_limit(1500)])
        state.output = state.output.from_content("helper", f"the helper's {limit.type}")
        return state
    return execute
"""
TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, accuracy, scorer

@scorer(metrics=[accuracy()])
def seen():
    async def score(state, target):
        return Score(value="C", explanation=str(len(state.messages)))
    return score

@task
def short():
    return Task(dataset=[Sample(id="one", input="Do endless things.")], scorer=seen(), message_limit=6)
"""
SUITE = """
import pathlib
from pytest_agenteval import agent_task, inspect_task

test_message_limit = inspect_task("tasks.py@short")

@agent_task(turn_limit=3)
async def test_turns(agent, sandbox):
    result = await agent.run("Do endless things.")
    if agent.scaffold == "agents:with_a_subagent":
        assert (result.limit, result.answer) == (None, "the helper's token")
    else:
        assert (result.limit, result.turns) == ("turns", 3)
    assert (await sandbox.exec(["true"])).success  # the test goes on to grade

@agent_task(max_cost=0.005)
async def test_cost_and_no_success(agent):
    result = await agent.run("Do endless things.")
    assert result.limit is None
"""
PRICES = {"openai-api/scripted/agent-1": {"input": 1.0, "output": 10.0}}
KINDS = ("in_a_task_group", "makes_its_own_error_of_it", "swallows_it", "with_a_subagent")


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES) as server:
        folder = tmp_path_factory.mktemp("limits")
        files = {"test_suite.py": SUITE, "agents.py": AGENTS, "tasks.py": TASKS}
        yield run_suite(folder, server, files, *(f"--agent-scaffold=agents:{kind}" for kind in KINDS), prices=PRICES)


def ended(run: HttpRun, task: str, kind: str) -> tuple[str, str | None, str]:
    (record,) = [r for r in run.task_records if task in r.task and r.cell.scaffold == f"agents:{kind}"]
    (attempt,) = record.attempts
    return attempt.outcome.value, attempt.cause, attempt.message


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_grades_after_a_limit(limits: HttpRun, kind: str) -> None:
    assert ended(limits, "test_turns", kind) == ("passed", None, "")


@pytest.mark.parametrize("kind", KINDS[:3])
def test_an_attempt_that_did_not_pass_ended_in_the_limit(limits: HttpRun, kind: str) -> None:
    assert ended(limits, "test_cost_and_no_success", kind)[:2] == ("limit", "cost")


@pytest.mark.parametrize("kind", KINDS[:1])
def test_a_message_limit_of_the_sample_is_graded_on_what_was_said(limits: HttpRun, kind: str) -> None:
    assert ended(limits, "test_message_limit", kind) == ("passed", None, "")
