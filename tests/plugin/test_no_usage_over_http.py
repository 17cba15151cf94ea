"""Answers without usage: unknown is None everywhere, and no limit is silently off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.http_runs import AGENT, JUDGE, HttpRun, run_suite
from support.own_agents import Kinds, run_kinds
from support.scripted_policy import CommandPolicy, Policy, TextPolicy, Tokens
from support.scripted_server import ScriptedServer

from pytest_agenteval.cli.main import main

SILENT = Tokens(instead={})
PRICES = {AGENT: {"input": 1.0, "output": 10.0}, JUDGE: {"input": 1.0, "output": 10.0}}

SUITE = """
import json, pathlib
from inspect_ai.model import get_model
from pytest_agenteval import agent_task

def note(task, result):
    with pathlib.Path(__file__).with_name("seen.jsonl").open("a") as file:
        seen = {"task": task, "tokens": result.tokens, "cost": result.cost, "turns": result.turns}
        print(json.dumps(seen), file=file)

async def test_silent(agent, sandbox):
    note("silent", await agent.run("Do silent work."))

@agent_task(turn_limit=2)
async def test_turns(agent, sandbox):
    result = await agent.run("Do silent work.")
    assert result.limit is None

@agent_task(max_cost=0.5)
async def test_cost(agent, sandbox):
    await agent.run("Do silent work.")

@agent_task(token_limit=100_000)
async def test_tokens(agent, sandbox):
    await agent.run("Do silent work.")

@agent_task(max_cost=0.5, token_limit=100_000)
async def test_one_call(agent, sandbox):
    await agent.run("Do short work.")

@agent_task(max_cost=0.5, token_limit=100_000)
async def test_judged(agent, sandbox):
    note("judged", await agent.run("Do spoken work."))
    await get_model("openai-api/scripted/judge").generate("Is it a verdict?")

async def test_cached(agent, sandbox):
    note("cached", await agent.run("Do cached work."))

async def test_partial(agent, sandbox):
    await agent.run("Do partial work.")
