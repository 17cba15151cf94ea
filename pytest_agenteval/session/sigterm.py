"""SIGTERM, which CI sends to cancel a job: it ends a session as Ctrl-C does, and its reports are written."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

__all__ = ["Sigterm"]

_SAME_SECONDS = 1.0
"""A second signal within this time is the same one: `timeout` and others send it to the process and to its group."""


class Sigterm:
    """Catches SIGTERM from the beginning of a session to its end. A handler that was there is called as well."""

    def __init__(self) -> None:
        self.came = False
        self.interrupt: Callable[[], bool] = bool
        """Ends what the event loop is doing; False where it is not running."""
        self.workers: dict[object, int] = {}
        """The pids of processes of this session that are to have the signal as well."""
        self._before: Callable[[int, FrameType | None], object] | int | None = None
        self._last = float("-inf")
        self._raises = True

    def catch(self) -> None:
        """Begin, unless this is not the main thread, SIGTERM is ignored, or it is handled by other code than Python's.

        A handler of other code (`faulthandler.register`) would be gone for good.
        """
        before = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or before in (None, signal.SIG_IGN):
            return
        if before is signal.SIG_DFL and _is_handled():
            return
        with suppress(ValueError):  # the main thread of an embedded interpreter
            signal.signal(signal.SIGTERM, self._receive)
            self._before = before

    def release(self) -> None:
        """End: the handler that was there is back, unless somebody has set another one since."""
        before, self._before = self._before, None
        if before is not None and signal.getsignal(signal.SIGTERM) == self._receive:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def raising(self, allowed: bool) -> Iterator[None]:
        """Whether a signal that finds the loop at rest raises KeyboardInterrupt in here; else it is only noted.

        Elsewhere the first one does, and no other: pytest is then on its way to the end, where an exception would cost
        the reports.
        """
        self._raises, before = allowed, self._raises
        try:
            yield
        finally:
            self._raises = before and not self.came

    def _receive(self, number: int, frame: FrameType | None) -> None:
        with suppress(SystemExit, KeyboardInterrupt):  # the session ends in any case, in order
            if callable(self._before):
                self._before(number, frame)
        now, self.came = time.monotonic(), True
        same, self._last = now - self._last < _SAME_SECONDS, now
        if same:
            return
        for worker in self.workers.values():
            with suppress(OSError):  # it has ended
                os.kill(worker, number)
        raises, self._raises = self._raises, False
        if not self.interrupt() and raises:
            raise KeyboardInterrupt("SIGTERM")


def _is_handled() -> bool:
    """Whether the process handles SIGTERM, as Linux knows it; False where it is not known."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False
