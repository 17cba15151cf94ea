from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.texts import OURS, encodable, inert, map_texts, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: text, größer ✓ 👩‍🔬", "plain: text, größer ✓ 👩‍🔬"),
        ("two\n\tlines\r\nmore", "two\n\tlines\nmore"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("over\rwritten", r"over\x0dwritten"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\u202eb\u2066c\u200e\u2028", r"a\u202eb\u2066c\u200e\u2028"),
        ("\ud800\0", r"\ud800\x00"),
        ("\U000e0041", r"\U000e0041"),
        ("::error::x", r"\::error::x"),
        ("a\n  ::stop-commands::x", "a\n  \\::stop-commands::x"),
        ("t.py::test_it", "t.py::test_it"),
        ("see ##[error]x", r"see #\#[error]x"),
        ("###[group]", r"##\#[group]"),
        ("##vso[task.complete]", r"#\#vso[task.complete]"),
        ("## a heading", "## a heading"),
    ],
)
def test_what_a_terminal_or_a_job_would_obey_is_shown(text: str, shown: str) -> None:
    assert inert(text) == shown


@given(st.text(st.sampled_from(":#[]e \n\t\r\x1b\x9b\u202e\ud800m1;") | st.characters(), max_size=40))
def test_nothing_is_obeyed_and_twice_is_once(text: str) -> None:
    shown = inert(text)
    assert inert(shown) == shown
    shown.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", shown)
    # as GitHub's runner reads a line
    assert not any(line.strip().startswith("::") or "##[" in line for line in shown.split("\n"))


@given(st.text())
def test_every_text_can_be_encoded(text: str) -> None:
    encodable(text).encode()


def test_surrogates_are_escaped_as_inspect_escapes_them() -> None:
    assert encodable("a\ud800é") == r"a\ud800é"


def test_a_name_is_shortened_to_its_ends() -> None:
    assert shortened("bash", 20) == "bash"
    assert shortened("a  b\nc", 20) == "a b c"
    assert shortened("a" * 5_000 + "b" * 5_000, 21) == "aaaaaaaaa...bbbbbbbbb"


@dataclass(frozen=True)
class Named:
    text: str
    place: str = field(metadata=OURS)


def test_names_of_our_own_are_changed_in_another_way() -> None:
    data = {"k": [Named("a", "b"), 1, ("c", {"d"})]}
    assert map_texts(data, str.upper) == {"K": [Named("A", "B"), 1, ("C", {"D"})]}
    assert map_texts(data, str.upper, str) == {"K": [Named("A", "b"), 1, ("C", {"D"})]}
    assert map_texts(data, str) is data
