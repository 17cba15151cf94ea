from __future__ import annotations

import pytest
from support.made_logs import log, timed

from pytest_agenteval.plan.takeover import Takeover, resumed_as_another
from pytest_agenteval.record.reuse import Reuse, Taken
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import StoredLog

TASK = "t.py::test_it"
UNKNOWN = "what attempts in flight had spent when the run was killed is in no log"


def begun(hour: int, *, killed: bool) -> StoredLog:
    return log({TASK: timed("pn", hour)}, hour=hour, ended=False, killed=killed)


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ((begun(1, killed=False),), False),
        ((begun(1, killed=True),), True),
        ((begun(1, killed=True), begun(2, killed=False)), False),
        ((begun(1, killed=False), begun(2, killed=True)), True),
        ((begun(1, killed=False), log({}, run="other", hour=3, killed=True)), False),
    ],
    ids=["after Ctrl-C", "after a kill", "long after a kill", "after another kill", "another run was killed"],
)
def test_what_nobody_knows_is_said_once_and_only_of_a_run_that_was_killed(
    logs: tuple[StoredLog, ...], said: bool
) -> None:
    assert (UNKNOWN in Takeover(logs, "run").account(Reuse({}), 4)) is said


def test_what_runs_again_is_counted() -> None:
    logs = (begun(1, killed=False),)
    one, two = (Taken((), tuple(timed("n" * count))) for count in (1, 2))
    found = [Takeover(logs, "run").account(Reuse({TASK: taken}), 4)[1] for taken in (one, two)]
    assert found == [
        "1 attempt that was begun and not finished runs again",
        "2 attempts that were begun and not finished run again",
    ]


THEN = RunIdentity("ci-7", named=True, commit="a" * 40)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (THEN, []),
        (RunIdentity("own", commit="a" * 40), []),
        (RunIdentity("ci-8", named=True, commit=None), ["the run that goes on is ci-7, and this one is ci-8"]),
        (
            RunIdentity("ci-7", named=True, commit="b" * 40, dirty=True),
            ["the run that goes on was of commit aaaaaaaaaaaa, and this one is of bbbbbbbbbbbb with changes"],
        ),
    ],
)
def test_a_run_that_goes_on_as_another_one_says_so(now: RunIdentity, said: list[str]) -> None:
    assert resumed_as_another(THEN, now) == said
    assert resumed_as_another(None, now) == []
