"""AE301 to AE305: which wrong variants pass, and which of those count. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Mutants, Status
from pytest_agenteval.check.judging import Verdicts, forbids_more, one_line
from pytest_agenteval.check.mutation import COLLATERAL, WHOLE_PART, mutants
from pytest_agenteval.check.plays import Level, Play, Role
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.check.states import ANSWER, State, differing, shows_host, volatile
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.outcomes import Cause, Outcome

__all__ = ["judge_mutants", "mutants_of", "to_confirm"]

_ENOUGH = 5
"""Mutants below which a low score is a warning."""
_MOST_OTHERS = 6
_TEXT_OF_WORK = {"flip", "number", "drop-line", "drop-stage", "drop-step"}


def mutants_of(task: Task, level: Level, vocabulary: Sequence[object]) -> list[Play]:
    """The mutants of a task whose solution passes each time; none of any other task."""
    oracles = task.of(Role.ORACLE)
    if not oracles or not all(played.passed for played in oracles) or _null_passes(task):
        return []
    first, free = oracles[0], _free(task)
    start, end = first.start, first.end
    changed: list[str] = []
    untouched: list[str] = []
    if start is not None and end is not None:
        files = [entry for entry in sorted(end) if _is_file(entry) and entry not in free]
        changed = [entry for entry in files if start.get(entry) != end[entry]]
        untouched = [entry for entry in files if start.get(entry) == end[entry]]
    if not level.includes(Level.DEEP) and not forbids_more(task.prompt):
        untouched = []
    return mutants(task.steps, task.answer, changed, untouched[:_MOST_OTHERS], vocabulary)


def to_confirm(task: Task) -> list[Play]:
    """The survivors that count: each must survive again, alone, before it is believed."""
    return [played.play for played in _sorted(task)[1]]


def judge_mutants(verdicts: Verdicts, least: float, of: int, confirmed: Sequence[Played]) -> Mutants | None:
    """What the mutants of a task show.

    Args:
        verdicts: of the task with its mutants among its plays.
        least: the asked share of wrong variants that fail.
        of: how many mutants there are, played or not.
        confirmed: the survivors, played once more, each alone.
    """
    task = verdicts.task
    if not task.of(Role.MUTANT):
        return None
    killed, survived, equivalent, dropped = _sorted(task)
    again = {played.play.name for played in confirmed if played.passed}
    doubtful = [played for played in survived if played.play.name not in again]
    survived = [played for played in survived if played.play.name in again]
    beside = [played for played in survived if played.play.operator in COLLATERAL]
    wrong = [played for played in survived if played.play.operator not in COLLATERAL]
    unsettled = [played for played in confirmed if not played.outcome.counts]
    for rule in ("AE301", "AE302"):
        verdicts.note(rule, Status.of([*task.of(Role.MUTANT), *unsettled]))
    for played in wrong:
        _find_survivor(verdicts, played)
    if any(played.play.operator in COLLATERAL for played in task.of(Role.MUTANT)):
        verdicts.note("AE303", Status.OK)
    if beside:
        forbidden = forbids_more(task.prompt)
        verdicts.find(
            "AE303",
            f"{plural(len(beside), 'change')} beside the task passed: {beside[0].play.about}",
            severity=Severity.ERROR if forbidden else None,
            evidence=tuple(played.play.about for played in beside),
            subject="beside",
            replay=beside[0].play.name,
        )
    counted_killed = [played for played in killed if played.play.operator not in COLLATERAL]
    count = Mutants(len(counted_killed), len(wrong), len(equivalent), len(dropped) + len(doubtful), of)
    _judge_score(verdicts, count, least)
    _judge_unexercised(verdicts, equivalent)
    return count


def _sorted(task: Task) -> tuple[list[Played], list[Played], list[Played], list[Played]]:
    """Killed, survived, equivalent, and those that say nothing."""
    first, free = task.of(Role.ORACLE)[0], _free(task)
    scratch = _scratch(task, free)
    killed: list[Played] = []
    survived: list[Played] = []
    equivalent: list[Played] = []
    dropped: list[Played] = []
    for played in task.of(Role.MUTANT):
        if played.outcome is Outcome.FAILED and played.play.file not in scratch and not _timed_out(played):
            killed.append(played)
        elif played.outcome is Outcome.NOT_RUN:
            continue
        elif not played.passed or played.play.file in scratch:
            dropped.append(played)
        elif _same(first, played, free):
            (dropped if played.play.after else equivalent).append(played)  # a damage that was none was not applied
        else:
            survived.append(played)
    unread = {played.play.file for played in survived if played.play.operator == "file-deleted"}
    kept = [each for each in survived if each.play.file not in unread or each.play.operator == "file-deleted"]
    dropped += [each for each in survived if each not in kept]  # nobody reads the file: one finding says that
    return killed, kept, equivalent, dropped


def _timed_out(played: Played) -> bool:
    """Whether a clock of the checker's decided: on a slower machine more do, and say nothing about the variant."""
    return played.cause is Cause.GRADING_TIME or played.exception == "TimeoutError"


