"""AE501: does an attempt that did the work leave something behind for the next one? Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judging import Verdicts
from pytest_agenteval.check.plays import Play, Role

__all__ = ["judge_residue", "residue_plays"]


def residue_plays(task: Task, *, thorough: bool) -> list[Play]:
    """Doing nothing, the solution, doing nothing: to be played in this order, one by one, in one process.

    Without `thorough` only where doing nothing has passed beside the solution.
    """
    passed = [played for played in task.of(Role.NULL) if played.passed]
    if not task.of(Role.ORACLE) or not (passed or thorough):
        return []
    solution = Play("oracle-between", Role.ORACLE, task.steps, task.answer)
    return [Play("null-before", Role.NULL), solution, Play("null-after", Role.NULL)]


def judge_residue(verdicts: Verdicts, played: Sequence[Played]) -> None:
    """What those three plays show. What is left behind also explains why doing nothing has passed."""
    if not played:
        return
    before, solution, after = played
    known = all(each.outcome.counts for each in played)
    verdicts.note("AE501", Status.OK if known else Status.UNDECIDED)
    if solution.passed and after.passed and before.outcome.counts and not before.passed:
        verdicts.findings[:] = [finding for finding in verdicts.findings if finding.rule != "AE201"]
        verdicts.find(
            "AE501",
            "doing nothing fails, and passes after another attempt has done the work: attempts share something",
            subject="residue",
            replay=after.play.name,
        )