"""
MORE_CACHED = {
    "prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107, "prompt_tokens_details": {"cached_tokens": 5000},
}  # fmt: skip
POLICIES: dict[str, Policy] = {
    "silent work": CommandPolicy(extra_steps=1, tokens=SILENT),
    "short work": CommandPolicy(success=(), tokens=SILENT),
    "spoken work": CommandPolicy(tokens=Tokens(prompt=500, completion=50)),
    "verdict": TextPolicy(tokens=SILENT),
    "cached work": CommandPolicy(tokens=Tokens(instead=MORE_CACHED)),
    "partial work": CommandPolicy(tokens=Tokens(instead={"total_tokens": 7})),
}


@dataclass(frozen=True, slots=True)
class Silent:
    run: HttpRun
    answered: dict[str, int]
    """Requests that were answered, by task key."""


@pytest.fixture(scope="module", params=["whole", "streamed"])
def silent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Silent]:
    streamed = ["--agent-model-arg=stream=true"] if request.param == "streamed" else []
    with ScriptedServer(POLICIES) as server:
        folder = tmp_path_factory.mktemp("silent")
        reports = ["--agent-json=report.json", "--agent-html=report.html", "--agent-comment=report.md"]
        run = run_suite(folder, server, SUITE, "--agent-env-retries=1", *reports, *streamed, prices=PRICES)
        keys = [entry.task for entry in server.journal if entry.answered == 200]
        yield Silent(run, {key: keys.count(key) for key in POLICIES})


def test_tokens_and_cost_are_none_and_turns_count(silent: Silent) -> None:
    assert silent.run.ended("test_silent") == ["passed"]
    assert silent.run.seen("silent") == {"tokens": None, "cost": None, "turns": 3}
    (attempt,) = silent.run.attempts("test_silent")
    assert len(attempt.model_calls) == 3
    assert (attempt.tokens, attempt.cost, attempt.lost_calls) == (None, None, 0)
    assert {(c.input_tokens, c.output_tokens, c.tokens, c.cost) for c in attempt.model_calls} == {(None,) * 4}


def test_the_turn_limit_holds_before_the_call_that_would_exceed_it(silent: Silent) -> None:
    assert silent.run.ended("test_turns") == ["limit/turns"]
    (attempt,) = silent.run.attempts("test_turns")
    assert len(attempt.model_calls) == 2


@pytest.mark.parametrize(
    ("task", "limits"),
    [("test_cost", "max_cost"), ("test_tokens", "token_limit"), ("test_one_call", "max_cost and token_limit")],
)
def test_a_limit_that_cannot_be_held_says_so_and_ends_the_agent(silent: Silent, task: str, limits: str) -> None:
    """After its first call, and though that was its last: nobody can tell whether it was within the limit."""
    assert silent.run.ended(task) == ["environment_error/provider"]
    (attempt,) = silent.run.attempts(task)
    assert attempt.message.startswith(f"{limits} cannot be held: {AGENT} answered without saying how many tokens")
    assert [len(attempt.model_calls), *(len(retry.model_calls) for retry in attempt.retries)] == [1, 1]


def test_a_judge_without_usage_does_not_touch_the_limits_of_the_agent(silent: Silent) -> None:
    assert silent.run.ended("test_judged") == ["passed"]
    assert silent.run.seen("judged") == {"tokens": 1100, "cost": pytest.approx(0.002), "turns": 2}
    (attempt,) = silent.run.attempts("test_judged")
    assert [call.tokens for call in attempt.model_calls] == [550, 550, None]
    assert attempt.cost is None


def test_usage_that_cannot_be_is_none_either(silent: Silent) -> None:
    assert silent.run.ended("test_cached") == ["passed"]
    assert silent.run.seen("cached") == {"tokens": None, "cost": None, "turns": 2}


def test_usage_that_inspect_cannot_read_is_the_providers_fault(silent: Silent) -> None:
    assert silent.run.ended("test_partial") == ["environment_error/provider"]


def test_every_answered_call_is_recorded(silent: Silent) -> None:
    recorded = [c for r in silent.run.task_records for a in r.attempts for t in (a, *a.retries) for c in t.model_calls]
    assert len(recorded) == sum(count for key, count in silent.answered.items() if key != "partial work")


def test_no_report_has_a_zero_for_what_is_unknown(silent: Silent) -> None:
    row = silent.run.rows("agent-1")
    assert row["test_silent"][5] == row["test_cached"][5] == "unknown"
    assert "total cost unknown (" in silent.run.block("agent-1")
    assert "answered without saying how many tokens they took" in silent.run.block("agent-1")
    report = json.loads((silent.run.folder / "report.json").read_text("utf-8"))
    (task,) = [task for task in report["tasks"] if task["task"].endswith("::test_silent")]
    assert (task["cost"]["usd"], task["cost"]["unpriced_calls"], task["cost"]["uncounted_calls"]) == (None, 3, 3)
    assert set(task["attempts"][0]["tokens"].values()) == {None}
    assert "unknown tokens" in (silent.run.folder / "report.html").read_text("utf-8")
    assert "unknown" in (silent.run.folder / "report.md").read_text("utf-8")


def test_it_is_the_same_when_it_is_read_from_the_logs(silent: Silent, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["report", str(silent.run.folder / "logs")])
    row = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("test_silent"))
    assert row[6] == "unknown"
    assert status == silent.run.code == 1  # test_turns was meant to fail


def test_the_runs_budget_keeps_what_was_reserved(tmp_path: Path) -> None:
    with ScriptedServer({"work": CommandPolicy(extra_steps=1, tokens=SILENT)}) as server:
        suite = "async def test_it(agent, sandbox):\n    await agent.run('Do work.')\n"
        generate = "--agent-generate=max_tokens=1000"
        enough = run_suite(tmp_path, server, suite, "--max-cost=1", generate, k=2, prices=PRICES)
        assert enough.ended("test_it") == ["passed", "passed"]
        calls = [call for attempt in enough.attempts("test_it") for call in attempt.model_calls]
        held = [call.cost_at_most for call in calls]
        assert len(held) == 6
        assert all(most is not None and most > 0.01 for most in held)  # a thousand tokens at $10 per million
        assert enough.gate("--max-cost").startswith("PASS --max-cost: the run cost at most $0.0")
        assert "at most $" in enough.block("agent-1")
        journal = len(server.journal)
        scarce = run_suite(tmp_path, server, suite, "--max-cost=0.05", generate, k=2, prices=PRICES)
        assert len(server.journal) - journal <= 4  # each at $0.01 and a little, though nothing is known to be spent
        assert (scarce.code, sorted(scarce.ended("test_it"))) == (10, ["not_run/budget", "passed"])
        assert any("is held for calls of unknown cost" in a.message for a in scarce.attempts("test_it"))


OWN = ("plain_async", "plain_sync", "anthropic_async", "agents_sdk", "langgraph", "pydantic_async")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    policies: dict[str, Policy] = {
        "work": CommandPolicy(p_failing_command=1.0, success=("touch out.txt",), answer="it is done", tokens=SILENT),
        "endless": CommandPolicy(extra_steps=400, tokens=SILENT),
    }
    with ScriptedServer(policies) as server:
        folder = tmp_path_factory.mktemp("own")
        yield run_kinds(folder, server, "-knot test_time", "--agent-env-retries=0", kinds=OWN, k=1)


@pytest.mark.parametrize("kind", OWN)
def test_own_agents_are_counted_alike(own: Kinds, kind: str) -> None:
    seen: list[dict[str, Any]] = [json.loads(line) for line in (own.run.folder / "seen.jsonl").read_text().splitlines()]
    (mine,) = [each for each in seen if each["scaffold"] == f"kinds:{kind}"]
    assert (mine["turns"], mine["tokens"], mine["cost"]) == (3, None, None)
    (attempt,) = own.attempts("test_work", kind)
    assert (attempt.outcome.value, len(attempt.model_calls), attempt.cost) == ("passed", 3, None)


@pytest.mark.parametrize("kind", OWN)
def test_own_agents_are_held_alike(own: Kinds, kind: str) -> None:
    (turns,) = own.attempts("test_turns", kind)
    assert (turns.outcome.value, turns.cause, len(turns.model_calls)) == ("limit", "turns", 3)
    for task, limit in (("test_cost", "max_cost"), ("test_tokens", "token_limit")):
        (attempt,) = own.attempts(task, kind)
        assert (attempt.outcome.value, attempt.cause) == ("environment_error", "provider"), attempt.message
        assert attempt.message.startswith(f"{limit} cannot be held: ")
        assert len(attempt.model_calls) == 1
