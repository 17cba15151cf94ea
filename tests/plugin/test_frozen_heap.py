"""A process that has told the garbage collector to leave its imports alone finds them so after a run."""

from __future__ import annotations

import pytest
from support.suite_runs import Run

CONFTEST = """
import gc

gc.{told}()

def pytest_unconfigure(config):
    print("frozen:", gc.get_freeze_count() > 10_000)
"""
SOURCE = "async def test_a(attempt): attempt.agent_begins()\n"


@pytest.mark.parametrize(("told", "left"), [("freeze", True), ("unfreeze", False)])
def test_what_was_frozen_before_a_run_is_frozen_after_it_and_nothing_else(run: Run, told: str, left: bool) -> None:
    result = run(SOURCE, "-s", conftest=CONFTEST.format(told=told))
    assert result.ret == 0
    assert f"frozen: {left}" in result.outlines
