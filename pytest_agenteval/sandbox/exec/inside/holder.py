"""The first process of a pod: it lives as long as somebody holds its stdin, and buries processes without a parent.

The pod ends with it. So a driver that dies takes its pods with it, and no command in the pod can end it: signals do not
reach the first process, and its memory and descriptors are closed to others.
"""

# Plain `os` and `try`: fewer modules to load, so a pod starts faster.

from __future__ import annotations

import os
import signal

__all__ = ["hold"]


def bury(*_: object) -> None:
    """Collect the processes that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except OSError:
        pass


def hold() -> None:
    """Wait until stdin ends; for ever once a line has come."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    except Exception:  # an interpreter without ctypes
        pass
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which PID 1 ignores
    signal.signal(signal.SIGCHLD, bury)
    kept = False
    while True:
        data = os.read(0, 4096)
        kept = kept or b"\n" in data
        if not data:
            break
    while kept:
        signal.pause()


if __name__ == "__main__":
    hold()
