"""AE206 and AE701 by plays: each task is played by a function in place of its checker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.others import judge_guessing, judge_neighbours, other_plays
from pytest_agenteval.check.plays import Play, Role
from pytest_agenteval.record.outcomes import Outcome

Checker = Callable[[Task, Play], bool]
LETTERS = "abcdefg"


def task(name: str, answer: str = "", steps: tuple[str, ...] = ()) -> Task:
    solution = Play("oracle-1", Role.ORACLE, steps, answer)
    prompt = f"What is asked of everybody who comes here, and of {name} above all others?"
    end = {f"./{step}": "1" for step in steps}
    plays = (
        Played(solution, Outcome.PASSED, prompt=prompt, start={}, end=end),
        Played(Play("null", Role.NULL), Outcome.FAILED, start={}, end={}),
    )
    return Task(f"t.py::test_{name}", "t.py", 1, steps, answer, plays=plays)


def play(tasks: Sequence[Task], passes: Checker) -> list[Task]:
    plan = other_plays(tasks)

    def made(one: Task) -> tuple[Played, ...]:
        plays = plan.get(one.name, [])
        return tuple(Played(each, Outcome.PASSED if passes(one, each) else Outcome.FAILED) for each in plays)

    return [replace(one, plays=(*one.plays, *made(one))) for one in tasks]


def exact(one: Task, play: Play) -> bool:
    return (play.steps, play.answer) == (one.steps, one.answer)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["yes", "yes", "no", "no", "no"], ["3 of 5 answers are 'no'"]),
        (["1", "2", "3", "4", "5", "5"], ["2 of 6 answers are '5'"]),  # a third
        (["1", "2", "3", "4", "5", "6", "6"], []),  # 29%
        (["yes", "yes", "yes", "no"], []),  # four cases say nothing
    ],
)
def test_a_commonest_answer(answers: list[str], said: list[str]) -> None:
    made = play([task(letter, answer) for letter, answer in zip(LETTERS, answers, strict=False)], exact)
    findings, status = judge_guessing(made)
    assert [each.message.partition(":")[0] for each in findings] == said
    assert status is (Status.NOT_ASSESSED if len(answers) < 5 else Status.OK)


def test_one_strategy_for_everything() -> None:
    tasks = [task(letter, steps=(f"make {letter}",)) for letter in LETTERS]
    findings, status = judge_guessing(play(tasks, exact))
    assert (findings, status) == ([], Status.OK)  # each passes exactly its own task: one of seven
    lax = play(tasks, lambda one, play: exact(one, play) or (play.steps == ("make a",) and one.name[-1] in "bc"))
    [finding], _ = judge_guessing(lax)
    assert "passes 3 of 7 tasks: does the solution of t.py::test_a" in finding.message


def test_the_solution_of_the_nearest_task_is_played_in_each() -> None:
    tasks = [task(letter, steps=(f"make {letter}",)) for letter in "abc"]
    findings, status = judge_neighbours(play(tasks, exact))
    assert (findings, status) == ([], Status.OK)
    findings, _ = judge_neighbours(play(tasks, lambda one, play: exact(one, play) or one.name.endswith("b")))
    assert [(each.rule, each.task) for each in findings] == [("AE701", "t.py::test_b")]


def test_nothing_is_said_of_what_was_not_played() -> None:
    tasks = [task(letter, steps=(f"make {letter}",)) for letter in LETTERS]
    assert judge_neighbours(tasks)[1] is Status.NOT_ASSESSED
    assert judge_guessing(tasks)[1] is Status.NOT_ASSESSED
