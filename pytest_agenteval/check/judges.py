"""AE903: does a model that judges say the same of the same? Pure. The only rule whose plays cost money."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Finding, Status
from pytest_agenteval.check.plays import Play, Role
from pytest_agenteval.record.outcomes import Outcome

__all__ = ["SWAPPED", "judge_judges", "judgements", "swapped", "trial"]

SWAPPED = "swapped"
"""The operator of plays whose judge gets the last two parts of its prompt in the other order."""
_JUDGEMENTS, _SWAPS = 10, 5
_STEADY, _FLIPS = 0.9, 0.1
_PARTS = (
    re.compile(r"(?ms)^\[(?!BEGIN|END)[^\]\n]+\]:?.*?(?=^\[|^\*{3,}|^-{3,}|\Z)"),
    re.compile(r"(?ms)^<(\w+)>.*?^</\1>\s*?$"),
    re.compile(r"(?ms)^#{1,4} .*?(?=^#{1,4} |\Z)"),
)
"""How prompts for judges set their parts off: `[Submission]: ...`, `<submission>...</submission>`, `## Submission`."""


def trial(task: Task) -> list[Play]:
    """One judgement of the solution: it shows whether a judge is asked at all."""
    solvable = task.solvable and task.skip is None and task.trouble is None
    return [_play(task, 1)] if solvable else []


def judgements(task: Task, tried: Sequence[Played]) -> list[Play]:
    """Further judgements of the same, where the trial has asked a judge; some with its prompt the other way round."""
    if not any(each.judge_calls for each in tried):
        return []
    swaps = [_play(task, number, SWAPPED) for number in range(1, _SWAPS + 1)]
    return [*(_play(task, number) for number in range(2, _JUDGEMENTS + 1)), *swaps]


def judge_judges(tasks: Mapping[str, Task], played: Mapping[str, Sequence[Played]]) -> tuple[list[Finding], Status]:
    """What the judgements show; the status is `not_assessed` where no task asks a judge."""
    findings, every = [], []
    for name, plays in played.items():
        asked = [each for each in plays if each.judge_calls or each.outcome is Outcome.NOT_RUN]
        every += asked
        verdicts = Counter(each.passed for each in asked if each.outcome.counts and each.play.operator != SWAPPED)
        if not verdicts.total():
            continue
        usual, count = verdicts.most_common(1)[0]
        task, what = tasks[name], []
        if count / verdicts.total() < _STEADY:
            what.append(f"its judge says the same in {count} of {verdicts.total()} judgements of one transcript")
        turned = [each for each in asked if each.outcome.counts and each.play.operator == SWAPPED and each.swapped]
        flips = sum(each.passed is not usual for each in turned)
        if not what and turned and flips / len(turned) > _FLIPS:
            what.append(
                f"its judge turns in {flips} of {len(turned)} judgements when the parts of its prompt are swapped"
            )
        findings += [
            Finding("AE903", name, message, task.file, task.line, subject=message.split(" in ")[0]) for message in what
        ]
    return findings, Status.of(every) if any(each.judge_calls for each in every) else Status.NOT_ASSESSED


def swapped(prompt: str) -> str | None:
    """The prompt with its last two parts in the other order; None where no parts can be told."""
    for pattern in _PARTS:
        parts = list(pattern.finditer(prompt))
        if len(parts) >= 2:
            one, other = parts[-2:]
            between = prompt[one.end() : other.start()]
            return f"{prompt[: one.start()]}{_ended(other[0], one[0])}{between}{one[0]}{prompt[other.end() :]}"
    return None


def _ended(part: str, as_in: str) -> str:
    return part if not as_in.endswith("\n") or part.endswith("\n") else f"{part}\n"


def _play(task: Task, number: int, operator: str = "") -> Play:
    name = f"{operator or 'judgement'}-{number}"
    return Play(name, Role.ORACLE, task.steps, task.answer, operator=operator)
