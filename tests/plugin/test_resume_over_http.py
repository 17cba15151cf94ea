"""Attempts of earlier invocations, over HTTP: every request that the server answered is one that was paid."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Tokens
from support.scripted_server import ScriptedServer

from pytest_agenteval.cli.main import main
from pytest_agenteval.engine.logs.baseline import read_baseline

SUITE = """
import os, pathlib
import pytest
from helpers import EXPECTED
from pytest_agenteval import agent_task

pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))

@agent_task(files=["expected.txt"])
@pytest.mark.parametrize("number", range(4))
async def test_writes(agent, sandbox, number):
    await agent.run("Task write: write the answer.")
    assert (await sandbox.read_file("answer.txt")).strip() == EXPECTED

def test_ordinary():
    assert True
"""
FILES = {"test_suite.py": SUITE, "helpers.py": "EXPECTED = '42'\n", "expected.txt": "42\n"}
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}
TOKENS = Tokens(prompt=1000, completion=100)
POLICY = CommandPolicy(
    p_success=0.7, success=("echo 42 > answer.txt",), failure=("echo 1 > answer.txt",), tokens=TOKENS
)
CALLS, COST = 2, 0.004
"""Of one attempt."""


def run(folder: Path, server: ScriptedServer, *arguments: str, k: int = 4, **files: str) -> HttpRun:
    written = FILES | {name.replace("_py", ".py").replace("_txt", ".txt"): text for name, text in files.items()}
    return run_suite(folder, server, written, *arguments, k=k, prices=PRICES)


def asked(folder: Path, *arguments: str, k: int = 4, **files: str) -> tuple[HttpRun, float]:
    """A run, and how many attempts' worth of requests it made."""
    with ScriptedServer({"write": POLICY}) as server:
        done = run(folder, server, *arguments, k=k, **files)
        return done, len(server.journal) / CALLS


def passes(done: HttpRun) -> list[list[bool]]:
    return [[a.outcome.value == "passed" for a in record.attempts] for record in done.task_records]


def paid(done: HttpRun) -> float:
    return sum(record.cost or 0.0 for record in done.task_records)


def test_a_spent_budget_is_topped_up_by_resuming(tmp_path: Path) -> None:
    bounded = ("--agent-generate=max_tokens=100", "--min-pass-k=0", "--agent-concurrency=2")
    stopped, first = asked(tmp_path, "--max-cost=0.03", *bounded)
    assert (stopped.code, 0 < first < 16) == (10, True)
    again, second = asked(tmp_path, "--agent-resume", "--max-cost=0.02", *bounded)
    assert again.code == 10
    last, third = asked(tmp_path, "--agent-resume", "--max-cost=1", *bounded)
    assert last.code == 0
    # an attempt that the budget stopped between its two calls has paid for one of them
    assert paid(last) == pytest.approx((first + second + third) * COST)
    assert [len(record.attempts) for record in last.task_records] == [4] * 4
    whole, none = asked(tmp_path, "--agent-resume", *bounded)
    assert (whole.code, none, passes(whole)) == (0, 0, passes(last))


