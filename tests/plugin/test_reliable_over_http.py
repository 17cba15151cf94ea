"""A model behind HTTP: attempts that repeat themselves are seen, and early stopping says what it saved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.http_runs import AGENT, run_suite
from support.scripted_policy import CommandPolicy, Tokens
from support.scripted_server import ScriptedServer

PRICES = {AGENT: {"input": 2.0, "output": 10.0}}
PER_CALL = (1000 * 2.0 + 100 * 10.0) / 1e6


def policy(p_success: float) -> CommandPolicy:
    return CommandPolicy(
        p_success=p_success,
        success=("echo right > out.txt",),
        failure=("echo wrong > out.txt",),
        tokens=Tokens(prompt=1000, completion=100),
    )


def suite(*tasks: str) -> str:
    return "\n".join(
        f"""
async def test_{task}(agent, sandbox):
    await agent.run("Do task {task}.")
    assert await sandbox.read_file("out.txt") == "right\\n"
"""
        for task in tasks
    )


def test_attempts_that_are_all_the_same_are_flagged(tmp_path: Path) -> None:
    with ScriptedServer({"same": policy(1.0), "mixed": policy(0.5)}, seed=3) as server:
        run = run_suite(tmp_path, server, suite("same", "mixed"), "--min-pass-k=0", k=6, prices=PRICES)
        assert 0 < server.totals("mixed", 6).successes < 6
    prints = {task: {attempt.fingerprint for attempt in run.attempts(f"test_{task}")} for task in ("same", "mixed")}
    assert (len(prints["same"]), len(prints["mixed"])) == (1, 2)
    assert None not in prints["same"] | prints["mixed"]
    [note] = re.findall(r"note: (.*)identical", run.text)
    assert note == "test_suite.py::test_same: "


@pytest.mark.parametrize("kind", ["exact", "exact+first"])
def test_early_stopping_pays_for_less_and_says_how_much(kind: str, tmp_path: Path) -> None:
    policies = {name: policy(p) for name, p in {"alpha": 0.0, "beta": 0.0, "gamma": 0.0, "delta": 1.0}.items()}
    with ScriptedServer(policies, seed=3) as server:
        run = run_suite(
            tmp_path, server, suite(*policies), "--min-pass-k=0.5", f"--agent-early-stop={kind}", k=4, prices=PRICES
        )
        requests = len(server.journal)
    ran = sum(attempt.outcome != "not_run" for (task, _), record in run.records.items() for attempt in record.attempts)
    assert ran < 16
    assert requests == 2 * ran  # a command, and the final answer
    assert run.code == 1
    assert "pass^4 is" in run.gate("--min-pass-k") or "lies between" in run.gate("--min-pass-k")
    saved = f"{(16 - ran) * 2 * PER_CALL:.3g}"
    assert f"early stop: {16 - ran} of 16 attempts decided, so not run; that saved about ${saved}" in run.block(
        "agent-1"
    )
    first = re.search(r"pass@1 ([\d.]+) \(from 4 first attempts\)", run.text)
    assert (first is not None and first[1] == "0.250") if kind == "exact+first" else "pass@1 not measured" in run.text


def test_a_spent_budget_leaves_an_early_stopped_run_incomplete(tmp_path: Path) -> None:
    """Money for some five attempts; the gate needs eight passes, so nothing decides it."""
    policies = {name: policy(1.0) for name in ("alpha", "beta", "gamma", "delta")}
    with ScriptedServer(policies, seed=3) as server:
        run = run_suite(
            tmp_path, server, suite(*policies), "--min-pass-k=0.5", "--agent-early-stop=exact", "--max-cost=0.03",
            "--agent-generate=max_tokens=100", "--agent-concurrency=2", k=4, prices=PRICES,
        )  # fmt: skip
    assert run.code == 10
    assert run.gate("--min-pass-k").startswith("UNDECIDED")
    assert run.gate("--max-cost").startswith("UNDECIDED")
    assert "INCOMPLETE" in run.status_line
    causes = [cause for task in policies for cause in run.ended(f"test_{task}")]
    assert 0 < causes.count("passed") < 8
    assert causes.count("not_run/budget") > 0
