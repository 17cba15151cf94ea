"""What the attempts in flight are doing, as Inspect sees it."""

from __future__ import annotations

from datetime import UTC, datetime

from inspect_ai.event import Event, ModelEvent, ToolEvent

from pytest_agenteval.engine.inspect_private import ActiveSample, active_samples
from pytest_agenteval.run.dispatch import Key

__all__ = ["doing", "pulse"]

_RECENT = 16
"""So many events of an attempt are looked at: whatever is going on is among the last."""


def pulse() -> object:
    """Another value whenever something has happened in an attempt."""
    return [[(event.uuid, event.pending) for event in _recent(sample)] for sample in active_samples()]


def doing(attempt: Key) -> str:
    """What an attempt in flight is waiting for, with its age if known."""
    sample = next((each for each in active_samples() if (str(each.sample.id), each.epoch) == attempt), None)
    if sample is None:
        return "Inspect, to start it"
    pending = [event for event in _recent(sample) if event.pending]
    if not pending:
        return "its own code, its fixtures, its sandbox, or the pause before a retry"
    seconds = (datetime.now(UTC) - pending[-1].timestamp).total_seconds()
    return f"{_what(pending[-1])}, for {seconds:.0f} s"


def _what(event: Event) -> str:
    if isinstance(event, ModelEvent):
        return f"a call of {event.model}"
    return f"the tool {event.function}" if isinstance(event, ToolEvent) else f"a {event.event}"


def _recent(sample: ActiveSample) -> list[Event]:
    return list(sample.transcript.history.recent_events(_RECENT))
