"""`--agent-plan` end to end: it says what would happen, and nothing does."""

from __future__ import annotations

import pytest
from support.suite_runs import Run

SUITE = """
    from pathlib import Path
    from pytest_agenteval import agent_task

    @agent_task(solution="true", max_cost=0.25)
    async def test_a(agent):
        Path("ran").touch()
        await agent.run("do it")

    @agent_task(token_limit=1_000_000)
    async def test_b(agent):
        Path("ran").touch()
        await agent.run("do it")

    def test_ordinary():
        Path("ran").touch()
"""
PRICES = """
    [models."openai/priced"]
    input = 0.10
    output = 0.50
"""


def plan(run: Run, *arguments: str, model: str) -> pytest.RunResult:
    return run(
        SUITE, "--agent-plan", "--agent-prices=prices.toml", *arguments, model=model, files={"prices.toml": PRICES}
    )


def test_nothing_runs_and_nothing_is_written(run: Run, pytester: pytest.Pytester) -> None:
    result = plan(run, "--k=8", "--min-pass-k=0.5", model="agenteval/noisy")
    assert result.ret == 0
    assert not (pytester.path / "ran").exists()
    assert not (pytester.path / "logs").exists()
    result.stdout.fnmatch_lines(
        ["agenteval/noisy*2 tasks x k = 8: 16 attempts", "*expected cost $0", "*worst case $0", "*nothing was run"]
    )


def test_the_worst_case_is_of_stated_limits(run: Run) -> None:
    """0.25 of `test_a`, and a million tokens at 0.50 of `test_b`; it is told without a key, and then refused."""
    result = plan(run, "--k=8", "--agent-allow-local", "--max-cost=5", model="openai/priced")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: the run would be refused: *OPENAI_API_KEY*"])
    result.stdout.fnmatch_lines(
        [
            "*expected cost unknown: no costs in *logs/agenteval",
            "*worst case $6.00 (exactly 8 times k = 1: $0.750)*",
            "*--agent-early-stop=exact would need about * of 16 attempts*no history*",
            "*min_pass_rate 1 (2 tasks)*0.818 or less",
            "all in all 16 attempts, expected cost unknown, worst case $6.00; the run stops at --max-cost=$5.00",
        ]
    )


def test_history_is_used_where_there_is_some(run: Run) -> None:
    assert run(SUITE, "--k=2", model="agenteval/oracle").ret == 0
    result = plan(run, "--k=4", "--min-pass-k=0.5", "--agent-early-stop=exact", model="agenteval/oracle")
    result.stdout.fnmatch_lines(["*--agent-early-stop=exact needs about*from the history of every task)"])


def test_a_gate_that_would_be_refused_is_in_the_plan(run: Run) -> None:
    result = plan(run, "--k=8", "--agent-gate-mode=confidence", "--min-pass-at-1=0.99", model="agenteval/noisy")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*this run would be refused: --min-pass-at-1=0.99 could never pass: 16 of 16*k >= *"])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--agent-scaffold=nobody"], "*nobody*"),
        (["--agent-role=user=openai/gpt-5-mini"], "*OPENAI_API_KEY*"),
        (["--agent-role=user=mockllm/model", "--max-cost=1"], "*price of mockllm/model is not known*"),
        (["--agent-log-dir=test_suite.py"], "*logs cannot be written to test_suite.py*"),
        (["--agent-sandbox=docker", "--agent-sandbox-default=nowhere.yaml"], "*nowhere.yaml*"),
        (["--agent-prices=none.toml"], "*none.toml*"),
        (["--agent-baseline=none"], "*none*"),
    ],
)
def test_a_plan_ends_as_the_run_would_where_that_is_refused(run: Run, options: list[str], why: str) -> None:
    for asked in (["--agent-plan"], []):
        result = run(SUITE, *asked, *options, model="agenteval/oracle")
        assert result.ret == 4
        result.stderr.fnmatch_lines([why])


def test_a_gate_that_could_never_pass_is_refused_before_anything_runs(run: Run, pytester: pytest.Pytester) -> None:
    """All of 8 attempts at one of 2 tasks passing shows a pass rate of 0.05 ** (1 / 8) = 0.69 at most."""
    source = SUITE.replace("token_limit=1_000_000", "min_pass_rate=0.9")
    result = run(source, "--k=8", "--agent-gate-mode=confidence", "--min-pass-k=0.1", model="agenteval/oracle")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*min_pass_rate 0.9 of *test_b could never pass: 8 of 8 shows only p >= 0.69*k >= 29*"]
    )
    assert not (pytester.path / "ran").exists()


def test_a_plan_needs_a_model_and_no_workers(run: Run) -> None:
    result = run(SUITE, "--agent-plan", model=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--agent-plan needs a model*"])
    result = run(SUITE, "--agent-plan", "-n2", plugins=("xdist",))
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*leave out xdist's -n*"])


def test_a_suite_that_cannot_be_collected_has_no_plan(run: Run) -> None:
    result = run("def test_a(:", "--agent-plan")
    assert result.ret == 2
    assert "nothing was run" not in result.stdout.str()
