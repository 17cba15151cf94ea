"""What the installed plugin adds to `pytest --help` and to ordinary runs, compared with an empty plugin.

Both are laid out as pip installs them, in folders of their own: pytest reads the list of files of each distribution
that has a plugin. Pairs of processes are interleaved; other installed plugins stay out of both. Wall time on a busy
machine says little, the least CPU time more. Instructions, counted once by valgrind where that is installed, are the
same on any machine, but they leave out the kernel's work.
Run: `python tests/bench/bench_startup.py [pairs]` (default 30). Prints a table, asserts nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pytest_agenteval

PACKAGE = Path(pytest_agenteval.__file__).parent
TESTS = "import pytest\n\n@pytest.mark.parametrize('n', range(200))\ndef test_it(n):\n    assert n >= 0\n"
RUNS: Mapping[str, tuple[str | None, Sequence[str]]] = {
    "--help": (None, ["--help"]),
    "empty folder": (None, []),
    "200 tests": (TESTS, []),
}
AIM_MS = 5


def installed(folder: Path, module: str) -> Path:
    """Make what is in this folder a distribution, whose entry point for pytest is the module."""
    folder.mkdir(exist_ok=True)
    name = module.partition(".")[0]
    files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    about = folder / f"{name}_measured-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-measured\nVersion: 1\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[pytest11]\nmeasured = {module}\n", "utf-8")
    (about / "RECORD").write_text("".join(f"{file},sha256={'x' * 43},1000\n" for file in files), "utf-8")
    return folder


def command(arguments: Sequence[str]) -> list[str]:
    others = sorted({entry.name for entry in entry_points(group="pytest11")})
    blocked = [part for name in others for part in ("-p", f"no:{name}")]
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *blocked, *arguments]


def environment(plugin: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    return clean | {"PYTHONPATH": str(plugin), "PYTHONHASHSEED": "0"}


def milliseconds(words: Sequence[str], folder: Path, plugin: Path) -> tuple[float, float]:
    """Wall time and CPU time of one pytest process."""
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, env=environment(plugin), stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = 0  # waited for above
    return 1000 * wall, 1000 * (used.ru_utime + used.ru_stime)


def instructions(words: Sequence[str], folder: Path, plugin: Path) -> float:
    """Millions of instructions of one pytest process."""
    counter = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run([*counter, *words], cwd=folder, env=environment(plugin), capture_output=True, text=True)
    counted = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if counted is None:
        raise RuntimeError(f"valgrind counted nothing: {done.stderr}")
    return int(counted[1].replace(",", "")) / 1e6


def row(label: str, *figures: float) -> None:
    print(f"{label:34} {' '.join(f'{figure:8.1f}' for figure in figures)}", flush=True)


def compare(label: str, words: Sequence[str], folder: Path, plugins: Mapping[str, Path], pairs: int) -> None:
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in plugins}
    for pair in range(pairs + 1):
        for name in list(plugins)[:: 1 if pair % 2 else -1]:
            figures = milliseconds(words, folder, plugins[name])
            if pair:  # the first one writes byte code
                runs[name].append(figures)
    for index, kind in enumerate(("wall", "CPU")):
        empty, ours = ([run[index] for run in runs[name]] for name in plugins)
        pairwise = statistics.median(b - a for a, b in zip(empty, ours, strict=True))
        row(f"{label}, {kind} ms, median", statistics.median(empty), statistics.median(ours), pairwise)
        row(f"{label}, {kind} ms, least", min(empty), min(ours), min(ours) - min(empty))
    if shutil.which("valgrind"):
        empty_count, our_count = (instructions(words, folder, plugin) for plugin in plugins.values())
        row(f"{label}, million instructions", empty_count, our_count, our_count - empty_count)


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    print(f"{pairs} pairs each; the aim is less than {AIM_MS} ms added")
    print(f"{'':34} {'empty':>8} {'ours':>8} {'added':>8}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "empty").mkdir()
        (root / "empty" / "empty_plugin.py").touch()
        shutil.copytree(PACKAGE, root / "ours" / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        plugins = {
            "empty": installed(root / "empty", "empty_plugin"),
            "ours": installed(root / "ours", f"{PACKAGE.name}.plugin"),
        }
        for label, (source, arguments) in RUNS.items():
            folder = root / label.replace(" ", "_")
            folder.mkdir()
            if source is not None:
                (folder / "test_trivial.py").write_text(source, "utf-8")
            compare(label, command(arguments), folder, plugins, pairs)


if __name__ == "__main__":
    main()
