"""AE105: does the solution need the network? Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judging import Verdicts, evidence_of, one_line, passes_alone
from pytest_agenteval.check.plays import Play, Role

__all__ = ["judge_offline", "offline_plays"]


def offline_plays(task: Task) -> list[Play]:
    """The solution, to be played without network; only where there is one, and the solution passes with it."""
    if not passes_alone(task) or task.network in (None, "none"):
        return []
    return [Play("oracle-offline", Role.ORACLE, task.steps, task.answer)]


def judge_offline(verdicts: Verdicts, played: Sequence[Played]) -> None:
    """What it comes to without network."""
    if verdicts.task.network == "none" and verdicts.task.of(Role.ORACLE):
        verdicts.note("AE105", Status.OK)
    for each in played:
        verdicts.note("AE105", Status.of([each]))
        if each.outcome.counts and not each.passed:
            message = f"without the network the solution fails: {one_line(each.message)}"
            verdicts.find("AE105", message, **evidence_of(each))
