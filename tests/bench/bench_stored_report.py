"""A report over 8,000 stored attempts: its time as a ratio to Inspect's own reading of the same logs' summaries.

    python tests/bench/bench_stored_report.py [--rounds 3]

50 suites of 20 tasks with 8 attempts each; an attempt has 10 model calls and 20 tool calls. Both sides read the same
files in turns, in a process of their own each, so that the memory is theirs alone. Aim: at most 2 times, 300 MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITES, TASKS, K, MODEL_CALLS, TOOL_CALLS = 50, 20, 8, 10, 20


def write_logs(folder: Path) -> None:
    """The logs, as a run would have left them."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, EvalStats, write_eval_log
    from inspect_ai.model import ChatMessageUser, ModelOutput

    from pytest_agenteval.engine.logs.files import roster
    from pytest_agenteval.engine.logs.scorecard import score_of
    from pytest_agenteval.record.outcomes import Outcome
    from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, ToolCall
    from pytest_agenteval.record.stored import StoredTask

    cell = Cell("openai/gpt-5-mini", "react")
    calls = tuple(
        ModelCall("openai/gpt-5-mini", "agent", 1000 + n, 100 + n, 500, 0, 0.001 * n, 1.5, version="gpt-5-mini-2025")
        for n in range(MODEL_CALLS)
    )
    tools = tuple(ToolCall("bash", "", 0.5, "timeout" if n % 10 == 0 else None, None, n % 3) for n in range(TOOL_CALLS))
    identity = dict.fromkeys(("its body", "its image", "its options", "the model"), "0123456789abcdef")
    for suite in range(SUITES):
        name = f"test_suite_{suite:02}.py"
        tasks = [f"{name}::test_task_{task:02}" for task in range(TASKS)]
        samples = []
        for number, task in enumerate(tasks):
            for attempt in range(1, K + 1):
                passed = (number + attempt) % 5 > 0
                record = AttemptRecord(
                    attempt,
                    Outcome.PASSED if passed else Outcome.FAILED,
                    message="" if passed else "assert '4' == '5'\n" * 10,
                    exception=None if passed else "AssertionError",
                    where=None if passed else f"{name}:12",
                    model_calls=calls,
                    tool_calls=tools,
                    wall_seconds=30.0,
                    last_steps=("bash(command='ls') -> calc.py",) * 5,
                    run="run",
                    ended=f"2026-01-01T00:{number:02}:{attempt:02}.000+00:00",
                )
                samples.append(
                    EvalSample(
                        id=task,
                        epoch=attempt,
                        input="Fix it.",
                        target="",
                        messages=[ChatMessageUser(content="Fix it.")],
                        output=ModelOutput(),
                        scores={"passed": score_of(record)},
                    )
                )
        spec = EvalSpec(
            created=f"2026-01-01T00:00:{suite:02}+00:00",
            task=name,
            dataset=EvalDataset(name=name, samples=len(tasks)),
            model=cell.model,
            config=EvalConfig(epochs=K),
            metadata={
                "session": "run",
                "invocation": "run",
                "pytest_agenteval": "0",
                "k": K,
                "suite": name,
                "tasks": roster(StoredTask(task, cell, identity=identity) for task in tasks),
            },
        )
        log = EvalLog(status="success", eval=spec, stats=EvalStats(), samples=samples)
        write_eval_log(log, str(folder / f"2026-01-01T00-00-{suite:02}_{suite}.eval"))


def read_by_inspect(folder: Path) -> int:
    """Inspect's own reading: headers and summaries."""
    from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries

    files = sorted(map(str, folder.glob("*.eval")))
    for file in files:
        read_eval_log(file, header_only=True)
    return sum(len(read_eval_log_sample_summaries(file)) for file in files)


def report(folder: Path) -> int:
    """Ours: read, merged, judged and written as lines."""
    from pytest_agenteval.engine.logs.runs import choose_runs
    from pytest_agenteval.judge import GateSettings
    from pytest_agenteval.judge.judgement import judge_run
    from pytest_agenteval.record.merge import merge
    from pytest_agenteval.report.terminal import report_lines

    judgement = judge_run(merge(choose_runs([str(folder)]).logs).records, GateSettings(min_pass_k=0.1))
    assert report_lines(judgement, width=120)
    return sum(len(record.attempts) for record in judgement.records)


def child(side: str, folder: Path) -> None:
    """One side, measured: seconds without imports, and the peak of memory in MB."""
    import inspect_ai.log

    import pytest_agenteval.engine.logs.files  # noqa: F401

    assert inspect_ai.log
    start = time.perf_counter()
    attempts = read_by_inspect(folder) if side == "inspect" else report(folder)
    seconds = time.perf_counter() - start
    assert attempts == SUITES * TASKS * K, attempts
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child[0], Path(asked.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_logs(Path(folder))
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        print(f"{SUITES * TASKS * K} attempts in {SUITES} logs, {size:.0f} MB")
        figures: dict[str, list[list[float]]] = {"inspect": [], "report": []}
        for _ in range(asked.rounds):
            for side, found in figures.items():
                command = [sys.executable, __file__, "--child", side, folder]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found.append(json.loads(output.splitlines()[-1]))
    seconds = {side: statistics.median(row[0] for row in found) for side, found in figures.items()}
    memory = {side: max(row[1] for row in found) for side, found in figures.items()}
    for side in figures:
        print(f"{side:<8} {seconds[side]:6.2f} s  {memory[side]:5.0f} MB at most")
    print(f"ratio    {seconds['report'] / seconds['inspect']:6.2f}    (aim <= 2; <= 300 MB)")


if __name__ == "__main__":
    main()
