"""One pytest session of agent tasks: from an item that pytest reaches to the record and the report of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from pytest_agenteval.gates import Verdict, judge_task
from pytest_agenteval.gating import gate_settings
from pytest_agenteval.items import SESSION, AgentItem
from pytest_agenteval.options import settings
from pytest_agenteval.outcomes import Outcome
from pytest_agenteval.pump import Engine, Finished, Pump
from pytest_agenteval.records import AttemptRecord, TaskRecord, to_json
from pytest_agenteval.reports.failures import failure_lines
from pytest_agenteval.reports.junit import TASK_PROPERTY
from pytest_agenteval.reports.task_table import verdict_mark
from pytest_agenteval.task_summary import summarize_task

__all__ = ["AgentSession", "NotNeeded", "Undecided"]


_Skipped: type[BaseException] = pytest.skip.Exception


class Undecided(_Skipped):  # type: ignore[misc, valid-type]
    """The task has no verdict: attempts are missing. For pytest it is neither a pass nor a failure."""


class NotNeeded(_Skipped):  # type: ignore[misc, valid-type]
    """No attempt of the task ran, for every verdict was fixed without it."""


class AgentSession:
    """Runs agent tasks for pytest and keeps what they did."""

    def __init__(self, session: pytest.Session, engine: Engine) -> None:
        self.pump = Pump(session, engine)
        self._items = [item for item in session.items if isinstance(item, AgentItem)]
        self._settings = settings(session.config)
        self._gates = gate_settings(self._settings)
        session.config.stash[SESSION] = self

    def finish(self, item: AgentItem) -> None:
        """Wait for a task's attempts, attach its record to the item, and end as its verdict says.

        Raises:
            BaseException: of the first attempt that broke or failed, with its own traceback, where the task fails.
            Undecided: attempts are missing and could turn the verdict.
            NotNeeded: early stopping needed none of its attempts.
            pytest.skip.Exception: the task skipped itself.
        """
        finished = self.pump.finished(item)
        record = self.record(item, finished)
        item.reported = to_json(record)
        summary = summarize_task(record)
        result = judge_task(summary, self._gates)
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
            ("agent_tool_call_failures", summary.tool_failure_count),
            ("agent_environment_errors", summary.environment_errors.count),
        ]  # fmt: skip
        for one in finished:
            for name, text in one.capture.sections() if one.capture is not None else ():
                item.add_report_section("call", f"{name} (attempt {one.record.number})", text)
        if lines := failure_lines(record):
            item.add_report_section("call", "agent evaluation", "\n".join(line.text for line in lines))
        _raise_first(finished, Outcome.SKIPPED)
        _raise_first(finished, Outcome.BROKEN)
        if result is not None and result.verdict is Verdict.FAIL:
            _raise_first(finished, Outcome.FAILED, Outcome.LIMIT)
            pytest.fail(result.reason, pytrace=False)
        if result is not None and result.verdict is Verdict.UNDECIDED:
            raise Undecided(f"undecided: {result.reason}")
        if summary.decided == record.k:
            raise NotNeeded("not run: every verdict was fixed without it")
        if record.n == 0:
            raise Undecided("undecided: no attempt could be evaluated")

    def record(self, item: AgentItem, finished: Sequence[Finished]) -> TaskRecord:
        """All that is known of a task; attempts that never started are recorded as not run."""
        known = {one.record.number: one.record for one in finished}
        k = self._settings.k
        never = [n for n in range(1, k + 1) if n not in known][: max(0, k - len(known))]
        known |= {n: AttemptRecord(n, Outcome.NOT_RUN, None, "the run was stopped before it started") for n in never}
        attempts = tuple(known[number] for number in sorted(known))
        return TaskRecord(
            task=item.nodeid,
            cell=item.cell,
            k=k,
            attempts=attempts,
            min_pass_rate=item.options.min_pass_rate,
            notes=item.notes,
            source=item.source,
            discarded=tuple(self.pump.engine.discarded(item)),
            name=item.task_name,
        )

    def unreported(self, items: Iterable[AgentItem]) -> list[TaskRecord]:
        """Records of tasks that pytest has not reported, whether or not they started, without those that are skipped.

        A stopped run is judged with them: of what never started nobody knows how it would have ended.
        """
        left = [item for item in items if not item.skips and item not in self.pump.skipped]
        return [self.record(item, self.pump.so_far(item)) for item in left]

    def announcement(self) -> dict[str, Any]:
        """The tasks there are to run, as JSON types: what a worker tells the process that judges."""
        return {
            "records": [to_json(record) for record in self.unreported(self._items)],
            "expected_failures": [item.nodeid for item in self._items if item.expects_failure],
        }


def _raise_first(finished: Sequence[Finished], *outcomes: Outcome) -> None:
    for one in finished:
        if one.record.outcome in outcomes:
            error = one.ending.error if one.ending is not None else None
            if error is None:
                pytest.fail(f"attempt {one.record.number}: {one.record.message}", pytrace=False)
            if isinstance(error, KeyboardInterrupt | SystemExit):  # a body's own must not end pytest
                pytest.fail(f"attempt {one.record.number} raised {error!r}", pytrace=False)
            if isinstance(error, pytest.skip.Exception) and Outcome.SKIPPED not in outcomes:
                text = f"attempt {one.record.number} skipped after its agent had started: {error.msg}"
                pytest.fail(text, pytrace=False)
            raise error
