from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.record.confidence import read_answer, stated


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("85", 85),
        ("85%", 85),
        ("85 %.", 85),
        (" 85.\n", 85),
        ("0", 0),
        ("100", 100),
        ("72.5%", 72.5),
        ("1", 1),
        ("0.0", 0),
    ],
)
def test_a_number_from_0_to_100(answer: str, value: float) -> None:
    assert read_answer(answer).value == value


@pytest.mark.parametrize(
    "answer",
    ["0.95", "1.0", "ninety", "85 or 90", "101", "-5", "about 85", "85/100", "", "**85**", "8e1", "nan", "1000", "٨٥"],
)
def test_anything_else_is_no_number(answer: str) -> None:
    found = read_answer(answer)
    assert (found.value, found.answer) == (None, answer)


@given(st.text())
def test_no_answer_gets_a_number_that_it_does_not_have(answer: str) -> None:
    value = read_answer(answer).value
    assert value is None or (0 <= value <= 100 and any(character.isdigit() for character in answer))


@pytest.mark.parametrize("share", [-0.1, 1.1, 80, float("nan"), "0.8", None, True])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        stated(share)


def test_a_share_is_kept_in_per_cent() -> None:
    assert stated(0.8).value == 80
