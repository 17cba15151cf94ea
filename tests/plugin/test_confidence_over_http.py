"""How sure agents are: asked over real HTTP, apart from all that they did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, TextPolicy
from support.scripted_server import ScriptedServer

from pytest_agenteval.record.confidence import QUESTION
from pytest_agenteval.record.records import AttemptRecord

K = 2
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}
CALL = (1000 * 1.0 + 100 * 10.0) / 1e6
"""What every answered call costs: 1000 tokens read, 100 written."""

SUITE = """
import json, pathlib
from pytest_agenteval import SimulatedUser, agent_task, dialogue

async def test_sure(agent, sandbox):
    result = await agent.run("Task sure: do it.")
    assert (await sandbox.exec(["test", "-f", "done"])).success
    with open(pathlib.Path(__file__).with_name("seen.jsonl"), "a") as file:
        told = {"task": "sure", "cost": result.cost, "turns": result.turns, "limit": result.limit}
        print(json.dumps({**told, "messages": [message.text for message in result.messages]}), file=file)

async def test_fraction(agent):
    await agent.run("Task fraction: do it.")

async def test_refused(agent):
    await agent.run("Task refused: do it.")

@agent_task(turn_limit=1)
async def test_limit(agent):
    limit = (await agent.run("Task limit: do it.")).limit
    assert limit is None

async def test_twice(agent):
    await agent.run("Task sure: do it.")
    await agent.run("Task once more: do it.")

async def test_talk(agent):
    await dialogue(agent, SimulatedUser(scenario="x", script=["Task talk: do it.", "Thank you."]))

async def test_own(attempt, agent_model):
    attempt.confidence = 0.8

async def test_wrong(agent, attempt):
    await agent.run("Task sure: do it.")
    attempt.confidence = 80
"""
POLICIES = {
    "Task sure": CommandPolicy(success=("touch done",)),
    "Task fraction": CommandPolicy(),
    "Task refused": CommandPolicy(),
    "Task limit": CommandPolicy(extra_steps=3),
    "Task once more": CommandPolicy(),
    "How can I help": TextPolicy(answer="Task talk: do it."),
    "Task talk": TextPolicy(),
}
SURE: dict[str, str | int] = {
    "Task sure": "85%", "Task fraction": "0.95", "Task refused": 400, "Task limit": "20", "Task once more": "60.",
    "Task talk": "about half",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(POLICIES, sure=SURE, models=("agent-1", "person")) as server:
        yield server


def run(server: ScriptedServer, folder: Path, *options: str) -> HttpRun:
    folder.mkdir()
    user = "--agent-role=user=openai-api/scripted/person"
    prices = {**PRICES, "openai-api/scripted/person": PRICES[AGENT]}
    return run_suite(folder, server, SUITE, user, "--agent-json=r.json", "--max-cost=5", *options, k=K, prices=prices)


@pytest.fixture(scope="module")
def asked(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> HttpRun:
    return run(server, tmp_path_factory.mktemp("asked") / "run", "--agent-ask-confidence", "--agent-profile")


@pytest.fixture(scope="module")
def unasked(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> HttpRun:
    return run(server, tmp_path_factory.mktemp("unasked") / "run")


def said(run: HttpRun, task: str) -> list[tuple[float | None, str] | None]:
    return [a.confidence and (a.confidence.value, a.confidence.answer) for a in run.attempts(task)]


def test_what_was_said(asked: HttpRun) -> None:
    assert said(asked, "test_sure") == [(85.0, "85%")] * K
    assert said(asked, "test_limit") == [(20.0, "20")] * K


def test_what_is_no_number_gets_none(asked: HttpRun) -> None:
    assert said(asked, "test_fraction") == [(None, "0.95")] * K
    assert said(asked, "test_talk") == [(None, "about half")] * K
    assert said(asked, "test_refused") == [(None, "")] * K


def test_a_refused_question_changes_no_outcome(asked: HttpRun) -> None:
    assert asked.ended("test_refused") == ["passed"] * K


def test_of_several_runs_the_last_answer_counts(asked: HttpRun) -> None:
    assert said(asked, "test_twice") == [(60.0, "60.")] * K
    assert [len(attempt.asking) for attempt in asked.attempts("test_twice")] == [2] * K


def test_a_dialogue_is_asked_about_once(asked: HttpRun) -> None:
    assert [len(attempt.asking) for attempt in asked.attempts("test_talk")] == [1] * K


def test_own_code_says_it_itself(asked: HttpRun, unasked: HttpRun) -> None:
    for run in (asked, unasked):
        assert said(run, "test_own") == [(80.0, "0.8")] * K


def test_a_share_out_of_range_is_the_tests_mistake(asked: HttpRun) -> None:
    assert all("between 0 and 1" in attempt.message for attempt in asked.attempts("test_wrong"))


def test_nobody_is_asked_without_the_option(unasked: HttpRun) -> None:
    assert said(unasked, "test_sure") == [None] * K
    assert all(not attempt.asking for record in unasked.task_records for attempt in record.attempts)


def comparable(attempt: AttemptRecord) -> AttemptRecord:
    """Without what no two runs have in common, and without what asking adds."""
    calls = tuple(replace(call, seconds=None) for call in attempt.model_calls)
    tools = tuple(replace(call, seconds=None) for call in attempt.tool_calls)
    return replace(
        attempt, model_calls=calls, tool_calls=tools, wall_seconds=0.0, working_seconds=None, log=None, run=None,
        ended=None, sandbox_wait_seconds=None, confidence=None, asking=(),
    )  # fmt: skip


def test_the_attempt_is_the_same_to_the_byte(asked: HttpRun, unasked: HttpRun) -> None:
    for task in ("test_sure", "test_fraction", "test_refused", "test_limit", "test_talk"):
        ours, theirs = ([comparable(a) for a in run.attempts(task)] for run in (asked, unasked))
        assert ours == theirs
        assert [a.cost for a in ours] == [a.cost for a in theirs]
    read = [(run.folder / "seen.jsonl").read_text("utf-8") for run in (asked, unasked)]
    assert read[0] == read[1]


def test_the_question_comes_after_the_whole_conversation_and_offers_no_tool(
    asked: HttpRun, server: ScriptedServer
) -> None:
    of_task = [body for body in server.questions if "Task sure" in str(body["messages"])]
    assert of_task
    for body in of_task:
        assert body["messages"][-1]["content"] == QUESTION
        assert any(message["role"] == "assistant" for message in body["messages"])
        assert not body.get("tools")


def test_a_limit_in_the_middle_of_a_call_leaves_no_call_without_a_result(
    asked: HttpRun, server: ScriptedServer
) -> None:
    for body in server.questions:
        results = {message.get("tool_call_id") for message in body["messages"]}
        calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()]
        assert set(calls) <= results


def figures(run: HttpRun) -> dict[str, Any]:
    import json

    cell: dict[str, Any] = json.loads((run.folder / "r.json").read_text("utf-8"))["cells"][0]
    return cell


def test_it_has_a_line_of_its_own_in_the_costs_and_is_in_no_cost_per_attempt(asked: HttpRun, unasked: HttpRun) -> None:
    questions = sum(len(attempt.asking) for record in asked.task_records for attempt in record.attempts)
    assert questions == K * 7  # sure, fraction, limit, twice (2), talk, wrong; the refused ones were not answered
    assert f"confidence ${questions * CALL:.4f} in {questions} calls" in asked.text
    ours, theirs = figures(asked), figures(unasked)
    for name in ("own_cost", "cost_per_attempt", "cost_per_success"):
        assert ours[name] == theirs[name]
    assert ours["cost"]["usd"] == pytest.approx(theirs["cost"]["usd"] + questions * CALL)


def test_the_log_gives_the_same_records(asked: HttpRun) -> None:
    from pytest_agenteval.engine.logs.scorecard import record_of

    for log in asked.logs:
        for sample in log.samples or ():
            (score,) = (sample.scores or {}).values()
            stored = record_of(score.metadata or {}, "log")
            live = asked.attempts(str(sample.id).split("::")[1])[sample.epoch - 1]
            assert stored is not None
            assert (stored.confidence, stored.asking) == (live.confidence, live.asking)


def test_attempts_that_were_not_asked_are_not_taken_over(
    unasked: HttpRun, server: ScriptedServer, tmp_path: Path
) -> None:
    again = run(
        server, tmp_path / "run", f"--agent-log-dir={unasked.folder / 'logs'}", "--agent-top-up",
        "--agent-ask-confidence", "-k", "test_sure",
    )  # fmt: skip
    assert said(again, "test_sure") == [(85.0, "85%")] * K
    assert not any(attempt.reused for attempt in again.attempts("test_sure"))


def test_a_budget_that_cannot_pay_the_question_still_grades_the_attempt(server: ScriptedServer, tmp_path: Path) -> None:
    """What is left after the agent's two calls does not pay 100 tokens of an answer."""
    suite = SUITE.partition("async def test_fraction")[0]
    found = run_suite(
        tmp_path, server, suite, f"--max-cost={2.25 * CALL}", "--agent-ask-confidence",
        "--agent-generate=max_tokens=100", k=1, prices=PRICES,
    )  # fmt: skip
    assert found.ended("test_sure") == ["passed"]
    assert said(found, "test_sure") == [(None, "")]


