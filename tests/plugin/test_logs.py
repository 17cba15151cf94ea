from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from inspect_ai.log import EvalLog
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Faults, Policy
from support.scripted_server import ScriptedServer

K = 4
OTHER = "openai-api/scripted/agent-2"
PRICES = {AGENT: {"input": 1.0, "output": 10.0}, OTHER: {"input": 1.0, "output": 10.0}}
INSPECT = Path(sys.executable).with_name("inspect")

SUITE = """
async def test_alpha(agent, sandbox):
    await agent.run("Do task alpha.")
    assert await sandbox.read_file("out.txt") == "right\\n"

async def test_sure(agent, sandbox):
    await agent.run("Do task sure.")

async def test_down(agent, sandbox):
    await agent.run("Do task down.")
"""
POLICIES: dict[str, Policy] = {
    "alpha": CommandPolicy(p_success=0.6, success=("echo right > out.txt",), failure=("echo wrong > out.txt",)),
    "sure": CommandPolicy(),
    "down": CommandPolicy(faults=Faults(p_500=0.3, most_per_call=100)),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES, seed=2) as server:
        yield run_suite(
            tmp_path_factory.mktemp("logs"),
            server,
            {"test_one.py": SUITE, "test_two.py": SUITE.replace("_alpha", "_alpha_again")},
            "--agent-generate=max_retries=0",
            "--agent-env-retries=0",
            k=K,
            models=(AGENT, OTHER),
            prices=PRICES,
        )


@pytest.fixture(scope="module")
def logs(run: HttpRun) -> list[EvalLog]:
    return run.logs


def scores(log: EvalLog) -> dict[tuple[str, int], Any]:
    """By the task's id and the attempt's number."""
    return {(str(sample.id), sample.epoch): (sample.scores or {})["passed"] for sample in log.samples or ()}


def recorded(run: HttpRun) -> dict[tuple[str, int], Any]:
    """The records of all attempts, by the task's id and the attempt's number."""
    lines = (run.folder / "records.jsonl").read_text("utf-8").splitlines()
    return {(task["task"], one["number"]): one for task in map(json.loads, lines) for one in task["attempts"]}


def test_every_suite_has_one_complete_log_per_model(logs: list[EvalLog]) -> None:
    assert sorted((log.eval.task, log.eval.model, log.status) for log in logs) == [
        (suite, model, "success") for suite in ("test_one", "test_two") for model in (AGENT, OTHER)
    ]
    for log in logs:
        assert len(log.samples or ()) == 3 * K
        assert (log.eval.metadata or {})["k"] == K
        assert (log.eval.metadata or {})["suite"] == f"{log.eval.task}.py"


def test_every_attempt_has_one_score_with_its_outcome(run: HttpRun, logs: list[EvalLog]) -> None:
    found = {key: score for log in logs for key, score in scores(log).items()}
    records = recorded(run)
    assert found.keys() == records.keys()
    assert len(records) == 2 * 2 * 3 * K
    assert {record["outcome"] for record in records.values()} == {"passed", "failed", "environment_error"}
    for key, record in records.items():
        score = found[key]
        assert score.metadata["outcome"] == record["outcome"]
        assert score.metadata["cause"] == record["cause"]
        assert score.metadata["cost"] == pytest.approx(sum(call["cost"] for call in record["model_calls"]))
        expected = {"passed": 1.0, "failed": 0.0, "environment_error": math.nan}[record["outcome"]]
        assert score.value == pytest.approx(expected, nan_ok=True)
        assert Path(record["log"]).name in {Path(log.location).name for log in logs}


def test_inspects_own_reducer_has_our_pass_hat_k(run: HttpRun, logs: list[EvalLog]) -> None:
    records = recorded(run)
    for log in logs:
        assert log.results is not None
        named = {score.reducer: score for score in log.results.scores}
        assert set(named) == {"mean", f"pass_k_{K}"}
        at_1, hat_k = [], []
        for task in {task for task, _ in scores(log)}:
            outcomes = [records[task, number]["outcome"] for number in range(1, K + 1)]
            n, c = K - outcomes.count("environment_error"), outcomes.count("passed")
            at_1 += [c / n] if n else []
            hat_k += [math.comb(c, K) / math.comb(n, K)] if n >= K else []  # from n < k nothing can be told
        assert named["mean"].metrics["accuracy"].value == pytest.approx(sum(at_1) / len(at_1))
        assert named[f"pass_k_{K}"].metrics["accuracy"].value == pytest.approx(sum(hat_k) / len(hat_k))
        assert (named[f"pass_k_{K}"].scored_samples, named[f"pass_k_{K}"].unscored_samples) == (
            len(hat_k),
            3 - len(hat_k),
        )


