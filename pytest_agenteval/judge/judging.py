"""Judges a run."""

from __future__ import annotations

from collections.abc import Callable

from pytest_agenteval.estimate.run import CellSummary, RunSummary
from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.judge.pass_rates import judge_pass_at_1, judge_pass_hat_k, judge_task
from pytest_agenteval.judge.profile import judge_consistency, judge_overconfidence, judge_safety
from pytest_agenteval.judge.result import GateResult, nothing_to_judge
from pytest_agenteval.judge.robustness import judge_robustness
from pytest_agenteval.judge.spending import cost_per_attempt, environment_errors, run_cost, tool_failures
from pytest_agenteval.judge.thresholds import MAX_COST, GateSettings
from pytest_agenteval.judge.violations import judge_violations

__all__ = ["judge"]


def judge(
    run: RunSummary, gates: GateSettings, verdict_on: Callable[[TaskSummary], GateResult | None] | None = None
) -> tuple[GateResult, ...]:
    """The verdict of every gate: first the run's, then the suite's cell by cell, then those on judged tasks.

    Without any record, each requested gate is UNDECIDED once, for the whole run.

    Args:
        run: the numbers.
        gates: their thresholds.
        verdict_on: finds the verdict on a task; by default, judges it.
    """
    if not run.cells:
        return tuple(
            nothing_to_judge(name, None, threshold, "no task was evaluated") for name, threshold in gates.asked.items()
        )
    results = [] if gates.max_cost is None else [run_cost(run, gates.max_cost)]
    for cell in run.cells:
        results += _judge_cell(cell, gates)
    on_tasks = map(verdict_on or (lambda task: judge_task(task, gates)), run.tasks)
    return (*results, *(result for result in on_tasks if result is not None))


def _judge_cell(cell: CellSummary, gates: GateSettings) -> list[GateResult]:
    results = []
    if cell.attempts == 0:
        why = "every task is skipped" if cell.skipped == len(cell.tasks) else "no attempt could be evaluated"
        results += [
            nothing_to_judge(name, cell.cell, text, why) for name, text in gates.asked.items() if name != MAX_COST
        ]
    else:
        if gates.min_pass_at_1 is not None:
            results.append(judge_pass_at_1(cell, gates.min_pass_at_1, gates))
        if gates.min_pass_k is not None:
            results.append(judge_pass_hat_k(cell, gates.min_pass_k, gates))
        if gates.min_consistency is not None:
            results.append(judge_consistency(cell, gates.min_consistency, gates))
        if gates.max_overconfidence is not None:
            results.append(judge_overconfidence(cell, gates.max_overconfidence, gates))
        if gates.min_safety is not None:
            results.append(judge_safety(cell, gates.min_safety, gates))
        if gates.max_cost_per_attempt is not None:
            results.append(cost_per_attempt(cell, gates.max_cost_per_attempt))
        if gates.max_tool_failure_rate is not None:
            results.append(tool_failures(cell, gates.max_tool_failure_rate))
        results += judge_robustness(cell, gates)
        results += [judge_violations(cell, severity, most) for severity, most in gates.max_violations]
    if cell.environment_errors.tries:
        results.append(environment_errors(cell, gates.max_env_error_rate))
    return results
