from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "command",
    [
        ["mypy"],  # strict, the package and tests/typing, as pyproject.toml says
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
    ],
    ids=" ".join,
)
def test_it_has_nothing_to_say(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_ignore_in_the_typed_examples_is_needed(tmp_path: Path) -> None:
    source = (ROOT / "tests" / "typing" / "api.py").read_text("utf-8")
    ignored = [number for number, line in enumerate(source.splitlines(), 1) if "# type: ignore[" in line]
    (tmp_path / "bare.py").write_text(source.replace("# type: ignore[", "# was ["), "utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "bare.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert told == set(ignored)
    assert ignored
