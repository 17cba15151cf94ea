from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_agenteval

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "command",
    [
        ["mypy"],  # strict, the package and tests/typing, as pyproject.toml says
        ["pyright", "--pythonpath", sys.executable],  # strict, tests/typing
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_it_has_nothing_to_say(command: list[str]) -> None:
    """Nor of an ignore that is not needed: what the typed examples say a type checker refuses, it does refuse."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_public_name_has_a_typed_example() -> None:
    trees = [ast.parse(file.read_text("utf-8")) for file in (ROOT / "tests" / "typing").glob("*.py")]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named = {name.name for node in imports if node.module == "pytest_agenteval" for name in node.names}
    assert named == set(pytest_agenteval.__all__)
