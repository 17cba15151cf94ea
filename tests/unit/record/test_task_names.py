from __future__ import annotations

import pytest
from support.made_records import CELL, task

from pytest_agenteval.record.records import Cell, name_of
from pytest_agenteval.record.stored import StoredTask
from pytest_agenteval.record.task_names import remaining_ids

GPT = Cell("openai/gpt-5-mini", "react")


class Level:
    """A value that has no text of its own."""


@pytest.mark.parametrize(
    ("params", "ids", "together", "expected"),
    [
        ({"n": 1}, ["1"], [], ["1"]),
        ({"agent_model": "a/b"}, ["a/b"], [], []),
        ({"n": 1, "agent_model": "a/b"}, ["1", "a/b"], [], ["1"]),
        # one model's name is a part of the other's
        ({"agent_model": "a/b-mini", "n": 1}, ["a/b-mini", "1"], [], ["1"]),
        # another parameter has the model's text
        ({"judge": "a/b", "agent_model": "a/b"}, ["a/b", "a/b"], [], ["a/b"]),
        # ids that the suite gives
        ({"agent_model": "a/b", "n": 1}, ["small", "easy-1"], [], ["easy-1"]),
        # one parametrize for both, one id for both
        ({"agent_model": "a/b", "n": 1}, ["a/b-1"], [("agent_model", "n")], ["1"]),
        ({"x": "y", "n": Level, "agent_model": "a/b"}, ["y", "best"], [("n", "agent_model")], ["y", "Level"]),
        # a hidden id (pytest.HIDDEN_PARAM): nobody knows whose, but the model's text is there
        ({"sample": None, "agent_scaffold": "react", "agent_model": "a/b"}, ["7", "a/b"], [], ["7"]),
    ],
)
def test_what_the_parameters_of_the_cell_say_is_left_out(
    params: dict[str, object], ids: list[str], together: list[tuple[str, ...]], expected: list[str]
) -> None:
    assert remaining_ids(["agent_model", "agent_scaffold"], params, ids, together) == expected


@pytest.mark.parametrize(
    ("task_id", "cell", "expected"),
    [
        ("t.py::test_a", CELL, "t.py::test_a"),
        ("t.py::test_a[openai/gpt-5-mini]", GPT, "t.py::test_a"),
        ("t.py::test_a[openai/gpt-5-mini-3]", GPT, "t.py::test_a[3]"),
        ("t.py::test_a[3-openai/gpt-5-mini]", GPT, "t.py::test_a[3]"),
        ("t.py::test_a[openai/gpt-5-mini-react-3]", GPT, "t.py::test_a[3]"),
        ("t.py::test_a[openai/gpt-5-mini · react]", GPT, "t.py::test_a"),
        ("t.py::test_a[openai/gpt-5-minimal]", GPT, "t.py::test_a[openai/gpt-5-minimal]"),
    ],
)
def test_logs_that_do_not_say_the_name_are_read_by_their_text(task_id: str, cell: Cell, expected: str) -> None:
    assert name_of(task("p", task_id, cell=cell)) == expected
    assert StoredTask(task_id, cell).key == (expected, cell)


def test_a_log_that_says_the_name_is_believed() -> None:
    assert StoredTask("t.py::test_a[react]", GPT, name="t.py::test_a[react]").key == ("t.py::test_a[react]", GPT)
