"""Time per attempt under the plugin over a bare `inspect_ai.eval` of the same work, interleaved in one process.

The work: write a file, Inspect's `react` with `bash` (two commands and a submission, played by a mock model without
waits), run a check; in the sandbox `local`, 16 attempts at once. `per attempt` is the slope between two sizes of k:
what a further attempt takes, without what a run takes once. CPU time, children's included, is the steadier figure on a
busy machine. Run: `python tests/bench/bench_overhead.py [rounds]` (default 5). Prints tables, asserts nothing.
"""

from __future__ import annotations

import contextlib
import io
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from inspect_ai import Task, eval
from inspect_ai.agent import as_solver, react
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, modelapi
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolChoice, ToolInfo, bash
from inspect_ai.util import sandbox

TASKS = 5
SMALL, LARGE = 2, 10
PLACES = 16
AIM = 1.20
MODEL = "bench/player"
CALLS = (("bash", {"command": "cat n.txt"}), ("bash", {"command": "echo 5 > n.txt"}), ("submit", {"answer": "done"}))
PROMPT = "Write 5 to n.txt."

SUITE = f"""
import pytest
from pytest_agenteval import agent_task

@pytest.mark.parametrize("n", range({TASKS}))
async def test_it(agent, sandbox, n):
    await sandbox.write_file("n.txt", "4")
    await agent.run({PROMPT!r})
    assert (await sandbox.exec(["cat", "n.txt"])).stdout.strip() == "5"
"""


class Player(ModelAPI):
    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        tool, arguments = CALLS[sum(message.role == "assistant" for message in input)]
        return ModelOutput.for_tool_call(MODEL, tool, arguments)


@modelapi(name="bench")
def bench() -> type[ModelAPI]:
    return Player


@solver
def prepared() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        await sandbox().write_file("n.txt", "4")
        return state

    return solve


@scorer(metrics=[accuracy()])
def checked() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        done = await sandbox().exec(["cat", "n.txt"])
        return Score(value=float(done.stdout.strip() == "5"))

    return score


def bare(folder: Path, k: int) -> None:
    task = Task(
        dataset=[Sample(id=str(n), input=PROMPT) for n in range(TASKS)],
        solver=[prepared(), as_solver(react(tools=[bash(timeout=180)]))],
        scorer=checked(),
        epochs=k,
        sandbox="local",
    )
    (log,) = eval(
        task, model=MODEL, max_samples=PLACES, max_subprocesses=PLACES, display="none", log_dir=str(folder / "bare")
    )
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == 1


def plugin(folder: Path, k: int) -> None:
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio", f"--rootdir={folder}", "--import-mode=importlib"]
    arguments += [f"--agent-model={MODEL}", f"--k={k}", "--agent-sandbox=local", "--agent-allow-local"]
    arguments += [f"--agent-concurrency={PLACES}", f"--agent-log-dir={folder / 'plugin'}"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = pytest.main([*arguments, str(folder / "test_bench.py")])
    assert status == 0, out.getvalue()


def measure(run: Callable[[Path, int], None], folder: Path, k: int) -> tuple[float, float]:
    """Seconds of wall time and of CPU time."""
    start, cpu = time.perf_counter(), _cpu()
    run(folder, k)
    return time.perf_counter() - start, _cpu() - cpu


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def table(title: str, median: Mapping[tuple[str, int], float]) -> None:
    print(f"{title:10} {f'{TASKS * SMALL} attempts':>14} {f'{TASKS * LARGE} attempts':>14} {'per attempt':>14}")
    slopes = {}
    for way in WAYS:
        slopes[way] = (median[way, LARGE] - median[way, SMALL]) / (TASKS * (LARGE - SMALL))
        print(f"{way:10} {median[way, SMALL]:12.2f} s {median[way, LARGE]:12.2f} s {1000 * slopes[way]:11.1f} ms")
    ratios = [median["plugin", k] / median["bare eval", k] for k in (SMALL, LARGE)]
    print(f"{'ratio':10} {ratios[0]:14.2f} {ratios[1]:14.2f} {slopes['plugin'] / slopes['bare eval']:14.2f}")


WAYS = {"bare eval": bare, "plugin": plugin}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times: dict[tuple[str, int], list[tuple[float, float]]] = {(way, k): [] for way in WAYS for k in (SMALL, LARGE)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_bench.py").write_text(SUITE, "utf-8")
        for number in range(rounds + 1):
            for k in (SMALL, LARGE):
                for way in list(WAYS) if number % 2 else reversed(WAYS):
                    took = measure(WAYS[way], folder, k)
                    if number:  # the first round imports
                        times[way, k].append(took)
    print(f"{rounds} rounds, {TASKS} tasks, k = {SMALL} and {LARGE}; medians; the aim is a ratio of at most {AIM}")
    for index, title in enumerate(("wall time", "CPU time")):
        table(title, {key: statistics.median(one[index] for one in found) for key, found in times.items()})


if __name__ == "__main__":
    main()
