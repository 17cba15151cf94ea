"""Says what a run is waiting for when nothing has moved for a long time: slow calls and hangs look alike.

It only informs and stops nothing: every attempt has its own limits.
"""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["StallNotice", "Stalling"]

_TOLD = 5
"""How many attempts are named."""
_LONGEST_NAP = 5.0
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class Stalling(Protocol):
    """What is watched."""

    @property
    def pulse(self) -> object:
        """A value that changes whenever something has moved."""

    def waits_for(self) -> Sequence[str]:
        """What each attempt in flight is waiting for."""


@dataclass(frozen=True, slots=True)
class StallNotice:
    """Watches a run while the event loop is pumped."""

    descriptor: int
    run: Stalling
    after: float
    """Seconds without any movement until the first notice; the next ones come after twice, four times, ... as long."""

    @classmethod
    def of(cls, run: Stalling, after: float) -> StallNotice | None:
        """A notice on standard error, past pytest's capture, or None if there is no such stream."""
        try:
            return cls(os.dup(2), run, after)
        except OSError:
            return None

    def close(self) -> None:
        """Release the stream."""
        os.close(self.descriptor)

    async def show(self) -> None:
        """Watch until cancelled."""
        here, moved, pulse, patience = threading.get_ident(), time.monotonic(), self.run.pulse, self.after
        while True:
            blocked = threading.Timer(self.after, self._say_blocked, (here,))
            blocked.daemon = True
            blocked.start()
            try:
                await asyncio.sleep(min(self.after / 4, _LONGEST_NAP))
            finally:
                blocked.cancel()
            if (now := self.run.pulse) != pulse:
                moved, pulse, patience = time.monotonic(), now, self.after
            elif time.monotonic() - moved >= patience:
                self._say(f"nothing has moved for {time.monotonic() - moved:.0f} s; {_waiting(self.run.waits_for())}")
                patience *= 2

    def _say_blocked(self, thread: int) -> None:
        """In its own thread, because the event loop is blocked."""
        frame = sys._current_frames().get(thread)
        stack = traceback.extract_stack(frame) if frame is not None else []
        own = [entry for entry in stack if not entry.filename.startswith(("<frozen", *_LIBRARIES))]
        where = f" in {own[-1].filename}:{own[-1].lineno} ({own[-1].name})" if own else ""
        self._say(
            f"no attempt has been able to go on for {self.after:.0f} s: something blocks the event loop{where}; "
            "in an async test `await` what takes long, or write the test as a plain `def`"
        )

    def _say(self, text: str) -> None:
        shown = "".join(char if char.isprintable() else " " for char in text)
        line = f"\nagent evaluation: {shown} (Ctrl-C ends the run and keeps what has finished)\n"
        os.write(self.descriptor, line.encode(errors="backslashreplace"))


def _waiting(attempts: Sequence[str]) -> str:
    more = f"; and {len(attempts) - _TOLD} more" * (len(attempts) > _TOLD)
    return f"waiting for: {'; '.join(attempts[:_TOLD])}{more}" if attempts else "no attempt is in flight"
