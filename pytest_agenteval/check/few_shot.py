"""AE405: does a scaffold show agents at one task how another one goes? Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_agenteval.check.alike import contained
from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judging import Verdicts
from pytest_agenteval.check.plays import Play, Role

__all__ = ["judge_few_shots", "null_play"]

_SHOWN = 0.5
"""The share of a task's prompt or solution from which it is shown."""


def null_play() -> Play:
    """What is played through each scaffold: the first model call is all that is looked at."""
    return Play("null", Role.NULL)


@dataclass(frozen=True, slots=True)
class _Call:
    """The first model call of an agent that does nothing."""

    task: str
    prompt: str
    """What the task itself says; empty if that is not known apart from what its agent adds."""
    text: str


def judge_few_shots(verdicts: Mapping[str, Verdicts], through: Mapping[str, Mapping[str, Sequence[Played]]]) -> None:
    """Look into the first model calls for what belongs to other tasks.

    Args:
        verdicts: by task, with its base plays.
        through: by scaffold and task, what was played through it; the base plays are taken from the verdicts.
    """
    tasks = {name: each.task for name, each in verdicts.items()}
    by_scaffold = {"its agent": {name: task.of(Role.NULL) for name, task in tasks.items()}, **through}
    for scaffold, plays in by_scaffold.items():
        calls = [
            _Call(name, tasks[name].prompt if tasks[name].own_prompt else "", played.request)
            for name, each in plays.items()
            for played in each
            if played.request
        ]
        for name, each in plays.items():
            if each:
                verdicts[name].note("AE405", Status.of(each))
        for name, found in verdicts.items():
            _judge(found, scaffold, [call for call in calls if call.task != name])


def _judge(verdicts: Verdicts, scaffold: str, calls: Sequence[_Call]) -> None:
    task = verdicts.task
    for what, text in _needles(task).items():
        for call in calls:
            share = contained(text, call.text, beside=call.prompt)
            if share is not None and share >= _SHOWN:
                verdicts.find(
                    "AE405",
                    f"{scaffold} shows {share:.0%} of the {what} to agents at {call.task}",
                    subject=f"{scaffold} {what}",
                )
                break


def _needles(task: Task) -> dict[str, str]:
    """The prompt only where it is known without what an agent of the suite's own adds: else all tasks share that."""
    steps = "\n".join(step if isinstance(step, str) else f"{step[0]} {step[1]}" for step in task.steps)
    return {**({"prompt": task.prompt} if task.own_prompt else {}), "solution": steps}
