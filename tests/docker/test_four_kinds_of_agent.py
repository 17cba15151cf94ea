"""Four kinds of own agent on one suite in containers, over HTTP: all that is recorded of them is alike, and by hand."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.http_runs import AGENT
from support.own_agents import CLIENTS, POLICIES, TOKENS, C, Kinds, run_kinds
from support.scripted_policy import CommandPolicy, Faults, Policy, TextPolicy, Tokens
from support.scripted_server import ScriptedServer

from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.sandbox.images.task_image import task_image_name

IMAGE = Path(__file__).parents[2] / "example_suites" / "cli_agent" / "sandboxes" / "cli"
KINDS = ("plain_async", "agents_sdk", "plain_sync", "cli")
"""A plain async client, a framework, a sync client, and a command line agent in the container."""

SLEEPY = """
from pytest_agenteval import agent_task

@agent_task(time_limit=3)
async def test_sleepy(agent, sandbox):
    # what a program in the container started is stopped even where it has left its session
    program = agent.scaffold == "kinds:cli"
    result = await agent.run("Do escaping things." if program else "Do sleepy things.")
    assert result.limit == "time"
    assert result.program is None or result.program.status is None
    assert (await sandbox.exec(["pgrep", "-a", "sleep|shell-agent"])).stdout == ""
"""
OVERRIDDEN = """
import json, pathlib
import pytest
from pytest_agenteval import SandboxAgent

@pytest.fixture
def agent():
    command = ["shell-agent", "--model", "some-other-model", "-"]
    return SandboxAgent(command=command, stdin="{instructions} {task}", env={"OPENAI_API_KEY": "sk-none"}, cwd="/tmp")

async def test_fixture(agent, sandbox):
    result = await agent.run("Do the work.", instructions="Be quick.")
    seen = {"answer": result.answer, "turns": result.turns, "status": result.program.status}
    seen |= {"stdout": result.program.stdout, "stderr": result.program.stderr, "cost": result.cost}
    again = await SandboxAgent(command=["shell-agent", "--max-turns", "2", "{task}"]).run("Do endless things.")
    seen["given up"] = [again.program.status, again.turns, again.answer]
    pathlib.Path(__file__).with_name("fixture.json").write_text(json.dumps(seen))
    assert (await sandbox.exec(["test", "-f", "/tmp/out.txt"])).success

DIALECTS = '''
import json, os, sys, urllib.request

def ask(url, **body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return urllib.request.urlopen(request).read().decode()

openai, said = os.environ["OPENAI_BASE_URL"], [{"role": "user", "content": sys.argv[1]}]
anthropic = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
print(json.loads(ask(anthropic, model="claude-9", max_tokens=100, messages=said))["content"][0]["text"])
print(json.loads(ask(openai + "/responses", model="gpt-9", input=sys.argv[1]))["output"][-1]["content"][0]["text"])
stream = ask(openai + "/chat/completions", model="gpt-9", messages=said, stream=True)
chunks = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
print("".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]))
'''

async def test_dialects(agent, sandbox):
    result = await SandboxAgent(command=["python3", "-c", DIALECTS, "{task}"]).run("Speak.")
    assert result.answer.splitlines() == ["it is said"] * 3
    assert result.turns == 3

async def test_outage(agent, sandbox):
    await agent.run("Do what cannot be answered.")

async def test_not_installed(agent, sandbox):
    await SandboxAgent(command=["no-such-agent"]).run("Do the work.")

async def test_no_sandbox(agent, agent_model):
    await agent.run("Do the work.")
