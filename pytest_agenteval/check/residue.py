"""AE501: does an attempt that did the work leave something behind for the next one? Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judging import EASY, Verdicts
from pytest_agenteval.check.plays import Play, Role

__all__ = ["judge_residue", "leaves_something", "residue_plays"]


def residue_plays(task: Task, *, thorough: bool) -> list[Play]:
    """Doing nothing, the solution, doing nothing: to be played in this order, one by one, in one process.

    Without `thorough` only where something without the work has passed while the solution was played.
    """
    passed = [played for played in task.of(*EASY) if played.passed]
    if not task.of(Role.ORACLE) or not (passed or thorough):
        return []
    solution = Play("oracle-between", Role.ORACLE, task.steps, task.answer)
    return [Play("null-before", Role.NULL), solution, Play("null-after", Role.NULL)]


def leaves_something(played: Sequence[Played]) -> bool:
    """Whether these three plays show that one attempt helps the next; False where they were not played."""
    if not played:
        return False
    before, solution, after = played
    return before.outcome.counts and not before.passed and solution.passed and after.passed


def judge_residue(verdicts: Verdicts, played: Sequence[Played]) -> None:
    """What those three plays show. What is left behind also explains what has passed without the work."""
    if not played:
        return
    after = played[-1]
    verdicts.note("AE501", Status.of(played))
    if leaves_something(played):
        explained = {rule for rule, _ in EASY.values()}
        verdicts.findings[:] = [finding for finding in verdicts.findings if finding.rule not in explained]
        verdicts.find(
            "AE501",
            "doing nothing fails, and passes after another attempt has done the work: attempts share something",
            subject="residue",
            replay=after.play.name,
        )
