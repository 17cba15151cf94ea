"""End to end in containers: an agent that tries again keeps its pass rate, one that believes what it sees loses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.scripted_reactions import REACTIONS, THREE_FILES
from support.suite_runs import Run, run

__all__ = ["run"]

PROGRAMS = '''
from pytest_agenteval import SandboxAgent

PROGRAM = """
import json, os, sys, time, urllib.error, urllib.request
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": sys.argv[2]}]}).encode()
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
for turn in range(int(sys.argv[1])):
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        json.loads(urllib.request.urlopen(request).read())["choices"][0]
    except urllib.error.HTTPError as error:
        print("HTTP", error.code)
        continue
    open("done.txt", "w").write("yes")
    sys.exit(0)
sys.exit(3)
"""
patient = SandboxAgent(command=["python3", "-c", PROGRAM, "50", "{task}"])
rash = SandboxAgent(command=["python3", "-c", PROGRAM, "1", "{task}"])
'''
ONE_FILE = """
async def test_file(agent, sandbox):
    await agent.run("write done.txt")
    assert await sandbox.read_file("done.txt") == "yes"
"""
LOST = """
import asyncio, subprocess
from pytest_agenteval import agent_task

@agent_task(turn_limit=40)
async def test_lost(agent, sandbox, request):
    await agent.run("write three files")
    if "[" in request.node.name:
        name = (await sandbox.connection()).container
        await asyncio.to_thread(subprocess.run, ["docker", "rm", "--force", name], check=True)
    assert (await sandbox.exec(["cat", "c.txt"])).success
"""
RULES = """
from pytest_agenteval import agent_task, rule

RULES = [rule.no_network(name="silent"), rule.unchanged("data", name="files")]

@agent_task(solution="true", network="bridge", rules=RULES)
async def test_silent(agent, sandbox):
    await sandbox.write_file("data/a.csv", "1")
    await agent.run("nothing")

@agent_task(solution="python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\\"x\\" * 99,"
    " (\\"192.0.2.1\\", 9))'; echo 2 > data/a.csv", network="bridge", rules=RULES)
async def test_talks(agent, sandbox):
    await sandbox.write_file("data/a.csv", "1")
    await agent.run("send something")
    await sandbox.write_file("data/a.csv", "1")
"""


def report(run: Run, source: str, *arguments: str, **more: Any) -> dict[str, Any]:
    run(source, "--agent-sandbox=docker", "--agent-json=r.json", "--min-pass-at-1=0", *arguments, timeout=300, **more)
    found: dict[str, Any] = json.loads(Path("r.json").read_text())
    return found


def test_faults_of_commands_and_tools(run: Run) -> None:
    asked = ("--k=2", "--agent-perturb-k=8", "--agent-perturb=exec-faults:rate=0.3", "--agent-perturb=tool-faults:"
             "rate=0.3,kinds=error/malformed/timeout")  # fmt: skip
    for model in ("again", "believes"):
        found = report(run, THREE_FILES, *asked, conftest=REACTIONS, model=f"reaction/{model}")
        rows = {each["perturbation"]: each for each in found["cells"][0]["robustness"]}
        for row, variant in zip(rows.values(), found["perturbed"], strict=True):
            assert row["base"] == 1
            assert row["met"] >= 4
            hurt = [
                any(each["delivered"] and each["kind"] in ("fork", "error", "malformed") for each in one["faults"])
                for one in variant["attempts"]
            ]
            outcomes = [one["outcome"] for one in variant["attempts"]]
            if model == "again":
                assert outcomes == ["passed"] * 8
                assert row["ratio"] == 1
            else:  # a command that was not run, or that seemed not to have been
                assert {o for o, h in zip(outcomes, hurt, strict=True) if not h} <= {"passed"}
                assert row["ratio"] == row["under"] == outcomes.count("passed") / 8
                assert row["ratio"] < 1


def test_faults_of_the_model_reach_a_program_at_its_port(run: Run) -> None:
    found = report(
        run, ONE_FILE, "--k=1", "--agent-perturb-k=2", "--agent-perturb=model-faults:at=1/2,kinds=429/500",
        "--agent-scaffold=kinds:patient", "--agent-scaffold=kinds:rash", conftest=REACTIONS, model="reaction/again",
        files={"kinds.py": PROGRAMS},
    )  # fmt: skip
    rows = {cell["scaffold"]: cell["robustness"][0] for cell in found["cells"]}
    assert {name: (row["base"], row["under"], row["met"]) for name, row in rows.items()} == {
        "kinds:patient": (1, 1, 2),
        "kinds:rash": (1, 0, 2),
    }
    tries = [(one["outcome"], one["retries"]) for one in found["perturbed"][1]["attempts"]]
    assert tries == [("failed", [])] * 2
    patient = found["perturbed"][0]["attempts"][0]["faults"]
    assert [(each["plane"], each["call"], each["delivered"]) for each in patient] == [
        ("model", 1, True),
        ("model", 2, True),
    ]


def test_a_container_that_is_really_lost_is_an_environment_error(run: Run) -> None:
    found = report(run, LOST, "--agent-perturb=exec-faults:rate=0.2", "--agent-env-retries=0", conftest=REACTIONS,
                   model="reaction/again")  # fmt: skip
    assert found["tasks"][0]["attempts"][0]["outcome"] == "passed"
    (attempt,) = found["perturbed"][0]["attempts"]
    assert (attempt["outcome"], attempt["cause"]) == ("environment_error", "sandbox")


@pytest.mark.parametrize("model", ["agenteval/oracle"])
def test_rules_about_files_and_the_network(run: Run, model: str) -> None:
    found = report(run, RULES, model=model)
    said = {each["task"].rpartition("::")[2]: each["attempts"][0]["rules"] for each in found["tasks"]}
    assert said["test_silent"]["violations"] == said["test_silent"]["unknown"] == []
    broken = {each["rule"]: each["evidence"] for each in said["test_talks"]["violations"]}
    assert broken["files"] == "changed data/a.csv"
    assert "left the container" in broken["silent"]
