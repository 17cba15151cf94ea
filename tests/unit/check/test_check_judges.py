from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count

import pytest

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judges import judge_judges, judgements, swapped, trial
from pytest_agenteval.check.progress import Progress
from pytest_agenteval.record.outcomes import Outcome

TASK = Task("t", "t.py", 3, answer="42")


@pytest.mark.parametrize(
    ("prompt", "turned"),
    [
        ("Judge.\n## Criterion\nA\n## Submission\nB", "Judge.\n## Submission\nB\n## Criterion\nA\n"),
        ("[BEGIN DATA]\n***\n[Submission]: B\n***\n[Criterion]: A\n***\n[END DATA]\nSay C or I.",
         "[BEGIN DATA]\n***\n[Criterion]: A\n***\n[Submission]: B\n***\n[END DATA]\nSay C or I."),
        ("Which?\n<first>\nA\n</first>\n<second>\nB\n</second>\nSay it.",
         "Which?\n<second>\nB\n</second>\n<first>\nA\n</first>\nSay it."),
        ("Is 42 right? Say yes or no.", None),
    ],
)  # fmt: skip
def test_the_last_two_parts_of_a_prompt_are_swapped(prompt: str, turned: str | None) -> None:
    assert swapped(prompt) == turned


def played(passes: str, sways: str = "", calls: int = 1) -> list[Played]:
    first = [Played(play, Outcome.FAILED, judge_calls=calls) for play in trial(TASK)]
    plays = [*trial(TASK), *judgements(TASK, first)]
    outcomes: Iterator[str] = iter(passes + sways)
    return [
        Played(play, Outcome.PASSED if next(outcomes) == "p" else Outcome.FAILED, judge_calls=calls, swapped=True)
        for play in plays
    ]


@pytest.mark.parametrize(
    ("passes", "sways", "told"),
    [
        ("pppppppppp", "ppppp", []),
        ("ffffffffff", "fffff", []),
        ("pppppppppf", "ppppp", []),  # nine of ten
        ("ppppppppff", "ppppp", ["says the same in 8 of 10"]),
        ("pppppppppp", "ppppf", ["turns in 1 of 5"]),
        ("pfpfpfpfpf", "fffff", ["says the same in 5 of 10"]),  # what wavers anyway says nothing about the order
    ],
)
def test_a_judge_is_steady_or_not(passes: str, sways: str, told: list[str]) -> None:
    findings, status = judge_judges({"t": TASK}, {"t": played(passes, sways)})
    assert [text in each.message for each, text in zip(findings, told, strict=True)] == [True] * len(told)
    assert status is Status.OK


def test_a_task_without_a_judge_is_not_assessed_and_asked_once() -> None:
    once = played("p", calls=0)
    assert len(once) == 1
    assert judge_judges({"t": TASK}, {"t": once}) == ([], Status.NOT_ASSESSED)


def test_progress_is_told_now_and_then_where_there_is_no_terminal() -> None:
    stream, clock = io.StringIO(), count(0, 10)
    progress = Progress(stream, lambda: float(next(clock)))
    progress.begin("wrong variants")
    for done in range(6):
        progress.tell(done, 20)
    progress.end()
    told = stream.getvalue().splitlines()
    assert told[0].startswith("check: wrong variants, ")
    assert 1 <= len(told) - 1 < 6 and all("of 20 plays" in line for line in told[1:])
    Progress(None).begin("nothing is written")
