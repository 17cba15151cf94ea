"""What a report costs, and the choice of the next attempts: 1,000 tasks x 8 attempts.

Each attempt has 10 model calls and 8 tool calls. Every repetition has records of its own, so that nothing is remembered
from the one before. The policy is driven to its end with 16 attempts in flight that end in random order; a choice is
what the next attempts take to name, a record what entering one outcome takes.

Run: `python tests/bench/bench_report.py [repetitions]` (default 7). Prints tables of medians, asserts nothing.
The times are CPU time, which is steadier on a busy machine and the same on an idle one: nothing here waits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from time import process_time

import numpy as np

from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.gates import GridGate, PassAt1, PassHatK, TaskPassRate
from pytest_agenteval.estimate.early_stop.policy import ExactStop
from pytest_agenteval.estimate.run import RunSummary, summarize
from pytest_agenteval.judge import GateSettings, judge
from pytest_agenteval.judge.baseline import compare, judge_comparison
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, TaskRecord, ToolCall
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.report.terminal import report_lines
from pytest_agenteval.run.dispatch import StopWhenDecided

TASKS, K, IN_FLIGHT = 1000, 8, 16
REPORT_AIM, CHOICE_AIM = 1000.0, 1.0  # milliseconds
CELL = Cell("openai/gpt-5-mini", "react")
GRID = GateSettings(min_pass_k=0.3, min_pass_at_1=0.6, max_cost_per_attempt=1.0, max_tool_failure_rate=0.2)
TRUTH = GateSettings(min_pass_k=0.3, min_pass_at_1=0.6, confidence=0.95)
NAMES = [f"benchmarks/suite_{i // 50}/test_it.py::test_task[{i}]" for i in range(TASKS)]


def grid_of(rng: np.random.Generator) -> dict[str, list[bool]]:
    """Which attempts pass, by task; pass@1 is near 0.61 and pass^8 near 0.25."""
    rates = rng.beta(0.84, 0.53, TASKS)
    passed = rng.random((TASKS, K)) < rates[:, None]
    return dict(zip(NAMES, passed.tolist(), strict=True))


def records_of(grid: Mapping[str, Sequence[bool]]) -> list[TaskRecord]:
    """The records of a run with these outcomes."""
    calls = tuple(ModelCall(CELL.model, "agent", 1000 * i, 100, cost=0.001 * i) for i in range(10))
    tools = (ToolCall("bash", "{}", error="timeout"), *(ToolCall("bash", "{}", exit_code=0) for _ in range(7)))
    return [
        TaskRecord(
            task,
            CELL,
            K,
            tuple(
                AttemptRecord(
                    number,
                    Outcome.PASSED if passed else Outcome.FAILED,
                    model_calls=calls,
                    tool_calls=tools,
                    wall_seconds=60.0,
                    exception=None if passed else "AssertionError",
                )
                for number, passed in enumerate(row, 1)
            ),
        )
        for task, row in grid.items()
    ]


def baseline_of(grid: Mapping[str, Sequence[bool]]) -> EarlierRun:
    """An earlier run with these outcomes."""
    attempts = (EarlierAttempt(CELL, task, x, 0.05, ToolCalls(8), None) for task, row in grid.items() for x in row)
    return EarlierRun("an earlier run", tuple(attempts))


def milliseconds(work: Callable[..., object], *arguments: object) -> float:
    """How long one call takes."""
    began = process_time()
    work(*arguments)
    return 1e3 * (process_time() - began)


def report(records: Sequence[TaskRecord], gates: GateSettings, baseline: EarlierRun | None = None) -> None:
    """Everything from the records to the lines."""
    report_lines(judge_run(records, gates, baseline=baseline), width=100)


def beside(run: RunSummary, baseline: EarlierRun) -> None:
    """The comparison with a baseline and its verdict."""
    for found in compare(run, baseline):
        judge_comparison(found)


def print_report(repetitions: int) -> None:
    """The steps from records to the lines of a report, and all of them together."""
    steps: dict[str, list[float]] = {}
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        first, *others = (records_of(grid_of(rng)) for _ in range(4))
        earlier, run = baseline_of(grid_of(rng)), summarize(records_of(grid_of(rng)))
        for name, taken in (
            ("sums, estimates and intervals", milliseconds(summarize, first)),
            ("gates about the grid", milliseconds(judge, run, GRID)),
            ("gates about the truth", milliseconds(judge, run, TRUTH)),
            ("beside a baseline", milliseconds(beside, run, earlier)),
            ("all, with gates about the grid", milliseconds(report, others[0], GRID)),
            ("all, with gates about the truth", milliseconds(report, others[1], TRUTH)),
            ("all, with a baseline", milliseconds(report, others[2], GRID, earlier)),
        ):
            steps.setdefault(name, []).append(taken)
    print(f"{TASKS} tasks x {K} attempts, from records to the terminal report: ms, {repetitions} repetitions")
    print(f"{'':44}{'median':>10}{'worst':>10}{'aim':>10}")
    for name, times in steps.items():
        aim = f"< {REPORT_AIM:.0f}" if name.startswith("all") else ""
        print(f"{name:44}{median(times):10.1f}{max(times):10.1f}{aim:>10}")


def drive(gates: Sequence[GridGate], history: bool, seed: int) -> dict[str, list[float]]:
    """One run to its end: milliseconds of each step."""
    rng = np.random.default_rng(seed)
    grid = grid_of(rng)
    known = {task: (K, sum(row)) for task, row in grid_of(rng).items()} if history else {}
    began = process_time()
    dispatcher = StopWhenDecided([ExactStop(Curtailment(NAMES, K, gates), known)])
    for task in NAMES:
        dispatcher.arm(task, range(1, K + 1))
    started = 1e3 * (process_time() - began)
    times: dict[str, list[float]] = {"the start": [started], "a choice": [], "what is decided": [], "a record": []}
    flying: list[tuple[str, int]] = []
    while True:
        began = process_time()
        flying += dispatcher.next(IN_FLIGHT - len(flying))
        times["a choice"].append(1e3 * (process_time() - began))
        times["what is decided"].append(milliseconds(dispatcher.decided))
        if not flying:
            return times
        task, number = flying.pop(int(rng.integers(len(flying))))
        times["a record"].append(milliseconds(dispatcher.record, (task, number), grid[task][number - 1]))


def print_choices() -> None:
    """What early stopping adds to each attempt."""
    print(f"\nearly stopping of {TASKS} tasks x {K} attempts, {IN_FLIGHT} in flight: ms")
    print(f"{'':44}{'median':>10}{'99%':>10}{'worst':>10}{'times':>8}{'aim':>8}")
    settings: dict[str, list[GridGate]] = {
        "pass^8": [PassHatK(0.25)],
        "pass@1": [PassAt1(0.6)],
        "pass^8, pass@1, 1,000 min_pass_rate": [
            PassHatK(0.25), PassAt1(0.6), *(TaskPassRate(task, 0.75) for task in NAMES)
        ],
    }  # fmt: skip
    for name, gates in settings.items():
        for history in (False, True):
            print(f"{name}, {'with' if history else 'no'} history")
            for step, times in drive(gates, history, seed=1).items():
                high = quantiles(times, n=100)[-1] if len(times) > 1 else times[0]
                aim = f"< {CHOICE_AIM:.0f}" if step == "a choice" else ""
                print(f"  {step:42}{median(times):10.3f}{high:10.3f}{max(times):10.3f}{len(times):8}{aim:>8}")


def main() -> None:
    """Print the tables."""
    print_report(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    print_choices()


if __name__ == "__main__":
    main()
