"""The one live line: what it says."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_agenteval.report.live import line


@dataclass
class Standing:
    done: int
    passed: int
    sandboxes_up: int
    spent: float | None


@pytest.mark.parametrize(
    ("standing", "budget", "text"),
    [
        # 16 of 64 in 40 s leaves 48 at 2.5 s each: 120 s
        (Standing(16, 9, 8, 0.41), 5.0, "16/64 attempts · 9 passed · 8 sandboxes up · $0.41 of $5.00 · 2:00 left"),
        (Standing(0, 0, 2, 0.0), None, "0/64 attempts · 0 passed · 2 sandboxes up · $0.00"),
        (Standing(64, 64, 0, None), 5.0, "64/64 attempts · 64 passed · 0 sandboxes up · unpriced of $5.00"),
    ],
)
def test_says_what_is_done_and_spent_and_guesses_what_is_left(
    standing: Standing, budget: float | None, text: str
) -> None:
    assert line(standing, total=64, budget=budget, seconds=40.0, stops_early=False) == text


def test_a_run_that_may_stop_early_has_at_most_so_much_left() -> None:
    shown = line(Standing(16, 9, 8, 0.41), total=64, budget=None, seconds=40.0, stops_early=True)
    assert shown.endswith(" · at most 2:00 left")
