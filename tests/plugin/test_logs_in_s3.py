"""Logs in an object store: an address that fsspec knows, here over S3's protocol, against a server on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Tokens
from support.scripted_server import ScriptedServer

PRICES = {AGENT: {"input": 1.0, "output": 10.0}}
POLICY = CommandPolicy(tokens=Tokens(prompt=1000, completion=100), success=("echo 42 > answer.txt",))
CALLS, COST = 2, 0.004
"""Of one attempt."""
TASKS, K = 2, 4
SUITE = f"""
import os, pathlib
import pytest

pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))

@pytest.mark.parametrize("number", range({TASKS}))
async def test_writes(agent, sandbox, number):
    await agent.run("Task write: write the answer.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"
"""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A bucket `evals`, which S3's clients find by the environment."""

    client: Any

    def files(self) -> list[str]:
        """What is in the bucket."""
        return [each["Key"] for each in self.client.list_objects_v2(Bucket="evals").get("Contents", ())]

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The console script."""
        command = Path(sys.executable).with_name("pytest-agenteval")
        return subprocess.run((command, *arguments), capture_output=True, text=True)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="evals")
    try:
        yield Cloud(client)
    finally:
        client.close()
        server.stop()


def run(folder: Path, server: ScriptedServer, *arguments: str, bucket: str = "evals") -> HttpRun:
    place = f"--agent-log-dir=s3://{bucket}/logs"
    asked = (place, "--agent-concurrency=2", "--min-pass-k=1", *arguments)
    return run_suite(folder, server, SUITE, *asked, k=K, prices=PRICES)


def test_a_run_whose_logs_are_in_a_bucket_is_killed_resumed_and_judged_again(tmp_path: Path, cloud: Cloud) -> None:
    with ScriptedServer({"write": POLICY}) as server:
        server.hold(after=9)

        def kill() -> None:
            server.wait_until_held(2)
            os.kill(int((tmp_path / "pid").read_text("utf-8")), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        assert run(tmp_path, server).code == -signal.SIGKILL
        killer.join()
    assert len([file for file in cloud.files() if file.endswith(".eval")]) == 1
    with ScriptedServer({"write": POLICY}) as server:
        resumed = run(tmp_path, server, "--agent-resume")
        requests = len(server.journal)
    attempts = [attempt for record in resumed.task_records for attempt in record.attempts]
    kept = sum(attempt.reused for attempt in attempts)
    assert kept >= 3  # of the nine answers that the killed run had, two are of each attempt
    assert (resumed.code, requests, len(attempts)) == (0, CALLS * (TASKS * K - kept), TASKS * K)
    assert sum(attempt.cost or 0.0 for attempt in attempts) == pytest.approx(TASKS * K * COST)
    with ScriptedServer({"write": POLICY}) as server:
        against = run(tmp_path, server, "--agent-baseline=s3://evals/logs")
    assert against.code == 0
    assert "PASS" in against.gate("--agent-baseline")

    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("s3", "logs"))) == []
    again = cloud.cli("report", "s3://evals/logs", "--min-pass-k=1", f"--agent-json={tmp_path / 'report.json'}")
    assert (again.returncode, again.stderr) == (0, "")
    (cell,) = json.loads((tmp_path / "report.json").read_text("utf-8"))["cells"]
    assert cell["cost"]["usd"] == pytest.approx(TASKS * K * COST)
    compared = cloud.cli("compare", *[f"s3://evals/{file}" for file in cloud.files() if file.endswith(".eval")][-2:])
    assert (compared.returncode, compared.stderr) == (0, "")


def test_a_bucket_that_is_not_there_is_refused_before_anything_is_spent(tmp_path: Path, cloud: Cloud) -> None:
    with ScriptedServer({"write": POLICY}) as server:
        refused = run(tmp_path, server, bucket="elsewhere")
        assert len(server.journal) == 0
    assert refused.code == 4
    said = [line for line in refused.errors if line.strip()]
    assert len(said) == 1
    assert "logs cannot be written to s3://elsewhere/logs" in said[0]
    # moto keeps buckets for the whole process, those of other tests too
    assert "elsewhere" not in [bucket["Name"] for bucket in cloud.client.list_buckets()["Buckets"]]
