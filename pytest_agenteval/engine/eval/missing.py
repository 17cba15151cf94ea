"""What is recorded of attempts that are missing for no doing of their own."""

from __future__ import annotations

from dataclasses import replace

from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.run.attempt import Ending
from pytest_agenteval.run.pump import Finished

__all__ = ["never_ran", "not_in_log"]


def never_ran(number: int, cause: Cause, why: str) -> Finished:
    """An attempt that never began, or about which nothing is known."""
    record = AttemptRecord(number, Outcome.NOT_RUN, cause, why)
    return Finished(record, Ending(record.outcome, cause, message=why), None)


def not_in_log(finished: Finished, why: str) -> Finished:
    """What remains of an attempt that is lost: what it cost. How it ended counts nowhere."""
    ending = Ending(
        Outcome.ENVIRONMENT_ERROR, Cause.HARNESS, message=f"it is in no log, and so it does not count: {why}"
    )
    record = replace(
        finished.record,
        outcome=ending.outcome,
        cause=ending.cause,
        message=ending.message,
        exception=None,
        where=None,
        log=None,
    )
    return Finished(record, ending, finished.capture)
