"""How sure a program in the container is: what it prints, or what its model says when it is asked."""

from __future__ import annotations

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import TextPolicy
from support.scripted_server import ScriptedServer

AGENTS = '''
from pytest_agenteval import SandboxAgent

PROGRAM = """
import json, os, sys, urllib.request

body = json.dumps({"model": "m", "messages": [{"role": "user", "content": sys.argv[1]}]}).encode()
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})).read()
print("confidence: 20 at first\\\\nconfidence: 75%\\\\nall done")
"""
prints = SandboxAgent(command=["python3", "-c", PROGRAM, "{task}"], confidence=r"^confidence: (.+)$")
prints_nothing = SandboxAgent(command=["python3", "-c", PROGRAM, "{task}"], confidence="sure: (.+)")
silent = SandboxAgent(command=["python3", "-c", PROGRAM, "{task}"])
'''
SUITE = """
import agents, pytest

async def test_work(agent, sandbox):
    await agent.run("Do the work.")

async def test_own(sandbox, attempt):
    await agents.silent.run("Do the work.")
"""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> HttpRun:
    with ScriptedServer({"Do the work": TextPolicy()}, sure={"Do the work": "40"}) as server:
        kinds = ("prints", "prints_nothing", "silent")
        return run_suite(
            tmp_path_factory.mktemp("sure"), server, {"test_suite.py": SUITE, "agents.py": AGENTS},
            "--agent-ask-confidence", *(f"--agent-scaffold=agents:{kind}" for kind in kinds),
            prices=PRICES, sandbox="docker", timeout=300,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("scaffold", "said", "asked"),
    [("prints", (75.0, "75%"), 0), ("prints_nothing", (None, ""), 0), ("silent", (40.0, "40"), 1)],
)
def test_a_program_prints_it_or_is_asked(run: HttpRun, scaffold: str, said: object, asked: int) -> None:
    wanted = [r for r in run.task_records if r.cell.scaffold == f"agents:{scaffold}" and "test_work" in r.task]
    ((attempt,),) = [record.attempts for record in wanted]
    assert attempt.outcome.value == "passed", attempt.message
    assert attempt.confidence is not None
    assert (attempt.confidence.value, attempt.confidence.answer) == said
    assert len(attempt.asking) == asked
    assert len(attempt.model_calls) == 1


def test_a_program_that_the_test_itself_runs_is_asked_too(run: HttpRun) -> None:
    attempt = next(r.attempts[0] for r in run.task_records if "test_own" in r.task)
    assert attempt.confidence is not None
    assert (attempt.confidence.value, len(attempt.asking)) == (40.0, 1)
