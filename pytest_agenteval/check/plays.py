"""Plays: attempts by a scripted agent that show what a task's checker accepts. Pure, and the same every time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_agenteval.record.digest import digest

__all__ = ["ORACLES", "Level", "Play", "Role", "Steps", "base_plays", "dump_answer", "spam_answer"]

Steps = tuple[str | tuple[str, dict[str, Any]], ...]
"""Shell commands for the tool bash, and calls of other tools."""


class Level(StrEnum):
    """How much is played, in rising order."""

    QUICK = "quick"
    STANDARD = "standard"
    DEEP = "deep"

    def includes(self, other: Level) -> bool:
        """Whether what the other level plays is played here, too."""
        order = list(Level)
        return order.index(self) >= order.index(other)


ORACLES: Mapping[Level, int] = {Level.QUICK: 1, Level.STANDARD: 3, Level.DEEP: 10}
"""How often the solution is played. A checker that passes it with chance p is missed with chance p^m + (1 - p)^m."""


class Role(StrEnum):
    """What kind of agent is played."""

    ORACLE = "oracle"
    """Does the declared solution."""
    NULL = "null"
    """Does nothing and submits."""
    ECHO = "echo"
    """Submits the prompt."""
    DUMP = "dump"
    """Submits the prompt, every file it can read, and its environment."""
    SPAM = "spam"
    """Submits everything that could be an answer."""
    ANSWER_ONLY = "answer-only"
    """Submits the right answer without the work."""
    BENIGN = "benign"
    """Does the solution and something harmless; it must pass."""
    MUTANT = "mutant"
    """Does the solution with something wrong; it must fail."""
    OTHER = "other"
    """Does the solution of another task."""
    TAMPER = "tamper"
    """Rewrites files that the checker may run, and does none of the work."""


@dataclass(frozen=True, slots=True)
class Play:
    """One scripted attempt."""

    name: str
    """Unique within the task, the same in every check of the same task."""
    role: Role
    steps: Steps = ()
    answer: str = ""
    """What is submitted; `echo` and `dump` submit what they find, `spam` adds this to the words of the prompt."""
    after: str = ""
    """A shell command that changes the end state, after the steps and before the answer; no tool call shows it."""
    about: str = ""
    """What is different from the solution, in a few words."""
    operator: str = ""
    """The kind of change that made a mutant."""
    file: str = ""
    """The file of the end state that `after` changes."""

    @property
    def digest(self) -> str:
        """The same for plays that do the same."""
        return digest(json.dumps([self.role, self.steps, self.answer, self.after], sort_keys=True, default=str))


def base_plays(steps: Steps, answer: str, level: Level, phrases: Iterable[str] = ()) -> list[Play]:
    """What is played of every task, before anything is known about it.

    Args:
        steps: of the declared solution; empty if there are none.
        answer: the declared one.
        level: how much to play.
        phrases: the answers of all tasks of the suite, for the agent that says everything.
    """
    oracles = [Play(f"oracle-{n}", Role.ORACLE, steps, answer) for n in range(1, ORACLES[level] + 1)]
    solvable = bool(steps or answer)
    plays = [*oracles[:1], Play("null", Role.NULL)] if solvable else [Play("null", Role.NULL)]
    if level is Level.QUICK:
        return plays
    plays += [Play("echo", Role.ECHO), Play("dump", Role.DUMP), Play("spam", Role.SPAM, answer="\n".join(phrases))]
    if steps and answer:
        plays.append(Play("answer-only", Role.ANSWER_ONLY, answer=answer))
    if solvable:
        plays.append(
            Play("scratch-file", Role.BENIGN, steps, answer, "echo scratch > notes.tmp", "leaves a scratch file behind")
        )
    if answer:
        plays.append(Play("answer-blanks", Role.BENIGN, steps, f" {answer}\n", about="has blanks round its answer"))
    # the last one comes last, so that the clock has moved on since the first
    return [*plays, *(oracles[1:] if solvable else [])]


def spam_answer(prompt: str, phrases: str) -> str:
    """Every word of the prompt, the usual answers, the numbers from 0 to 199, and the answers of all tasks."""
    words = sorted(set(re.findall(r"[\w.$%-]+", prompt)))
    return "\n".join([" ".join(words), "yes no true false A B C D", " ".join(map(str, range(200))), phrases])


def dump_answer(prompt: str, texts: Sequence[str], longest: int = 400_000) -> str:
    """The prompt and everything that was found in the sandbox, cut to a length in characters."""
    return "\n".join([prompt, *texts])[:longest]
