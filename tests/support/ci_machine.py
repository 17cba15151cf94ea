"""A machine of a CI system, simulated: a checkout, a clean environment of Python, variables, and programs to call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.pages import ROOT

__all__ = ["PAID", "REHEARSAL", "Machine", "built_wheel", "clean_python"]

PAID, REHEARSAL = "openai/gpt-5-mini", "agenteval/noisy"
"""The model of the recipes, and the one that is rehearsed with."""

_SUITE = """
import pytest
from pytest_agenteval import agent_task


@pytest.mark.parametrize("word", ["and", "for", "but"])
@agent_task(max_cost=0.1, solution="touch done")
async def test_writes(agent, sandbox, word):
    await agent.run(f"Write {word}.")
    assert "done" in (await sandbox.exec(["ls"])).stdout
"""
"""Of three shards each has one of its tasks."""


def built_wheel(folder: Path) -> Path:
    """The folder of a wheel of this checkout."""
    uv = shutil.which("uv")
    ways = [[uv, "build", "--wheel", "--offline"], [uv, "build", "--wheel"]] if uv else []
    ways.append([sys.executable, "-m", "pip", "wheel", "--no-deps"])
    for way in ways:  # what is cached is there at once
        out = ("--out-dir", folder) if uv in way else ("--wheel-dir", folder)
        if subprocess.run([*way, *out, ROOT], check=False, capture_output=True, timeout=300).returncode == 0:
            return folder
    raise RuntimeError(f"no wheel of {ROOT} can be built")


def clean_python(folder: Path) -> Path:
    """A Python that has nothing but itself."""
    uv = shutil.which("uv")
    maker = [uv, "venv", "-q", "-p", sys.executable] if uv else [sys.executable, "-m", "venv"]
    subprocess.run([*maker, folder], check=True, capture_output=True, timeout=300)
    return folder


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of one job."""

    folder: Path
    python: Path
    """The environment that its steps find."""
    variables: Mapping[str, str]

    @classmethod
    def new(cls, folder: Path, python: Path, wheels: Path, variables: Mapping[str, str]) -> Machine:
        """With a checkout; `pip` takes our package from the folder of the wheel."""
        machine = cls(folder, python, variables)
        (machine.checkout / "benchmarks").mkdir(parents=True)
        (machine.checkout / "benchmarks" / "test_words.py").write_text(_SUITE, "utf-8")
        (folder / "bin").mkdir()
        if uv := shutil.which("uv"):
            install = f'"{uv}" pip install -q --python "{python}/bin/python" --find-links "{wheels}" "${{@:2}}"'
            machine.program("pip", f"{install} --offline 2>/dev/null || {install}")
        else:
            machine.program("pip", f'exec "{python}/bin/pip" "$@" --find-links "{wheels}"')
        # `python3 -m venv .venv` of a recipe is that clean Python
        made = f'if [ "$1 $2" = "-m venv" ]; then ln -sfn "{python}" "$3"; else exec "{sys.executable}" "$@"; fi'
        machine.program("python3", made)
        return machine

    @property
    def checkout(self) -> Path:
        """The working directory of its steps."""
        return self.folder / "checkout"

    def program(self, name: str, script: str) -> None:
        """A program that stands for another one of that name."""
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/bash\n{script}\n", "utf-8")
        file.chmod(0o755)

    def run(self, script: str, variables: Mapping[str, str], options: str, model: str = REHEARSAL) -> tuple[int, str]:
        """Run a step's script with these variables. Its exit status and what it printed.

        Args:
            script: as printed, for bash.
            variables: those of the step.
            options: added to pytest's.
            model: instead of the paid one.
        """
        path = f"{self.folder}/bin:{self.python}/bin:{os.environ['PATH']}"
        environment = {
            "PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", "PYTEST_ADDOPTS": options,
            **{name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_"))},
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            **self.variables, **{name: value.replace(PAID, model) for name, value in variables.items()},
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script.replace(PAID, model)],
            cwd=self.checkout, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr
