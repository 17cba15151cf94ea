"""What a check is doing, on a stream for people: a line that changes on a terminal, else one now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from pytest_agenteval.record.figures import plural

__all__ = ["Progress"]

_EVERY = 30.0
"""Seconds between lines where the stream is no terminal."""


class Progress:
    """Tells how far the rounds of a check are."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            stream: where to write; None writes nothing.
            clock: in seconds.
        """
        self._stream, self._clock = stream, clock
        self._began = self._told = clock()
        self._round = ""
        self._last = ""

    def begin(self, what: str) -> None:
        """A round begins: a few words about it."""
        self._round, self._told = what, self._clock()
        self._write(what)

    def tell(self, done: int, of: int) -> None:
        """So many plays of the round have ended."""
        now = self._clock()
        if self._terminal or now - self._told >= _EVERY:
            self._told = now
            self._write(f"{self._round}: {done} of {plural(of, 'play')}")

    def end(self) -> None:
        """Nothing more is told: the terminal's line is free again."""
        if self._terminal and self._last:
            self._put(f"\r{' ' * len(self._last)}\r")
        self._last = ""

    @property
    def _terminal(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def _write(self, text: str) -> None:
        line = f"check: {text}, {self._clock() - self._began:.0f} s"
        if not self._terminal:
            self._put(f"{line}\n")
        elif line != self._last:
            self._put(f"\r{line}{' ' * (len(self._last) - len(line))}")
            self._last = line

    def _put(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
