"""Early stopping end to end, in Docker: attempts and seconds of the example suite with it and without.

The quickstart suite with `agenteval/noisy`, a gate `--min-pass-k` at several thresholds; the full grid's logs are the
history of the runs that have one. The model answers at once, so seconds are those of sandboxes and checks.
Run: `python tests/bench/bench_early_stop_docker.py [k] [p_success]` (default 8 and 0.9). It exits with 1 if an exit
status differs from that of the full grid; times are printed and never judged.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITE = "example_suites/quickstart"
THRESHOLDS = (0.1, 0.3, 0.6)
LINE = "{:<12} {:<26} {:>6} {:>9} {:>8} {:>9} {:>8}"


@dataclass(frozen=True, slots=True)
class Run:
    status: int
    attempts: int
    seconds: float


def run(k: int, p_success: float, threshold: float, logs: str, *early: str) -> Run:
    started = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", SUITE),
            *("--agent-model=agenteval/noisy", f"--k={k}", f"--agent-model-arg=p_success={p_success}"),
            *(f"--min-pass-k={threshold}", f"--agent-log-dir={logs}", *early),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - started
    found = re.search(r"environment errors\s+\d+\s+of\s+(\d+)\s+tr", done.stdout)
    if found is None:
        sys.exit(done.stdout + done.stderr)
    return Run(done.returncode, int(found[1]), seconds)


def main() -> None:
    k = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    p_success = float(sys.argv[2]) if len(sys.argv) > 2 else 0.9
    wrong = 0
    print(LINE.format("threshold", "run", "exit", "attempts", "fewer", "seconds", "faster"))
    with tempfile.TemporaryDirectory() as folder:
        history = f"{folder}/history"
        full = run(k, p_success, THRESHOLDS[0], history)
        for threshold in THRESHOLDS:
            if threshold != THRESHOLDS[0]:
                full = run(k, p_success, threshold, f"{folder}/full")
            print(LINE.format(threshold, "full grid", full.status, full.attempts, "", f"{full.seconds:.1f}", ""))
            for name, logs, kind in (
                ("exact, no history", f"{folder}/none-{threshold}", "exact"),
                ("exact, a run of history", history, "exact"),
                ("exact+first, no history", f"{folder}/first-{threshold}", "exact+first"),
            ):
                early = run(k, p_success, threshold, logs, f"--agent-early-stop={kind}")
                wrong += early.status != full.status
                fewer, faster = f"{full.attempts / early.attempts:.2f}x", f"{full.seconds / early.seconds:.2f}x"
                seconds = f"{early.seconds:.1f}"
                print(LINE.format(threshold, name, early.status, early.attempts, fewer, seconds, faster), flush=True)
    sys.exit(wrong != 0)


if __name__ == "__main__":
    main()
