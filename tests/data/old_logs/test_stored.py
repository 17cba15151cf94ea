"""The suite whose stored attempts in this folder were made by version 0.1.0 before its modules were moved."""

import pytest

from pytest_agenteval import Agent, Attempt, Sandbox, agent_task


@agent_task(solution="echo 5 > answer")
async def test_writes_a_file(agent: Agent, sandbox: Sandbox) -> None:
    await agent.run("Write 5 to the file answer.")
    assert (await sandbox.read_file("answer")).strip() == "5"


@agent_task(answer="42", turn_limit=3)
async def test_answers(agent: Agent) -> None:
    result = await agent.run("What is six times seven?")
    assert result.answer == "42"


@agent_task(solution=["true", "true", "true", "echo 1 > late"], turn_limit=2)
async def test_runs_into_its_limit(agent: Agent, sandbox: Sandbox) -> None:
    result = await agent.run("Be slow.")
    assert not result.limit
    await sandbox.read_file("late")


@agent_task(solution="true")
async def test_is_skipped(agent: Agent) -> None:
    pytest.skip("not on this machine")


@agent_task(solution="true")
async def test_breaks_at_the_second_attempt(agent: Agent, attempt: Attempt) -> None:
    if attempt.number == 2:
        raise KeyError("a fault of the test")
    await agent.run("Do nothing.")
