"""What pytest says of the session beside what the records show: no failure is counted twice, and none is lost."""

from __future__ import annotations

import pytest
from support.made_records import CELL, task

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import PytestSaid, judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.record.tool_calls import ToolCalls

FAILS = task("ff", name="t.py::test_fails", min_pass_rate=1.0)
PASSES = task("pp", name="t.py::test_passes", min_pass_rate=1.0)
BROKEN = task("pb", name="t.py::test_broken")
UNJUDGED = task("ff", name="t.py::test_unjudged")
ANY_RATE = GateSettings(min_pass_at_1=0.0)
"""Beside a gate on the suite a task without a `min_pass_rate` is not judged. This gate always passes."""


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (FAILS, "FAILED: t.py::test_fails (min_pass_rate)"),
        (BROKEN, "FAILED: 1 attempt is broken"),
        # Its verdict is PASS, or it has none: then something else made pytest report it, such as a plugin's hook.
        (PASSES, "FAILED: 1 test failed"),
        (UNJUDGED, "FAILED: 1 test failed"),
    ],
    ids=lambda value: value.task if isinstance(value, TaskRecord) else "",
)
def test_a_task_that_pytest_reports_as_failed_is_counted_once(record: TaskRecord, reason: str) -> None:
    status = judge_run([record], ANY_RATE, said=PytestSaid(1, failed_tasks=[record.task])).status
    assert (status.code, status.reason) == (1, reason)


def test_failures_that_no_verdict_explains_are_added_to_those_of_ordinary_tests() -> None:
    said = PytestSaid(1, ordinary_failures=2, failed_tasks=[FAILS.task, PASSES.task, UNJUDGED.task])
    status = judge_run([FAILS, PASSES, UNJUDGED], ANY_RATE, said=said).status
    assert status.reason == "FAILED: 4 tests failed; t.py::test_fails (min_pass_rate)"


def test_a_failed_gate_on_the_whole_run_explains_no_task() -> None:
    said = PytestSaid(1, failed_tasks=[UNJUDGED.task])
    status = judge_run([UNJUDGED], GateSettings(min_pass_at_1=0.5), said=said).status
    assert status.reason == "FAILED: 1 test failed; --min-pass-at-1"


def test_a_usage_error_before_anything_began_judges_nothing_and_one_after_it_keeps_the_verdicts() -> None:
    thresholds = GateSettings(min_pass_at_1=0.5)
    before, after = (judge_run(records, thresholds, said=PytestSaid(4)) for records in ([], [FAILS]))
    assert (before.gates, before.status.code) == ((), 4)
    assert {gate.name for gate in after.gates} >= {"--min-pass-at-1", "min_pass_rate"}
    assert after.status.code == 4


def test_without_records_a_gate_has_nothing_to_judge() -> None:
    assert judge_run([], GateSettings(min_pass_at_1=0.5)).status.code == 10


def test_a_regression_is_compared_and_fails_the_run() -> None:
    before = EarlierRun("yesterday", (EarlierAttempt(CELL, UNJUDGED.task, True, 0.01, ToolCalls(10), None),) * 8)
    judgement = judge_run([task("f" * 8, name=UNJUDGED.task)], ANY_RATE, baseline=before)
    assert [comparison.cell for comparison in judgement.comparisons] == [CELL]
    assert (judgement.status.code, judgement.status.reason) == (1, "FAILED: --agent-baseline")
