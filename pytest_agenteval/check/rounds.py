"""Starts the pytest processes that play, watches them, and ends them in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from pytest_agenteval.check.plugin import VARIABLE, Notes, Request, read, write
from pytest_agenteval.check.progress import Progress

__all__ = ["CannotRun", "Stopped", "Suite"]

NO_TESTS = 5
UNDECIDED = 10
_LOOK = 0.2
"""Seconds between two looks at a process."""
_PATIENCE = 120.0
"""Seconds that pytest has to end in order: attempts are torn down, and their sandboxes removed."""


class CannotRun(Exception):
    """The suite could not be run; pytest's output is the message."""

    def __init__(self, output: str, status: int) -> None:
        super().__init__(output)
        self.status = status
        """pytest's exit status; 10 where it has none."""


class Stopped(Exception):
    """Somebody ended the check by Ctrl-C or SIGTERM. pytest has ended, too."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + signal.SIGTERM if number == signal.SIGTERM else 2
        """As pytest's: 143 after SIGTERM, 2 after Ctrl-C."""


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
    folder: Path | None = None
    """The working directory of pytest, to which paths are relative; None is the current one."""
    progress: Progress = field(default_factory=lambda: Progress(None))
    until: float | None = None
    """When playing ends at the latest, by `time.monotonic()`; plays that have not ended by then are `not_run`."""

    @property
    def over(self) -> bool:
        """Whether its time is over."""
        return self.until is not None and time.monotonic() >= self.until

    def play(self, request: Request) -> Notes:
        """Play in one pytest process. `notes` of the request is set here.

        Raises:
            CannotRun: pytest did not come to play.
            Stopped: somebody ended it.
        """
        with tempfile.TemporaryDirectory(prefix="agenteval-check-") as name:
            folder = Path(name)
            notes_file, output = folder / "notes.json", folder / "output.txt"
            write(folder / "request.json", replace(request, notes=str(notes_file), told=str(folder / "told")))
            status, cut = self._pytest(folder, output)
            notes: Notes | None = read(notes_file, Notes) if notes_file.is_file() else None
            if cut:
                if notes is None:
                    raise CannotRun("its time (--max-time) was over before its tasks were known\n", UNDECIDED)
            elif status not in (0, 1, NO_TESTS, UNDECIDED) or notes is None or _never_began(status, notes):
                raise CannotRun(output.read_text("utf-8", "replace"), status)
            in_order = sorted(notes.tasks, key=lambda task: (task.file, task.line, task.name))
            return replace(notes, tasks=tuple(in_order))  # other plugins may shuffle them

    def _pytest(self, folder: Path, output: Path) -> tuple[int, bool]:
        """Its exit status, and whether its time was over before it ended."""
        plugins = ("pytest_agenteval", "pytest_agenteval.check.plugin")
        command = [sys.executable, "-m", "pytest", "-q", *(word for plugin in plugins for word in ("-p", plugin))]
        command += [f"--agent-sandbox={self.sandbox}"] if self.sandbox is not None else []
        lives, ours = os.pipe()  # pytest ends when our end closes, however we end
        try:
            with output.open("wb") as stream, _Signals() as signals:
                process = subprocess.Popen(
                    [*command, *self.extra, *self.paths],
                    env={**os.environ, VARIABLE: f"{lives}:{folder / 'request.json'}"},
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    pass_fds=(lives,),
                    start_new_session=True,  # Ctrl-C on a terminal comes to us, and from us to it
                )
                return self._watch(process, signals, folder / "told")
        finally:
            os.close(lives)
            os.close(ours)

    def _watch(self, process: subprocess.Popen[bytes], signals: _Signals, told: Path) -> tuple[int, bool]:
        sent, last = 0.0, None
        cut = False
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK)
            with suppress(OSError, ValueError):
                done, of = map(int, told.read_text("utf-8").split())
                self.progress.tell(done, of)
            now = time.monotonic()
            if signals.last != last or (self.over and not sent):
                cut = cut or (self.over and signals.last is None)
                last, sent = signals.last, sent or now
                process.terminate()
            elif sent and now - sent > _PATIENCE:
                process.kill()
        if signals.last is not None:
            raise Stopped(signals.last[1])
        return process.returncode, cut


class _Signals:
    """Notes SIGINT and SIGTERM while a process runs that is to end first. Threads other than the main one have none."""

    def __init__(self) -> None:
        self.last: tuple[int, int] | None = None
        """How many have come, and the last one."""
        self._before: dict[int, object] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.last = (1 if self.last is None else self.last[0] + 1, number)


def _never_began(status: int, notes: Notes) -> bool:
    return status == UNDECIDED and not any(played.number for task in notes.tasks for played in task.plays)
