"""The report as JSON types. `report.schema.json`, beside this file, says what each field means.

Costs are US dollars, durations are seconds, rates lie in [0, 1]. What is unknown is null, never 0.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from pytest_agenteval import __version__
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.estimators import PassHatBounds, SuiteEstimate
from pytest_agenteval.estimate.stats.intervals import Interval
from pytest_agenteval.estimate.stats.missing import MissingRange
from pytest_agenteval.estimate.task import EnvironmentErrors, TaskSummary, ToolCallFailures, summarize_task
from pytest_agenteval.judge import GateResult
from pytest_agenteval.judge.baseline import Comparison, RegressedTask
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, TaskRecord, total_of
from pytest_agenteval.report.log_places import log_place
from pytest_agenteval.report.verdicts import run_verdict, task_verdicts

__all__ = ["SCHEMA_VERSION", "json_report", "json_schema"]

SCHEMA_VERSION = "1.0"
"""Major.minor: a minor version adds fields, a major one changes what fields mean."""

Json = dict[str, Any]


def json_schema() -> Json:
    """The JSON Schema (draft 2020-12) that every report is valid under."""
    schema: Json = json.loads(files("pytest_agenteval.report").joinpath("report.schema.json").read_text("utf-8"))
    return schema


def json_report(judgement: Judgement, notes: Sequence[str] = ()) -> Json:
    """The whole report, without secrets only as far as the judgement is.

    Args:
        judgement: the numbers and the verdicts on them.
        notes: what a reader should know about the run as a whole, a sentence each.
    """
    run, status = judgement.run, judgement.status
    verdicts = task_verdicts(judgement)
    return {
        "schema": json_schema()["$id"],
        "schema_version": SCHEMA_VERSION,
        "generator": {"name": "pytest-agenteval", "version": __version__},
        "run": {
            "verdict": run_verdict(judgement),
            "exit_status": {"code": status.code, "reason": status.reason},
            "incomplete": list(run.incomplete),
            "tasks": len(run.tasks),
            "evaluated_tasks": run.evaluated,
            "broken_attempts": run.broken,
            "attempts_stopped_by_budget": run.budget_stopped,
            "cost": _cost(run.cost),
            "paid_now": _cost(run.paid_now),
            "notes": list(notes),
        },
        "gates": [_gate(gate) for gate in judgement.gates],
        "cells": [_cell(cell, judgement.records) for cell in run.cells],
        "tasks": [_task(record, verdicts.get((record.cell, record.task))) for record in judgement.records],
        "comparisons": [_comparison(found) for found in judgement.comparisons],
    }


def _cell(cell: CellSummary, records: Iterable[TaskRecord]) -> Json:
    estimates = cell.estimates
    return {
        **_names(cell.cell),
        "k": cell.k,
        "tasks": len(cell.tasks),
        "skipped_tasks": cell.skipped,
        "reliable_tasks": cell.reliable,
        "attempts": cell.attempts,
        "passes": cell.passes,
        "broken_attempts": cell.broken,
        "missing_attempts": cell.missing,
        "attempts_not_run": cell.not_run,
        "decided_attempts": cell.decided,
        "unmeasured_attempts": cell.unmeasured,
        "pass_at_1": _estimate(cell.pass_at_1)
        | _range(cell.pass_at_1_range)
        | {"intervals": _intervals(estimates.pass_at_1_intervals), "first_attempts": estimates.first_attempts},
        "pass_hat_k": _estimate(cell.pass_hat_k)
        | _range(cell.pass_hat_k_range)
        | {"intervals": _intervals(estimates.pass_hat_k_intervals), "bounds": _bounds(estimates.pass_hat_k_bounds)},
        "gap": cell.gap,
        "pass_hat_curve": [{"j": j, **_estimate(point)} for j, point in enumerate(cell.curve, 1)],
        "at_least_j_of_k": [{"j": j, **_estimate(point)} for j, point in enumerate(estimates.at_least, 1)],
        "cost": _cost(cell.cost),
        "own_cost": _cost(cell.own_cost),
        "cost_per_attempt": _cost(cell.cost_per_attempt),
        "cost_per_success": _cost(cell.cost_per_success),
        "cost_per_reliable_task": _cost(cell.cost_per_reliable_task),
        "saved_usd": cell.saved_cost,
        "tool_calls": cell.tool_calls,
        "tool_call_failures": _failures(cell.tool_failures),
        "tool_call_failure_rate": cell.tool_failure_rate,
        "nonzero_exits": cell.nonzero_exits,
        "unknown_exits": cell.unknown_exits,
        "environment_errors": _environment(cell.environment_errors)
        | {"by_cause": _causes(record for record in records if record.cell == cell.cell)},
        "sandbox_wait_seconds": cell.sandbox_wait_seconds,
    }


def _task(record: TaskRecord, verdict: str | None) -> Json:
    task: TaskSummary = summarize_task(record)
    return {
        "task": task.task,
        **_names(task.cell),
        "k": task.k,
        "n": task.n,
        "c": task.passes,
        "verdict": verdict,
        "min_pass_rate": task.min_pass_rate,
        "skipped": task.skipped,
        "pass_at_1": task.pass_at_1,
        "pass_hat_k": task.pass_hat_k,
        "broken_attempts": list(task.broken),
        "missing_attempts": [attempt.number for attempt in task.missing],
        "decided_attempts": task.decided,
        "cost": _cost(task.cost),
        "own_cost": _cost(task.own_cost),
        "cost_per_attempt": _cost(task.cost_per_attempt),
        "tool_calls": task.tool_calls,
        "tool_call_failures": _failures(task.tool_failures),
        "nonzero_exits": task.nonzero_exits,
        "unknown_exits": task.unknown_exits,
        "environment_errors": _environment(task.environment_errors) | {"by_cause": _causes([record])},
        "identical_attempts": task.identical,
        "source": task.source,
        "notes": [*task.notes, *([task.bug_hint] if task.bug_hint is not None else [])],
        "attempts": [_attempt(attempt) for attempt in record.attempts],
    }


def _attempt(attempt: AttemptRecord) -> Json:
    calls = Counter((call.tool, call.error) for call in attempt.tool_calls)
    usage = attempt.model_calls
    return {
        "number": attempt.number,
        "outcome": attempt.outcome.value,
        "counts": attempt.outcome.counts,
        "cause": None if attempt.cause is None else attempt.cause.value,
        "message": attempt.message,
        "exception": attempt.exception,
        "where": attempt.where,
        "cost": _cost(Cost.of_attempt(attempt)),
        "model_calls": len(usage),
        "tokens": {
            "input": total_of(call.input_tokens for call in usage),
            "output": total_of(call.output_tokens for call in usage),
            "cache_read": total_of(call.cache_read_tokens for call in usage),
            "cache_write": total_of(call.cache_write_tokens for call in usage),
        },
        "tool_calls": [
            {"tool": tool, "error": error, "count": count}
            for (tool, error), count in sorted(calls.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or ""))
        ],
        "nonzero_exits": sum(call.error is None and call.exit_code not in (None, 0) for call in attempt.tool_calls),
        "unknown_exits": sum(not call.exit_known for call in attempt.tool_calls),
        "retries": [
            {"cause": retry.cause.value, "message": retry.message, "cost": _cost(Cost.of_try(retry)),
             "wall_seconds": retry.wall_seconds}
            for retry in attempt.retries
        ],
        "wall_seconds": attempt.wall_seconds,
        "working_seconds": attempt.working_seconds,
        "sandbox_wait_seconds": attempt.sandbox_wait_seconds,
        "model_versions": list(attempt.model_versions),
        "image": attempt.image,
        "log": None if attempt.log is None else log_place(attempt.log),
        "number_in_log": None if attempt.log is None else attempt.epoch,
        "run": attempt.run,
        "ended": attempt.ended,
        "reused": attempt.reused,
    }  # fmt: skip


def _gate(gate: GateResult) -> Json:
    return {
        "name": gate.name,
        "cell": None if gate.cell is None else _names(gate.cell),
        "task": gate.task,
        "verdict": gate.verdict.value,
        "value": gate.value,
        "threshold": gate.threshold,
        "reason": gate.reason,
    }


def _comparison(found: Comparison) -> Json:
    return {
        **_names(found.cell),
        "baseline": found.baseline,
        "baseline_model": (found.other or found.cell).model,
        "baseline_scaffold": (found.other or found.cell).scaffold,
        "regressed": found.test.regressed,
        "regressed_at_worst": found.worst,
        "regressed_at_best": found.best,
        "pass_at_1_before": found.pass_at_1_before,
        "pass_at_1_after": found.pass_at_1_after,
        "p": found.test.p_all_tasks,
        "tasks": [
            {"task": change.task, "before": _counts(change.before), "after": _counts(change.after),
             "p": change.p, "p_corrected": change.p_holm}
            for change in found.test.tasks
        ],
        "regressed_tasks": [_regressed(task) for task in found.regressed],
        "changed_tasks": list(found.changed),
        "added_tasks": list(found.added),
        "removed_tasks": list(found.removed),
        "silent_tasks": list(found.silent),
    }  # fmt: skip


def _regressed(task: RegressedTask) -> Json:
    return {
        "task": task.task,
        "before": _counts(task.before),
        "after": _counts(task.after),
        "p_corrected": task.p,
        "usd_per_attempt_before": task.cost_before,
        "usd_per_attempt_after": task.cost_after,
        "tool_call_failure_rate_before": task.tool_failures_before,
        "tool_call_failure_rate_after": task.tool_failures_after,
    }


def _names(cell: Cell) -> Json:
    return {"model": cell.model, "scaffold": cell.scaffold}


def _counts(counts: tuple[int, int]) -> Json:
    return {"n": counts[0], "c": counts[1]}


def _cost(cost: Cost | None) -> Json | None:
    if cost is None:
        return None
    return {
        "usd": cost.total,
        "usd_at_least": cost.priced,
        "usd_at_most": cost.at_most,
        "unpriced_calls": cost.unpriced_calls,
        "uncounted_calls": cost.uncounted_calls,
        "lost_calls": cost.lost_calls,
    }


def _estimate(estimate: SuiteEstimate) -> Json:
    return {
        "value": estimate.value,
        "tasks_used": estimate.tasks_used,
        "tasks_left_out": estimate.tasks_left_out,
    }


def _range(found: MissingRange) -> Json:
    return {"worst": found.worst, "best": found.best}


def _intervals(intervals: Iterable[Interval]) -> list[Json]:
    return [
        {"question": each.question, "low": each.low, "high": each.high, "confidence": each.confidence,
         "method": each.method}
        for each in intervals
    ]  # fmt: skip


def _bounds(bounds: PassHatBounds | None) -> Json | None:
    return None if bounds is None else {"low": bounds.low, "high": bounds.high, "attempts": bounds.attempts}


def _failures(failures: Iterable[ToolCallFailures]) -> list[Json]:
    return [{"tool": each.tool, "error": each.type, "count": each.count} for each in failures]


def _environment(errors: EnvironmentErrors) -> Json:
    return {"count": errors.count, "rate": errors.rate, "retried": errors.retried, "stayed": errors.stayed,
            "tries": errors.tries}  # fmt: skip


def _causes(records: Iterable[TaskRecord]) -> list[Json]:
    attempts = [attempt for record in records for attempt in record.attempts]
    causes = Counter(retry.cause for attempt in attempts for retry in attempt.retries)
    causes.update(a.cause for a in attempts if a.outcome is Outcome.ENVIRONMENT_ERROR and a.cause is not None)
    return [{"cause": cause.value, "count": count} for cause, count in sorted(causes.items())]
