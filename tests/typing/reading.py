"""Type-checked, never run: what those read who work with records, summaries and judgements."""

from __future__ import annotations

from typing import Literal, assert_type

from pytest_agenteval import (
    AttemptRecord,
    Cause,
    Cell,
    CellSummary,
    Comparison,
    ExitStatus,
    GateResult,
    Judgement,
    ModelCall,
    Outcome,
    Retry,
    RunSummary,
    RunVerdict,
    TaskRecord,
    TaskSummary,
    ToolCall,
    ToolCalls,
    Verdict,
)


def of_a_call(model_call: ModelCall, tool_call: ToolCall) -> None:
    assert_type(model_call.role, str)
    assert_type(model_call.input_tokens, int | None)
    assert_type(model_call.tokens, int | None)
    assert_type(model_call.cost, float | None)
    assert_type(model_call.version, str | None)
    assert_type(tool_call.error, str | None)
    assert_type(tool_call.exit_code, int | None)
    assert_type(tool_call.seconds, float | None)
    assert_type(tool_call.known_by, Literal["inspect", "messages", "recorded"])


def of_an_attempt(attempt: AttemptRecord) -> None:
    assert_type(attempt.outcome, Outcome)
    assert_type(attempt.outcome.counts, bool)
    assert_type(attempt.cause, Cause | None)
    assert_type(attempt.model_calls, tuple[ModelCall, ...])
    assert_type(attempt.tool_calls, tuple[ToolCall, ...])
    assert_type(attempt.retries, tuple[Retry, ...])
    assert_type([retry.cause for retry in attempt.retries], list[Cause])
    assert_type([retry.cost for retry in attempt.retries], list[float | None])
    assert_type(attempt.cost, float | None)
    assert_type(attempt.tokens, int | None)
    assert_type(attempt.wall_seconds, float)
    assert_type(attempt.answer, str | None)


def of_a_task(record: TaskRecord, summary: TaskSummary) -> None:
    assert_type(record.cell, Cell)
    assert_type(record.cell.model, str)
    assert_type(record.attempts, tuple[AttemptRecord, ...])
    assert_type((record.k, record.n, record.passes, record.missing), tuple[int, int, int, int])
    assert_type(record.min_pass_rate, float | None)
    assert_type(record.cost, float | None)
    assert_type((summary.k, summary.n, summary.passes), tuple[int, int, int])
    assert_type(summary.pass_at_1, float | None)
    assert_type(summary.pass_hat_k, float | None)
    assert_type(summary.cost.total, float | None)
    assert_type(summary.cost.at_most, float | None)


def of_a_cell(cell: CellSummary) -> None:
    assert_type(cell.tasks, tuple[TaskSummary, ...])
    assert_type(cell.pass_at_1.value, float | None)
    assert_type(cell.gap, float | None)
    assert_type(cell.cost.priced, float)
    assert_type(cell.tool_calls, ToolCalls)
    assert_type(cell.tool_calls.rate, float | None)
    assert_type(cell.tool_calls.range, tuple[float, float] | None)


def of_a_judgement(judgement: Judgement) -> None:
    assert_type(judgement.records, tuple[TaskRecord, ...])
    assert_type(judgement.run, RunSummary)
    assert_type(judgement.run.cells, tuple[CellSummary, ...])
    assert_type(judgement.run.incomplete, tuple[str, ...])
    assert_type(judgement.gates, tuple[GateResult, ...])
    assert_type([gate.verdict for gate in judgement.gates], list[Verdict])
    assert_type([gate.cell for gate in judgement.gates], list[Cell | None])
    assert_type(judgement.comparisons, tuple[Comparison, ...])
    assert_type([comparison.pass_at_1_after for comparison in judgement.comparisons], list[float | None])
    assert_type([comparison.other for comparison in judgement.comparisons], list[Cell | None])
    assert_type(judgement.status, ExitStatus)
    assert_type(judgement.status.code, int)
    assert_type(judgement.status.verdict, RunVerdict)


def each_outcome_is_told_apart(outcome: Outcome) -> str:
    match outcome:
        case Outcome.PASSED:
            return "passed"
        case Outcome.FAILED | Outcome.LIMIT:
            return "did not pass"
        case Outcome.NOT_RUN | Outcome.ENVIRONMENT_ERROR | Outcome.BROKEN | Outcome.SKIPPED:
            return "says nothing about the agent"


def made_by_hand() -> TaskRecord:
    attempt = AttemptRecord(1, Outcome.LIMIT, Cause.TURNS, tool_calls=(ToolCall("bash", "{}"),))
    return TaskRecord("t.py::test_it", Cell("openai/gpt-5-mini", "react"), k=1, attempts=(attempt,))


def refused(attempt: AttemptRecord, judgement: Judgement) -> None:
    attempt.outcome = Outcome.PASSED  # type: ignore[misc]
    judgement.status.code = 0  # type: ignore[misc]
    attempt.cost + 1.0  # type: ignore[operator]
    attempt.score  # type: ignore[attr-defined]  # noqa: B018
    AttemptRecord(1, "passed")  # type: ignore[arg-type]
    TaskRecord("t.py::test_it", "openai/gpt-5-mini", k=1)  # type: ignore[arg-type]
    Cell("openai/gpt-5-mini")  # type: ignore[call-arg]
    RunVerdict.GREEN  # type: ignore[attr-defined]  # noqa: B018
