"""A report over 8,000 stored attempts: its time as a ratio to Inspect's own reading of the same logs' summaries.

    PYTHONPATH=tests python tests/bench/bench_stored_report.py [--rounds 3]

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

from support.written_logs import write_logs

SUITES, TASKS, K = 50, 20, 8


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
        write_logs(Path(folder), suites=SUITES, tasks=TASKS, k=K)
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
