from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.http_runs import AGENT, run_suite
from support.scripted_policy import CommandPolicy, Faults, Tokens
from support.scripted_server import ScriptedServer

SUITE = """
async def test_alpha(agent, sandbox):
    await agent.run("Do task alpha.")
"""
OWN_LIMIT = """
from pytest_agenteval import agent_task

@agent_task(max_cost=0.5)
async def test_alpha(agent, sandbox):
    await agent.run("Do task alpha.")
"""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}
TOKENS = Tokens(prompt=1000, completion=100, cached=400)


def test_a_model_without_a_price_is_unpriced_and_never_free(tmp_path: Path) -> None:
    with ScriptedServer({"alpha": CommandPolicy()}) as server:
        run = run_suite(tmp_path, server, SUITE, k=2)
    assert (run.code, run.ended("test_alpha")) == (0, ["passed", "passed"])
    assert [attempt.cost for attempt in run.attempts("test_alpha")] == [None, None]
    assert run.rows("agent-1")["test_alpha"][-2] == "unpriced"
    assert "total cost unpriced (4 calls without a price) | per success unpriced" in run.block("agent-1")
    assert "$0" not in run.text


@pytest.mark.parametrize(
    ("suite", "option", "words"),
    [
        (SUITE, "--max-cost=5", "--max-cost cannot be held"),
        (SUITE, "--agent-max-cost-per-attempt=1", "--agent-max-cost-per-attempt cannot be judged"),
        (OWN_LIMIT, "--agent-concurrency=2", "max_cost of test_suite.py::test_alpha cannot be held"),
    ],
)
def test_a_limit_on_the_cost_of_a_model_without_a_price_is_refused_before_anything_is_spent(
    tmp_path: Path, suite: str, option: str, words: str
) -> None:
    with ScriptedServer({"alpha": CommandPolicy()}) as server:
        run = run_suite(tmp_path, server, suite, option)
        assert server.journal == ()
    assert run.code == 4
    said = [line for line in [*run.lines, *run.errors] if "ERROR" in line]
    assert said == [f"ERROR: {words}: the price of {AGENT} is not known; give its prices with --agent-prices=FILE, "
                    "or install pytest-agenteval[prices]"]  # fmt: skip


def test_a_model_that_genai_prices_knows_needs_no_file_of_prices(tmp_path: Path) -> None:
    with ScriptedServer({"alpha": CommandPolicy(tokens=TOKENS)}, models=("gpt-4o-mini",)) as server:
        address = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "unused"}
        run = run_suite(
            tmp_path,
            server,
            SUITE,
            "--max-cost=1",
            models=["openai-api/openai/gpt-4o-mini"],
            environment=address,
        )
    # OpenAI's list price of gpt-4o-mini per million tokens: input $0.15, cached input $0.075, output $0.60
    by_hand = 2 * (600 * 0.15 + 400 * 0.075 + 100 * 0.60) / 1e6
    assert run.attempts("test_alpha", "gpt-4o-mini")[0].cost == pytest.approx(by_hand, rel=1e-9)
    assert run.gate("--max-cost").startswith("PASS")
    (log,) = run.logs
    assert re.search(r"genai-prices [\d.]+: openai/gpt-4o-mini", str((log.eval.metadata or {})["prices"]))


# -- gates on cost and tool calls --------------------------------------------------------------------------------------

FAULTY = CommandPolicy(p_unknown_tool=1.0)
"""Three calls, $0.006, and one of the three tool calls fails."""


def test_gates_on_cost_and_tool_calls_pass_at_what_was_measured(tmp_path: Path) -> None:
    with ScriptedServer({"alpha": FAULTY}) as server:
        run = run_suite(
            tmp_path,
            server,
            SUITE,
            "--agent-max-cost-per-attempt=0.006",
            "--agent-max-tool-failure-rate=0.34",
            k=2,
            prices=PRICES,
        )
    assert run.gate("--agent-max-cost-per-attempt").startswith(
        "PASS --agent-max-cost-per-attempt: an attempt cost $0.0060"
    )
    assert run.gate("--agent-max-tool-failure-rate") == (
        "PASS --agent-max-tool-failure-rate: 2 of 6 tool calls failed; at most 0.34 was allowed"
    )
    assert run.code == 0


def test_gates_on_cost_and_tool_calls_fail_above_their_thresholds(tmp_path: Path) -> None:
    with ScriptedServer({"alpha": FAULTY}) as server:
        run = run_suite(
            tmp_path,
            server,
            SUITE,
            "--agent-max-cost-per-attempt=0.005",
            "--agent-max-tool-failure-rate=0.33",
            k=2,
            prices=PRICES,
        )
    assert run.ended("test_alpha") == ["passed", "passed"]
    assert run.gate("--agent-max-cost-per-attempt").startswith("FAIL")
    assert run.gate("--agent-max-tool-failure-rate").startswith("FAIL")
    assert run.code == 1


def test_the_gate_on_cost_is_undecided_where_lost_answers_may_have_been_billed(tmp_path: Path) -> None:
    once_lost = CommandPolicy(faults=Faults(p_hang=1.0, hang_seconds=0.01, most_per_call=1))
    with ScriptedServer({"alpha": once_lost}) as server:
        run = run_suite(
            tmp_path,
            server,
            SUITE,
            "--agent-max-cost-per-attempt=0.0041",
            "--agent-generate=max_tokens=1000",
            k=2,
            prices=PRICES,
        )
    attempts = run.attempts("test_alpha")
    assert [attempt.cost for attempt in attempts] == pytest.approx([0.004, 0.004])
    assert sum(attempt.lost_cost for attempt in attempts) > 4 * 1000 * 10 / 1e6  # all that 4 calls may write
    gate = run.gate("--agent-max-cost-per-attempt")
    assert gate.startswith("UNDECIDED --agent-max-cost-per-attempt: an attempt cost $0.004")
    assert "calls without an answer" in gate
    assert (run.code, run.status_line[:19]) == (10, "exit 10: UNDECIDED:")


def test_environment_errors_below_their_allowed_rate_leave_a_run_green(tmp_path: Path) -> None:
    with ScriptedServer({"alpha": CommandPolicy(faults=Faults(p_500=0.2, most_per_call=1))}, seed=3) as server:
        run = run_suite(
            tmp_path,
            server,
            SUITE,
            "--agent-generate=max_retries=0",
            "--agent-env-retries=20",
            "--agent-max-env-error-rate=0.8",
            k=4,
            prices=PRICES,
        )
        refused = sum(entry.answered == 500 for entry in server.journal)
    assert refused > 0
    assert f"{refused} of {4 + refused} tries" in run.gate("--agent-max-env-error-rate")
    assert run.gate("--agent-max-env-error-rate").startswith("PASS")
    assert run.code == 0
