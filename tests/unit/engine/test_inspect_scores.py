from __future__ import annotations

import math
from typing import Any

import pytest
from inspect_ai.scorer import Score

from pytest_agenteval.collect.fixtures import INSPECT_TASK
from pytest_agenteval.collect.inspect_task import Passes, asked_in_text
from pytest_agenteval.engine.inspect_tasks.scores import Judge, NotJudged, NotNamed


def passed(value: Any, passes: Passes | None = None, key: str | None = None) -> bool:
    return Judge("s", key, passes).decide({"s": Score(value=value), "other": Score(value="I")})[0]


@pytest.mark.parametrize("value", ["C", True, 1, 1.0, "yes", "True", "1", {"only": "C"}])
def test_what_is_correct_passes_without_a_word(value: Any) -> None:
    assert passed(value)


@pytest.mark.parametrize("value", ["I", "P", "N", False, 0, 0.0, "no", "FALSE", {"only": "I"}])
def test_what_is_not_correct_does_not(value: Any) -> None:
    assert not passed(value)


@pytest.mark.parametrize(
    ("value", "passes", "expected"),
    [
        (0.7, 0.7, True), (0.69, 0.7, False), ("P", 0.5, True), ("I", 0.5, False), (3, 2, True), ("3.5", 4, False),
        ("A", "A", True), ("C", "A", False), (False, False, True), (True, False, False),
        (0.2, lambda value: value < 0.3, True), (0.4, lambda value: value < 0.3, False),
        ([1, 2], lambda value: 2 in value, True),
    ],
)  # fmt: skip
def test_a_named_value_passes(value: Any, passes: Passes, expected: bool) -> None:
    assert passed(value, passes) is expected


@pytest.mark.parametrize(
    ("value", "key", "words"),
    [
        (0.5, None, "say which values pass, for example with passes=0.5"),
        ("A", None, "say which value passes, for example passes=C"),
        ([1], None, "say which value passes"),
        ({"a": 1, "b": 0}, None, "gave a, b: say which one judges, for example key=a"),
        ("C", "a", "leave the key out"),
    ],
)
def test_what_is_ambiguous_is_so_for_every_attempt(value: Any, key: str | None, words: str) -> None:
    with pytest.raises(NotNamed, match=words):
        passed(value, key=key)


@pytest.mark.parametrize(("value", "key"), [(math.nan, None), ({"a": None}, "a"), ({"a": 1}, "b")])
def test_a_score_that_is_missing_is_no_verdict(value: Any, key: str | None) -> None:
    with pytest.raises(NotJudged) as caught:
        passed(value, key=key)
    assert not isinstance(caught.value, NotNamed)


def test_the_only_score_of_a_solver_judges_and_of_several_none() -> None:
    one, two = {"a": Score(value="C")}, {"a": Score(value="C"), "b": Score(value="C")}
    assert Judge(None, None, None).decide(one) == (True, 'a gave "C"')
    with pytest.raises(NotNamed, match="there are the scores a, b: say which one judges"):
        Judge(None, None, None).decide(two)


def test_a_text_of_the_option_is_a_task_with_options(tmp_path: Any) -> None:
    test: Any = asked_in_text(
        "pkg/xyz,limit=2,scorer=s,key=k,passes=0.5,args.level=2,args.name=x y,max_cost=0.25", tmp_path
    )
    asked = getattr(test, INSPECT_TASK)
    assert (asked.task, asked.limit, asked.scorer, asked.key, asked.passes) == ("pkg/xyz", 2, "s", "k", 0.5)
    assert asked.args == {"level": 2, "name": "x y"}
    assert test.pytestmark[0].kwargs == {"max_cost": 0.25}
