"""A check's result as JSON: `agenteval.check/1`. `python -m pytest_agenteval.cli.check_json` prints the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from pytest_agenteval import __version__
from pytest_agenteval.check import findings as found
from pytest_agenteval.check.findings import CheckResult, Status, TaskResult
from pytest_agenteval.check.plays import Level
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.report.json.parts import Amount, Count, Part

__all__ = ["check_json", "check_schema"]


class Mutants(Part):
    """Wrong variants of the solution."""

    killed: Count
    """Those that failed."""
    survived: Count
    """Those that passed."""
    equivalent: Count
    """Those that left the end state of the solution: no checker could tell."""
    dropped: Count
    """Those that say nothing."""
    possible: Count
    """How many there are, played or not."""


class Task(Part):
    """A task."""

    task: str
    """Its node id without the cell."""
    file: str
    """Relative to pytest's rootdir."""
    line: Count
    """Of the test function."""
    skipped: str | None
    """Why pytest skips it; null where it does not."""
    rules: dict[str, Status]
    """By rule: only `ok` means that it was looked at and nothing was found."""
    mutants: Mutants | None
    """null where none was played."""
    plays: Count
    """How often it was played."""
    seconds: Amount
    """What the agents and the grading of its plays took together, as far as that is known."""


class Finding(Part):
    """Something that is wrong."""

    id: str
    """The same as long as rule, task and subject are."""
    rule: str
    """Its id."""
    severity: Severity
    """How bad it is."""
    task: str | None
    """null where it is about the suite as a whole."""
    file: str
    """Relative to pytest's rootdir."""
    line: Count
    """From 1."""
    message: str
    """One line."""
    evidence: list[str]
    """What shows it, a line each."""
    replay: str | None
    """The play to look at with --replay; null where no play shows it."""
    accepted: str | None
    """The reason why it is accepted; null where nobody has accepted it."""


class Check(Part):
    """What a suite check came to. What is unknown is null, never 0."""

    format: Annotated[Literal["agenteval.check/1"], Field(alias="schema")]
    """The name of this schema."""
    version: str
    """Of pytest-agenteval."""
    level: Level
    """How much was played."""
    exit_status: Count
    """Of the process."""
    plays: Count
    """How many plays it rests on, stored ones too."""
    unplayed: Count
    """Planned plays that were not made, because the time was over or something stopped the session."""
    seconds: Amount
    """What the check took."""
    tasks: list[Task]
    """In the order of collection."""
    rules: dict[str, Status]
    """What became of the rules about the suite as a whole."""
    findings: list[Finding]
    """The worst first."""
    notes: list[str]
    """What a reader should know, a sentence each."""


def check_json(result: CheckResult, status: int) -> dict[str, Any]:
    """The result as JSON types, with the exit status of the process."""
    return Check(
        format="agenteval.check/1",
        version=__version__,
        level=result.level,
        exit_status=status,
        plays=result.plays,
        unplayed=result.unplayed,
        seconds=round(result.seconds, 3),
        tasks=[_task(task) for task in result.tasks],
        rules=dict(result.rules),
        findings=[_finding(finding) for finding in result.findings],
        notes=list(result.notes),
    ).model_dump(mode="json", by_alias=True)


def check_schema() -> Mapping[str, Any]:
    """The JSON schema."""
    return Check.model_json_schema(by_alias=True, mode="serialization")


def _task(result: TaskResult) -> Task:
    task = result.task
    seconds = (each for played in task.plays for each in (played.agent_seconds, played.grading_seconds))
    return Task(
        task=task.name,
        file=task.file,
        line=task.line,
        skipped=task.skip,
        rules=dict(result.rules),
        mutants=None if result.mutants is None else Mutants.model_validate(result.mutants),
        plays=len(task.plays),
        seconds=round(sum(each for each in seconds if each is not None), 3),
    )


def _finding(finding: found.Finding) -> Finding:
    return Finding(
        id=finding.id,
        rule=finding.rule,
        severity=finding.weight,
        task=finding.task or None,
        file=finding.file,
        line=finding.line,
        message=finding.message,
        evidence=list(finding.evidence),
        replay=finding.replay,
        accepted=finding.accepted,
    )


if __name__ == "__main__":
    print(json.dumps(check_schema(), indent=1))
