from __future__ import annotations

import pytest

from pytest_agenteval.sandbox.autopsy import Event, State, cause_of_death
from pytest_agenteval.sandbox.death import EndedBy

RUNS = State(running=True, paused=False, oom_killed=False, exit_code=0)
RUNS_SHORT_OF_MEMORY = State(running=True, paused=False, oom_killed=True, exit_code=0)
PAUSED = State(running=True, paused=True, oom_killed=False, exit_code=0)


def ended(exit_code: int, *, oom_killed: bool = False) -> State:
    return State(running=False, paused=False, oom_killed=oom_killed, exit_code=exit_code)


def log(*actions: str, exit_code: int = 137) -> list[Event]:
    return [Event(action, exit_code if action == "die" else None) for action in actions]


@pytest.mark.parametrize(
    ("events", "state", "by"),
    [
        # What a daemon logged, and what it then said of the container, in each of these cases (engine 26.1):
        pytest.param(log("create", "start"), RUNS, EndedBy.RUNNING, id="alive"),
        pytest.param(log("start", "oom"), RUNS_SHORT_OF_MEMORY, EndedBy.RUNNING, id="a child ran out of memory"),
        pytest.param(log("start", "kill", "die"), ended(137), EndedBy.OUTSIDE, id="docker kill"),
        pytest.param(log("start", "kill", "die", exit_code=129), ended(129), EndedBy.OUTSIDE, id="docker kill -s HUP"),
        pytest.param(log("start", "kill", "stop", "die", exit_code=143), ended(143), EndedBy.OUTSIDE, id="docker stop"),
        pytest.param(log("start", "kill", "die", "destroy"), None, EndedBy.OUTSIDE, id="docker rm -f"),
        pytest.param(
            log("start", "oom", "kill", "die"), ended(137, oom_killed=True), EndedBy.OUTSIDE, id="oom, then kill"
        ),
        pytest.param(
            log("start", "kill", "stop", "die", "start", "restart"), RUNS, EndedBy.OUTSIDE, id="docker restart"
        ),
        pytest.param(log("start", "pause"), PAUSED, EndedBy.OUTSIDE, id="docker pause"),
        pytest.param(log("start", "die", exit_code=143), ended(143), EndedBy.INSIDE, id="kill 1 inside"),
        pytest.param(log("start", "die", "destroy", exit_code=143), None, EndedBy.INSIDE, id="kill 1 inside, --rm"),
        pytest.param(log("start", "die", exit_code=0), ended(0), EndedBy.INSIDE, id="its command ended"),
        pytest.param(
            log("start", "oom", "die", exit_code=143), ended(143, oom_killed=True), EndedBy.INSIDE, id="oom, kill 1"
        ),
        pytest.param(log("start", "oom", "die"), ended(137, oom_killed=True), EndedBy.EXHAUSTED, id="out of memory"),
        pytest.param(log("start", "oom", "die", "destroy"), None, EndedBy.EXHAUSTED, id="out of memory, --rm"),
        pytest.param(log("start", "die"), ended(137), EndedBy.UNKNOWN, id="kill -9 by pid, of host or agent"),
        # and where the log has lost the beginning:
        pytest.param([], ended(137, oom_killed=True), EndedBy.EXHAUSTED, id="the state still tells"),
        pytest.param([], ended(143), EndedBy.UNKNOWN, id="the state does not tell"),
        pytest.param([], None, EndedBy.UNKNOWN, id="nothing left"),
        pytest.param(log("destroy"), None, EndedBy.OUTSIDE, id="removed"),
    ],
)
def test_who_ended_the_container(events: list[Event], state: State | None, by: EndedBy) -> None:
    assert cause_of_death(events, state).by is by


def test_a_daemon_that_came_up_later_explains_a_death_without_events() -> None:
    assert cause_of_death([], ended(137), daemon_restarted=True).by is EndedBy.OUTSIDE
    assert cause_of_death([], None, daemon_restarted=True).by is EndedBy.OUTSIDE


def test_a_restarted_daemon_does_not_hide_what_came_after() -> None:
    assert cause_of_death(log("die", exit_code=143), ended(143), daemon_restarted=True).by is EndedBy.INSIDE
    assert cause_of_death([], RUNS, daemon_restarted=True).by is EndedBy.RUNNING


def test_the_reason_tells_the_exit_status() -> None:
    assert "143" in cause_of_death(log("die", exit_code=143), ended(143)).reason
    assert "ran out of memory" in cause_of_death(log("oom"), RUNS_SHORT_OF_MEMORY).reason
    assert "memory" not in cause_of_death([], RUNS).reason
