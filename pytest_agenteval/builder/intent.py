"""What is asked for, its sub-tasks and how many tasks each gets: the files that people edit, as data. Pure."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from pytest_agenteval.builder.form import ID
from pytest_agenteval.builder.proposal import Difficulty
from pytest_agenteval.builder.toml import toml_document
from pytest_agenteval.errors import NotReady, did_you_mean

__all__ = [
    "Ground", "Intent", "Quota", "Slot", "Subtask", "allocate", "grounds_of", "grounds_toml", "quota_of", "quota_toml",
    "subtasks_of", "subtasks_toml",
]  # fmt: skip

_STEPS = {Difficulty.EASY: (1, 2), Difficulty.MEDIUM: (3, 4, 5), Difficulty.HARD: (6, 7)}
_PATTERN = 8


@dataclass(frozen=True, slots=True)
class Intent:
    """The suite that is asked for."""

    query: str
    """The user's words."""
    size: int = 12
    """How many tasks."""
    seed: int = 1
    """Other seeds make other tasks."""
    capability: str = ""
    """What an agent shows that passes; empty means what the query says."""
    forbidden_shortcuts: Sequence[str] = ("reading the answer from a file", "network")
    difficulty: Mapping[str, float] = field(default_factory=lambda: {"easy": 0.25, "medium": 0.5, "hard": 0.25})
    """Shares of the tasks, by the steps of their solutions: 1-2, 3-5, 6 and more."""
    holdout: float = 0.25
    """The share of the tasks that is held out: they run with `--agent-holdout` only."""
    min_mutation_score: float = 0.8
    """The share of wrong variants of a solution that its checks must fail."""
    families: Mapping[str, int] = field(default_factory=dict)
    """Tasks by family, where the user has fixed it."""
    target_pass_rate: Sequence[float] = ()
    """Lowest and highest pass rate of a solver; empty means any."""
    like: Sequence[str] = ()
    """Names of tasks that told agents apart well: propose kinds like theirs."""
    avoid: str = ""
    """The seeds of an earlier suite start elsewhere: its prompts are not made again."""

    def __post_init__(self) -> None:
        if not self.query.strip():
            raise NotReady("the query is empty: say in a sentence what the suite shall test")
        if not 1 <= self.size <= 1000:
            raise NotReady(f"size = {self.size} must be between 1 and 1000")
        for name in ("holdout", "min_mutation_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise NotReady(f"{name} = {getattr(self, name)} must be a share between 0 and 1")
        known = [each.value for each in Difficulty]
        if self.difficulty.keys() - set(known) or sum(self.difficulty.values()) <= 0:
            raise NotReady(f"difficulty must give shares of {', '.join(known)}")
        if self.target_pass_rate and not (
            len(self.target_pass_rate) == 2 and 0 <= self.target_pass_rate[0] <= self.target_pass_rate[1] <= 1
        ):
            raise NotReady("target_pass_rate must be two shares, the lower one first")

    def to_toml(self) -> str:
        """The file `intent.toml`."""
        return toml_document(asdict(self), about="What the suite shall be. Edit it, and run the same command again.")

    @classmethod
    def from_toml(cls, text: str, where: str) -> Self:
        """The intent in a file.

        Raises:
            NotReady: it is no TOML, or a key or value is wrong.
        """
        data = _read(text, where)
        known = {each.name for each in fields(cls)}
        for name in data.keys() - known:
            raise NotReady(f"{where} has no key {name!r}: {did_you_mean(name, known, f'it takes {sorted(known)}')}")
        try:
            return cls(**data)
        except TypeError as error:
            raise NotReady(f"{where} cannot be used: {error}") from None

    def difficulty_of(self, at: int) -> Difficulty:
        """That of the slot at this place: the shares, spread evenly over any eight in a row."""
        total = sum(self.difficulty.values())
        due = {Difficulty(name): share / total for name, share in self.difficulty.items() if share > 0}
        given = dict.fromkeys(due, 0)
        chosen = next(iter(due))
        for turn in range(1, at % _PATTERN + 2):
            chosen = max(due, key=lambda each: due[each] * turn - given[each])
            given[chosen] += 1
        return chosen


@dataclass(frozen=True, slots=True)
class Subtask:
    """A kind of task that belongs to the intent."""

    id: str
    about: str


@dataclass(frozen=True, slots=True)
class Ground:
    """Whether tasks of a kind can be made: in the sandbox, offline, with the checks that there are."""

    id: str
    feasible: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many tasks a sub-task gets."""

    tasks: int
    holdout: int = 0
    """How many of them are held out."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a draft: the index counts every draft of the sub-task, also those that are given up."""

    subtask: str
    index: int
    difficulty: Difficulty
    holdout: bool = False

    @property
    def id(self) -> str:
        """The draft's id, and that of its task."""
        return f"{self.subtask}-{self.index + 1}"

    def steps(self, seed: int) -> int:
        """How many steps its solution shall have."""
        return random.Random(f"{seed}/{self.id}/steps").choice(_STEPS[self.difficulty])


def allocate(intent: Intent, subtasks: Sequence[str]) -> dict[str, Quota]:
    """Equal parts, the first ones get what is left over; or what the user has fixed. Held-out tasks are spread."""
    if intent.families:
        tasks = {name: intent.families.get(name, 0) for name in subtasks}
    else:
        each, left = divmod(intent.size, len(subtasks)) if subtasks else (0, 0)
        tasks = {name: each + (at < left) for at, name in enumerate(subtasks)}
    held = dict.fromkeys(subtasks, 0)
    for _ in range(round(intent.holdout * sum(tasks.values()))):
        most = max(tasks, key=lambda name: tasks[name] - 2 * held[name])
        held[most] += 1
    return {name: Quota(tasks[name], min(held[name], tasks[name])) for name in subtasks if tasks[name]}


def subtasks_toml(subtasks: Iterable[Subtask]) -> str:
    """The file `subtasks.toml`."""
    return toml_document({}, [("[[subtask]]", asdict(each)) for each in subtasks], "The kinds of tasks of this suite.")


def subtasks_of(text: str, where: str) -> list[Subtask]:
    """The sub-tasks in a file. Raises `NotReady`."""
    return [_entry(Subtask, each, where) for each in _read(text, where).get("subtask", [])]


def grounds_toml(grounds: Iterable[Ground]) -> str:
    """The file `ground.toml`."""
    tables = [("[[ground]]", asdict(each)) for each in grounds]
    return toml_document(
        {}, tables, "Which kinds can be made in the sandbox, without network, with the checks there are."
    )


def grounds_of(text: str, where: str) -> list[Ground]:
    """What is known of the sub-tasks' ground, from a file. Raises `NotReady`."""
    return [_entry(Ground, each, where) for each in _read(text, where).get("ground", [])]


def quota_toml(quota: Mapping[str, Quota]) -> str:
    """The file `quota.toml`."""
    tables = [(f"[{name}]", asdict(each)) for name, each in quota.items()]
    return toml_document(
        {}, tables, "How many tasks of each kind, and how many of them are held out. Edit, and run again."
    )


def quota_of(text: str, where: str) -> dict[str, Quota]:
    """The quota in a file. Raises `NotReady`."""
    quota = {}
    for name, table in _read(text, where).items():
        found = _entry(Quota, table, where)
        if not (isinstance(found.tasks, int) and isinstance(found.holdout, int) and 0 <= found.holdout <= found.tasks):
            raise NotReady(f"{where}: [{name}] needs whole numbers, with holdout at most tasks")
        quota[name] = found
    return quota


def _read(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotReady(f"{where} is no TOML: {error}; mend it, or delete it and run again") from None


def _entry(kind: type[Any], table: Any, where: str) -> Any:
    try:
        found = kind(**table)
    except TypeError:
        names = ", ".join(each.name for each in fields(kind))
        raise NotReady(f"{where}: each table needs {names}; mend it, or delete the file and run again") from None
    if hasattr(found, "id") and not (isinstance(found.id, str) and ID.fullmatch(found.id)):
        raise NotReady(f"{where}: the id {found.id!r} must be lower-case words joined by dashes")
    return found
