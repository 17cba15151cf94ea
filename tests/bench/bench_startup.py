"""What the installed plugin adds to an ordinary `pytest` run, in milliseconds.

Interleaved pairs of processes, with and without `-p no:pytest_agenteval`, on an empty folder and on 200 trivial tests;
other installed plugins stay out of both. On a busy machine the least CPU time is the steadiest figure.
Run: `python tests/bench/bench_startup.py [pairs]` (default 30). Prints a table, asserts nothing.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

OURS = "pytest_agenteval"
TESTS = "import pytest\n\n@pytest.mark.parametrize('n', range(200))\ndef test_it(n):\n    assert n >= 0\n"
SUITES: Mapping[str, str | None] = {"an empty folder": None, "200 trivial tests": TESTS}
AIM_MS = 5


def measure(folder: Path, without: Sequence[str]) -> tuple[float, float]:
    """Milliseconds of wall time and of CPU time of one pytest process."""
    blocked = [part for name in without for part in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *blocked]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * wall, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    others = sorted({entry.name for entry in entry_points(group="pytest11")} - {OURS})
    print(f"{pairs} pairs each, in ms; the aim is less than {AIM_MS} ms added")
    print(f"{'':34} {'without':>8} {'with':>8} {'added':>8}")
    for label, source in SUITES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if source is not None:
                (folder / "test_trivial.py").write_text(source, "utf-8")
            runs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
            for pair in range(pairs + 1):
                for installed in (True, False) if pair % 2 else (False, True):
                    figures = measure(folder, others if installed else [*others, OURS])
                    if pair:  # the first one writes byte code
                        runs[installed].append(figures)
        for index, time_of in enumerate(("wall", "CPU")):
            without, with_it = ([run[index] for run in runs[installed]] for installed in (False, True))
            pairwise = statistics.median(b - a for a, b in zip(without, with_it, strict=True))
            row(f"{label}, {time_of}, median", statistics.median(without), statistics.median(with_it), pairwise)
            row(f"{label}, {time_of}, least", min(without), min(with_it), min(with_it) - min(without))


def row(label: str, *figures: float) -> None:
    print(f"{label:34} {' '.join(f'{figure:8.1f}' for figure in figures)}")


if __name__ == "__main__":
    main()
