"""How a program that is an agent in the sandbox ended, kept among the events of its attempt."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any, cast

from inspect_ai.event import InfoEvent
from inspect_ai.log import transcript

from pytest_agenteval.texts import beginning

__all__ = ["KEPT_CHARACTERS", "ProgramExit", "note_exit", "program_exit"]

KEPT_CHARACTERS = 10_000
"""How much of the end of each stream is kept."""

_SOURCE = "pytest_agenteval.program"


@dataclass(frozen=True, slots=True)
class ProgramExit:
    """The end of an agent's program."""

    command: str
    """As a shell would be given it, in one line, cut to 200 characters."""
    status: int | None
    """The exit status, 128 + n if signal n ended it; None if it was stopped by a limit, or with the run."""
    seconds: float
    """From its start to its end."""
    stdout: str
    """The last 10,000 characters; empty if it was stopped."""
    stderr: str
    """Likewise."""

    def __str__(self) -> str:
        ended = "was stopped" if self.status is None else f"exited with {self.status}"
        said = " ".join(self.stderr.split()) if self.status else ""
        return f"{self.command} {ended} after {self.seconds:.1f} s{': ' if said else ''}{said[-200:]}"


def note_exit(command: list[str], status: int | None, seconds: float, stdout: str = "", stderr: str = "") -> None:
    """Keep it with the attempt."""
    line = beginning(" ".join(shlex.join(command).split()), 200)
    exit = ProgramExit(line, status, seconds, stdout[-KEPT_CHARACTERS:], stderr[-KEPT_CHARACTERS:])
    transcript().info(asdict(exit), source=_SOURCE)


def program_exit(event: InfoEvent) -> ProgramExit | None:
    """What :func:`note_exit` kept, or None if the event has another origin."""
    if event.source != _SOURCE or not isinstance(event.data, dict):
        return None
    return ProgramExit(**cast(dict[str, Any], event.data))
