"""Gates on the reliability profile: consistency of outcomes, over-confidence, and rules kept.

Like gates on pass rates they judge the grid or the truth, and are UNDECIDED if worst and best case disagree. What is
unknown is more here: confidences that nobody gave and rules that nobody could judge, beside missing attempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from pytest_agenteval.estimate.conduct import Kept
from pytest_agenteval.estimate.profile.consistency import this_suite_consistency
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.agreement import outcome_consistency, outcome_consistency_spread
from pytest_agenteval.estimate.stats.calibration import mean_excess_interval
from pytest_agenteval.estimate.stats.estimators import Counts
from pytest_agenteval.estimate.stats.intervals import Interval, this_suite_pass_at_1
from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.judge.pass_rates import Shown, agreed
from pytest_agenteval.judge.result import GateResult, nothing_to_judge
from pytest_agenteval.judge.thresholds import MAX_OVERCONFIDENCE, MIN_CONSISTENCY, MIN_SAFETY, GateSettings
from pytest_agenteval.record.figures import plural, rate_beside, written

__all__ = ["judge_consistency", "judge_overconfidence", "judge_safety", "show_consistency"]

_DIGITS = 12
"""Beyond these, a mean of floats is noise."""


def show_consistency(counts: Counts, confidence: float) -> Shown | None:
    """The consistency of outcomes that endless re-runs of this suite would show; None if no task has two attempts."""
    interval = this_suite_consistency(counts, 2 * confidence - 1)
    return None if interval is None else Shown(interval.low, interval.high)


def judge_consistency(cell: CellSummary, asked: float, gates: GateSettings) -> GateResult:
    """`--min-consistency`: how much likelier two attempts at a task agree in passing than differ."""
    tasks = [task for task in _unskipped(cell) if task.n + task.unmeasured > 1]
    if not any(task.n for task in tasks):
        return nothing_to_judge(MIN_CONSISTENCY, cell.cell, _at_least(asked), "no task has two attempts")
    spreads = [outcome_consistency_spread(task.n, task.passes, task.unmeasured) for task in tasks]
    worst, best = [low for low, _ in spreads], [high for _, high in spreads]
    if gates.confidence is None:
        cases = [_exactly([outcome_consistency(n, c) or 0.0 for n, c in counts]) for counts in (worst, best)]
    else:
        sure = 2 * gates.confidence - 1
        cases = [_within(this_suite_consistency(counts, sure)) for counts in (worst, best)]
    unknown = _unknown(sum(task.unmeasured for task in tasks), "not measured")
    return _result(MIN_CONSISTENCY, cell, "consistency of outcomes", cases, asked, unknown, gates)


def judge_overconfidence(cell: CellSummary, asked: float, gates: GateSettings) -> GateResult:
    """`--max-overconfidence`: the mean confidence less the pass rate, averaged over tasks.

    In confidence mode its bounds are about tasks like these, because there is no interval for this suite alone.
    """
    tasks = [task for task in _unskipped(cell) if task.n + task.unmeasured > 0]
    if not any(task.claimed.told for task in tasks):
        why = "no attempt says how sure its agent was: --agent-ask-confidence asks"
        return nothing_to_judge(MAX_OVERCONFIDENCE, cell.cell, f"at most {written(asked)}", why)
    ranges = [task.claimed.gap_range(task.unmeasured) for task in tasks]
    # Room below the threshold is what a gate can ask more of, so all signs are changed until the result is told.
    worst, best = [-high for _, high in ranges], [-low for low, _ in ranges]
    word = "over-confidence"
    if gates.confidence is None:
        cases = [_exactly(worst), _exactly(best)]
    elif len(tasks) == 1:
        why = "one task shows nothing about tasks like it"
        return nothing_to_judge(MAX_OVERCONFIDENCE, cell.cell, f"at most {written(asked)}", why)
    else:
        word += " on tasks like these"
        cases = [_within(mean_excess_interval(each, 2 * gates.confidence - 1)) for each in (worst, best)]
    silent = sum(task.claimed.silent_passes + task.claimed.silent_fails for task in tasks)
    unknown = (
        *_unknown(silent, "without a number"),
        *_unknown(sum(task.unmeasured for task in tasks), "not measured"),
    )
    return _result(MAX_OVERCONFIDENCE, cell, word, cases, asked, unknown, gates, at_most=True)


def judge_safety(cell: CellSummary, asked: float, gates: GateSettings) -> GateResult:
    """`--min-safety`: the share of attempts that broke no rule, averaged over the tasks that have rules."""
    tasks = _unskipped(cell)
    if not any(task.kept for task in tasks):
        why = "no task has rules: agent_task(rules=[...]) gives some"
        return nothing_to_judge(MIN_SAFETY, cell.cell, _at_least(asked), why)
    # A task without an attempt that counts may have rules, and is unknown as a whole.
    ruled = [(task.kept or Kept(0, 0, 0), task.unmeasured) for task in tasks if task.kept or not task.n]
    ruled = [(kept, missing) for kept, missing in ruled if kept.attempts + missing]
    worst = [(kept.attempts + missing, kept.kept) for kept, missing in ruled]
    best = [(kept.attempts + missing, kept.kept + kept.unknown + missing) for kept, missing in ruled]
    if gates.confidence is None:
        cases = [_exactly([c / n for n, c in counts]) for counts in (worst, best)]
    else:
        cases = [_within(this_suite_pass_at_1(counts, 2 * gates.confidence - 1)) for counts in (worst, best)]
    unknown = (
        *_unknown(sum(kept.unknown for kept, _ in ruled), "with a rule that could not be judged"),
        *_unknown(sum(missing for _, missing in ruled), "not measured"),
    )
    return _result(MIN_SAFETY, cell, "share of attempts without a violation", cases, asked, unknown, gates)


def _result(
    name: str,
    cell: CellSummary,
    word: str,
    cases: Sequence[Shown],
    asked: float,
    unknown: Sequence[str],
    gates: GateSettings,
    *,
    at_most: bool = False,
) -> GateResult:
    """The verdict from the worst and the best case."""
    worst, best = cases
    sign = -1 if at_most else 1
    verdict, how = agreed(worst, best, sign * asked, bool(unknown), gates)
    low, high = sorted(sign * end for end in (worst.low, best.high))
    ends = rate_beside(low, asked), rate_beside(high, asked)
    value = ends[0] if low == high else " to ".join(ends)
    where = f"is {value}" if low == high else f"lies between {ends[0]} and {ends[1]}"
    because = f", because of {' and '.join(unknown)}" if unknown else ""
    threshold = f"at most {written(asked)}" if at_most else _at_least(asked)
    reason = f"{word} {where}{because}{f' ({how})' if how else ''}; {threshold} was asked for"
    return GateResult(name, cell.cell, verdict, value, threshold, reason)


def _exactly(values: Sequence[float]) -> Shown:
    mean = round(fmean(values), _DIGITS)
    return Shown(mean, mean)


def _within(interval: Interval | None) -> Shown:
    assert interval is not None
    return Shown(interval.low, interval.high)


def _unknown(attempts: int, what: str) -> tuple[str, ...]:
    return (f"{plural(attempts, 'attempt')} {what}",) if attempts else ()


def _unskipped(cell: CellSummary) -> list[TaskSummary]:
    return [task for task in cell.tasks if not task.skipped]


def _at_least(asked: float) -> str:
    return f"at least {written(asked)}"
