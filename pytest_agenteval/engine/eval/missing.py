"""What is recorded of attempts that are missing for no doing of their own."""

from __future__ import annotations

from dataclasses import replace

from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.run.pump import Finished

__all__ = ["never_ran", "not_in_log"]


def never_ran(number: int, cause: Cause, why: str) -> Finished:
    """An attempt that never began, or of which nothing is known."""
    return Finished(AttemptRecord(number, Outcome.NOT_RUN, cause, why))


def not_in_log(finished: Finished, why: str) -> Finished:
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
