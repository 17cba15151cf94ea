"""Type-checked, never run: what test authors write, and what a type checker must refuse."""

from __future__ import annotations

from typing import assert_type

import pytest
from inspect_ai.model import ChatMessage, ChatMessageUser
from inspect_ai.util import ExecResult, SandboxEnvironment

from pytest_agenteval import (
    Agent,
    AgentResult,
    Attempt,
    Dialogue,
    OwnPerturbation,
    Rules,
    Sandbox,
    SimulatedUser,
    __version__,
    agent_task,
    dialogue,
    rule,
)

assert_type(__version__, str)


@agent_task(
    max_cost=0.25,
    time_limit=120,
    token_limit=100_000,
    turn_limit=None,
    grading_time_limit=60.0,
    min_pass_rate=0.8,
    solution=["sed -i 's/-/+/' calc.py"],
    answer="done",
)
async def test_with_all_options(agent: Agent, sandbox: Sandbox) -> None:
    await sandbox.write_file("calc.py", "def add(a, b):\n    return a - b\n")
    result = await agent.run("`add` in calc.py is wrong. Fix it.", instructions="Be brief.", submit=True)
    assert_type(result, AgentResult)
    assert_type(result.answer, str)
    assert_type(result.messages, tuple[ChatMessage, ...])
    assert_type(result.cost, float | None)
    assert_type(result.tokens, int | None)
    assert_type(result.turns, int)
    assert_type(result.limit, str | None)
    assert_type([call.error for call in result.tool_calls], list[str | None])
    check = await sandbox.exec(["python3", "-c", "import calc; print(calc.add(2, 3))"], timeout=10)
    assert_type(check, ExecResult[str])
    assert check.stdout.strip() == "5"


@agent_task()
async def test_messages(agent: Agent, agent_model: str) -> None:
    assert_type(agent.model, str)
    await agent.run([ChatMessageUser(content=agent_model)])


@agent_task(solution=["ls", ("cancel_order", {"order_id": 7})])
async def test_dialogue(agent: Agent) -> None:
    user = SimulatedUser(scenario="You want order 7 cancelled.", script=["Please cancel order 7."])
    talk = await dialogue(agent, user, instructions="Be kind.", max_turns=5)
    assert_type(talk, Dialogue)
    assert_type(talk.said, tuple[str, ...])
    assert_type(talk.user_cost, float | None)


@agent_task()
def test_sync(agent: Agent, attempt: Attempt) -> None:
    assert_type(attempt.number, int)
    assert_type(attempt.confidence, float | None)
    attempt.confidence = 0.8
    assert_type(attempt.wait(agent.run("Do it.")), AgentResult)


assert_type(agent_task(max_cost=1), pytest.MarkDecorator)
pytestmark = [agent_task(time_limit=None), pytest.mark.slow]


def takes_inspects_own(sandbox: SandboxEnvironment) -> Sandbox:
    return sandbox


async def refused(agent: Agent) -> None:
    agent_task(maxcost=1)  # type: ignore[call-arg]
    agent_task(max_cost="1")  # type: ignore[arg-type]
    agent_task(solution=3)  # type: ignore[arg-type]
    agent_task(solution=[("cancel_order",)])  # type: ignore[list-item]
    SimulatedUser("You want order 7 cancelled.", ["Hello."])  # type: ignore[call-arg]
    agent_task(0.25)  # type: ignore[arg-type]
    await agent.run()  # type: ignore[call-arg]
    await agent.run(42)  # type: ignore[arg-type]
    await agent.run("Do it.", tool=[])  # type: ignore[call-arg]
    result = await agent.run("Do it.")
    result.answer = "42"  # type: ignore[misc]
    result.score  # type: ignore[attr-defined]  # noqa: B018


@agent_task(rules=[rule.unchanged("tests/", must_hold=True), rule.must_not_call("bash", r"\bgit push\b", name="push")])
async def test_with_rules(agent: Agent, rules: Rules, attempt: Attempt) -> None:
    await agent.run("Fix it.")
    with rules.check("keeps the header", kind="safety", severity="high"):
        assert attempt.number
    attempt.violation("wrote outside its folder", severity="medium", evidence="/etc/x")


@agent_task(variants="prompts/elsewhere.toml")
async def test_that_varies(agent: Agent, sandbox: Sandbox, perturbation: OwnPerturbation | None) -> None:
    place = "data" if perturbation is None else perturbation.pick("archive", "in")
    assert_type(place, str)
    await sandbox.write_file(f"{place}/sales.csv", "1")
    await agent.run("Add up sales.csv.")
