"""How commands ended that Inspect did not run: what the sandbox saw, what harnesses tell their model, and how a program
that is an agent ended, kept among the events of its attempt.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass
from typing import Any, cast

from inspect_ai.event import InfoEvent, SandboxEvent
from inspect_ai.log import transcript

from pytest_agenteval.texts import beginning

__all__ = [
    "KEPT_CHARACTERS", "RECORDED", "Commands", "ProgramExit", "note_exit", "of_inspects_tools", "program_exit",
    "told_exit",
]  # fmt: skip

_TOLD = re.compile(
    r"^Exit code (-?\d+)(?:\n|$)"  # Claude Code's Bash, beside the flag that says that it failed
    r"|^Exit code: (-?\d+)\nWall time: "  # Codex CLI
    r"|^(?:Chunk ID: \S+\n)?Wall time: [\d.]+ seconds\nProcess exited with code (-?\d+)\n"  # its unified exec
    r'|"metadata":\{"exit_code":(-?\d+),"duration_seconds":[\d.]+\}\}$'  # its older JSON
    r"|^<returncode>(-?\d+)</returncode>"  # mini-swe-agent
)
"""The fixed words in which harnesses tell the exit status of a command, and nothing else."""
_CODEX_TIMEOUT = re.compile(r"(?:\nOutput:\n|^\{\"output\":\")command timed out after \d+ milliseconds")
_TOOLS_OF_INSPECT = re.compile(r"^\S*inspect-(?:sandbox-tools|tool-support)\b")


def told_exit(text: str) -> tuple[int | None, bool]:
    """The exit status in a tool's result, None if it has none; and whether it reports a time-out."""
    if (found := _TOLD.search(text)) is None:
        return None, False
    if _CODEX_TIMEOUT.search(text):
        return None, True
    return int(next(group for group in found.groups() if group is not None)), False


class Commands:
    """The commands that an agent's own code ran in the sandbox, oldest first; each is of one tool call at most."""

    def __init__(self) -> None:
        self._ran: list[SandboxEvent] = []
        self._taken: set[int] = set()

    def add(self, event: SandboxEvent) -> None:
        """A command has ended."""
        if event.action == "exec" and event.result is not None and not of_inspects_tools(event):
            self._ran.append(event)

    @property
    def now(self) -> int:
        """A point in time, for :meth:`of`."""
        return len(self._ran)

    def of(self, arguments: str, since: int, *, alone: bool) -> tuple[int | None, bool]:
        """How the command of a tool call ended, None if unknown; and whether its arguments, as JSON, are the command.

        `since` is when the call was made; `alone`, that no other was open: whatever ran since then is of this one.
        """
        free = [at for at in range(since, len(self._ran)) if at not in self._taken]
        values = json.loads(arguments)
        texts = [_words(value) for value in (values.values() if isinstance(values, dict) else [values])]
        for at in free:
            if any(_is_of(self._ran[at], words) for words in texts if words):
                self._taken.add(at)
                return self._ran[at].result, True
        if not alone or not free:
            return None, False
        self._taken.update(free)
        return self._ran[free[-1]].result, False


def of_inspects_tools(event: SandboxEvent) -> bool:
    """Whether the command only carried a request to the tools that Inspect puts into a sandbox."""
    return _TOOLS_OF_INSPECT.match(event.cmd or "") is not None


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    return value if isinstance(value, list) and all(isinstance(word, str) for word in value) else []


def _is_of(event: SandboxEvent, words: list[str]) -> bool:
    if [event.input] == words:
        return True
    try:
        ran = shlex.split(event.cmd or "")
    except ValueError:  # cut somewhere
        return False
    return ran[-len(words) :] == words or (len(words) == 1 and event.cmd == words[0])


KEPT_CHARACTERS = 10_000
"""How much of the end of each stream is kept."""

RECORDED = "pytest_agenteval.tool"
"""The source of an event in which an own agent recorded a call of a tool of its own."""
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
