"""What has become of each attempt. Everybody is told of it once: when it is in its log, or will never be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from inspect_ai.event import Event, ModelEvent, ToolEvent
from inspect_ai.log import EvalLog, EvalSample

from pytest_agenteval.engine.eval.tries import Suite, Trial
from pytest_agenteval.engine.inspect_private import ActiveSample, active_samples
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.run.dispatch import Dispatcher, Key
from pytest_agenteval.run.engine import Finished

__all__ = ["Ledger", "doing", "never_ran", "pulse", "suite_in"]

_RECENT = 16
"""So many events of an attempt are looked at: whatever is going on is among the last."""


class Ledger:
    """Follows attempts from their start into their logs, and tells the dispatcher and who waits for them."""

    def __init__(self, dispatcher: Dispatcher, give_up: Callable[[Suite], None]) -> None:
        """`give_up` starts no more attempts of a suite, for its log cannot be written."""
        self.passed = self.done = 0
        self.problems: list[str] = []
        """What went wrong with the evaluation itself, a sentence each."""
        self.in_flight: dict[Key, Trial] = {}
        self.unwritten: dict[Key, Finished] = {}
        """Attempts in flight that have come to their end, and are not in their log yet: nobody is told of them."""
        self.cancelling = False
        """Whether the run is being stopped: what does not come to its end was cancelled."""
        self._dispatcher, self._give_up = dispatcher, give_up
        self.over: dict[Suite, str] = {}
        """Why Inspect runs no more attempts of these suites."""
        self._futures: dict[Key, asyncio.Future[Finished]] = {}

    def expect(self, key: Key) -> asyncio.Future[Finished]:
        """Open an attempt; must be called on the running loop."""
        future = self._futures[key] = asyncio.get_running_loop().create_future()
        return future

    def tell(self, key: Key, finished: Finished) -> None:
        """Close an attempt that the dispatcher did not name: it knows how it ended."""
        self.done += 1
        self.passed += finished.record.outcome is Outcome.PASSED
        future = self._futures[key]
        if not future.done():
            future.set_result(finished)

    def end(self, trial: Trial, finished: Finished) -> None:
        """Close an attempt that the dispatcher named."""
        outcome = finished.record.outcome
        if outcome is Outcome.SKIPPED:
            self._dispatcher.skipped(trial.key)
        else:
            self._dispatcher.record(trial.key, outcome is Outcome.PASSED if outcome.counts else None)
        self.tell(trial.key, finished)

    # -- what the logs hold (`recording` tells) ----------------------------------------------------

    def written(self, attempts: Collection[Key]) -> None:
        """These attempts are in their log: they have ended as they ended."""
        for key in attempts:
            if (finished := self.unwritten.pop(key, None)) is not None:
                self.end(self.in_flight[key], finished)

    def unrecorded(self, attempt: Key, why: str) -> None:
        """The attempt will not be in its log, and so it does not count."""
        if attempt in self.unwritten:
            self._lose(self.in_flight[attempt], why)

    def unwritable(self, suite: Suite, why: str) -> None:
        """No attempt of this suite can be recorded any more: none begins, and Inspect ends those in flight."""
        self.problems.append(why)
        self.over[suite] = why
        self._give_up(suite)

    # -- what Inspect has done with ----------------------------------------------------------------

    def complete(self, key: Key, sample: EvalSample | None) -> None:
        """Inspect has done with an attempt, so its place is free; news are those that were not written."""
        trial = self.in_flight.pop(key)
        message = sample.error.message if sample is not None and sample.error else "Inspect gave the attempt up"
        self._lose(trial, self.over.get(trial.suite, message))

    def suite_over(self, log: EvalLog) -> None:
        """Inspect has ended a suite: none of its attempts is in flight any more, and none can start."""
        suite = suite_in(log.eval.metadata)
        if suite not in self.over:
            self.over[suite] = f"Inspect had ended the suite{f': {log.error.message}' if log.error else ''}"
            if log.error is not None:
                self.problems.append(f"Inspect ended {suite[0]} early: {log.error.message}")
        self._lose_all([trial for trial in self.in_flight.values() if trial.suite == suite], self.over[suite])

    def all_over(self, why: str) -> None:
        """Inspect has ended the eval: whoever waits for an attempt must not wait for that."""
        self._lose_all([*self.in_flight.values()], why)

    def _lose_all(self, trials: Collection[Trial], why: str) -> None:
        for trial in trials:
            del self.in_flight[trial.key]
            self._lose(trial, self.over.get(trial.suite, why))

    def _lose(self, trial: Trial, why: str) -> None:
        """An attempt is in no log: it is missing, unless it has been told before."""
        finished = self.unwritten.pop(trial.key, None)
        if self._futures[trial.key].done():
            return
        if finished is not None:
            stopped = self.cancelling and finished.record.outcome is Outcome.NOT_RUN
            self.end(trial, finished if stopped else _not_in_log(finished, why))
        elif self.cancelling:
            self.end(trial, never_ran(trial.number, Cause.CANCELLED, "the run was stopped"))
        else:
            self.end(trial, never_ran(trial.number, Cause.HARNESS, why))


def suite_in(metadata: Mapping[str, Any] | None) -> Suite:
    """The suite that a log's metadata name."""
    said = metadata or {}
    return str(said.get("suite")), str(said.get("model")), str(said.get("perturbation", ""))


def never_ran(number: int, cause: Cause, why: str) -> Finished:
    """An attempt that never began, or of which nothing is known."""
    return Finished(AttemptRecord(number, Outcome.NOT_RUN, cause, why))


def _not_in_log(finished: Finished, why: str) -> Finished:
    """What is left of an attempt that nobody will find again: what it cost. How it ended counts nowhere."""
    record = replace(
        finished.record,
        outcome=Outcome.ENVIRONMENT_ERROR,
        cause=Cause.HARNESS,
        message=f"it is in no log, and so it does not count: {why}",
        exception=None,
        where=None,
        log=None,
    )
    return Finished(record, capture=finished.capture)


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
