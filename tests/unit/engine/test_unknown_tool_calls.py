"""Tool calls of which nobody knows whether they failed: no successes, no failures, and no rate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.made_records import task

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateSettings, Verdict, judge
from pytest_agenteval.record import figures
from pytest_agenteval.record.records import TaskRecord, ToolCall, from_json


def record(failed: int, fine: int, unknown: int) -> TaskRecord:
    calls = [ToolCall("bash", "{}", error="timeout")] * failed + [ToolCall("bash", "{}")] * fine
    calls += [ToolCall("bash", "{}", known_by="messages", failure_known=False)] * unknown
    made = task("p")
    return replace(made, attempts=(replace(made.attempts[0], tool_calls=tuple(calls)),))


def test_with_unknown_calls_there_is_a_range_and_no_rate() -> None:
    (cell,) = summarize([record(1, 2, 5)]).cells
    assert (cell.tool_calls.calls, cell.tool_calls.failed, cell.tool_calls.unknown) == (8, 1, 5)
    assert cell.tool_calls.rate is None
    assert cell.tool_calls.range == (1 / 8, 6 / 8)


def test_without_them_the_rate_is_over_all_calls() -> None:
    (cell,) = summarize([record(1, 3, 0)]).cells
    assert cell.tool_calls.rate == 0.25
    assert cell.tool_calls.range == (0.25, 0.25)


@pytest.mark.parametrize(
    ("nonzero", "unknown", "text"),
    [(0, 0, "0"), (2, 0, "2"), (0, 1, "unknown for 1 call"), (2, 5, "2, unknown for 5 calls")],
)
def test_no_nonzero_exit_is_told_only_where_all_are_known(nonzero: int, unknown: int, text: str) -> None:
    calls = [ToolCall("bash", "{}", exit_code=1)] * nonzero + [ToolCall("bash", "{}", exit_known=False)] * unknown
    made = task("p")
    (cell,) = summarize([replace(made, attempts=(replace(made.attempts[0], tool_calls=tuple(calls)),))]).cells
    assert figures.exits(cell.tool_calls.nonzero_exits, cell.tool_calls.unknown_exits) == text


def test_calls_of_old_records_are_counted_as_they_were() -> None:
    old = {"tool": "bash", "arguments": "{}", "known_by": "messages", "failure_known": False}
    stored = {"task": "t.py::test_it", "cell": {"model": "m", "scaffold": "s"}, "k": 1}
    read = from_json({**stored, "attempts": [{"number": 1, "outcome": "passed", "tool_calls": [old]}]})
    (cell,) = summarize([read]).cells
    assert (cell.tool_calls.nonzero_exits, cell.tool_calls.unknown_exits, cell.tool_calls.unknown) == (0, 0, 1)


@pytest.mark.parametrize(
    ("calls", "verdict"),
    [
        ((3, 0, 5), Verdict.FAIL),
        ((0, 6, 2), Verdict.PASS),
        ((1, 2, 5), Verdict.UNDECIDED),
        ((0, 0, 4), Verdict.UNDECIDED),
    ],
)
def test_a_gate_on_failures_holds_either_way_or_is_undecided(calls: tuple[int, int, int], verdict: Verdict) -> None:
    results = judge(summarize([record(*calls)]), GateSettings(max_tool_failure_rate=0.3))
    (found,) = [result for result in results if result.name == "--agent-max-tool-failure-rate"]
    assert found.verdict is verdict
