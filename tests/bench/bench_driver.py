"""What the driver costs, attempt by attempt, beside a bare `inspect_ai.eval` of the same attempts.

The work is next to nothing: a model that submits at once under Inspect's `react` in the sandbox `local`, 16 attempts at
once, ten attempts a task. Each way runs in a process of its own; the bare eval has its default log buffer, and neither
writes Inspect's realtime database. Bytes are those of write calls (`wchar`), CPU time is that of the process and its
children.

Run: `python tests/bench/bench_driver.py [attempts ...]` (default 1000 3000). Prints a table, asserts nothing.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

K = 10
PLACES = 16
EDGE = 500
"""So many attempts at either end are compared."""
AIMS = "aims: CPU <= 1.3 x bare; written <= 10 x the logs; last 500 <= 1.2 x first 500; memory <= 30 kB an attempt"

SUITE = """
import pytest

@pytest.mark.parametrize("n", range({tasks}))
async def test_it(agent, n):
    await agent.run("Do nothing.")
"""
MODEL = """
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

@modelapi(name="bench")
class Submits(ModelAPI):
    async def generate(self, input, tools, tool_choice, config):
        output = ModelOutput.for_tool_call("null", "submit", {"answer": "done"})
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output
"""
CONFTEST = f"""
import json, time
{MODEL}
marks = []

def pytest_agenteval_attempt_finished(task, cell, attempt):
    marks.append(time.process_time())

def pytest_unconfigure(config):
    with open("marks.json", "w") as file:
        json.dump(marks, file)
"""


def bare(attempts: int) -> None:
    """The same attempts, by Inspect alone."""
    from inspect_ai import Task, eval
    from inspect_ai.agent import as_solver, react
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer
    from inspect_ai.solver import TaskState
    from inspect_ai.tool import bash

    exec(MODEL, {})

    @scorer(metrics=[accuracy()])
    def passes() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            return Score(value=1.0)

        return score

    task = Task(
        dataset=[Sample(id=str(n), input="Do nothing.") for n in range(attempts // K)],
        solver=as_solver(react(tools=[bash(timeout=180)])),
        scorer=passes(),
        epochs=K,
        sandbox="local",
    )
    (log,) = eval(
        task,
        model="bench/null",
        max_samples=PLACES,
        max_subprocesses=PLACES,
        display="none",
        log_dir="logs",
        log_realtime=False,
    )
    assert log.status == "success", log.error


def plugin(attempts: int) -> None:
    """The same attempts, by the plugin."""
    import pytest

    Path("test_bench.py").write_text(SUITE.format(tasks=attempts // K), "utf-8")
    Path("conftest.py").write_text(CONFTEST, "utf-8")
    asked = ["--agent-model=bench/null", "--agent-sandbox=local", "--agent-allow-local", f"--k={K}"]
    asked.append(f"--agent-concurrency={PLACES}")
    status = pytest.main(
        ["-q", "-p", "no:cacheprovider", "-p", "pytest_agenteval.plugin", "--rootdir=.", "--agent-log-dir=logs", *asked]
    )
    assert status == 0, status


def measured(way: str, attempts: int) -> dict[str, Any]:
    """What one run took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", way, str(attempts)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(Path(folder, "measured.json").read_text("utf-8"))
        found["log"] = sum(path.stat().st_size for path in Path(folder, "logs").glob("*.eval"))
        marks = Path(folder, "marks.json")
        if marks.exists():
            at = json.loads(marks.read_text("utf-8"))
            edge = min(EDGE, len(at) // 2)
            found["bend"] = (at[-1] - at[-edge]) / (at[edge - 1] - at[0])
        return found


def one(way: str, attempts: int) -> None:
    """Run it here, and leave `measured.json`."""
    WAYS[way](attempts)
    told = dict(line.split(": ") for line in Path("/proc/self/io").read_text("utf-8").splitlines())
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = {
        "cpu": sum(each.ru_utime + each.ru_stime for each in used),
        "memory": used[0].ru_maxrss * 1024,
        "written": int(told["wchar"]),
    }
    Path("measured.json").write_text(json.dumps(found), "utf-8")


WAYS = {"bare eval": bare, "plugin": plugin}


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [1000, 3000]
    print(AIMS)
    print("attempts               CPU s  MB resident  MB written  MB log last/first")
    before: dict[str, tuple[int, float]] = {}
    for attempts in sizes:
        found = {way: measured(way, attempts) for way in WAYS}
        for way, it in found.items():
            bend = f"{it['bend']:.2f}" if "bend" in it else ""
            mega = [f"{it[name] / 1e6:.1f}" for name in ("memory", "written", "log")]
            print(f"{attempts:8} {way:10} {it['cpu']:8.1f} {mega[0]:>12} {mega[1]:>11} {mega[2]:>7} {bend:>10}")
        ours, theirs = found["plugin"], found["bare eval"]
        told = [
            f"CPU {ours['cpu'] / theirs['cpu']:.2f} x bare",
            f"written {ours['written'] / ours['log']:.1f} x the logs (bare {theirs['written'] / theirs['log']:.1f})",
        ]
        if "plugin" in before:
            fewer, memory = before["plugin"]
            told.append(f"memory {(ours['memory'] - memory) / (attempts - fewer) / 1000:.1f} kB an attempt")
        before = {way: (attempts, it["memory"]) for way, it in found.items()}
        print(f"{'':8} {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], int(sys.argv[3]))
    else:
        main()
