from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest
from support.http_runs import AGENT, run_suite
from support.scripted_policy import CommandPolicy, Faults, Policy, Tokens, total
from support.scripted_server import ScriptedServer

K = 4
TASKS = ("repair", "counts")

SUITE = '''
import pathlib

BROKEN = "def add(a, b):\\n    return a - b\\n"
LOG = "GET /a 200\\nGET /b 500\\nPOST /c 500\\nGET /d 404\\n"

async def noted(sandbox):
    name = (await sandbox.connection()).container
    with pathlib.Path(__file__).with_name("containers.txt").open("a") as file:
        print(name, file=file)

async def test_repair(agent, sandbox):
    """Repair a function, then run it."""
    await noted(sandbox)
    await sandbox.write_file("calc.py", BROKEN)
    await agent.run("Task repair: `add` in calc.py is wrong. Fix it.")
    check = await sandbox.exec(["python3", "-c", "import calc; print(calc.add(2, 3))"], timeout=30)
    assert check.stdout.strip() == "5", check.stderr

async def test_counts(agent, sandbox):
    """Read a log and write what it says into a file."""
    await noted(sandbox)
    await sandbox.write_file("access.log", LOG)
    result = await agent.run("Task counts: write the number of requests that ended with 500 into count.txt.")
    assert (await sandbox.read_file("count.txt")).strip() == "2"
    assert result.answer == "done"
'''
FAULTS = Faults(p_429=0.1, p_500=0.1, p_hang=0.05, most_per_call=3)
TOKENS = Tokens(prompt=2000, completion=50, cached=1500)


def _policy(success: str, failure: str) -> CommandPolicy:
    return CommandPolicy(
        p_success=0.7,
        p_malformed_arguments=0.4,
        p_unknown_tool=0.4,
        p_failing_command=0.4,
        success=(success,),
        failure=(failure,),
        tokens=TOKENS,
        faults=FAULTS,
    )


POLICIES: dict[str, Policy] = {
    "repair": _policy("sed -i 's/a - b/a + b/' calc.py", "sed -i 's/a - b/a * b/' calc.py"),
    "counts": _policy("grep -c ' 500$' access.log > count.txt", "wc -l < access.log > count.txt"),
}


def test_a_suite_in_containers_reports_exactly_what_the_server_drew(tmp_path: Path) -> None:
    with ScriptedServer(POLICIES, seed=5) as server:
        run = run_suite(
            tmp_path,
            server,
            SUITE,
            "--agent-concurrency=4",
            "--agent-generate=max_retries=50",
            k=K,
            prices={AGENT: {"input": 1.0, "output": 8.0, "cache_read": 0.1}},
            sandbox="docker",
        )
        sums = {task: server.totals(task, K) for task in TASKS}
        assert len(server.journal) == sum(one.requests for one in sums.values())
    both, rows, block = total(sums.values()), run.rows("agent-1"), run.block("agent-1")
    price = (500 * 1.0 + 1500 * 0.1 + 50 * 8.0) / 1e6
    assert 0 < both.successes < 2 * K  # and so the end states in the containers were told apart
    for task in TASKS:
        c, failures = sums[task].successes, sums[task].malformed_arguments + sums[task].unknown_tools
        assert rows[f"test_{task}"][:5] == [
            f"{c}/{K}",
            f"{c / K:.3f}",
            f"{float(math.comb(c, K)):.3f}",
            str(failures),
            "0",
        ]
        costs = [attempt.cost or 0.0 for attempt in run.attempts(f"test_{task}")]
        assert sum(costs) == pytest.approx(sums[task].calls * price, rel=1e-9)
        exits = [call.exit_code for attempt in run.attempts(f"test_{task}") for call in attempt.tool_calls]
        assert exits.count(3) == sums[task].failing_commands
    assert f"bash parsing {both.malformed_arguments}" in block
    assert f"no_such_tool parsing {both.unknown_tools}" in block
    assert f"non-zero exits {both.failing_commands}" in block
    assert f"({both.hangs} calls without an answer, perhaps billed)" in block
    assert f"environment errors 0 of {2 * K} tries" in block
    assert run.code == 1
    # every attempt had a container of its own, and none is left
    containers = (tmp_path / "containers.txt").read_text().split()
    assert len(set(containers)) == 2 * K
    there = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    assert not set(containers) & set(there.stdout.split())
