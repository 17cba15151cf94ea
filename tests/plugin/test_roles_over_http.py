from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, TextPolicy, Tokens
from support.scripted_server import ScriptedServer

USER = "openai-api/scripted/person"
K = 3
PRICES = {AGENT: {"input": 1.0, "output": 10.0, "cache_read": 0.1}, USER: {"input": 2.0, "output": 20.0}}
AGENT_CALL = (600 * 1.0 + 400 * 0.1 + 100 * 10.0) / 1e6
"""1000 tokens read, 400 of them from the provider's cache, and 100 written."""
UNCACHED = (1000 * 1.0 + 100 * 10.0) / 1e6
USER_CALL = (500 * 2.0 + 20 * 20.0) / 1e6

SUITE = """
import json, pathlib
from inspect_ai.model import get_model
from pytest_agenteval import SimulatedUser, dialogue

USER = SimulatedUser(scenario="You want order 7 cancelled: {now}.", script=["Please cancel order 7."])

async def test_talk(agent, sandbox):
    talk = await dialogue(agent, USER, instructions="Be kind.")
    assert (await sandbox.exec(["test", "-f", "cancelled"])).success
    assert talk.heard == ("Please cancel order 7.",)
    assert talk.said == ("It is done.",)
    assert talk.ended_by == "user"
    seen = {"cost": talk.cost, "user_cost": talk.user_cost, "model": str(get_model(role="user"))}
    pathlib.Path(__file__).with_name("talk.json").write_text(json.dumps(seen))
"""
"""A text that the person ends with the stop word opens the dialogue the first time, and ends it the second."""
POLICIES = {
    "How can I help you": TextPolicy(
        answer="Please cancel order 7. ###STOP###", tokens=Tokens(prompt=500, completion=20)
    ),
    "cancel order 7": CommandPolicy(
        success=("touch cancelled",), answer="It is done.", tokens=Tokens(prompt=1000, completion=100, cached=400)
    ),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES) as server:
        yield run_suite(
            tmp_path_factory.mktemp("roles"), server, SUITE, f"--agent-role=user={USER}", "--max-cost=1",
            f"--agent-max-cost-per-attempt={2 * AGENT_CALL + USER_CALL}", k=K, prices=PRICES,
        )  # fmt: skip


def test_a_model_plays_the_user(played: HttpRun) -> None:
    assert played.ended("test_talk") == ["passed"] * K


def test_calls_are_recorded_with_their_role_and_priced_by_its_model(played: HttpRun) -> None:
    for attempt in played.attempts("test_talk"):
        assert [(call.role, call.model) for call in attempt.model_calls] == [
            ("user", USER), ("agent", AGENT), ("agent", AGENT), ("user", USER),
        ]  # fmt: skip
        costs = {call.role: call.cost for call in attempt.model_calls}
        assert costs == pytest.approx({"user": USER_CALL, "agent": AGENT_CALL})
        fresh = {call.role: call.cost_uncached for call in attempt.model_calls}
        assert fresh == pytest.approx({"user": USER_CALL, "agent": UNCACHED})


def test_the_report_has_a_line_for_each_role(played: HttpRun) -> None:
    """3 attempts with two calls of each: 6 * 0.00164 and 6 * 0.0014 dollars."""
    block = played.block("agent-1")
    assert "total cost $0.0182" in block
    assert "agent $0.00984 in 6 calls | user $0.00840 in 6 calls" in block


def test_the_users_cost_is_inside_what_the_gate_judges(played: HttpRun) -> None:
    """The gate allows two calls of the agent and one of the user; the second of the user is too much."""
    assert "FAIL" in played.gate("--agent-max-cost-per-attempt")
    assert played.code == 1


def test_the_dialogue_tells_the_costs_apart(played: HttpRun) -> None:
    seen = (played.folder / "talk.json").read_text()
    assert USER in seen
    assert '"cost": 0.00328' in seen and '"user_cost": 0.0028' in seen


def test_the_users_cost_is_inside_the_budget_of_the_run(tmp_path: Path) -> None:
    """The first call is the user's, and what it can cost at most does not fit: the agent's calls would."""
    dear = PRICES | {USER: {"input": 1.0, "output": 100_000.0}}
    with ScriptedServer(POLICIES) as server:
        run = run_suite(tmp_path, server, SUITE, f"--agent-role=user={USER}", "--max-cost=1", prices=dear)
        assert server.journal == ()
    assert run.ended("test_talk") == ["not_run/budget"]
    assert run.code == 10


def test_a_user_without_a_price_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    with ScriptedServer(POLICIES) as server:
        run = run_suite(
            tmp_path, server, SUITE, f"--agent-role=user={USER}", "--max-cost=1", prices={AGENT: PRICES[AGENT]}
        )  # fmt: skip
        assert server.journal == ()
    assert run.code == 4
    assert f"--max-cost cannot be held: the price of {USER} is not known" in "\n".join([*run.lines, *run.errors])


def test_a_dialogue_without_a_model_for_the_user_says_how_to_name_one_and_spends_nothing(
    tmp_path: Path,
) -> None:
    with ScriptedServer(POLICIES) as server:
        run = run_suite(tmp_path, server, SUITE, prices=PRICES)
        assert server.journal == ()
    assert run.ended("test_talk") == ["broken"]
    assert run.code == 1
    words = "the dialogue needs a model for the simulated user: add --agent-role=user=PROVIDER/MODEL"
    assert words in run.attempts("test_talk")[0].message
