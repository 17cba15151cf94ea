"""A proposal: a task as plain data, from a family or a model. Nothing in it is code that runs on the host. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pytest_agenteval.record.digest import digest

__all__ = ["Check", "Difficulty", "Origin", "Proposal", "Step", "Variant", "proposal_of"]

Step = str | tuple[str, Mapping[str, Any]]
"""A shell command that runs in the sandbox, or a call of one of the desk's tools with its arguments."""
Check = Mapping[str, Any]
"""What must hold when the agent is done: a `kind` of the closed list in :mod:`.checks`, and its fields."""


class Difficulty(StrEnum):
    """How much work a task is, by the steps of its solution."""

    EASY = "easy"
    """1 or 2."""
    MEDIUM = "medium"
    """3 to 5."""
    HARD = "hard"
    """6 or more."""

    @classmethod
    def of(cls, steps: int) -> Difficulty:
        """That of a solution with so many steps."""
        return cls.EASY if steps <= 2 else cls.MEDIUM if steps <= 5 else cls.HARD


@dataclass(frozen=True, slots=True)
class Variant:
    """Another way through the task: a wrong one that must fail, or a right one that must pass."""

    name: str
    solution: tuple[Step, ...]
    answer: str = ""
    why: str = ""
    """What is wrong with it, or different."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who proposed a task."""

    family: str | None = None
    """None where a model proposed it."""
    model: str | None = None
    seed: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A whole task."""

    id: str
    subtask: str
    title: str
    prompt: str
    files: Mapping[str, str]
    """What the agent finds, by path in its working directory."""
    solution: tuple[Step, ...]
    answer: str
    checks: tuple[Check, ...]
    mutants: tuple[Variant, ...]
    """Wrong ways, which must fail."""
    alternatives: tuple[Variant, ...]
    """Other right ways, which must pass."""
    setup: tuple[str, ...] = ()
    """Shell commands that prepare the sandbox before the agent begins."""
    desk: Mapping[str, Any] | None = None
    """Tables of records that the agent reaches through tools only, in place of a shell; see `written/desk.py.txt`."""
    origin: Origin = field(default_factory=Origin)

    @property
    def difficulty(self) -> Difficulty:
        """By the steps of its solution."""
        return Difficulty.of(len(self.solution))

    @property
    def words(self) -> str:
        """What it asks for and what it starts from: near-duplicates have nearly the same."""
        return "\n".join([self.prompt, *self.files.values(), json.dumps(self.desk) if self.desk else ""])

    @property
    def digest(self) -> str:
        """Of everything in it."""
        return digest(json.dumps(asdict(self), sort_keys=True))


def proposal_of(data: Mapping[str, Any]) -> Proposal:
    """The proposal in JSON types, whose form has been checked (:mod:`.form`)."""
    return Proposal(
        id=data["id"],
        subtask=data["subtask"],
        title=data["title"],
        prompt=data["prompt"],
        files=dict(data["files"]),
        setup=tuple(data.get("setup", ())),
        desk=data.get("desk"),
        solution=_steps(data["solution"]),
        answer=data["answer"],
        checks=tuple(data["checks"]),
        mutants=tuple(map(_variant, data["mutants"])),
        alternatives=tuple(map(_variant, data["alternatives"])),
        origin=Origin(**data.get("origin", {})),
    )


def _steps(steps: Sequence[Any]) -> tuple[Step, ...]:
    return tuple(step if isinstance(step, str) else (step[0], step[1]) for step in steps)


def _variant(data: Mapping[str, Any]) -> Variant:
    return Variant(data["name"], _steps(data["solution"]), data["answer"], data.get("why", ""))
