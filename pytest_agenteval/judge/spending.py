"""Gates on costs, tool-call failures and environment errors: they judge the attempts that ran."""

from __future__ import annotations

from pytest_agenteval.estimate.run import CellSummary, RunSummary
from pytest_agenteval.judge.result import GateResult, nothing_to_judge
from pytest_agenteval.judge.thresholds import MAX_COST, MAX_COST_PER_ATTEMPT, MAX_ENV_ERROR_RATE, MAX_TOOL_FAILURE_RATE
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.figures import dollars_beside, plural, rate_beside, written
from pytest_agenteval.record.verdict import Verdict

__all__ = ["cost_per_attempt", "environment_errors", "run_cost", "tool_failures"]


def cost_per_attempt(cell: CellSummary, asked: float) -> GateResult:
    """The mean over the attempts that count: FAIL by what the agent itself spent, PASS by everything that was paid.

    The difference between the two is the cost of environment errors, and the possible cost of calls without a price or
    an answer. That cost may not fail a run, and may not be left out of a PASS.
    """
    spent, paid = cell.own_cost.per(cell.attempts), cell.work_cost.per(cell.attempts)
    least = cell.own_cost.per(cell.attempts + cell.not_run)  # if those that did not run had cost nothing
    assert spent is not None
    assert paid is not None
    assert least is not None
    low, high = _without_noise(spent.priced), None if paid.at_most is None else _without_noise(paid.at_most)
    threshold = f"at most ${written(asked)}"
    value = dollars_beside(low, asked)
    if high is None:
        value = f"≥ {value}"
    elif high != low:
        value = f"{value} to {dollars_beside(high, asked)}"
    mean = f"an attempt cost {value} on average; {threshold} was allowed"
    if _without_noise(least.priced) > _without_noise(asked):
        verdict, reason = Verdict.FAIL, mean
    elif cell.not_run:
        verdict, reason = Verdict.UNDECIDED, f"{mean}, and {plural(cell.not_run, 'attempt')} did not run"
    elif high is not None and high <= _without_noise(asked):
        verdict, reason = Verdict.PASS, mean
    else:
        verdict, reason = Verdict.UNDECIDED, f"{mean}, and {_doubt(cell)}"
    return GateResult(MAX_COST_PER_ATTEMPT, cell.cell, verdict, value, threshold, reason)


def _doubt(cell: CellSummary) -> str:
    cost = cell.work_cost
    if cost.total is None and cost.at_most is None:
        way_out = ": give one with --agent-prices" if cost.unpriced_calls > cost.uncounted_calls else ""
        return f"{_of_unknown_cost(cost)}{way_out}"
    if cost.at_most is None:
        calls = plural(cost.lost_calls, "model call")
        return f"{calls} without an answer may have been billed: --max-cost puts a bound on what they cost"
    return "it depends on what repeated tries, attempts that do not count and calls without an answer cost"


def _of_unknown_cost(cost: Cost) -> str:
    if unpriced := cost.unpriced_calls - cost.uncounted_calls:
        return f"{plural(unpriced, 'model call')} {'has' if unpriced == 1 else 'have'} no known price"
    return f"{plural(cost.uncounted_calls, 'model call')} answered without saying how many tokens they took"


def tool_failures(cell: CellSummary, asked: float) -> GateResult:
    """The share of the tool calls that failed. Calls with an unknown result can make it UNDECIDED."""
    threshold = f"at most {written(asked)}"
    calls = cell.tool_calls
    possible = calls.range
    if possible is None:
        return nothing_to_judge(MAX_TOOL_FAILURE_RATE, cell.cell, threshold, "no tool call was recorded")
    least, most = possible
    verdict = Verdict.FAIL if least > asked else Verdict.PASS if most <= asked else Verdict.UNDECIDED
    reason = f"{calls.failed} of {plural(calls.calls, 'tool call')} failed"
    if cell.not_run:  # nobody knows how many calls they would have made
        verdict = Verdict.UNDECIDED
        reason += f", and {plural(cell.not_run, 'attempt')} did not run"
    if calls.unknown:
        reason += f", for {calls.unknown} it is unknown"
    rate = calls.rate
    value = rate_beside(rate, asked) if rate is not None else f"{least:.3f} to {most:.3f}"
    reason += f"; {threshold} was allowed"
    return GateResult(MAX_TOOL_FAILURE_RATE, cell.cell, verdict, value, threshold, reason)


def environment_errors(cell: CellSummary, asked: float) -> GateResult:
    """The guard for all other gates: above this rate a cell is UNDECIDED, never FAIL."""
    errors = cell.environment_errors
    value = errors.rate
    assert value is not None
    threshold = f"at most {written(asked)}"
    verdict = Verdict.UNDECIDED if value > asked else Verdict.PASS
    reason = f"{errors.count} of {plural(errors.tries, 'try')} met an environment error; {threshold} was allowed"
    return GateResult(MAX_ENV_ERROR_RATE, cell.cell, verdict, rate_beside(value, asked), threshold, reason)


def run_cost(run: RunSummary, asked: float) -> GateResult:
    """The run's budget: PASS if it was enough, otherwise UNDECIDED, because a run that was cut short has no score."""
    threshold = f"at most ${written(asked)}"
    total = run.paid_now
    spent = dollars_beside(total.priced, asked)
    value = spent if total.exact else f"≥ {spent}"
    if total.total is None and total.at_most is not None:
        value = f"at most {dollars_beside(total.at_most, asked)}"
    verdict = Verdict.UNDECIDED
    if run.budget_stopped:
        left = plural(run.budget_stopped, "attempt")
        perhaps = f", {plural(total.lost_calls, 'call')} without an answer aside" if total.lost_calls else ""
        reason = (
            f"INCOMPLETE: {value} of the budget of ${written(asked)} was spent{perhaps}, and the next model call of "
            f"{left} might have cost more than what was left: raise --max-cost, or bound what a call may cost with "
            "--agent-generate=max_tokens=N"
        )
    elif total.total is None and (total.at_most is None or _without_noise(total.at_most) > _without_noise(asked)):
        reason = _of_unknown_cost(total)
    elif _without_noise(total.priced) > _without_noise(asked):
        reason = f"the run cost {value}, more than its budget of ${written(asked)}"
    elif run.evaluated == 0:
        reason = "no attempt could be evaluated"
    elif run.unrecorded:
        reason = f"what {plural(run.unrecorded, 'attempt')} cost that left no record is not known"
    else:
        verdict, reason = Verdict.PASS, f"the run cost {value} of its budget of ${written(asked)}"
    return GateResult(MAX_COST, None, verdict, value, threshold, reason)


def _without_noise(amount: float) -> float:
    """An amount rounded to a billionth of a dollar, which removes the noise of summing floats."""
    return round(amount, 9)
