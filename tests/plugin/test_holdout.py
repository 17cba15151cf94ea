"""Held-out tasks: in no run without `--agent-holdout`, and every look at them is counted."""

from __future__ import annotations

import re

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log
from support.suite_runs import Run, run

from pytest_agenteval.record.shards import shard_of

__all__ = ["run"]

SUITE = """
import pytest
from pytest_agenteval import agent_task

async def test_open(attempt):
    attempt.agent_begins()

@agent_task(holdout="tasks")
async def test_held(attempt):
    attempt.agent_begins()

@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=agent_task(holdout=True))])
async def test_seed(attempt, seed):
    attempt.agent_begins()
"""
OPEN, HELD = {"test_open", "test_seed[1]"}, {"test_held", "test_seed[2]"}
LEFT_OUT = "note: 2 held-out tasks are left out: --agent-holdout runs them, too"
REAL = ("--agent-model=mockllm/model", "--agent-allow-local", "--agent-sandbox=local")
"""A model of Inspect's that is none of the built-in ones; the suite calls none."""


def tasks_in_logs(folder: str = "logs/agenteval") -> set[str]:
    logs = [read_eval_log(info) for info in list_eval_logs(folder)]
    return {str(sample.id).partition("::")[2] for log in logs for sample in log.samples or ()}


def looks(result: pytest.RunResult) -> list[str]:
    return re.findall(r"look \d+ at .*held-out tasks?(?=:)", " ".join(result.stdout.str().split()))


def test_no_run_without_the_option_has_one_and_says_so(run: Run, pytester: pytest.Pytester) -> None:
    for arguments in ([], ["test_suite.py::test_held", "test_suite.py::test_open"], ["--min-pass-k=0.5"]):
        result = run(SUITE, *arguments)
        assert result.ret == 0
        assert "left out: --agent-holdout runs" in result.stdout.str()
        assert tasks_in_logs() <= OPEN
    assert LEFT_OUT in run(SUITE).stdout.str()
    assert tasks_in_logs() == OPEN
    assert "left out" not in run(SUITE, "-k", "open").stdout.str()


def test_a_held_out_task_alone_is_no_run_and_never_green(run: Run) -> None:
    result = run(SUITE, "test_suite.py::test_held", "--min-pass-k=0.5")
    assert result.ret in (5, 10)
    result.stdout.fnmatch_lines(["*1 held-out task is left out: --agent-holdout runs*"])


def test_the_plan_and_shards_know_nothing_of_them(run: Run) -> None:
    plan = run(SUITE, "--agent-plan", "--k=2")
    plan.stdout.fnmatch_lines(["*2 tasks x k = 2: 4 attempts", "2 held-out tasks are left out: --agent-holdout*"])
    with_them = run(SUITE, "--agent-plan", "--k=2", "--agent-holdout").stdout
    with_them.fnmatch_lines(["*4 tasks x k = 2: 8 attempts"])
    with_them.no_fnmatch_line("*left out*")
    parts = {shard_of(f"test_suite.py::{name}", 2) for name in OPEN}
    for part in parts:
        result = run(SUITE, f"--agent-shard={part}/2", "-v")
        result.stdout.fnmatch_lines([f"*shard {part}/2: * of 2 tasks", f"*{LEFT_OUT}"])
    assert tasks_in_logs() == OPEN
    found = run(SUITE, "--agent-shard=1/2", "--collect-only", "-q").stdout.str()
    assert not any(name in found for name in HELD)


def test_xdist_leaves_them_out_and_says_so(run: Run) -> None:
    result = run(SUITE, "-n2", plugins=("xdist",))
    assert result.ret == 0
    assert LEFT_OUT in result.stdout.str()
    assert tasks_in_logs() == OPEN


def test_every_run_of_a_real_agent_is_a_look(run: Run) -> None:
    assert looks(run(SUITE, "--agent-holdout")) == []  # a built-in model learns nothing
    assert tasks_in_logs() == OPEN | HELD
    assert looks(run(SUITE, *REAL, model=None)) == []
    for look in (1, 2):
        result = run(SUITE, *REAL, "--agent-holdout", "--agent-top-up" if look == 2 else "-v", model=None)
        assert looks(result) == [f"look {look} at these 2 held-out tasks"]
    one = run(SUITE, *REAL, "--agent-holdout", "test_suite.py::test_held", model=None)
    assert looks(one) == ["look 3 at this held-out task"]


def test_resumed_parts_and_shards_of_a_run_are_one_look_and_the_stored_report_tells_it(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    from pytest_agenteval.cli.main import main

    for part in (1, 2):
        asked = [*REAL, "--agent-holdout", f"--agent-shard={part}/2", "--agent-run-id=one"]
        held = [name for name in HELD if shard_of(f"test_suite.py::{name}", 2) == part]
        assert [look.partition(" at ")[0] for look in looks(run(SUITE, *asked, model=None))] == ["look 1"] * bool(held)
    assert looks(run(SUITE, *REAL, "--agent-holdout", model=None)) == ["look 2 at these 2 held-out tasks"]
    assert looks(run(SUITE, *REAL, "--agent-holdout", "--agent-resume", model=None)) == [
        "look 2 at these 2 held-out tasks"
    ]
    assert main(["report", "logs/agenteval"]) == 0
    assert "look 2 at these 2 held-out tasks" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("value", ["'all'", "1", "None"])
def test_another_value_is_refused(value: str, run: Run) -> None:
    result = run(SUITE.replace('"tasks"', value))
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"*agent_task(holdout={value}): holdout must be a bool, 'samples', 'tasks' or 'doma*"])
