"""What a run is held against: a verdict for every gate and every judged task, with the reason in a sentence.

Attempts that were wanted and say nothing about the agent (missing and broken ones) are neither dropped nor guessed: a
gate on a pass rate is PASS or FAIL only where their worst and best case agree. Gates on what attempts cost and on
tool-call failures have no such bounds; they judge the attempts that count, and the gate on environment errors holds
the floor under them. Where no attempt counts every gate is UNDECIDED, whatever its threshold. Every gate is judged
cell by cell.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_agenteval.figures import dollars_beside, plural, rate_beside, written
from pytest_agenteval.records import Cell
from pytest_agenteval.stats.missing import MissingRange, pass_at_1_range
from pytest_agenteval.stats.verdict import Verdict
from pytest_agenteval.summary import CellSummary, RunSummary
from pytest_agenteval.task_summary import TaskSummary

__all__ = ["GateResult", "GateSettings", "Verdict", "judge", "judge_task"]

MIN_PASS_AT_1 = "--min-pass-at-1"
MIN_PASS_K = "--min-pass-k"
MAX_COST = "--max-cost"
MAX_COST_PER_ATTEMPT = "--agent-max-cost-per-attempt"
MAX_ENV_ERROR_RATE = "--agent-max-env-error-rate"
MAX_TOOL_FAILURE_RATE = "--agent-max-tool-failure-rate"
MIN_PASS_RATE = "min_pass_rate"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The thresholds; None where nothing was asked. Rates lie in [0, 1], costs are US dollars."""

    min_pass_at_1: float | None = None
    min_pass_k: float | None = None
    max_cost: float | None = None
    """Of the whole run."""
    max_cost_per_attempt: float | None = None
    """Of the mean."""
    max_env_error_rate: float = 0.05
    """Above it a cell is UNDECIDED at best, and never FAIL."""
    max_tool_failure_rate: float | None = None

    @property
    def suite_gate(self) -> bool:
        """Whether a gate on the suite decides, so that tasks without a `min_pass_rate` are measured, not judged."""
        return self.min_pass_at_1 is not None or self.min_pass_k is not None

    def asked_of_task(self, min_pass_rate: float | None) -> float | None:
        """The pass rate a task is held to, or None where it is measured and not judged.

        Without a `min_pass_rate` of its own that is 1.0, all k attempts, unless a suite gate decides.
        """
        if min_pass_rate is not None:
            return min_pass_rate
        return None if self.suite_gate else 1.0

    @property
    def asked(self) -> dict[str, str]:
        """The gates the user asked for, as typed, with their thresholds as text."""
        gates = {
            MIN_PASS_AT_1: _at_least(self.min_pass_at_1),
            MIN_PASS_K: _at_least(self.min_pass_k),
            MAX_COST: _at_most_dollars(self.max_cost),
            MAX_COST_PER_ATTEMPT: _at_most_dollars(self.max_cost_per_attempt),
            MAX_TOOL_FAILURE_RATE: _at_most(self.max_tool_failure_rate),
        }
        return {name: threshold for name, threshold in gates.items() if threshold is not None}


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate says."""

    name: str
    """The option as typed, or `min_pass_rate` for a task."""
    cell: Cell | None
    """None where the whole run is judged."""
    verdict: Verdict
    value: str
    """What was measured, `-` where nothing was."""
    threshold: str
    """What was asked for."""
    reason: str
    """A sentence without its full stop."""
    task: str | None = None
    """The node id where one task is judged."""


def judge(run: RunSummary, gates: GateSettings) -> tuple[GateResult, ...]:
    """The verdict of every gate: the run's, then cell by cell those of the suite, then those of the judged tasks.

    Without any record every gate that was asked for is UNDECIDED once, for the whole run.
    """
    if not run.cells:
        return tuple(
            _nothing(name, None, threshold, "no task was evaluated") for name, threshold in gates.asked.items()
        )
    results = [] if gates.max_cost is None else [_run_cost(run, gates.max_cost)]
    for cell in run.cells:
        results += _judge_cell(cell, gates)
    results += [result for task in run.tasks if (result := judge_task(task, gates)) is not None]
    return tuple(results)


def judge_task(task: TaskSummary, gates: GateSettings) -> GateResult | None:
    """The verdict on a task by its `min_pass_rate`, or None where it is skipped, or measured and not judged."""
    asked = gates.asked_of_task(task.min_pass_rate)
    if task.skipped or asked is None:
        return None
    cases = pass_at_1_range([(task.n, task.passes, task.unmeasured)])
    verdict = cases.verdict(asked)
    wanted = plural(task.n + task.unmeasured, "attempt")
    unmeasured = f", {task.unmeasured} {_was(task.unmeasured)} not measured" if task.unmeasured else ""
    share = "all were" if asked == 1 else f"a share of {written(asked)} was"
    passed = f"{task.passes} of {wanted} passed{unmeasured}; {share} asked for"
    reason = passed if task.n else f"none of {wanted} could be evaluated"
    return GateResult(
        MIN_PASS_RATE, task.cell, verdict, f"{task.passes}/{task.n}", f"at least {written(asked)}", reason, task.task
    )


def _judge_cell(cell: CellSummary, gates: GateSettings) -> list[GateResult]:
    results = []
    if cell.attempts == 0:
        why = "every task is skipped" if cell.skipped == len(cell.tasks) else "no attempt could be evaluated"
        results += [_nothing(name, cell.cell, text, why) for name, text in gates.asked.items() if name != MAX_COST]
    else:
        if gates.min_pass_at_1 is not None:
            results.append(_pass_rate(MIN_PASS_AT_1, "pass@1", cell, cell.pass_at_1_range, gates.min_pass_at_1))
        if gates.min_pass_k is not None:
            results.append(_pass_rate(MIN_PASS_K, f"pass^{cell.k}", cell, cell.pass_hat_k_range, gates.min_pass_k))
        if gates.max_cost_per_attempt is not None:
            results.append(_cost_per_attempt(cell, gates.max_cost_per_attempt))
        if gates.max_tool_failure_rate is not None:
            results.append(_tool_failures(cell, gates.max_tool_failure_rate))
    if cell.environment_errors.tries:
        results.append(_environment_errors(cell, gates.max_env_error_rate))
    return results


def _pass_rate(name: str, word: str, cell: CellSummary, cases: MissingRange, asked: float) -> GateResult:
    verdict = cases.verdict(asked)
    threshold = f"at least {written(asked)}"
    if cases.worst is None or cases.best is None:
        return _nothing(name, cell.cell, threshold, f"no task has a {word}")
    low, high = rate_beside(cases.worst, asked), rate_beside(cases.best, asked)
    value = low if cases.worst == cases.best else f"{low} to {high}"
    where = f"is {value}" if cases.worst == cases.best else f"lies between {low} and {high}"
    missing = cases.missing
    unmeasured = f", for {plural(missing, 'attempt')} {_was(missing)} not measured" if missing else ""
    reason = f"{word} {where}{unmeasured}; {threshold} was asked for"
    return GateResult(name, cell.cell, verdict, value, threshold, reason)


def _cost_per_attempt(cell: CellSummary, asked: float) -> GateResult:
    """The mean over the attempts that count: FAIL on what the agent itself spent, PASS on everything that was paid.

    Between the two lies what environment errors cost, and what calls of unknown price or without an answer may have
    cost: none of it may fail a run, and none of it may be left out of a PASS.
    """
    spent, paid = cell.own_cost.per(cell.attempts), cell.cost.per(cell.attempts)
    assert spent is not None
    assert paid is not None
    low, high = _without_noise(spent.priced), None if paid.at_most is None else _without_noise(paid.at_most)
    threshold = f"at most ${written(asked)}"
    value = dollars_beside(low, asked)
    if high is None:
        value = f"≥ {value}"
    elif high != low:
        value = f"{value} to {dollars_beside(high, asked)}"
    mean = f"an attempt cost {value} on average; {threshold} was allowed"
    if low > _without_noise(asked):
        verdict, reason = Verdict.FAIL, mean
    elif high is not None and high <= _without_noise(asked):
        verdict, reason = Verdict.PASS, mean
    else:
        verdict, reason = Verdict.UNDECIDED, f"{mean}, and {_doubt(cell)}"
    return GateResult(MAX_COST_PER_ATTEMPT, cell.cell, verdict, value, threshold, reason)


def _doubt(cell: CellSummary) -> str:
    if cell.cost.unpriced_calls:
        calls = plural(cell.cost.unpriced_calls, "model call")
        return f"{calls} {_has(cell.cost.unpriced_calls)} no known price: give one with --agent-prices"
    if cell.cost.at_most is None:
        calls = plural(cell.cost.lost_calls, "model call")
        return f"{calls} without an answer may have been billed: --max-cost puts a bound on what they cost"
    return "it depends on what repeated tries, attempts that do not count and calls without an answer cost"


def _tool_failures(cell: CellSummary, asked: float) -> GateResult:
    threshold = f"at most {written(asked)}"
    value = cell.tool_failure_rate
    if value is None:
        return _nothing(MAX_TOOL_FAILURE_RATE, cell.cell, threshold, "no tool call was recorded")
    verdict = Verdict.FAIL if value > asked else Verdict.PASS
    reason = f"{cell.tool_failure_count} of {plural(cell.tool_calls, 'tool call')} failed; {threshold} was allowed"
    return GateResult(MAX_TOOL_FAILURE_RATE, cell.cell, verdict, rate_beside(value, asked), threshold, reason)


def _environment_errors(cell: CellSummary, asked: float) -> GateResult:
    errors = cell.environment_errors
    value = errors.rate
    assert value is not None
    threshold = f"at most {written(asked)}"
    verdict = Verdict.UNDECIDED if value > asked else Verdict.PASS
    reason = f"{errors.count} of {plural(errors.tries, 'try')} met an environment error; {threshold} was allowed"
    return GateResult(MAX_ENV_ERROR_RATE, cell.cell, verdict, rate_beside(value, asked), threshold, reason)


def _run_cost(run: RunSummary, asked: float) -> GateResult:
    """The run's budget: PASS where it sufficed, else UNDECIDED, for a run that was cut short has no score."""
    threshold = f"at most ${written(asked)}"
    total = run.cost
    spent = dollars_beside(total.priced, asked)
    value = spent if total.exact else f"≥ {spent}"
    verdict = Verdict.UNDECIDED
    if run.budget_stopped:
        left = plural(run.budget_stopped, "attempt")
        reason = f"INCOMPLETE: the budget of ${written(asked)} was spent before {left} had run"
    elif total.total is None:
        reason = f"{plural(total.unpriced_calls, 'model call')} {_has(total.unpriced_calls)} no known price"
    elif _without_noise(total.priced) > _without_noise(asked):
        reason = f"the run cost {value}, more than its budget of ${written(asked)}"
    elif run.evaluated == 0:
        reason = "no attempt could be evaluated"
    else:
        verdict, reason = Verdict.PASS, f"the run cost {value} of its budget of ${written(asked)}"
    return GateResult(MAX_COST, None, verdict, value, threshold, reason)


def _nothing(name: str, cell: Cell | None, threshold: str, why: str) -> GateResult:
    return GateResult(name, cell, Verdict.UNDECIDED, "-", threshold, f"nothing to judge: {why}")


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _without_noise(amount: float) -> float:
    """An amount without the noise of sums of floats: to a billionth of a dollar."""
    return round(amount, 9)


def _at_least(rate: float | None) -> str | None:
    return None if rate is None else f"at least {written(rate)}"


def _at_most(rate: float | None) -> str | None:
    return None if rate is None else f"at most {written(rate)}"


def _at_most_dollars(amount: float | None) -> str | None:
    return None if amount is None else f"at most ${written(amount)}"
