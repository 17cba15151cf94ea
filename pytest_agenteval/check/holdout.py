"""AE902: does the holdout hold what it claims? Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pytest_agenteval.check.alike import similarity
from pytest_agenteval.check.facts import Task
from pytest_agenteval.check.findings import SUITE, Finding
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.record.figures import plural

__all__ = ["judge_holdout"]

_ENOUGH = 10
"""Tasks from which a part of them can be held out."""
_MOST_LOOKS = 10
"""Looks after which a holdout is one more training set."""
_SAME = 0.95
"""The similarity from which a sample is the same as an open one: its template alone makes it similar."""


def judge_holdout(
    tasks: Sequence[Task], looks: Mapping[str, set[str]], in_the_open: Mapping[str, set[str]], alike: float
) -> list[Finding]:
    """What is wrong with it.

    Args:
        tasks: all of the suite.
        looks: by task, the stored runs in which real agents met it.
        in_the_open: those of them in which it was not held out.
        alike: the similarity from which two tasks are the same.
    """
    held, open_ = [task for task in tasks if task.holdout], [task for task in tasks if not task.holdout]
    if not held:
        return [_none(tasks)] if len(tasks) >= _ENOUGH else []
    findings = []
    for task in held:
        for message in (_copied(task, open_, alike), _too_near(task, open_), _was_open(task, in_the_open)):
            if message:
                findings.append(
                    Finding("AE902", task.name, message, task.file, task.line, subject=message.split(":")[0])
                )
    most = max((len(looks.get(task.name, ())) for task in held), default=0)
    if most > _MOST_LOOKS:
        message = f"the held-out tasks were looked at {most} times: after {_MOST_LOOKS}, what is tuned has seen them"
        findings.append(Finding("AE902", SUITE, message, held[0].file, held[0].line, subject="looks"))
    return findings


def _none(tasks: Sequence[Task]) -> Finding:
    message = f"none of {plural(len(tasks), 'task')} is held out: what agents are tuned on is all that is measured"
    return Finding("AE902", SUITE, message, tasks[0].file, severity=Severity.NOTE, subject="none")


def _copied(task: Task, others: Sequence[Task], alike: float) -> str | None:
    least = _SAME if task.holdout == "samples" else alike
    for other in others:
        if task.prompt and other.prompt and similarity(_text(task), _text(other)) >= least:
            return f"held out, and nearly the same as an open task: {other.name}"
    return None


def _too_near(task: Task, others: Sequence[Task]) -> str | None:
    if task.holdout == "tasks" and any(other.family == task.family for other in others):
        return "held out as `tasks`, and other samples of the same test are open: that is `samples`"
    folder = PurePosixPath(task.file).parent
    if task.holdout == "domains" and any(PurePosixPath(other.file).parent == folder for other in others):
        return f"held out as `domains`, and open tasks are in the same folder ({folder}): that is `tasks`"
    return None


def _was_open(task: Task, in_the_open: Mapping[str, set[str]]) -> str | None:
    runs = len(in_the_open.get(task.name, ()))
    return f"was not held out in {plural(runs, 'stored run')} in which agents met it" if runs else None


def _text(task: Task) -> str:
    return "\n".join([task.prompt, *task.texts.values()])
