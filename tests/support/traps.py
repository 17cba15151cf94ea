"""Suites that are traps, each run in a process of its own; what became of every attempt is read from the logs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inspect_ai.log import list_eval_logs, read_eval_log

from support.forked_pytest import forked_pytest

__all__ = ["NOTES", "Seen", "Trap", "left_behind", "spring"]

NOTES = "containers.txt"
"""In the suite's folder: where a suite writes the names of its containers, one a line."""

PRELUDE = """
import asyncio, subprocess, sys
from collections import Counter
from pathlib import Path

import pytest
from pytest_agenteval import agent_task

TRIES = Counter()

def first_try(attempt):
    TRIES[attempt.task, attempt.number] += 1
    return TRIES[attempt.task, attempt.number] == 1

async def noted(sandbox):
    name = (await sandbox.connection()).container
    with open(Path(__file__).with_name("containers.txt"), "a") as notes:
        print(name, file=notes)
    return name
"""
"""What every suite begins with: `first_try(attempt)`, and `noted(sandbox)`, its container's name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a `.eval` log says of an attempt."""

    outcome: str
    cause: str | None
    message: str
    retries: int
    cost: float | None

    @property
    def blame(self) -> str:
        """The outcome, with its cause where it has one: `failed`, `limit (time)`."""
        return f"{self.outcome} ({self.cause})" if self.cause else self.outcome


@dataclass(frozen=True, slots=True)
class Trap:
    """A suite that has run."""

    status: int
    text: str
    """What was printed."""
    attempts: Mapping[str, Mapping[int, Seen]]
    """By the task's name and the attempt's number."""

    def blames(self, task: str) -> list[str]:
        """How the attempts at a task ended, in order."""
        return [seen.blame for _, seen in sorted(self.attempts.get(task, {}).items())]

    def reported(self, task: str) -> str | None:
        """pytest's word for a task (`PASSED`, `FAILED`, `UNDECIDED`, ...), or None where it has none."""
        found = re.search(rf"^([A-Z]+)(?: \d+/\d+)? \S+::{task}\b", self.text, re.MULTILINE)
        return found[1] if found else None

    @property
    def summary(self) -> str:
        """The report's last line."""
        return next(line for line in reversed(self.text.splitlines()) if line.startswith("exit "))


def spring(
    folder: Path,
    suite: str,
    *arguments: str,
    model: str = "agenteval/oracle",
    k: int = 2,
    sandbox: str = "local",
    environment: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    **files: str,
) -> Trap:
    """Run a suite (after PRELUDE) as `folder/test_trap.py`; `files` are others, `conftest_py` for `conftest.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (folder / "test_trap.py").write_text(PRELUDE + suite, "utf-8")
    for name, text in files.items():
        (folder / ".".join(name.rsplit("_", 1))).write_text(text, "utf-8")
    asked = (f"--agent-model={model}", f"--k={k}", f"--agent-sandbox={sandbox}")
    run = forked_pytest(
        folder,
        ["-p", "pytest_agenteval.plugin", "-rA", *asked, *arguments],
        {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200", **(environment or {})},
        timeout=timeout,
    )
    return Trap(int(run.ret), "\n".join([*run.outlines, *run.errlines]), _attempts(folder / "logs"))


def left_behind(folder: Path) -> list[str]:
    """Those of the containers noted by a suite that still exist."""
    noted = (folder / NOTES).read_text("utf-8").split()
    command = ("docker", "ps", "--all", "--format", "{{.Names}}")
    there = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return sorted(set(noted) & set(there))


def _attempts(logs: Path) -> dict[str, dict[int, Seen]]:
    attempts: dict[str, dict[int, Seen]] = {}
    for info in list_eval_logs(str(logs)):
        for sample in read_eval_log(info).samples or ():
            score = (sample.scores or {})["passed"]
            says = score.metadata or {}
            task = str(sample.id).split("::")[-1]
            attempts.setdefault(task, {})[sample.epoch] = Seen(
                says["outcome"], says["cause"], score.explanation or "", says["retries"], says["cost"]
            )
    return attempts
