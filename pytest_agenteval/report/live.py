"""The one line that shows a run in progress; on a terminal only."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

import pytest

from pytest_agenteval.texts import inert

__all__ = ["LiveLine", "Progress", "line"]

SECONDS_BETWEEN = 0.5


class Progress(Protocol):
    """What is known about a run in progress."""

    done: int
    passed: int

    @property
    def sandboxes_up(self) -> int:
        """How many sandboxes are up."""

    @property
    def spent(self) -> float | None:
        """The most US dollars spent so far; None if a call has no known price."""


@dataclass(slots=True)
class LiveLine:
    """Writes the line over itself, past pytest's capture, twice a second."""

    stream: TextIO
    progress: Progress
    total: int
    budget: float | None
    stops_early: bool
    started: float

    @classmethod
    def of(cls, config: pytest.Config, session: Any, tasks: int) -> LiveLine | None:
        """A live line on the terminal, or None if there is none to write to."""
        from pytest_agenteval.options.reading import settings

        if getattr(config.option, "verbose", -1) < 0 or not sys.__stdout__ or not _terminal():
            return None
        asked = settings(config)
        stream = os.fdopen(os.dup(_terminal_fd()), "w", buffering=1)
        early = asked.attempts.early_stop is not None
        return cls(stream, session.pump.engine, tasks * asked.attempts.k, asked.money.max_cost, early, time.monotonic())

    async def show(self) -> None:
        """Write until cancelled, then leave the terminal as it was."""
        try:
            while True:
                await asyncio.sleep(SECONDS_BETWEEN)
                text = line(self.progress, self.total, self.budget, time.monotonic() - self.started, self.stops_early)
                columns = shutil.get_terminal_size().columns  # a line that wraps could not be erased again
                self.stream.write(f"\x1b7\r\x1b[2K{inert(text)[: columns - 1]}\x1b8")
                self.stream.flush()
        finally:
            self.stream.write("\x1b7\r\x1b[2K\x1b8")
            self.stream.flush()


def line(progress: Progress, total: int, budget: float | None, seconds: float, stops_early: bool) -> str:
    """`12/64 attempts · 9 passed · 8 sandboxes up · $0.41 of $5.00 · 1:20 left`, or `at most 1:20 left`."""
    parts = [f"{progress.done}/{total} attempts", f"{progress.passed} passed", f"{progress.sandboxes_up} sandboxes up"]
    spent = "unpriced" if progress.spent is None else f"${progress.spent:.2f}"
    parts.append(spent + (f" of ${budget:.2f}" if budget is not None else ""))
    if 0 < progress.done < total:
        left = round(seconds / progress.done * (total - progress.done))
        parts.append("at most " * stops_early + f"{left // 60}:{left % 60:02} left")
    return " · ".join(parts)


def _terminal_fd() -> int:
    assert sys.__stdout__ is not None
    return sys.__stdout__.fileno()


def _terminal() -> bool:
    try:
        return os.isatty(_terminal_fd())
    except (OSError, ValueError):
        return False
