"""The aggregates of a cell: its `evaluation_results`, one per metric."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.estimators import SuiteEstimate
from pytest_agenteval.estimate.stats.intervals import THIS_SUITE, Interval

__all__ = ["COUNTED", "PASS_AT_1", "evaluation_results", "named"]

PASS_AT_1 = "pass_at_1"
"""The result for the rows of attempts that count: it is the average of their outcomes."""
COUNTED = "counted_rate"
"""The result for the rows of attempts that say nothing about the agent: they add 0 to it."""


def named(collection: str, metric: str) -> str:
    """The name of a result."""
    return f"{collection}.{metric}"


def evaluation_results(cell: CellSummary, common: Mapping[str, Any], collection: str) -> list[dict[str, Any]]:
    """The results of a cell's attempts. A metric without an estimate is left out: unknown is never 0.

    Args:
        cell: the summary of the cell.
        common: what every result says about where the attempts are from (`source_data`, `generation_config`, ...).
        collection: the prefix of the results' names.
    """
    results = [
        _pass_at_1(cell),
        *_pass_hat(cell),
        _tool_failures(cell),
        _environment(cell),
        _cost(cell),
        _counted(cell),
    ]
    return [
        {
            "evaluation_result_id": result["metric_config"]["metric_name"],
            "evaluation_name": named(collection, result["metric_config"]["metric_name"]),
            **common,
            **result,
        }
        for result in results
        if result is not None
    ]


def _pass_at_1(cell: CellSummary) -> dict[str, Any] | None:
    first = cell.estimates.first_attempts
    return _estimate(
        cell.pass_at_1,
        PASS_AT_1,
        "pass@1: the chance that an attempt passes, averaged over tasks",
        cell.estimates.pass_at_1_intervals,
        cell.attempts if first is None else first,
        {
            "passes": str(cell.passes),
            "attempts_that_count": str(cell.attempts),
            "reliable_tasks": str(cell.reliable),
            **({} if first is None else {"first_attempts": str(first)}),
        },
        metric_id="pass_at_k",
        metric_parameters={"k": 1},
    )


def _pass_hat(cell: CellSummary) -> list[dict[str, Any] | None]:
    return [
        _estimate(
            cell.estimates.pass_hat(k),
            f"pass_hat_{k}",
            f"pass^{k}: the chance that all of {k} attempts pass, C(c,k)/C(n,k) averaged over the tasks with "
            f"at least {k} attempts that count; not pass@{k}",
            cell.estimates.pass_hat_k_intervals if k == cell.k else (),
            cell.attempts,
            {},
            metric_id="agenteval.pass_hat_k",
            metric_parameters={"k": k},
        )
        for k in range(2, cell.k + 1)
    ]


def _tool_failures(cell: CellSummary) -> dict[str, Any] | None:
    calls = cell.tool_calls
    by_type = [{"tool": failed.tool, "type": failed.type, "count": failed.count} for failed in calls.failures]
    return _metric(
        "tool_call_failure_rate",
        "The share of tool calls that failed, of attempts that count; a command's non-zero exit is no failure",
        calls.rate,
        {
            "tool_calls": str(calls.calls),
            "tool_call_failures": str(calls.failed),
            "by_tool_and_type": json.dumps(by_type),
            "nonzero_exits": str(calls.nonzero_exits),
            "unknown_exits": str(calls.unknown_exits),
        },
        metric_kind="error_rate",
        lower_is_better=True,
    )


def _environment(cell: CellSummary) -> dict[str, Any] | None:
    errors = cell.environment_errors
    return _metric(
        "env_error_rate",
        "The share of tries that ended in an environment error; a try that did is repeated while retries are left",
        errors.rate,
        {"tries": str(errors.tries), "retried": str(errors.retried), "stayed": str(errors.stayed)},
        metric_kind="error_rate",
        lower_is_better=True,
    )


def _cost(cell: CellSummary) -> dict[str, Any] | None:
    per_attempt = cell.cost_per_attempt
    details = {"total_run_cost": repr(cell.cost.total), "lost_calls": str(cell.cost.lost_calls)}
    if cell.attempts and cell.own_cost.total is not None:
        details["average_agent_cost"] = repr(cell.own_cost.total / cell.attempts)
    return _metric(
        "cost_usd_per_attempt",
        "US dollars by attempt that counts: everything the cell cost, with retries, judges and attempts that "
        "do not count; average_agent_cost is without the retries and attempts that do not count",
        None if per_attempt is None else per_attempt.total,
        details,
        metric_kind="cost",
        metric_unit="usd_per_attempt",
        max_score="Infinity",
        lower_is_better=True,
    )


def _counted(cell: CellSummary) -> dict[str, Any] | None:
    wanted = cell.attempts + cell.unmeasured
    return _metric(
        COUNTED,
        "The share of the wanted attempts that count, that is, that say something about the agent; the others "
        "ended in an environment error, are broken, or never ran, and are in no rate of passes",
        cell.attempts / wanted if wanted else None,
        {
            "attempts_wanted": str(wanted),
            "broken": str(cell.broken),
            "environment_errors": str(cell.environment_errors.stayed),
            "not_run": str(cell.not_run),
            "decided_by_early_stopping": str(cell.decided),
            "tasks_skipped": str(cell.skipped),
        },
    )


def _estimate(
    estimate: SuiteEstimate,
    name: str,
    description: str,
    intervals: tuple[Interval, ...],
    samples: int,
    details: dict[str, str],
    **config: Any,
) -> dict[str, Any] | None:
    details = {"tasks_used": str(estimate.tasks_used), "tasks_left_out": str(estimate.tasks_left_out), **details}
    result = _metric(name, description, estimate.value, details, metric_kind="pass_rate", **config)
    for interval in intervals if result is not None else ():
        told = {
            "lower": interval.low,
            "upper": interval.high,
            "confidence_level": interval.confidence,
            "method": f"{interval.method} ({interval.question})",
        }
        if result is not None and interval.question == THIS_SUITE:
            result["score_details"]["uncertainty"] = {"confidence_interval": told, "num_samples": samples}
        else:
            details[f"interval: {interval.question}"] = json.dumps(told)
    return result


def _metric(
    name: str, description: str, score: float | None, details: dict[str, str], **config: Any
) -> dict[str, Any] | None:
    """A result, by default a share of which more is better; None without a score."""
    if score is None:
        return None
    return {
        "metric_config": {
            "evaluation_description": description,
            "metric_id": f"agenteval.{name}",
            "metric_name": name,
            "metric_kind": "rate",
            "metric_unit": "proportion",
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
            "lower_is_better": False,
            **config,
        },
        "score_details": {"score": score, "details": details},
    }
