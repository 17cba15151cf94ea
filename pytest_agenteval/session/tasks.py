"""The agent tasks of one pytest session: from an item that pytest reaches to its record and report."""

from __future__ import annotations

import os
import unittest
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

import pytest

from pytest_agenteval.collect.items import SESSION, AgentItem
from pytest_agenteval.estimate.task import Expectation
from pytest_agenteval.judge import Verdict
from pytest_agenteval.judge.judgement import JudgedTask
from pytest_agenteval.options.reading import settings
from pytest_agenteval.plan.gates import gate_settings
from pytest_agenteval.plugins import call_each
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, TaskRecord, settle_skips
from pytest_agenteval.record.stored import StoredTask
from pytest_agenteval.redaction import secret_values
from pytest_agenteval.report.failures import failure_lines
from pytest_agenteval.report.junit import TASK_PROPERTY
from pytest_agenteval.report.outgoing import without_secrets
from pytest_agenteval.report.task_table import verdict_mark
from pytest_agenteval.run.engine import Engine, Finished
from pytest_agenteval.run.one_try import warn_of_value
from pytest_agenteval.run.pump import Pump

__all__ = ["AgentSession", "NotNeeded", "Undecided"]


_Skipped: type[BaseException] = pytest.skip.Exception
_NOT_RAISED = (KeyboardInterrupt, SystemExit, pytest.skip.Exception, unittest.SkipTest, pytest.xfail.Exception)
"""Exceptions of attempts that would end pytest, or make it report a failed task as something else."""


class Undecided(_Skipped):  # type: ignore[misc, valid-type]
    """The task has no verdict because attempts are missing. For pytest it is neither a pass nor a failure."""


class NotNeeded(_Skipped):  # type: ignore[misc, valid-type]
    """No attempt of the task ran, because every verdict was fixed without it."""


class AgentSession:
    """Runs agent tasks for pytest and keeps their results."""

    def __init__(self, session: pytest.Session, engine: Engine) -> None:
        self.pump = Pump(session, engine)
        self._items = [item for item in session.items if isinstance(item, AgentItem)]
        self._settings = settings(session.config)
        self._gates = gate_settings(self._settings)
        self._hook = session.config.hook
        self._notes: list[str] = []
        self.judged: list[JudgedTask] = []
        """The tasks that have ended."""
        self.pump.listen(self._tell_plugins)
        session.config.stash[SESSION] = self

    def finish(self, item: AgentItem) -> None:
        """Wait for a task's attempts, attach its record to the item, and return or raise according to its verdict.

        Raises:
            BaseException: if the task fails, that of the first attempt that broke or failed, with its own traceback.
            Undecided: attempts are missing that could change the verdict.
            NotNeeded: early stopping needed none of its attempts.
            pytest.skip.Exception: the task skipped itself.
        """
        finished = self.pump.finished(item)
        record = self.record(item, finished)
        item.reported = record
        judged = JudgedTask.of(record, self._gates)
        self.judged.append(judged)
        summary, result = judged.summary, judged.result
        item.fails = bool(summary.broken) or (result is not None and result.verdict is Verdict.FAIL)
        item.user_properties += [
            (TASK_PROPERTY, record.task),
            ("agent_verdict", verdict_mark(summary, None if result is None else result.verdict)),
            ("agent_attempts", record.n),
            ("agent_passes", record.passes),
            *((name, value) for name, value in (
                ("agent_pass_at_1", summary.pass_at_1),
                (f"agent_pass_hat_{record.k}", summary.pass_hat_k),
                ("agent_cost_usd", record.cost),
            ) if value is not None),
            ("agent_tool_call_failures", summary.tool_calls.failed),
            ("agent_environment_errors", summary.environment_errors.count),
        ]  # fmt: skip
        for one in finished:
            for name, text in one.capture.sections() if one.capture is not None else ():
                item.add_report_section("call", f"{name} (attempt {one.record.number})", text)
        if lines := failure_lines(without_secrets(record, secret_values(os.environ))):
            item.add_report_section("call", "agent evaluation", "\n".join(line.text for line in lines))
        if item.returned is not None:
            warn_of_value(item)
        errors = {one.record.number: one.error for one in finished}
        _end(item, judged, errors)

    def identity(self, item: AgentItem) -> StoredTask | None:
        """The task as it is now, by what defines it; None if pytest skips it."""
        return self.pump.engine.identity(item)

    def network(self, item: AgentItem) -> str | None:
        """The network of its sandbox, `none` or `bridge`; None if unknown, or it has no container."""
        return self.pump.engine.network(item)

    def record(self, item: AgentItem, finished: Sequence[Finished]) -> TaskRecord:
        """Everything known about a task; attempts that never started are recorded as not run."""
        known = {one.record.number: one.record for one in finished}
        k = item.k
        never = [n for n in range(1, k + 1) if n not in known][: max(0, k - len(known))]
        known |= {n: AttemptRecord(n, Outcome.NOT_RUN, None, "the run was stopped before it started") for n in never}
        attempts = tuple(known[number] for number in sorted(known))
        return TaskRecord(
            task=item.nodeid,
            cell=item.cell,
            k=k,
            attempts=settle_skips(attempts),
            min_pass_rate=item.options.min_pass_rate,
            notes=item.notes,
            source=item.source,
            discarded=tuple(self.pump.engine.discarded(item)),
            expected_failure=item.expects_failure,
            strict=item.strict,
            name=item.task_name,
            perturbed=item.perturbed,
        )

    def unreported(self, items: Iterable[AgentItem]) -> list[TaskRecord]:
        """Records of tasks that pytest has not reported, whether or not they started, except those that are skipped.

        A stopped run is judged with them, because nobody knows how the tasks that never started would have ended.
        """
        left = [item for item in items if not item.skips and item not in self.pump.skipped]
        return [self.record(item, self.pump.so_far(item)) for item in left]

    def _tell_plugins(self, item: AgentItem, attempt: AttemptRecord) -> None:
        told = {"task": item.nodeid, "cell": item.cell, "attempt": attempt}
        _, failed = call_each(self._hook.pytest_agenteval_attempt_finished, **told)
        self._notes += [note for note in failed if note not in self._notes]

    def note(self, text: str) -> None:
        """What a reader of the run should know, a sentence."""
        self._notes.append(text)

    @property
    def notes(self) -> list[str]:
        """What a reader should know about the run as a whole, for example plugins that failed; one sentence each."""
        return [*self._notes, *self.pump.engine.notes]

    def announcement(self) -> list[TaskRecord]:
        """The tasks there are to run: what a worker tells the process that judges."""
        return self.unreported(self._items)


