"""The processes of the container, told and killed: all but the server itself and the container's first.

The server has all that it needs in memory: it works in whatever an agent has made of the machine.
"""

# Plain `os` and `try`: fewer modules to load, so a container starts faster.
# ruff: noqa: PTH123, PTH208, SIM105

from __future__ import annotations

import os
import signal

__all__ = ["kill_processes", "processes"]


def processes() -> bytes:
    """A line for each process that lives: its id and when it started (in ticks since boot), and its parent's id.

    `dead` and the same for one that has ended: it may have had a child that came too late to be seen.
    """
    lines = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) not in (1, os.getpid()):
            try:
                with open("/proc/" + entry + "/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                lines.append(b"dead " + entry.encode())
                continue
            process = b"%s:%s" % (entry.encode(), fields[19])
            lines.append(b"dead " + process if fields[0] in (b"Z", b"X") else process + b" " + fields[1])
    return b"\n".join(lines)


def kill_processes(pids: bytes) -> None:
    """Kill processes, stopped before so that none can fork meanwhile; what this user may not kill stays."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids.split():
            try:
                os.kill(int(pid), number)
            except OSError:
                pass