def test_ctrl_c_and_then_resume(tmp_path: Path) -> None:
    with ScriptedServer({"write": POLICY}) as server:
        server.hold(after=9)

        def interrupt() -> None:
            server.wait_until_held(1)
            server.wait_for_journal(9)
            os.kill(int((tmp_path / "pid").read_text("utf-8")), signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        stopped = run(tmp_path, server, "--agent-concurrency=4", "--min-pass-k=0")
        interrupter.join()
        before = len(server.journal)
    assert stopped.code == 2
    resumed, attempts = asked(tmp_path, "--agent-resume", "--min-pass-k=0")
    kept = sum(a.reused for record in resumed.task_records for a in record.attempts)
    assert (resumed.code, kept + attempts) == (0, 16)
    assert [len(record.attempts) for record in resumed.task_records] == [4] * 4
    # what the interrupted attempts had spent is not forgotten
    assert "is in no log" not in resumed.text
    assert paid(resumed) == pytest.approx((before + CALLS * attempts) * COST / CALLS)


def test_a_top_up_runs_the_difference(tmp_path: Path) -> None:
    asked(tmp_path, "--min-pass-k=0")
    more, attempts = asked(tmp_path, "--agent-top-up", "--min-pass-k=0", k=8)
    assert (more.code, attempts) == (0, 16)
    assert [[a.number for a in record.attempts] for record in more.task_records] == [list(range(1, 9))] * 4
    assert "16 of 32 attempts were run by earlier invocations" in more.text


def test_a_top_up_that_was_ended_is_resumed_with_what_it_took(tmp_path: Path) -> None:
    bounded = ("--agent-generate=max_tokens=100", "--min-pass-k=0", "--agent-concurrency=2")
    asked(tmp_path, *bounded, k=2)
    stopped, first = asked(tmp_path, "--agent-top-up", "--max-cost=0.02", *bounded)
    assert (stopped.code, 0 < first < 8) == (10, True)
    resumed, second = asked(tmp_path, "--agent-resume", *bounded)
    assert (resumed.code, [len(record.attempts) for record in resumed.task_records]) == (0, [4] * 4)
    reused = [a.reused for record in resumed.task_records for a in record.attempts]
    assert second == len(reused) - sum(reused)
    assert sum(reused) >= 8 + first - 2  # at most two were in flight
    again, none = asked(tmp_path, "--agent-resume", *bounded)
    assert (again.code, none, passes(again)) == (0, 0, passes(resumed))
    # a report and a baseline see the same attempts
    everything = read_baseline(str(tmp_path / "logs"))
    assert {name: seen.n for (name, _), seen in everything.tasks.items()} == {
        record.task: 4 for record in resumed.task_records
    }
    assert main(["report", str(tmp_path / "logs"), "--min-pass-k=0", f"--agent-json={tmp_path / 'report.json'}"]) == 0
    tasks = json.loads((tmp_path / "report.json").read_text("utf-8"))["tasks"]
    assert [(each["n"], each["c"]) for each in tasks] == [(4, sum(row)) for row in passes(resumed)]


CHANGES: dict[str, tuple[dict[str, str], tuple[str, ...], str | None]] = {
    "a comment in another test": ({"test_suite_py": SUITE.replace("assert True", "assert True  # true")}, (), None),
    "another test": ({"test_suite_py": SUITE.replace("assert True", "assert 1 + 1 == 2")}, (), None),
    "the body": ({"test_suite_py": SUITE.replace("the answer", "an answer")}, (), "the test's body has changed"),
    "a helper": ({"helpers_py": "EXPECTED = str(6 * 7)\n"}, (), "a suite module it imports has changed"),
    "a declared file": ({"expected_txt": "43\n"}, (), "a file it declares has changed"),
    "a model argument": ({}, ("--agent-generate=temperature=0.5",), "the model has changed"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_stored_attempts_another_tasks(tmp_path: Path, change: str) -> None:
    files, arguments, reason = CHANGES[change]
    asked(tmp_path, "--min-pass-k=0", k=1)
    again, attempts = asked(tmp_path, "--agent-resume", "--min-pass-k=0", *arguments, k=1, **files)
    assert attempts == (0 if reason is None else 4)
    if reason is not None:
        assert f"4 attempts not reused: {reason}" in again.text


AGENT_CODE = """
from openai import AsyncOpenAI

async def planner(task, context):
    client = AsyncOpenAI(**context.client_options)
    asked = {"model": context.client_model, "messages": [{"role": "user", "content": task}]}
    await client.chat.completions.create(**asked)
    await context.sandbox.write_file("answer.txt", "42")
    return "done"
"""


def test_another_scaffold_leaves_attempts_usable_and_a_change_of_the_agents_code_does_not(tmp_path: Path) -> None:
    def ran(scaffolds: tuple[str, ...], code: str = AGENT_CODE) -> tuple[int, str]:
        files = FILES | {"my_agents.py": code}
        arguments = ("--agent-top-up", "--min-pass-k=0", *(f"--agent-scaffold={name}" for name in scaffolds))
        with ScriptedServer({"write": POLICY}) as server:
            done = run_suite(tmp_path, server, files, *arguments, k=1, prices=PRICES)
            return len(server.journal), done.text

    assert ran(("react", "my_agents:planner"))[0] == 4 * CALLS + 4
    assert ran(("react", "my_agents:planner"))[0] == 0
    calls, text = ran(("react", "my_agents:planner"), AGENT_CODE.replace("done", "did it"))
    assert (calls, "4 attempts not reused: the agent's code has changed" in text) == (4, True)


def test_an_early_stopped_run_is_resumed_to_the_verdict_of_the_whole_grid(tmp_path: Path) -> None:
    early = ("--agent-early-stop=exact", "--agent-generate=max_tokens=100", "--agent-concurrency=1")
    stopped, first = asked(tmp_path, "--max-cost=0.005", "--min-pass-k=0.9", *early)
    resumed, second = asked(tmp_path, "--agent-resume", "--min-pass-k=0.9", *early)
    assert (stopped.code, resumed.code, first + second < 16) == (10, 1, True)


MISUSE: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing to resume": (("--agent-resume",), "--agent-resume finds no run of these tasks in"),
    "both": (("--agent-resume", "--agent-top-up"), "leave one of the two out"),
    "an age of nothing": (("--agent-max-age=7d",), "add --agent-resume or --agent-top-up"),
    "a bad age": (("--agent-resume", "--agent-max-age=7"), "must be a time above 0 with its unit"),
    "a top-up that stops early": (("--agent-top-up", "--agent-early-stop=exact", "--min-pass-k=1"), "leave one of the"),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_refused_before_anything_is_spent(tmp_path: Path, case: str) -> None:
    arguments, sentence = MISUSE[case]
    done, attempts = asked(tmp_path, *arguments)
    assert (done.code, attempts) == (4, 0)
    assert sentence in "\n".join([*done.lines, *done.errors])


def test_a_damaged_log_keeps_no_other_from_being_used(tmp_path: Path) -> None:
    asked(tmp_path, "--min-pass-k=0", k=1)
    (tmp_path / "logs" / "2020-01-01T00-00-00-00-00_torn_x.eval").write_bytes(b"PK\x03\x04 torn")
    again, attempts = asked(tmp_path, "--agent-resume", "--min-pass-k=0", k=1)
    assert attempts == 0
    assert "torn_x.eval cannot be read as an Inspect log" in again.text


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    with ScriptedServer({"write": POLICY}) as server:
        others: list[HttpRun] = []
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
            (folder / "logs").symlink_to(tmp_path / "shared")
        (tmp_path / "shared").mkdir()
        start: Callable[[Path], None] = lambda folder: others.append(run(folder, server, "--min-pass-k=0"))  # noqa: E731
        writers = [threading.Thread(target=start, args=(folder,)) for folder in folders]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert [other.code for other in others] == [0, 0]
    more, attempts = asked(tmp_path / "a", "--agent-top-up", "--min-pass-k=0", k=8)
    assert attempts == 0
    assert [len(record.attempts) for record in more.task_records] == [8] * 4
