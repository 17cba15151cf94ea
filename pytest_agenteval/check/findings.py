"""Findings, what became of each rule, and what both mean for the exit status."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.plays import Level
from pytest_agenteval.check.rules import RULES, Rule, Severity
from pytest_agenteval.record.digest import digest
from pytest_agenteval.record.outcomes import Outcome

__all__ = ["SUITE", "CheckResult", "Finding", "Mutants", "Status", "TaskResult"]

SUITE = ""
"""The task of a finding that is about the suite as a whole."""
NO_TASKS = 5
UNDECIDED = 10


class Status(StrEnum):
    """What became of a rule for a task. Only `ok` means that it was looked at and nothing was found."""

    OK = "ok"
    FINDING = "finding"
    NOT_ASSESSED = "not_assessed"
    """It was not looked at: its plays were not made, or it does not apply."""
    UNDECIDED = "undecided"
    """It was looked at, and the environment kept it from being settled."""

    @classmethod
    def of(cls, plays: Iterable[Played]) -> Status:
        """What these plays allow to say, if they show nothing bad: what never ran was not looked at."""
        left = [each.outcome for each in plays if not each.outcome.counts and each.outcome is not Outcome.BROKEN]
        if set(left) - {Outcome.NOT_RUN}:
            return cls.UNDECIDED
        return cls.NOT_ASSESSED if left else cls.OK


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a task."""

    rule: str
    task: str
    """The task's name; :data:`SUITE` for the suite as a whole."""
    message: str
    """One line."""
    file: str = ""
    """Relative to pytest's rootdir."""
    line: int = 1
    severity: Severity | None = None
    """None means that of the rule."""
    evidence: tuple[str, ...] = ()
    """What shows it, a line each."""
    subject: str = ""
    """What the finding is about within the task: the name of a play, a place. Part of its identity."""
    replay: str | None = None
    """The play to look at, for `--replay`."""
    accepted: str | None = None
    """The reason why it is accepted."""

    @property
    def weight(self) -> Severity:
        """How bad it is."""
        return self.severity or RULES[self.rule].severity

    @property
    def id(self) -> str:
        """The same as long as rule, task and subject are: lines and messages may change."""
        return digest(json.dumps([self.rule, self.task, self.subject]))


@dataclass(frozen=True, slots=True)
class Mutants:
    """What came of the wrong variants of a solution."""

    killed: int = 0
    survived: int = 0
    equivalent: int = 0
    """Those that left the same end state: no checker could tell."""
    dropped: int = 0
    """Those that say nothing: not applied, scratch files, limits, the environment."""
    possible: int = 0
    """How many there are, played or not."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task with what the rules say of it."""

    task: Task
    rules: Mapping[str, Status]
    findings: tuple[Finding, ...]
    mutants: Mutants | None = None
    """None where none was played."""

    @property
    def undecided(self) -> bool:
        """Whether the environment left something open."""
        return Status.UNDECIDED in self.rules.values()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A whole check."""

    level: Level
    tasks: tuple[TaskResult, ...]
    suite: tuple[Finding, ...] = ()
    """Findings about the suite as a whole."""
    rules: Mapping[str, Status] = field(default_factory=dict)
    """What became of the rules about the suite as a whole."""
    notes: tuple[str, ...] = ()
    """What a reader should know, one sentence each."""
    beside: Mapping[str, tuple[Played, ...]] = field(default_factory=dict)
    """By task, plays that were made otherwise than its own: in another order, without network, with a judge."""
    seconds: float = 0.0
    """What it took, from the first process of pytest to the last."""

    @property
    def findings(self) -> list[Finding]:
        """All, the worst first."""
        every = [*self.suite, *(finding for task in self.tasks for finding in task.findings)]
        return sorted(every, key=lambda each: (each.accepted is not None, each.weight.rank, each.rule, each.task))

    def open(self, *weights: Severity) -> list[Finding]:
        """Those of these severities that nobody has accepted."""
        return [each for each in self.findings if each.accepted is None and each.weight in weights]

    @property
    def plays(self) -> int:
        """How many plays it rests on, stored ones too."""
        return len(self._planned) - self.unplayed

    @property
    def unplayed(self) -> int:
        """Planned plays that were not made: the time was over, or something stopped the session."""
        return sum(each.outcome is Outcome.NOT_RUN for each in self._planned)

    def cut(self, task: TaskResult) -> bool:
        """Whether planned plays of a task were not made."""
        plays = (*task.task.plays, *self.beside.get(task.task.name, ()))
        tried = task.task.skip is None and task.task.trouble is None
        return tried and any(each.outcome is Outcome.NOT_RUN for each in plays)

    @property
    def _planned(self) -> list[Played]:
        tried = [each.task for each in self.tasks if each.task.skip is None and each.task.trouble is None]
        return [played for plays in (*(task.plays for task in tried), *self.beside.values()) for played in plays]

    @property
    def killed(self) -> tuple[int, int] | None:
        """Of all wrong variants that count, how many failed, and how many there were; None if none was played."""
        known = [task.mutants for task in self.tasks if task.mutants is not None]
        counted = sum(each.killed + each.survived for each in known)
        return (sum(each.killed for each in known), counted) if counted else None

    @property
    def blind(self) -> bool:
        """Whether a gate would not see what it is there for."""
        return any(finding.rule == "AE901" for finding in self.open(Severity.ERROR))

    def exit_status(self, *, strict: bool = False) -> int:
        """0 without an error; 1 with one; 10 where a gate is BLIND or something stayed open or unplayed; 5 without a
        task."""
        if not self.tasks:
            return NO_TASKS
        bad = self.open(Severity.ERROR, *([Severity.WARNING] if strict else []))
        if any(finding.rule != "AE901" for finding in bad):
            return 1
        evaluated = any(result.task.skip is None for result in self.tasks)
        left_open = any(result.undecided for result in self.tasks) or Status.UNDECIDED in self.rules.values()
        left_open = left_open or self.unplayed > 0
        return UNDECIDED if bad or left_open or not evaluated else 0


def statuses(rules: Iterable[Rule], found: Sequence[Finding], assessed: Mapping[str, Status]) -> dict[str, Status]:
    """What became of each rule: a finding wins, and a rule that nobody looked at is not assessed."""
    hit = {finding.rule for finding in found}
    return {rule.id: Status.FINDING if rule.id in hit else assessed.get(rule.id, Status.NOT_ASSESSED) for rule in rules}
