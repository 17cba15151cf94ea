"""`--lf`, `--ff`, `--sw`: what pytest remembers of a task that was not measured."""

from __future__ import annotations

import json

import pytest
from support.suite_runs import Run, run

__all__ = ["run"]

SUITE = """
    import os, pytest
    from inspect_ai.util import SandboxUnavailableError
    from pytest_agenteval import agent_task

    async def test_good(attempt): attempt.agent_begins()

    async def test_bad(attempt):
        attempt.agent_begins()
        if os.path.exists("down"):
            raise SandboxUnavailableError("the daemon went away")
        assert os.path.exists("mended")

    async def test_last(attempt): attempt.agent_begins()

    @pytest.mark.skip(reason="not now")
    async def test_skipped(attempt): ...
"""
ONCE = "--agent-env-retries=0"


def remembered(pytester: pytest.Pytester) -> set[str]:
    file = pytester.path / ".pytest_cache/v/cache/lastfailed"
    return {name.partition("::")[2] for name in json.loads(file.read_text("utf-8"))} if file.exists() else set()


def test_a_failed_task_that_is_undecided_next_time_is_not_forgotten(run: Run, pytester: pytest.Pytester) -> None:
    assert run(SUITE, ONCE).ret == 1
    assert remembered(pytester) == {"test_bad"}
    (pytester.path / "down").touch()
    assert run(SUITE, ONCE, "--lf").ret == 10
    assert remembered(pytester) == {"test_bad"}
    (pytester.path / "down").unlink()
    (pytester.path / "mended").touch()
    result = run(SUITE, ONCE, "--lf")
    assert result.parseoutcomes() == {"passed": 1}
    assert remembered(pytester) == set()


def test_an_undecided_task_enters_and_a_skipped_one_does_not(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "down").touch()
    assert run(SUITE, ONCE).ret == 10
    assert remembered(pytester) == {"test_bad"}
    tasks = [line for line in run(SUITE, ONCE, "--ff", "-v").outlines if line.startswith("test_suite.py::test_")]
    assert tasks[0].startswith("test_suite.py::test_bad ")


def test_a_failed_task_that_was_not_needed_next_time_is_not_forgotten(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        async def test_first(attempt): attempt.agent_begins(); assert 0
        async def test_second(attempt): attempt.agent_begins(); assert 0
    """
    run(source)
    assert remembered(pytester) == {"test_first", "test_second"}
    early = run(source, "--agent-early-stop=exact", "--agent-concurrency=1", "--min-pass-at-1=0.9")
    assert early.parseoutcomes() == {"measured": 1, "decided": 1}
    assert remembered(pytester) == {"test_second"}


def test_stepwise_stops_at_an_undecided_task_and_goes_on_there(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "down").touch()
    result = run(SUITE, ONCE, "--sw")
    assert result.parseoutcomes() == {"passed": 1, "undecided": 1}
    (pytester.path / "down").unlink()
    (pytester.path / "mended").touch()
    result = run(SUITE, ONCE, "--sw")
    assert result.parseoutcomes() == {"passed": 2, "skipped": 1, "deselected": 1}
    result.stdout.fnmatch_lines(["stepwise: skipping 1 already passed items*"])