def _end(item: AgentItem, judged: JudgedTask, errors: Mapping[int, BaseException | None]) -> None:
    """Return or raise, so that pytest sees the task's verdict."""
    record, summary, result = judged.record, judged.summary, judged.result
    attempts = record.attempts
    failures = [each for each in attempts if each.outcome in (Outcome.FAILED, Outcome.LIMIT)]
    if summary.skipped:
        _skip(attempts[0], errors)
    if summary.broken:
        _fail(next(each for each in attempts if each.outcome is Outcome.BROKEN), errors)
    if summary.expected is Expectation.XPASSED and summary.strict and result is not None:
        pytest.fail(f"[XPASS(strict)] {item.xfail_reason}", pytrace=False)
    if summary.expected is not None:
        item.wasxfail = item.xfail_reason or _reason(failures, errors)
    if summary.expected is Expectation.XFAILED:
        _fail(failures[0], errors)
    if result is not None and result.verdict is Verdict.FAIL:
        for each in failures:
            if not record.excuses(each):
                _fail(each, errors)
        pytest.fail(result.reason, pytrace=False)
    if result is not None and result.verdict is Verdict.UNDECIDED:
        raise Undecided(f"undecided: {result.reason}")
    if summary.decided == record.k:
        raise NotNeeded("not run: every verdict was fixed without it")
    if record.n == 0:
        raise Undecided("undecided: no attempt could be evaluated")


def _skip(attempt: AttemptRecord, errors: Mapping[int, BaseException | None]) -> NoReturn:
    error = errors.get(attempt.number)
    if isinstance(error, pytest.skip.Exception):
        raise error
    raise pytest.skip.Exception(attempt.message or "skipped") from error


def _fail(attempt: AttemptRecord, errors: Mapping[int, BaseException | None]) -> NoReturn:
    """Raise an attempt's own exception, unless pytest would make something else of it."""
    error = errors.get(attempt.number)
    # the provider's own sentence says everything about these
    told = attempt.cause in (Cause.CONTEXT, Cause.REFUSED)
    if error is None or told or isinstance(error, _NOT_RAISED):
        pytest.fail(f"attempt {attempt.number}: {attempt.message}", pytrace=False)
    raise error


def _reason(failures: Sequence[AttemptRecord], errors: Mapping[int, BaseException | None]) -> str:
    """The reason given to `pytest.xfail`."""
    raised = (errors.get(each.number) for each in failures)
    return next((error.msg or "" for error in raised if isinstance(error, pytest.xfail.Exception)), "")
