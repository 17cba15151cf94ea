"""AE401 to AE404: what only a solver should know, where the agent can read it before it begins. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_agenteval.check.facts import Task, Texts
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judging import Verdicts
from pytest_agenteval.check.plays import Role
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.check.states import ENVIRONMENT, is_file

__all__ = ["Leak", "judge_leaks", "leaks"]

PROMPT, INSTRUCTIONS = "the prompt", "the instructions and tools"
_TELLING = re.compile(r"(?i)answer|solution|expected|gold|truth")
_ALL, _SOME = 0.9, 0.5
"""Shares of what is looked for, from which a place gives it away, or is worth a note."""
_LINES, _FEW, _LONG = 5, 2, 8
"""So many lines are a find, or so few where each has that many characters."""
_STEP = 12
"""Characters from which a line of the solution is its own, and no common word of a shell."""
_ORDINARY = {"PATH", "PWD", "OLDPWD", "HOME", "SHLVL", "_", "HOSTNAME", "LANG", "LC_ALL"}


@dataclass(frozen=True, slots=True)
class Leak:
    """Something of the solution in one place."""

    rule: str
    what: str
    place: str
    found: int
    """Lines of it that are there."""
    of: int
    sure: bool
    """Whether an agent that reads the place has it; otherwise the place may be the task's own data."""


def judge_leaks(verdicts: Verdicts) -> None:
    """Look for leaks with what the first play of the solution could read before and after."""
    task = verdicts.task
    read = next((played for played in task.of(Role.ORACLE) if played.texts is not None), None)
    if read is None or read.texts is None:
        return
    for rule in ("AE401", "AE402", "AE404"):
        verdicts.note(rule, Status.OK)
    if ENVIRONMENT in read.texts.start:
        verdicts.note("AE403", Status.OK)
    for leak in leaks(task, read.texts, read.prompt, read.instructions):
        lines = f"{leak.found} of {leak.of} lines of {leak.what}" if leak.of else leak.what
        verdicts.find(
            leak.rule,
            f"{leak.place} holds {lines} when the agent begins",
            severity=None if leak.sure else Severity.NOTE,
            subject=f"{leak.place} {leak.what}",
        )


def leaks(task: Task, texts: Texts, prompt: str, instructions: str) -> Iterator[Leak]:
    """Every place that holds something of the solution, with the most of it that it holds."""
    needles = _needles(task, texts)
    made = [file for file, text in texts.end.items() if is_file(file) and texts.start.get(file) != text]
    for rule, place, text in _places(texts, prompt, instructions):
        whole = rule in ("AE403", "AE404")
        is_named = rule == "AE401" and _names(prompt, place, made)
        best: Leak | None = None
        for what, wanted in needles.items():
            there = {line for line in wanted if line in _plain(text)} if whole else wanted & _lines(text)
            share = len(there) / len(wanted)
            some = len(there) >= _LINES or (len(there) >= _FEW and min(map(len, there)) >= _LONG)
            if share < _SOME or not (some or (len(wanted) == 1 and rule != "AE402" and not is_named)):
                continue
            sure = not is_named and ((share >= _ALL and some) or (whole and what == _SOLUTION))
            leak = Leak(rule, what, place, len(there), len(wanted), sure)
            if best is None or (leak.sure, leak.found) > (best.sure, best.found):
                best = leak
        if best is not None:
            yield best
        elif (answer := _answer(task.answer.strip(), rule, place, text, is_named=is_named)) is not None:
            yield answer


_SOLUTION = "the solution"


def _needles(task: Task, texts: Texts) -> Mapping[str, set[str]]:
    """What to look for: the lines that the solution adds to each file, and its own lines."""
    needles = {}
    for place, text in texts.end.items():
        if not is_file(place):
            continue
        added = _lines(text) - _lines(texts.start.get(place, ""))
        if len(added) < _LINES:
            added = {line for line in added if len(line) >= _LONG}
        if added:
            needles[f"what the solution writes to {place}"] = added
    commands = [line for step in task.steps if isinstance(step, str) for line in step.splitlines()]
    if any(line.startswith("diff --git") for line in commands):
        commands = [line[1:] for line in commands if line.startswith("+") and not line.startswith("+++")]
    own = {line for line in map(_plain, commands) if len(line) >= _STEP}
    return {**needles, _SOLUTION: own} if own else needles


def _places(texts: Texts, prompt: str, instructions: str) -> Iterator[tuple[str, str, str]]:
    for place, text in texts.start.items():
        if place == ENVIRONMENT:
            for line in text.splitlines():
                name, _, value = line.partition("=")
                if value and name not in _ORDINARY:
                    yield "AE403", f"the environment variable {name}", value
        else:
            yield "AE401" if is_file(place) else "AE402", place, text
    yield "AE404", PROMPT, prompt
    yield "AE404", INSTRUCTIONS, instructions


def _names(prompt: str, place: str, made: Sequence[str]) -> bool:
    """Whether a prompt names a file. What is called like a file that the solution makes must be named with its folders:
    `sums.csv` is the work, and no word about `expected/sums.csv`."""
    path = PurePosixPath(place)
    like = any(PurePosixPath(file).name == path.name for file in made if file != place)
    return all(part.casefold() in prompt.casefold() for part in (path.parts if like else path.parts[-1:]))


def _answer(answer: str, rule: str, place: str, text: str, *, is_named: bool) -> Leak | None:
    """The answer in a place whose name tells that it is one. Elsewhere it may be what the agent has to find."""
    if len(answer) < 3 or rule == "AE404" or answer not in text or not _TELLING.search(place):
        return None
    return Leak(rule, "the answer", place, 0, 0, not is_named)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _lines(text: str) -> set[str]:
    return {_plain(line) for line in text.splitlines()} - {""}
