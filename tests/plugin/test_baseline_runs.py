"""A run beside an earlier one, both with agenteval/noisy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.suite_runs import Run

from pytest_agenteval.engine.logs.baseline import history
from pytest_agenteval.record.records import Cell

SUITE = """
    import pytest
    from pytest_agenteval import agent_task

    @pytest.mark.parametrize("number", range(4))
    @agent_task(solution="echo hi > out", answer="done")
    async def test_says(agent, sandbox, number):
        await agent.run("say hi")
        assert (await sandbox.exec(["cat", "out"])).stdout == "hi\\n"
"""
MEASURED = ("--k=6", "--min-pass-at-1=0")


def noisy(p_success: float, seed: int) -> tuple[str, str]:
    return f"--agent-model-arg=p_success={p_success}", f"--agent-model-arg=seed={seed}"


def test_an_agent_that_got_worse_fails_and_the_same_one_passes(run: Run, pytester: pytest.Pytester) -> None:
    first = run(SUITE, *MEASURED, *noisy(1, 1), "--agent-log-dir=before", model="agenteval/noisy")
    assert first.ret == 0
    same = run(SUITE, *MEASURED, *noisy(1, 2), "--agent-baseline=before", model="agenteval/noisy")
    assert same.ret == 0
    same.stdout.re_match_lines([r"PASS +--agent-baseline: pass@1 of 4 compared tasks went from 1.000 to 1.000.*"])
    worse = run(SUITE, *MEASURED, *noisy(0, 2), "--agent-baseline=before", model="agenteval/noisy")
    assert worse.ret == 1
    said = " ".join(worse.stdout.str().split())  # lines are wrapped
    for part in (
        "agenteval/noisy · react beside the run of ",
        "regressed: test_suite.py::test_says[0] 6/6 -> 0/6 (p = 0.0043), own cost per attempt $0 -> $0,",
        "FAIL --agent-baseline: pass@1 of 4 compared tasks went from 1.000 to 0.000",
        "test_suite.py::test_says[2] 6/6 to 0/6 and 1 more",
        "exit 1: FAILED: --agent-baseline",
    ):
        assert part in said


def test_a_changed_test_is_listed_and_a_single_log_will_do(run: Run, pytester: pytest.Pytester) -> None:
    run(SUITE, *MEASURED, *noisy(1, 1), "--agent-log-dir=before", model="agenteval/noisy")
    [log] = Path(pytester.path, "before").glob("*.eval")
    changed = SUITE.replace('"hi\\n"', '"hello\\n"').replace("range(4)", "range(1, 5)")
    result = run(changed, *MEASURED, *noisy(1, 1), f"--agent-baseline={log}", model="agenteval/noisy")
    assert result.ret == 10
    result.stdout.fnmatch_lines(
        [
            "*the test changed, not compared: *test_says?1?*",
            "*not in the baseline: *test_says?4?",
            "*only in the baseline: *0?",
        ]
    )
    result.stdout.re_match_lines([r"UNDECIDED +--agent-baseline: nothing to judge: no task can be compared.*"])


def test_of_several_runs_in_a_directory_the_newest_counts(run: Run) -> None:
    logs = "--agent-log-dir=before"
    run(SUITE, *MEASURED, *noisy(0, 1), logs, model="agenteval/noisy")
    run(SUITE, *MEASURED, *noisy(1, 1), logs, model="agenteval/noisy")
    result = run(SUITE, *MEASURED, *noisy(0, 1), "--agent-baseline=before", model="agenteval/noisy")
    assert result.ret == 1


def test_a_run_of_a_few_tasks_is_not_taken_for_the_baseline_of_all(run: Run) -> None:
    logs = "--agent-log-dir=before"
    run(SUITE, *MEASURED, *noisy(1, 1), logs, model="agenteval/noisy")
    run(SUITE, *MEASURED, *noisy(0, 1), logs, "-k", "says and 2", model="agenteval/noisy")
    result = run(SUITE, *MEASURED, *noisy(0, 1), "--agent-baseline=before", model="agenteval/noisy")
    assert result.ret == 1
    said = " ".join(result.stdout.str().split())
    assert "pass@1 of 4 compared tasks went from 1.000 to 0.000" in said
    assert "its models ran with p_success=1, seed=1, these with p_success=0, seed=1" in said


def test_a_baseline_of_one_model_serves_a_run_of_several(run: Run) -> None:
    run(SUITE, *MEASURED, "--agent-log-dir=logs", model="agenteval/oracle")
    both = (SUITE, *MEASURED, "--agent-model=agenteval/null", "--agent-baseline=logs")
    result = run(*both, "--agent-log-dir=other", model="agenteval/oracle")
    assert result.ret == 0
    said = " ".join(result.stdout.str().split())
    assert "agenteval/oracle · react beside the run of " in said
    assert "PASS --agent-baseline [agenteval/oracle]: pass@1 of 4 compared tasks went from 1.000 to 1.000" in said
    assert "new: this cell is not in the baseline" in said
    assert "--agent-baseline [agenteval/null]" not in said
    beside = (*both, "--agent-baseline-cell=agenteval/oracle", "--agent-log-dir=logs")
    result = run(*beside, model="agenteval/oracle")
    assert result.ret == 1
    said = " ".join(result.stdout.str().split())
    assert re.search(r"agenteval/null · react beside the run of [^)]*\) of agenteval/oracle · react", said)
    assert "pass@1 of 4 compared tasks went from 1.000 to 0.000" in said
    known = history("logs", "")
    names = {f"test_suite.py::test_says[{number}]" for number in range(4)}
    cells = {Cell("agenteval/oracle", "react"): 12, Cell("agenteval/null", "react"): 6}
    assert {key: seen.n for key, seen in known.items()} == {
        (name, cell): n for name in names for cell, n in cells.items()
    }


def test_a_baseline_without_most_of_the_tasks_shows_nothing(run: Run) -> None:
    run(SUITE, *MEASURED, *noisy(1, 1), "--agent-log-dir=before", "-k", "says and 2", model="agenteval/noisy")
    result = run(SUITE, *MEASURED, *noisy(1, 1), "--agent-baseline=before", model="agenteval/noisy")
    assert result.ret == 10
    said = " ".join(result.stdout.str().split())
    assert "UNDECIDED --agent-baseline: pass@1 of 1 compared task" in said
    assert "3 tasks not compared, which is most of them" in said


def test_what_is_no_baseline_is_refused_before_anything_runs(run: Run, pytester: pytest.Pytester) -> None:
    Path(pytester.path, "empty").mkdir()
    Path(pytester.path, "bad.eval").write_text("no log", "utf-8")
    early = ("--k=2", "--min-pass-at-1=0", "--agent-early-stop=exact", "--agent-log-dir=early")
    run(SUITE, *early, model="agenteval/oracle")
    for place, why in (
        ("nowhere", "*is not there: check the path*"),
        ("empty", "*holds no .eval log of pytest-agenteval*"),
        ("bad.eval", "*bad.eval cannot be read as an Inspect log*"),
        ("early", "*whose pass rates are biased*"),
    ):
        result = run(SUITE, *MEASURED, f"--agent-baseline={place}", model="agenteval/oracle")
        assert result.ret == 4
        result.stderr.fnmatch_lines([why])
        assert "passed" not in result.stdout.str()
