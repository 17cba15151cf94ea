"""Early stopping end to end: the verdicts of the full grid for fewer attempts, and no biased rate in any report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.suite_runs import Run

SUITE = """
    import pytest
    from pytest_agenteval import agent_task

    @pytest.mark.parametrize("number", range(6))
    @agent_task(solution="echo hi > out", answer="done")
    async def test_says(agent, sandbox, number):
        await agent.run("say hi")
        assert (await sandbox.exec(["cat", "out"])).stdout == "hi\\n"
"""
NOISY = ("--k=3", "--agent-model-arg=p_success=0.7", "--agent-model-arg=seed=1")


def gates(result: pytest.RunResult) -> set[tuple[str, str]]:
    found = re.findall(r"^(PASS|FAIL|UNDECIDED) +(--min[-\w]+|test_suite.py::\S+)", result.stdout.str(), re.MULTILINE)
    return set(found)


def ran(result: pytest.RunResult) -> int:
    [(_, tries)] = re.findall(r"environment errors (\d+) of (\d+) tr", result.stdout.str())
    return int(tries)


@pytest.mark.parametrize("asked", [("--min-pass-k=0.1",), ("--min-pass-k=0.9", "--min-pass-at-1=0.2"), ()])
def test_verdict_and_status_are_those_of_the_full_grid(asked: tuple[str, ...], run: Run) -> None:
    full = run(SUITE, *NOISY, *asked, model="agenteval/noisy")
    early = run(SUITE, *NOISY, *asked, "--agent-early-stop=exact", model="agenteval/noisy")
    assert ran(full) == 18 > ran(early)
    assert gates(early) == gates(full) != set()
    assert early.ret == full.ret
    saved = 18 - ran(early)
    early.stdout.fnmatch_lines([f"*early stop: {saved} of 18 attempts decided, so not run*"])
    report = early.stdout.str()
    assert "pass@1 not measured (early stop)" in report
    assert re.search(r"pass\^3 [\d.]+( to [\d.]+)? \(guaranteed", report)
    assert not re.search(r"pass@1 \d|gap|per success|tasks like these|pass\^1 to", report)


def test_with_first_attempts_pass_at_1_is_their_share(run: Run) -> None:
    full = run(SUITE, *NOISY, "--min-pass-k=0.9", "-v", model="agenteval/noisy")
    early = run(SUITE, *NOISY, "--min-pass-k=0.9", "--agent-early-stop=exact+first", model="agenteval/noisy")
    assert 18 > ran(early) >= 6
    first = re.search(r"pass@1 ([\d.]+) \(from 6 first attempts\)", early.stdout.str())
    assert first is not None
    assert gates(early) == gates(full)
    # noisy draws each attempt by its task and number, so the first attempts are those of a run with k = 1
    once = run(SUITE, "--k=1", *NOISY[1:], "--min-pass-k=0.9", model="agenteval/noisy")
    assert f"pass@1 {first[1]} " in once.stdout.str()


def test_no_rate_of_a_thinned_task_reaches_junit_and_unneeded_tasks_are_no_failures(run: Run) -> None:
    result = run(
        SUITE, *NOISY, "--min-pass-k=1", "--agent-early-stop=exact", "--agent-concurrency=1", "--junitxml=out.xml",
        model="agenteval/noisy",
    )  # fmt: skip
    assert result.ret == 1
    tree = ET.parse("out.xml")
    for case in tree.getroot()[0].iter("testcase"):
        properties = {each.get("name"): each.get("value") for each in case.iter("property")}
        assert case.find("failure") is None
        assert ("agent_pass_at_1" in properties) == (properties["agent_attempts"] == "3")
    result.stdout.re_match_lines([r".*\d+ decided.* in .*s"])


def test_tasks_behind_a_barrier_and_skipped_ones_neither_block_nor_count(run: Run) -> None:
    """A module fixture and an ordinary test keep pytest from arming everything at once; some tasks never come."""
    source = """
        import pytest

        @pytest.fixture(scope="class", params=[1, 2])
        def shared(request):
            return request.param

        class TestBatches:
            async def test_a(self, shared, agent):
                await agent.run("a")

            async def test_b(self, shared, agent):
                await agent.run("b")
                assert False

        def test_ordinary():
            pass

        @pytest.fixture(scope="module")
        def broken():
            raise RuntimeError("no")

        @pytest.mark.skip
        async def test_c(agent): ...

        async def test_d(agent):
            pytest.skip("not today")

        async def test_e(broken, agent): ...

        async def test_f(agent):
            await agent.run("f")
    """
    both = [
        run(source, "--k=2", "--min-pass-k=0.5", *early, model="agenteval/oracle")
        for early in ((), ("--agent-early-stop=exact",))
    ]
    assert gates(both[0]) == gates(both[1]) == {("PASS", "--min-pass-k")}
    assert ran(both[1]) <= ran(both[0])
    assert [result.ret for result in both] == [1, 1]  # of the error
    both[0].stdout.re_match_lines([r".*4 passed, 2 skipped, 1 error, 2 measured in.*"])
    both[1].stdout.re_match_lines([r".*1 error.*"])


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--agent-max-cost-per-attempt=1", "*--agent-max-cost-per-attempt*every attempt*"),
        ("--agent-max-tool-failure-rate=0.5", "*--agent-max-tool-failure-rate*every attempt*"),
        ("--agent-baseline=.", "*--agent-baseline*every attempt*"),
        ("--agent-gate-mode=confidence", "*use --agent-gate-mode=grid*"),
    ],
)
def test_what_early_stopping_would_bias_is_refused(option: str, why: str, run: Run) -> None:
    result = run(SUITE, "--agent-early-stop=exact", option)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --agent-early-stop=exact {why}"])


def test_early_stopping_with_xdist_is_refused(run: Run) -> None:
    result = run(SUITE, "--agent-early-stop=exact", "-n2", plugins=("xdist",))
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*leave out xdist's -n*"])


def test_history_orders_the_attempts(run: Run, pytester: pytest.Pytester) -> None:
    """The first run shows which task fails; the second starts with it, and one attempt settles the gate."""
    source = """
        import pytest
        from pytest_agenteval import agent_task

        @pytest.mark.parametrize("number", range(4))
        @agent_task(solution="true", answer="done")
        async def test_it(agent, number):
            await agent.run("do it")
            assert number != 2
    """
    asked = ("--k=2", "--min-pass-k=1", "--agent-early-stop=exact", "--agent-concurrency=1")
    assert ran(run(source, "--k=2", "--min-pass-k=1", model="agenteval/oracle")) == 8
    assert Path(pytester.path, "logs/agenteval").is_dir()
    assert ran(run(source, *asked, model="agenteval/oracle")) == 1