def test_readers_see_the_question_apart_and_nothing_twice(asked: HttpRun, unasked: HttpRun) -> None:
    from pytest_agenteval.engine.logs.conversations import conversation_of

    def told(run: HttpRun) -> list[tuple[str | None, str, str]]:
        first = min(run.logs, key=lambda log: log.eval.created)  # another test adds to the folder
        (sample,) = [s for s in first.samples or () if "test_sure" in str(s.id) and s.epoch == 1]
        return [(each.speaker, each.role, each.text.head) for each in conversation_of(sample).messages]

    ours = told(asked)
    extra = [("confidence", "user", QUESTION), ("confidence", "assistant", "85%")]
    assert [each for each in ours if each[0] == "confidence"] == extra
    assert [each for each in ours if each not in extra] == told(unasked)


IMPATIENT = """
import pytest_agenteval.engine.agents.confidence as asking
from pytest_agenteval import agent_task
asking._PATIENCE = 1.0

@agent_task(grading_time_limit=0.9)
async def test_sure(agent, sandbox):
    await agent.run("Task sure: do it.")
    assert (await sandbox.exec(["test", "-f", "done"])).success
"""


def test_an_answer_that_never_comes_holds_nothing_up_and_is_no_slow_grading(tmp_path: Path) -> None:
    with ScriptedServer(POLICIES, sure={"Task sure": "hang"}) as server:
        found = run_suite(tmp_path, server, IMPATIENT, "--agent-ask-confidence", "--max-cost=1", k=1, prices=PRICES)
    assert found.ended("test_sure") == ["passed"]
    assert said(found, "test_sure") == [(None, "")]
    (attempt,) = found.attempts("test_sure")
    assert attempt.lost_calls == 1  # it may have been billed
    assert attempt.working_seconds is not None and attempt.working_seconds < attempt.wall_seconds - 0.9
