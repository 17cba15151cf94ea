"""AE206 and AE701 by plays: what another task's solution, or always the same one, gets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_agenteval.check.alike import nearest
from pytest_agenteval.check.facts import Task
from pytest_agenteval.check.findings import SUITE, Finding, Status
from pytest_agenteval.check.judging import only_looks, passes_alone
from pytest_agenteval.check.plays import Play, Role
from pytest_agenteval.record.digest import digest

__all__ = ["judge_guessing", "judge_neighbours", "other_plays"]

_CASES = 5
"""Tasks below which a commonest answer says nothing."""
_COMMON = 0.3
_THIRD = 1 / 3
_CANDIDATES = 3
"""Constant strategies of each kind that are tried in a suite."""


def other_plays(tasks: Sequence[Task]) -> dict[str, list[Play]]:
    """By task, the solution of its nearest neighbour, and what could be done in every task of its suite alike."""
    solvable = {task.name: task for task in tasks if passes_alone(task)}
    near = nearest({name: task.prompt for name, task in solvable.items()})
    found: dict[str, dict[str, Play]] = {name: {} for name in solvable}
    for name, neighbour in near.items():
        _add(found[name], solvable[name], _as_other("solution-of", solvable[neighbour]))
    for members in _suites(solvable.values()).values():
        for candidate in _constants(members):
            for task in members:
                _add(found[task.name], task, candidate)
    return {name: list(plays.values()) for name, plays in found.items() if plays}


def judge_neighbours(tasks: Iterable[Task]) -> tuple[list[Finding], Status]:
    """AE701: tasks that another one's solution passes."""
    every = list(tasks)
    names = {_as_other("solution-of", task).name: task for task in every}
    played = [(task, each) for task in every for each in task.of(Role.OTHER) if each.play.name in names]
    findings = [
        Finding(
            "AE701",
            task.name,
            f"the solution of {names[each.play.name].name} passes here: the two are one task",
            task.file,
            task.line,
            subject=names[each.play.name].name,
            replay=each.play.name,
        )
        for task, each in played
        if each.passed
    ]
    return findings, Status.of(each for _, each in played) if played else Status.NOT_ASSESSED


def judge_guessing(tasks: Iterable[Task]) -> tuple[list[Finding], Status]:
    """AE206: a commonest answer, or one strategy that passes more than a third of a suite."""
    findings: list[Finding] = []
    status = Status.NOT_ASSESSED
    for file, members in _suites(tasks).items():
        answers = [task.answer.strip() for task in members if task.answer.strip() and only_looks(task)]
        if len(answers) >= _CASES:
            status = Status.OK if status is Status.NOT_ASSESSED else status
            answer, count = Counter(answers).most_common(1)[0]
            if count / len(answers) >= _COMMON:
                message = (
                    f"{count} of {len(answers)} answers are {answer[:60]!r}: an agent that always says it passes them"
                )
                findings.append(Finding("AE206", SUITE, message, file, members[0].line, subject=f"{file} {answer}"))
                continue
        found, seen = _best_constant(file, members)
        findings += found
        status = seen if status is not Status.UNDECIDED and seen is not Status.NOT_ASSESSED else status
    return findings, status


def _best_constant(file: str, members: Sequence[Task]) -> tuple[list[Finding], Status]:
    passes: Counter[str] = Counter()
    seen = []
    for candidate in _constants(members):
        for task in members:
            if _same(candidate, task):
                passes[candidate.name] += 1
        for task in members:
            played = [each for each in task.of(Role.OTHER) if each.play.name == candidate.name]
            seen += played
            passes[candidate.name] += any(each.passed for each in played)
    if not seen:
        return [], Status.NOT_ASSESSED
    name, count = passes.most_common(1)[0]
    if count / len(members) <= _THIRD:
        return [], Status.of(seen)
    what = next(each.play.about for each in seen if each.play.name == name)
    message = f"one strategy passes {count} of {len(members)} tasks: {what}"
    return [Finding("AE206", SUITE, message, file, members[0].line, subject=f"{file} {name}")], Status.of(seen)


def _suites(tasks: Iterable[Task]) -> Mapping[str, list[Task]]:
    found: dict[str, list[Task]] = {}
    for task in tasks:
        if task.solvable and task.skip is None and task.trouble is None:
            found.setdefault(task.file, []).append(task)
    return found


def _constants(members: Sequence[Task]) -> list[Play]:
    """What could be done in each of these tasks alike: the commonest answers, and the commonest solutions."""
    if len(members) < _CASES:
        return []
    answers = Counter(task.answer for task in members if task.answer.strip())
    alone = [Play("", Role.OTHER, (), answer, about=f"always answers {answer[:60]!r}") for answer in _top(answers)]
    by_solution = {_as_other("always", task).digest: task for task in reversed(members) if task.steps}
    solutions = Counter(_as_other("always", task).digest for task in members if task.steps)
    return [
        *(replace(play, name=f"always-{digest(play.answer)[:8]}") for play in alone),
        *(_as_other("always", by_solution[solution]) for solution in _top(solutions)),
    ]


def _top(counts: Counter[str]) -> list[str]:
    return [value for value, _ in counts.most_common(_CANDIDATES)]


def _as_other(kind: str, task: Task) -> Play:
    play = Play("", Role.OTHER, task.steps, task.answer, about=f"does the solution of {task.name}")
    return replace(play, name=f"{kind}-{digest(task.name)[:8]}")


def _add(plays: dict[str, Play], task: Task, play: Play) -> None:
    if not _same(play, task):
        plays.setdefault(play.name, play)


def _same(play: Play, task: Task) -> bool:
    return (play.steps, play.answer) == (task.steps, task.answer)
