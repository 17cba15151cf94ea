"""Who ended a container: the agent, or something outside it.

What the daemon does on an order, it logs before or with the death (`kill`, `stop`, `destroy`). The kernel's kill for
lack of memory is logged as `oom`. A process that ends the container from inside leaves only `die`. No command inside a
sandbox can make the daemon log an order, so an agent cannot blame its own action on somebody else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.sandbox.death import Death, EndedBy
from pytest_agenteval.sandbox.docker.daemon import DaemonGone, SandboxSetupError, connect

__all__ = ["Event", "State", "cause_of_death", "examine"]

_REMEMBERED = 256  # events a daemon keeps (moby, daemon/events: eventsLimit)
_SIGKILL = 137
_READS = 3  # death and its events are logged some milliseconds after a caller has noticed them
_PAUSE = 0.4


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the daemon's log about a container."""

    action: str
    """`start`, `kill`, `oom`, `die`, `destroy`, ..."""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What the daemon knows about a container that still exists."""

    running: bool
    paused: bool
    oom_killed: bool
    """Whether a process of it, not necessarily its first, was killed for lack of memory."""
    exit_code: int


def cause_of_death(events: Sequence[Event], state: State | None, *, daemon_restarted: bool = False) -> Death:
    """Who ended the container, by its events and its present state (None: it is gone).

    `daemon_restarted` says that the daemon came up after the container had started, with an empty log.
    """
    actions = {event.action for event in events}
    died = next((event for event in reversed(events) if event.action == "die"), None)
    exit_code = died.exit_code if died else state.exit_code if state and not state.running else None
    out_of_memory = "oom" in actions or (state is not None and state.oom_killed)
    if state and state.running and died is None:
        if state.paused:
            return Death(EndedBy.OUTSIDE, "the container was paused by an order to the daemon")
        return Death(EndedBy.RUNNING, "the container runs" + (", a process of it ran out of memory" * out_of_memory))
    if "kill" in actions or "stop" in actions:
        return Death(EndedBy.OUTSIDE, "the container was killed or stopped by an order to the daemon")
    if out_of_memory and exit_code == _SIGKILL:
        return Death(EndedBy.EXHAUSTED, "the container ran out of its memory")
    if died is None:
        if daemon_restarted:
            return Death(EndedBy.OUTSIDE, "the Docker daemon was restarted while the container ran")
        if "destroy" in actions:
            return Death(EndedBy.OUTSIDE, "the container was removed by an order to the daemon")
        what = "is gone" if state is None else f"ended with exit status {exit_code}"
        return Death(EndedBy.UNKNOWN, f"the container {what}, and the daemon's log no longer says why")
    if exit_code is None or exit_code == _SIGKILL:
        why = "the container was killed from within or by the host, with no order to the daemon"
        return Death(EndedBy.UNKNOWN, why)
    return Death(EndedBy.INSIDE, f"a process in the container ended it, with exit status {exit_code}", exit_code)


def examine(container: str) -> Death:
    """Who ended the container of that name or id.

    Call this before the container is removed, and soon, because the daemon remembers only its last 256 events. A daemon
    that is gone is OUTSIDE; one that does not answer or refuses is UNKNOWN. Takes about a second for an answer of
    RUNNING or UNKNOWN; each call to the daemon waits at most 5 s for its answer.
    """
    try:
        with connect() as daemon:
            for turn in range(_READS):
                if turn:
                    time.sleep(_PAUSE)
                found = daemon.container(container)
                log = daemon.events()
                identity = str(found["Id"]) if found else container
                mine = [event for event in log if _is_about(event, identity)]
                restarted = len(log) < _REMEMBERED and not any(event["Action"] == "start" for event in mine)
                state = _state(found["State"]) if found else None
                death = cause_of_death([*map(_event, mine)], state, daemon_restarted=restarted)
                if death.by not in (EndedBy.RUNNING, EndedBy.UNKNOWN):
                    break
    except DaemonGone as error:
        return Death(EndedBy.OUTSIDE, str(error))
    except SandboxSetupError as error:
        return Death(EndedBy.UNKNOWN, str(error))
    return death


def _is_about(event: Mapping[str, Any], identity: str) -> bool:
    if event.get("Type") != "container":
        return False
    actor = event["Actor"]
    named = actor.get("Attributes", {}).get("name") == identity
    return named or (len(identity) >= 12 and str(actor["ID"]).startswith(identity))


def _event(event: Mapping[str, Any]) -> Event:
    code = event["Actor"].get("Attributes", {}).get("exitCode")
    return Event(str(event["Action"]), None if code is None else int(code))


def _state(state: Mapping[str, Any]) -> State:
    return State(bool(state["Running"]), bool(state["Paused"]), bool(state["OOMKilled"]), int(state["ExitCode"]))
