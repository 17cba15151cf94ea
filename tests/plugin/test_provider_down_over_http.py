from __future__ import annotations

import socket
from pathlib import Path

from support.http_runs import AGENT, JUDGE, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Faults, Policy, TextPolicy
from support.scripted_server import ScriptedServer

SUITE = """
async def test_alpha(agent, sandbox):
    await agent.run("Do task alpha.")
"""
JUDGED = """
from inspect_ai.model import get_model

async def test_alpha(agent, sandbox):
    await agent.run("Do task alpha.")
    assert (await get_model("openai-api/scripted/judge").generate("Is it a verdict?")).completion == "good"
"""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}, JUDGE: {"input": 1.0, "output": 10.0}}
K = 3


def assert_blames_the_provider(run: HttpRun, tries: int) -> None:
    """None of it counts in n, none is the agent's or the test's, and the run is neither green nor failed."""
    assert run.ended("test_alpha") == ["environment_error/provider"] * K
    assert run.rows("agent-1")["test_alpha"][0] == "0/0"
    assert f"environment errors {tries} of {tries} tries (100.0%)" in run.block("agent-1")
    assert f"test_alpha attempts 1-{K} (environment error: provider)" in run.block("agent-1")
    assert f"{tries} of {tries} tries met an environment error" in run.gate("--agent-max-env-error-rate")
    assert run.gate("--max-cost").startswith("UNDECIDED")
    assert (run.code, run.status_line[:19]) == (10, "exit 10: UNDECIDED:")


def _run(folder: Path, server: ScriptedServer, suite: str, *arguments: str, **environment: str) -> HttpRun:
    return run_suite(
        folder, server, suite, "--max-cost=1", *arguments, k=K, prices=PRICES, environment=environment
    )  # fmt: skip


def test_a_refused_key_is_an_environment_error_and_tried_again_but_for_nothing(tmp_path: Path) -> None:
    with ScriptedServer({"alpha": CommandPolicy()}, api_key="right") as server:
        run = _run(tmp_path, server, SUITE, SCRIPTED_API_KEY="wrong")
        assert [entry.answered for entry in server.journal] == [401] * 3 * K  # 2 retries in a fresh sandbox each
    assert_blames_the_provider(run, 3 * K)
    assert "The API key is wrong" in run.attempts("test_alpha")[0].message
    assert "total cost $0 |" in run.block("agent-1")  # a refused call is not billed, and that is known


def test_a_provider_that_cannot_be_reached_is_an_environment_error_that_cost_nothing(tmp_path: Path) -> None:
    with socket.socket() as nobody, ScriptedServer({}) as server:
        nobody.bind(("127.0.0.1", 0))  # the port is taken and nobody listens
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        run = _run(
            tmp_path,
            server,
            SUITE,
            "--agent-generate=max_retries=2",
            "--agent-env-retries=1",
            SCRIPTED_BASE_URL=address,
        )
    assert_blames_the_provider(run, 2 * K)
    assert [attempt.lost_calls for attempt in run.attempts("test_alpha")] == [0] * K
    assert "total cost $0 |" in run.block("agent-1")


def test_a_provider_that_fails_for_good_is_an_environment_error_after_its_own_retries(tmp_path: Path) -> None:
    with ScriptedServer({"alpha": CommandPolicy(faults=Faults(p_500=1.0, most_per_call=1000))}) as server:
        run = _run(tmp_path, server, SUITE, "--agent-generate=max_retries=3", "--agent-env-retries=0")
        assert [entry.answered for entry in server.journal] == [500] * 4 * K  # once and 3 retries
    assert_blames_the_provider(run, K)
    assert "total cost $0 |" in run.block("agent-1")


def test_a_judge_that_fails_for_good_is_an_environment_error_after_the_same_retries(tmp_path: Path) -> None:
    policies: dict[str, Policy] = {
        "alpha": CommandPolicy(),
        "verdict": TextPolicy(answer="good", faults=Faults(p_500=1.0, most_per_call=1000)),
    }
    with ScriptedServer(policies) as server:
        run = _run(tmp_path, server, JUDGED, "--agent-generate=max_retries=1", "--agent-env-retries=0")
        # once and one retry; the judge's client, which the test made, sends each up to three times by itself
        asked = [entry for entry in server.journal if entry.model == "judge"]
    assert_blames_the_provider(run, K)
    assert sum(entry.client_retry == 0 for entry in asked) == 2 * K
    assert "total cost $0.0120 |" in run.block("agent-1")  # what the agents spent is not forgotten
