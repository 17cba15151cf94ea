"""Inspect agents that open Inspect's sandbox bridge themselves, as all of inspect_swe do: limits, faults, exits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.http_runs import HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Faults, Policy, Tokens
from support.scripted_server import ScriptedServer

from pytest_agenteval.record.records import AttemptRecord

TOKENS = Tokens(prompt=1000, completion=100)
PRICES = {"openai-api/scripted/agent-1": {"input": 1.0, "output": 10.0}}
POLICIES: dict[str, Policy] = {
    "endless": CommandPolicy(extra_steps=400, tokens=TOKENS),
    "work": CommandPolicy(p_failing_command=1.0, success=("true",), answer="it is done", tokens=TOKENS),
    "answered": CommandPolicy(tokens=TOKENS, faults=Faults(p_500=1.0, most_per_call=100)),
}

AGENTS = '''
import itertools
from inspect_ai.agent import AgentState, agent, run, sandbox_agent_bridge
from inspect_ai.util import sandbox, sandbox_service, token_limit
from inspect_ai.model import ChatMessageUser, get_model

PORTS = itertools.count(17000)
PROGRAM = """
import json, os, subprocess, sys, time, urllib.error, urllib.request

TOOL = {"type": "function", "function": {"name": "bash", "description": "a shell", "parameters": {
    "type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}
said = [{"role": "user", "content": sys.argv[1]}]
while True:
    body = json.dumps({"model": "inspect", "messages": said, "tools": [TOOL]}).encode()
    for _ in range(200):
        try:
            reply = json.load(urllib.request.urlopen(urllib.request.Request(os.environ["URL"], body, HEADERS)))
            break
        except urllib.error.HTTPError as error:
            sys.exit(str(error))
        except OSError:
            time.sleep(0.1)
    message = reply["choices"][0]["message"]
    said.append(message)
    if not message.get("tool_calls"):
        break
    for call in message["tool_calls"]:
        done = subprocess.run(["bash", "-c", json.loads(call["function"]["arguments"])["command"]])
        told = f"Exit code: {done.returncode}\\\\nWall time: 0.1 seconds\\\\nOutput:\\\\n"
        said.append({"role": "tool", "tool_call_id": call["id"], "content": told})
""".replace("HEADERS", '{"content-type": "application/json", "authorization": "Bearer x"}')


async def coder(state):
    port = next(PORTS)
    async with sandbox_agent_bridge(state, port=port) as bridge:
        url = {"URL": f"http://127.0.0.1:{port}/v1/chat/completions"}
        done = await sandbox().exec(["python3", "-c", PROGRAM, state.messages[-1].text], env=url)
        if not done.success:
            raise RuntimeError(f"the program gave up: {done.stderr}")
        return bridge.state


@agent
def bridged():
    return coder


@agent
def with_a_helper():
    @agent
    def helper():
        return coder

    async def execute(state):
        _, limit = await run(helper(), state.messages[-1].text, limits=[token_limit(1500)])
        state.output = state.output.from_content("helper", f"the helper's {limit.type}")
        return state
    return execute


@agent
def with_a_service():
    """A service of its own, at whose limits Inspect ends the sample, too."""
    async def execute(state):
        async def think(text):
            for _ in range(9):
                await get_model().generate([ChatMessageUser(content=text)])
        async def over():
            return False
        import anyio
        async with anyio.create_task_group() as tasks:
            started = anyio.Event()
            tasks.start_soon(lambda: sandbox_service(
                "thinker", [think], lambda: False, sandbox(), started=started, polling_interval=0.2))
            await started.wait()
            code = (
                "import sys; sys.path.append('/var/tmp/sandbox-services/thinker'); import thinker; "
                "thinker.call_thinker('think', text=sys.argv[1])"
            )
            await sandbox().exec(["python3", "-c", code, state.messages[-1].text])
            tasks.cancel_scope.cancel()
        return state
    return execute
'''
SUITE = """
from pytest_agenteval import agent_task

async def graded(agent, sandbox, limit):
    result = await agent.run("Do endless things.")
    assert (await sandbox.exec(["true"])).success
    if agent.scaffold == "agents:with_a_helper":
        assert (result.limit, result.answer) == (None, "the helper's token")
    else:
        assert result.limit == limit

@agent_task(turn_limit=3)
async def test_turns(agent, sandbox):
    await graded(agent, sandbox, "turns")

@agent_task(max_cost=0.005)
async def test_cost(agent, sandbox):
    await graded(agent, sandbox, "cost")

@agent_task(token_limit=2500)
async def test_tokens(agent, sandbox):
    await graded(agent, sandbox, "tokens")

@agent_task(turn_limit=3)
async def test_no_success(agent, sandbox):
    await agent.run("Do endless things.")
    assert False

@agent_task(time_limit=3, turn_limit=None)
async def test_time(agent, sandbox):
    await graded(agent, sandbox, "time")

async def test_work(agent, sandbox):
    assert (await agent.run("Do the work.")).answer == "it is done"

async def test_outage(agent, sandbox):
    await agent.run("Do what cannot be answered.")
"""
OWN = """
import pytest
from inspect_ai.agent import AgentState, sandbox_agent_bridge
from inspect_ai.model import ChatMessageUser
from agents import PROGRAM, coder
from pytest_agenteval import agent_task

@pytest.fixture
def agent(): ...

@agent_task(turn_limit=3)
async def test_own(agent, sandbox):
    await coder(AgentState(messages=[ChatMessageUser(content="Do endless things.")]))

@pytest.fixture
async def program(sandbox):
    async with sandbox_agent_bridge(AgentState(messages=[]), port=16999):
        async def work(task):
            url = {"URL": "http://127.0.0.1:16999/v1/chat/completions"}
            return await sandbox.exec(["python3", "-c", PROGRAM, task], env=url)
        yield work

@agent_task(turn_limit=3)
async def test_bridge_of_a_fixture(agent, program):
    await program("Do endless things.")
"""


@pytest.fixture(scope="module")
def bridges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES) as server:
        kinds = ("bridged", "with_a_helper", "with_a_service")
        yield run_suite(
            tmp_path_factory.mktemp("bridges"),
            server,
            {"test_suite.py": SUITE, "test_own.py": OWN, "agents.py": AGENTS},
            *(f"--agent-scaffold=agents:{kind}" for kind in kinds),
            "-k",
            "bridged or test_turns or test_own.py",
            "--agent-generate=max_retries=0",
            "--agent-env-retries=0",
            prices=PRICES,
            sandbox="docker",
            timeout=300,
        )


def one(run: HttpRun, task: str, kind: str = "agents:bridged") -> AttemptRecord:
    (record,) = [r for r in run.task_records if f"::{task}" in r.task and r.cell.scaffold == kind]
    (attempt,) = record.attempts
    return attempt


@pytest.mark.parametrize("task", ["test_turns", "test_cost", "test_tokens", "test_time"])
def test_a_limit_ends_the_agent_and_the_test_grades(bridges: HttpRun, task: str) -> None:
    attempt = one(bridges, task)
    assert (attempt.outcome.value, attempt.message) == ("passed", "")
    assert task == "test_time" or len(attempt.model_calls) == 3


def test_an_attempt_that_did_not_pass_counts_as_one_at_its_limit(bridges: HttpRun) -> None:
    assert (one(bridges, "test_no_success").outcome.value, one(bridges, "test_no_success").cause) == ("limit", "turns")
    for task in ("test_own", "test_bridge_of_a_fixture"):  # in the body of a test it ends the body
        own = one(bridges, task, "own agent")
        assert (own.outcome.value, own.cause, len(own.model_calls)) == ("limit", "turns", 3), own.message


def test_a_limit_of_a_subagent_ends_the_subagent_alone(bridges: HttpRun) -> None:
    attempt = one(bridges, "test_turns", "agents:with_a_helper")
    assert (attempt.outcome.value, attempt.message) == ("passed", "")


def test_a_limit_in_a_service_of_the_agents_own_ends_the_agent(bridges: HttpRun) -> None:
    attempt = one(bridges, "test_turns", "agents:with_a_service")
    assert (attempt.outcome.value, attempt.message, len(attempt.model_calls)) == ("passed", "", 3)


def test_a_program_that_gives_up_for_the_provider_is_not_to_blame(bridges: HttpRun) -> None:
    attempt = one(bridges, "test_outage")
    assert (attempt.outcome.value, attempt.cause) == ("environment_error", "provider"), attempt.message


def test_the_exit_status_that_a_harness_tells_its_model_is_known(bridges: HttpRun) -> None:
    calls = one(bridges, "test_work").tool_calls
    assert [(c.error, c.failure_known, c.exit_code, c.exit_known) for c in calls] == [
        (None, True, 3, True),
        (None, True, 0, True),
    ]
