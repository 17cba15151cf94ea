from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from pytest_agenteval import agent_task
from pytest_agenteval.collect.agent_task import TaskOptions


def options(*marks: pytest.MarkDecorator) -> TaskOptions:
    return TaskOptions.from_marks(decorator.mark for decorator in marks)


def test_the_defaults() -> None:
    assert options() == TaskOptions(
        max_cost=None,
        time_limit=600,
        token_limit=None,
        turn_limit=50,
        grading_time_limit=300,
        min_pass_rate=None,
        solution=None,
        answer="",
    )


def test_the_nearest_mark_wins_option_by_option() -> None:
    function, module = agent_task(time_limit=5, answer="42"), agent_task(time_limit=60, turn_limit=3)
    found = options(function, module)
    assert (found.time_limit, found.turn_limit, found.answer) == (5, 3, "42")


def test_none_of_a_nearer_mark_lifts_a_limit() -> None:
    assert options(agent_task(turn_limit=None), agent_task(turn_limit=3)).turn_limit is None


def test_every_option_is_checked_in_the_mark_further_off_too() -> None:
    with pytest.raises(ValueError, match="turn_limit"):
        options(agent_task(turn_limit=3), agent_task(turn_limit=0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, wrong) for name in ("max_cost", "time_limit", "grading_time_limit")
          for wrong in (0, -1, math.nan, math.inf, True, "5")),
        *((name, wrong) for name in ("token_limit", "turn_limit") for wrong in (0, -1, 1.5, True, "5")),
        *(("min_pass_rate", wrong) for wrong in (-0.1, 1.1, 80, math.nan, True, "1", None)),
        *(("solution", wrong) for wrong in (1, None, [1], [b"ls"], {"a"})),
        *(("solution", [wrong]) for wrong in (("cancel",), ("", {}), ("cancel", [7]), ("cancel", {7: 7}))),
        *(("answer", wrong) for wrong in (42, None, b"42")),
        ("grading_time_limit", None),
    ],
)  # fmt: skip
def test_values_that_cannot_be_used(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"agent_task\({name}=.*\): {name} must be"):
        options(agent_task(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_cost", 0.01), ("max_cost", 10**400), ("max_cost", None), ("time_limit", 1), ("time_limit", None),
        ("token_limit", 1), ("token_limit", None), ("turn_limit", None), ("grading_time_limit", 0.5),
        ("min_pass_rate", 0), ("min_pass_rate", 1), ("solution", "ls"), ("solution", ()), ("solution", ["ls", "pwd"]),
        ("answer", ""),
    ],
)  # fmt: skip
def test_values_that_can(name: str, value: Any) -> None:
    assert getattr(options(agent_task(**{name: value})), name) == value


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("maxcost", "max_cost"), ("timelimit", "time_limit"), ("min_pass", "min_pass_rate"), ("solutions", "solution")],
)
def test_a_near_miss_names_what_is_near(wrong: str, near: str) -> None:
    unchecked: Any = agent_task
    with pytest.raises(ValueError, match=rf"no option '{wrong}': did you mean {near}\?"):
        options(unchecked(**{wrong: 1}))


def test_an_option_like_no_other_lists_all() -> None:
    unchecked: Any = agent_task
    names = [field.name for field in fields(TaskOptions)]
    with pytest.raises(ValueError) as raised:
        options(unchecked(zzz=1))
    assert all(name in str(raised.value) for name in names)


def test_arguments_have_names() -> None:
    with pytest.raises(ValueError, match="keyword arguments only, not 5"):
        options(pytest.mark.agent_task(5))


def test_the_mark_works_without_parentheses() -> None:
    untyped: Any = agent_task

    @untyped
    def test() -> str:
        return "itself"

    marked: Any = test
    assert [mark.name for mark in marked.pytestmark] == ["agent_task"]
    assert test() == "itself"
    assert TaskOptions.from_marks(marked.pytestmark) == TaskOptions()


@pytest.mark.parametrize(
    ("given", "steps", "solvable"),
    [
        ({}, None, False),
        ({"solution": "ls; pwd"}, ("ls; pwd",), True),
        ({"solution": ["ls", "pwd"]}, ("ls", "pwd"), True),
        ({"solution": ["ls", ("cancel", {"order": 7})]}, ("ls", ("cancel", {"order": 7})), True),
        ({"solution": []}, (), True),
        ({"answer": "42"}, None, True),
        ({"answer": ""}, None, False),
    ],
)
def test_what_the_built_in_models_play(given: dict[str, Any], steps: tuple[Any, ...] | None, solvable: bool) -> None:
    found = options(agent_task(**given))
    assert found.steps == steps
    assert found.solvable is solvable