"""
MORE: dict[str, Policy] = {
    "sleepy": CommandPolicy(success=("sleep 1000",), tokens=TOKENS),
    "escaping": CommandPolicy(success=("setsid --wait sleep 1000",), tokens=TOKENS),
    "Speak": TextPolicy(answer="it is said", tokens=TOKENS),
    "answered": CommandPolicy(tokens=TOKENS, faults=Faults(p_500=1.0, most_per_call=100)),
}


def files(**suites: str) -> dict[str, str]:
    """Test modules, the agents, and the image for all of them."""
    image = {file.name: file.read_text("utf-8") for file in IMAGE.iterdir() if file.is_file()}
    return {**{f"{name}.py": text for name, text in suites.items()}, "kinds.py": CLIENTS, **image}


def remove_image(folder: Path) -> None:
    name = task_image_name(folder / "Dockerfile")
    subprocess.run(("docker", "image", "rm", "--force", name), check=True, capture_output=True)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    folder = tmp_path_factory.mktemp("four")
    with ScriptedServer({**POLICIES, **MORE}) as server:
        yield run_kinds(
            folder,
            server,
            "--agent-generate=max_retries=0",
            "--agent-env-retries=0",
            "--deselect=test_suite.py::test_time",
            kinds=KINDS,
            k=1,
            sandbox="docker",
            files=files(test_sleepy=SLEEPY, test_overridden=OVERRIDDEN),
        )
    remove_image(folder)


def one(kinds: Kinds, task: str, kind: str = "own agent") -> AttemptRecord:
    (found,) = kinds.attempts(task, kind)
    return found


def fixture(kinds: Kinds) -> dict[str, Any]:
    return dict(json.loads((kinds.run.folder / "fixture.json").read_text("utf-8")))


def test_every_kind_is_counted_and_paid_alike(four: Kinds) -> None:
    seen = [json.loads(line) for line in (four.run.folder / "seen.jsonl").read_text("utf-8").splitlines()]
    assert {each.pop("scaffold") for each in seen} == {f"kinds:{kind}" for kind in KINDS}
    told = {"attempt": 1, "answer": "it is done", "turns": 3, "tokens": 3300, "cost": pytest.approx(3 * C)}
    assert seen == [told] * len(KINDS)
    for kind in KINDS:
        attempt = one(four, "test_work", kind)
        assert (attempt.outcome.value, attempt.message, attempt.answer) == ("passed", "", "it is done"), kind
        tokens = [(c.input_tokens, c.cache_read_tokens, c.output_tokens) for c in attempt.model_calls]
        assert tokens == [(800, 200, 100)] * 3
        assert attempt.cost == pytest.approx(3 * C)
        commands = [json.loads(call.arguments)["command"] for call in attempt.tool_calls]
        assert commands == ["exit 3", "touch out.txt"]
    failures = {
        kind: [(c.known_by, c.error, c.failure_known) for c in one(four, "test_work", kind).tool_calls]
        for kind in KINDS
    }
    assert failures == {
        "plain_async": [("messages", None, True)] * 2,
        "agents_sdk": [("messages", None, True)] * 2,
        "plain_sync": [("recorded", None, True)] * 2,
        "cli": [("messages", None, False)] * 2,  # what it runs in there nobody sees
    }
    exits = {kind: [(c.exit_code, c.exit_known) for c in one(four, "test_work", kind).tool_calls] for kind in KINDS}
    assert exits == {**{kind: [(3, True), (0, True)] for kind in KINDS[:3]}, "cli": [(None, False)] * 2}
    assert "non-zero exits 1, unknown for 4 calls" in four.run.block("agent-1", "kinds:agents_sdk")
    assert "non-zero exits unknown for " in four.run.block("agent-1", "kinds:cli")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_held_to_the_same_limits(four: Kinds, kind: str) -> None:
    for task, cause in (("test_cost", "cost"), ("test_tokens", "tokens"), ("test_turns", "turns")):
        attempt = one(four, task, kind)
        assert (attempt.outcome.value, attempt.cause) == ("limit", cause), attempt.message
        assert len(attempt.model_calls) == 3
        assert attempt.cost == pytest.approx(3 * C)
    attempt = one(four, "test_sleepy", kind)  # graded after its time was up: no process of the agent is left
    assert (attempt.outcome.value, attempt.message) == ("passed", "")


def test_nothing_was_asked_of_the_provider_that_is_not_recorded(four: Kinds) -> None:
    answered = sum(entry.answered == 200 for entry in four.journal)
    recorded = sum(len(attempt.model_calls) for record in four.records.values() for attempt in record.attempts)
    # the answer to an agent whose time is up may be on its way when it is stopped
    assert answered - len(KINDS) <= recorded <= answered
    assert {entry.model for entry in four.journal if entry.answered == 200} == {"agent-1"}


def test_how_a_program_ended_is_recorded(four: Kinds) -> None:
    assert "Do the work.' exited with 0 after " in one(four, "test_work", "cli").last_steps[-1]
    assert "Do endless things.' was stopped after " in one(four, "test_turns", "cli").last_steps[-1]
    given_up = one(four, "test_fixture").last_steps[-1]
    assert given_up.endswith(": $ true $ true shell-agent: the work was not done after 2 turns")


def test_an_overridden_fixture_runs_the_program_where_and_how_it_is_told(four: Kinds) -> None:
    attempt = one(four, "test_fixture")
    assert (attempt.outcome.value, attempt.message) == ("passed", "")
    seen = fixture(four)
    assert (seen["answer"], seen["turns"], seen["status"], seen["cost"]) == ("it is done", 3, 0, pytest.approx(3 * C))
    assert (seen["stdout"], seen["stderr"]) == ("it is done\n", "$ exit 3\n$ touch out.txt\n")
    assert seen["given up"] == [1, 2, ""]  # and the test passed: its checks decide


def test_requests_in_other_dialects_and_streams_reach_the_model_under_evaluation(four: Kinds) -> None:
    attempt = one(four, "test_dialects")
    assert (attempt.outcome.value, attempt.message, attempt.cost) == ("passed", "", pytest.approx(3 * C))
    assert {call.model for call in attempt.model_calls} == {AGENT}


def test_a_program_that_gives_up_for_the_provider_is_not_to_blame(four: Kinds) -> None:
    attempt = one(four, "test_outage")
    assert (attempt.outcome.value, attempt.cause) == ("environment_error", "provider"), attempt.message
    assert (len(attempt.model_calls), attempt.lost_calls) == (0, 0)
    assert "shell-agent: http://localhost:" in attempt.last_steps[-1]


def test_what_cannot_be_such_an_agent_breaks_the_attempt_in_one_sentence(four: Kinds) -> None:
    missing, nowhere = one(four, "test_not_installed"), one(four, "test_no_sandbox")
    assert (missing.outcome.value, missing.message) == (
        "broken",
        "the sandbox has no program 'no-such-agent': install it in the task's image, or give its path",
    )
    assert (nowhere.outcome.value, nowhere.message) == (
        "broken",
        "an agent in the sandbox needs one: let the test, or its fixture, ask for `sandbox`",
    )


@pytest.mark.parametrize("kinds", [KINDS[:3], KINDS[3:]], ids=["on this host", "in the container"])
def test_the_runs_budget_stops_every_kind(kinds: tuple[str, ...], tmp_path: Path) -> None:
    budget = 0.03  # 16 calls, each with a worst case of its own
    with ScriptedServer(POLICIES) as server:
        stopped = run_kinds(
            tmp_path,
            server,
            f"--max-cost={budget}",
            "--agent-generate=max_tokens=100",
            "-k",
            "test_endless",
            kinds=kinds,
            k=1,
            sandbox="docker",
            files=files(test_endless=ENDLESS),
        )
    remove_image(tmp_path)
    answered = sum(entry.answered == 200 for entry in stopped.journal)
    attempts = {kind: one(stopped, "test_endless", kind) for kind in kinds}
    assert answered == sum(len(attempt.model_calls) for attempt in attempts.values())
    assert 10 * C <= answered * C <= budget
    assert Counter((a.outcome.value, str(a.cause)) for a in attempts.values()) == {("not_run", "budget"): len(kinds)}
    assert any(attempt.model_calls for attempt in attempts.values())  # the oldest's, before any other's
    assert stopped.run.gate("--max-cost").startswith("UNDECIDED")
    assert {record.cell.model for record in stopped.records.values()} == {AGENT}


def test_a_model_that_says_no_usage_leaves_tokens_and_cost_of_a_program_unknown(tmp_path: Path) -> None:
    silent = Tokens(instead={})
    policies: dict[str, Policy] = {
        "work": CommandPolicy(success=("touch out.txt",), answer="it is done", tokens=silent),
        "endless": CommandPolicy(extra_steps=400, tokens=silent),
    }
    with ScriptedServer(policies) as server:
        ran = run_kinds(
            tmp_path,
            server,
            "-knot test_time",
            "--agent-env-retries=0",
            kinds=("cli",),
            k=1,
            sandbox="docker",
            files=files(),
        )
    remove_image(tmp_path)
    worked = one(ran, "test_work", "cli")
    assert (worked.outcome.value, [call.tokens for call in worked.model_calls], worked.cost) == (
        "passed",
        [None] * 2,
        None,
    )
    turns = one(ran, "test_turns", "cli")
    assert (turns.outcome.value, turns.cause, len(turns.model_calls)) == ("limit", "turns", 3)
    for task, limit in (("test_cost", "max_cost"), ("test_tokens", "token_limit")):
        attempt = one(ran, task, "cli")
        assert (attempt.outcome.value, attempt.cause) == ("environment_error", "provider"), attempt.message
        assert attempt.message.startswith(f"{limit} cannot be held: ")
        assert len(attempt.model_calls) == 1


ENDLESS = """
from pytest_agenteval import agent_task

@agent_task(turn_limit=None)
async def test_endless(agent, sandbox):
    await agent.run("Do endless things.")
"""