def _same(oracle: Played, played: Played, free: set[str]) -> bool:
    """Whether it left what the solution leaves. Unknown states are the same as nothing, and so are those of tools that
    change the host where the fixture `end_state` does not show it."""
    if oracle.end is None or played.end is None:
        return False
    if not shows_host(oracle.end) and _calls(oracle) != _calls(played):
        return False
    return not differing(oracle.state, played.state) - free


def _calls(played: Played) -> list[object]:
    """The calls of the task's own tools."""
    return [step for step in played.play.steps if not isinstance(step, str)]


def _free(task: Task) -> set[str]:
    """Entries of the end state that differ from one play of the solution to the next."""
    return volatile(played.end for played in task.of(Role.ORACLE) if played.end is not None)


def _scratch(task: Task, free: set[str]) -> set[str]:
    """Files that only the solution makes for itself: their deletion passes, and the prompt does not name them."""
    start: State = task.of(Role.ORACLE)[0].start or {}
    return {
        played.play.file
        for played in task.of(Role.MUTANT)
        if played.play.operator == "file-deleted"
        and played.passed
        and played.play.file not in start
        and not _named(task, played.play.file)
    }


def _named(task: Task, file: str) -> bool:
    return PurePosixPath(file).name.casefold() in task.prompt.casefold()


def _find_survivor(verdicts: Verdicts, played: Played) -> None:
    play, task = played.play, verdicts.task
    whole = play.operator in WHOLE_PART and (not play.file or _named(task, play.file))
    oracle = task.of(Role.ORACLE)[0]
    entries = sorted(differing(oracle.state, played.state) - _free(task)) if played.end is not None else []
    verdicts.find(
        "AE302",
        f"passes: {one_line(play.about)}",
        severity=Severity.ERROR if whole else None,
        evidence=tuple(f"differs: {entry}" for entry in entries if entry != ANSWER)[:5],
        subject=play.name,
        replay=play.name,
    )


def _judge_score(verdicts: Verdicts, count: Mutants, least: float) -> None:
    counted = count.killed + count.survived
    if not counted or count.killed / counted >= least:
        return
    played = counted + count.equivalent + count.dropped
    interval = ""
    if played < count.possible:
        from pytest_agenteval.estimate.stats.intervals import clopper_pearson

        found = clopper_pearson(count.killed, counted)
        interval = f" (sampled: between {found.low:.0%} and {found.high:.0%})"
    verdicts.find(
        "AE301",
        f"{count.killed} of {counted} wrong variants failed{interval}; at least {least:.0%} are asked for",
        severity=Severity.ERROR if counted >= _ENOUGH else Severity.WARNING,
    )


def _judge_unexercised(verdicts: Verdicts, equivalent: Sequence[Played]) -> None:
    verdicts.note("AE305", Status.OK)
    unused = [played.play for played in equivalent if played.play.operator in _TEXT_OF_WORK]
    if unused:
        verdicts.find(
            "AE305",
            f"{plural(len(unused), 'change')} of the solution changed nothing: {one_line(unused[0].about)}",
            evidence=tuple(play.about for play in unused),
            subject="unexercised",
            replay=unused[0].name,
        )


def _is_file(entry: str) -> bool:
    return entry.startswith("./") and not re.search(r"(/|\)|(^|/)\.git \S+)$", entry)


def _null_passes(task: Task) -> bool:
    return any(played.passed for played in task.of(Role.NULL))