def test_a_log_holds_the_conversation_the_tool_calls_and_the_tokens(logs: list[EvalLog]) -> None:
    for log in logs:
        for sample in log.samples or ():
            if math.isnan((sample.scores or {})["passed"].as_float()):
                continue  # an environment error, somewhere on the way
            assert [message.role for message in sample.messages][:3] == ["system", "user", "assistant"]
            assert [event.function for event in sample.events if event.event == "tool"] == ["bash", "submit"]
            (usage,) = sample.model_usage.values()
            assert (usage.input_tokens, usage.output_tokens) == (2000, 200)
            assert usage.total_cost == pytest.approx(0.004)  # Inspect was told the price


@contextmanager
def _view(logs: Path) -> Iterator[str]:
    """`inspect view` on a free port; its address, once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(INSPECT), "view", "start", "--log-dir", str(logs), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as view:
        too_long = threading.Timer(60, view.kill)
        too_long.start()
        try:
            assert view.stdout is not None
            said = []
            for line in view.stdout:
                said.append(line)
                if "Running on" in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield f"http://127.0.0.1:{port}/api"
        finally:
            too_long.cancel()
            view.kill()


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as reply:
        return json.load(reply)


def test_the_logs_open_in_inspect_view_and_on_its_command_line(run: HttpRun, logs: list[EvalLog]) -> None:
    folder = run.folder / "logs"
    name = logs[0].location
    with _view(folder) as address:
        dump = subprocess.run([INSPECT, "log", "dump", name], capture_output=True, text=True, timeout=60, check=True)
        listed = _get(f"{address}/log-files")["files"]
        assert sorted(Path(each["name"]).name for each in listed) == sorted(Path(log.location).name for log in logs)
        opened = _get(f"{address}/logs/{quote(listed[0]['name'], safe='')}")
    assert opened["status"] == "success"
    assert len(opened["samples"]) == 3 * K
    assert {sample["scores"]["passed"]["metadata"]["outcome"] for sample in opened["samples"]} >= {"passed"}
    dumped = json.loads(dump.stdout)
    assert (dumped["status"], len(dumped["samples"])) == ("success", 3 * K)


INTERRUPTED = """
import asyncio
import os
import signal

ENDED = []

async def test_first(agent, sandbox):
    await agent.run("Do task sure.")
    ENDED.append(1)

async def test_second(agent, attempt):
    await agent.run("Do task sure.")
    ENDED.append(2)
    while len(ENDED) < 6:
        await asyncio.sleep(0.01)
    await agent.run("Do task sure.")
    ENDED.append(3)
    while len(ENDED) < 9:
        await asyncio.sleep(0.01)
    if attempt.number == 1:
        os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(3600)
"""


def test_what_was_finished_before_ctrl_c_is_in_the_log_and_what_was_spent_is_reported(tmp_path: Path) -> None:
    with ScriptedServer(POLICIES) as server:
        run = run_suite(tmp_path, server, INTERRUPTED, k=3, prices=PRICES)
        answered = sum(entry.answered == 200 for entry in server.journal)
    assert run.code == 2
    (log,) = run.logs
    assert log.status == "cancelled"
    outcomes = {key: score.metadata["outcome"] for key, score in scores(log).items()}
    assert [outcomes["test_suite.py::test_first", number] for number in (1, 2, 3)] == ["passed"] * 3
    assert "passed" not in [outcome for (task, _), outcome in outcomes.items() if "second" in task]
    rows, block = run.rows("agent-1"), run.block("agent-1")
    assert (rows["test_first"][0], rows["test_second"][0]) == ("3/3", "0/0")
    assert "test_second attempts 1-3 (not run: cancelled)" in block
    assert f"total cost ${answered * 0.002:.4f}" in block
    assert run.status_line == "exit 2: interrupted"
