"""What goes wrong around attempts, in fixtures that they share, is judged alike live and from the logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.traps import spring

from pytest_agenteval.cli.main import main

SUITE = """
@pytest.fixture(scope="{scope}")
def shared():
    yield
    raise OSError("could not drop the database")

async def test_one(attempt, shared):
    attempt.agent_begins()

async def test_two(attempt):
    attempt.agent_begins()
"""


@pytest.mark.parametrize("scope", ["module", "session"])
def test_an_error_in_the_teardown_of_a_shared_fixture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scope: str
) -> None:
    trap = spring(tmp_path, SUITE.format(scope=scope), model="agenteval/null")
    assert (trap.status, trap.summary) == (1, "exit 1: FAILED: 1 test failed")
    assert main(["report", str(tmp_path / "logs")]) == 1
    told = capsys.readouterr().out
    assert "exit 1: FAILED: 1 test failed" in told
    assert "teardown of test_trap.py::test_two: OSError: could not drop the database" in " ".join(told.split())
