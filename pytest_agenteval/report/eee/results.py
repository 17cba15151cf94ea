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

_RATE: dict[str, Any] = {
    "metric_unit": "proportion", "score_type": "continuous", "min_score": 0.0, "max_score": 1.0,
}  # fmt: skip


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
    details = {
        "passes": str(cell.passes),
        "attempts_that_count": str(cell.attempts),
        "reliable_tasks": str(cell.reliable),
    }
    if first is not None:
        details["first_attempts"] = str(first)
    return _estimate(
        cell.pass_at_1,
        {
            "evaluation_description": "pass@1: the chance that an attempt passes, averaged over tasks",
            "metric_id": "pass_at_k",
            "metric_name": PASS_AT_1,
            "metric_kind": "pass_rate",
            "metric_parameters": {"k": 1},
        },
        cell.estimates.pass_at_1_intervals,
        cell.attempts if first is None else first,
        details,
    )


def _pass_hat(cell: CellSummary) -> list[dict[str, Any] | None]:
    return [
        _estimate(
            cell.estimates.pass_hat(k),
            {
                "evaluation_description": (
                    f"pass^{k}: the chance that all of {k} attempts pass, C(c,k)/C(n,k) averaged over the tasks with "
                    f"at least {k} attempts that count; not pass@{k}"
                ),
                "metric_id": "agenteval.pass_hat_k",
                "metric_name": f"pass_hat_{k}",
                "metric_kind": "pass_rate",
                "metric_parameters": {"k": k},
            },
            cell.estimates.pass_hat_k_intervals if k == cell.k else (),
            cell.attempts,
            {},
        )
        for k in range(2, cell.k + 1)
    ]


def _estimate(
    estimate: SuiteEstimate,
    metric: dict[str, Any],
    intervals: tuple[Interval, ...],
    samples: int,
    details: dict[str, str],
) -> dict[str, Any] | None:
    if estimate.value is None:
        return None
    said = {"tasks_used": str(estimate.tasks_used), "tasks_left_out": str(estimate.tasks_left_out), **details}
    score: dict[str, Any] = {"score": estimate.value}
    for interval in intervals:
        if interval.question == THIS_SUITE:
            score["uncertainty"] = {"confidence_interval": _interval(interval), "num_samples": samples}
        else:
            said[f"interval: {interval.question}"] = json.dumps(_interval(interval))
    return {
        "metric_config": {**metric, **_RATE, "lower_is_better": False},
        "score_details": {**score, "details": said},
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "lower": interval.low,
        "upper": interval.high,
        "confidence_level": interval.confidence,
        "method": f"{interval.method} ({interval.question})",
    }


def _tool_failures(cell: CellSummary) -> dict[str, Any] | None:
    calls = cell.tool_calls
    by_type = [{"tool": failed.tool, "type": failed.type, "count": failed.count} for failed in calls.failures]
    return _share(
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
        lower_is_better=True,
    )


def _environment(cell: CellSummary) -> dict[str, Any] | None:
    errors = cell.environment_errors
    return _share(
        "env_error_rate",
        "The share of tries that ended in an environment error; a try that did is repeated while retries are left",
        errors.rate,
        {"tries": str(errors.tries), "retried": str(errors.retried), "stayed": str(errors.stayed)},
        lower_is_better=True,
    )


def _cost(cell: CellSummary) -> dict[str, Any] | None:
    per_attempt = cell.cost_per_attempt
    if per_attempt is None or per_attempt.total is None or cell.cost.total is None:
        return None
    details = {"total_run_cost": repr(cell.cost.total), "lost_calls": str(cell.cost.lost_calls)}
    if cell.own_cost.total is not None:
        details["average_agent_cost"] = repr(cell.own_cost.total / cell.attempts)
    return {
        "metric_config": {
            "evaluation_description": (
                "US dollars by attempt that counts: everything the cell cost, with retries, judges and attempts that "
                "do not count; average_agent_cost is without the retries and attempts that do not count"
            ),
            "metric_id": "agenteval.cost_usd_per_attempt",
            "metric_name": "cost_usd_per_attempt",
            "metric_kind": "cost",
            "metric_unit": "usd_per_attempt",
            "lower_is_better": True,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": "Infinity",
        },
        "score_details": {"score": per_attempt.total, "details": details},
    }


def _counted(cell: CellSummary) -> dict[str, Any] | None:
    wanted = cell.attempts + cell.unmeasured
    return _share(
        COUNTED,
        (
            "The share of the wanted attempts that count, that is, that say something about the agent; the others "
            "ended in an environment error, are broken, or never ran, and are in no rate of passes"
        ),
        cell.attempts / wanted if wanted else None,
        {
            "attempts_wanted": str(wanted),
            "broken": str(cell.broken),
            "environment_errors": str(cell.environment_errors.stayed),
            "not_run": str(cell.not_run),
            "decided_by_early_stopping": str(cell.decided),
            "tasks_skipped": str(cell.skipped),
        },
        lower_is_better=False,
    )


def _share(
    name: str, description: str, value: float | None, details: dict[str, str], *, lower_is_better: bool
) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "metric_config": {
            "evaluation_description": description,
            "metric_id": f"agenteval.{name}",
            "metric_name": name,
            "metric_kind": "error_rate" if lower_is_better else "rate",
            **_RATE,
            "lower_is_better": lower_is_better,
        },
        "score_details": {"score": value, "details": details},
    }
