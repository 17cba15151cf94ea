"""Starts the pytest processes that play."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_agenteval.check.plays import Level, Play
from pytest_agenteval.check.plugin import VARIABLE, Notes, Request, read, write

__all__ = ["CannotRun", "Suite"]

NO_TESTS = 5
UNDECIDED = 10


class CannotRun(Exception):
    """The suite could not be run; pytest's output is the message."""

    def __init__(self, output: str, status: int) -> None:
        super().__init__(output)
        self.status = status
        """pytest's exit status; 10 where it has none."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What is checked, and how pytest is called for it."""

    paths: Sequence[str]
    sandbox: str | None = None
    """Where attempts run; None uses the setting of the ini file."""
    extra: Sequence[str] = ()
    """More arguments for pytest."""
    fresh: bool = False
    """Whether to play everything again, also what is stored."""

    def play(
        self, level: Level, plays: Mapping[str, Sequence[Play]] | None = None, *, one_by_one: bool = False
    ) -> Notes:
        """Play in one pytest process; see :class:`pytest_agenteval.check.plugin.Request`.

        Raises:
            CannotRun: pytest did not come to play.
        """
        given = None if plays is None else {task: tuple(each) for task, each in plays.items()}
        with tempfile.TemporaryDirectory(prefix="agenteval-check-") as folder:
            request, file, output = (Path(folder) / name for name in ("request.json", "notes.json", "output.txt"))
            write(request, Request(str(file), level, given, one_by_one, self.fresh))
            status = self._pytest(request, output)
            notes: Notes | None = read(file, Notes) if file.is_file() else None
            never_began = (
                status == UNDECIDED
                and notes is not None
                and not any(played.number for task in notes.tasks for played in task.plays)
            )
            if status not in (0, 1, NO_TESTS, UNDECIDED) or notes is None or never_began:
                raise CannotRun(output.read_text("utf-8", "replace"), status)
            in_order = sorted(notes.tasks, key=lambda task: (task.file, task.line, task.name))
            return replace(notes, tasks=tuple(in_order))  # other plugins may shuffle them

    def _pytest(self, request: Path, output: Path) -> int:
        plugins = ("pytest_agenteval", "pytest_agenteval.check.plugin")
        command = [sys.executable, "-m", "pytest", "-q", *(word for plugin in plugins for word in ("-p", plugin))]
        command += [f"--agent-sandbox={self.sandbox}"] if self.sandbox is not None else []
        with output.open("wb") as stream:
            return subprocess.run(
                [*command, *self.extra, *self.paths],
                env={**os.environ, VARIABLE: str(request)},
                stdout=stream,
                stderr=sys.stderr if sys.stderr.isatty() else stream,
                check=False,
            ).returncode
