"""Gates on pass rates, which judge either the grid of attempts or the true rate behind it.

On the grid, a complete one is PASS or FAIL. With missing attempts it is UNDECIDED if worst and best case differ. On the
true rate ("this suite, re-run") a complete grid can be UNDECIDED too, because its attempts may leave both sides of the
threshold possible. Only this statistical indecision can be counted as something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.estimators import Counts
from pytest_agenteval.estimate.stats.intervals import clopper_pearson, this_suite_pass_at_1
from pytest_agenteval.estimate.stats.missing import MissingRange, pass_at_1_range
from pytest_agenteval.estimate.stats.posterior import suite_pass_hat_k_draws
from pytest_agenteval.estimate.task import Expectation, TaskSummary
from pytest_agenteval.judge.result import GateResult, nothing_to_judge
from pytest_agenteval.judge.thresholds import MIN_PASS_AT_1, MIN_PASS_K, MIN_PASS_RATE, XFAIL_STRICT, GateSettings
from pytest_agenteval.record.figures import percent, plural, rate_beside, written
from pytest_agenteval.record.verdict import Verdict

__all__ = ["Shown", "agreed", "judge_pass_at_1", "judge_pass_hat_k", "judge_task", "show_pass_at_1", "show_pass_hat_k"]

_TAKEN_AS = {"incomplete": Verdict.UNDECIDED, "fail": Verdict.FAIL, "pass": Verdict.PASS}


@dataclass(frozen=True, slots=True)
class Shown:
    """What attempts show about a true rate: two one-sided bounds, each at the requested confidence."""

    low: float
    high: float

    def verdict(self, threshold: float) -> Verdict:
        """PASS if the true rate is at least the threshold, FAIL if it is below, UNDECIDED if both are possible."""
        if self.low >= threshold:
            return Verdict.PASS
        return Verdict.FAIL if self.high < threshold else Verdict.UNDECIDED


def show_pass_at_1(counts: Counts, confidence: float) -> Shown | None:
    """The pass@1 that endless re-runs of this suite would show: Wilson on the pooled attempts."""
    interval = this_suite_pass_at_1(counts, 2 * confidence - 1)
    return None if interval is None else Shown(interval.low, interval.high)


def show_pass_hat_k(counts: Counts, k: int, confidence: float) -> Shown | None:
    """The pass^k that endless re-runs of this suite would show: the posterior of a beta-binomial hierarchy.

    pass^1 is pass@1, so its bounds are the same.
    """
    if k == 1:
        return show_pass_at_1(counts, confidence)
    draws = suite_pass_hat_k_draws(counts, k)
    return None if draws is None else Shown(draws.quantile(1.0 - confidence), draws.quantile(confidence))


def judge_pass_at_1(cell: CellSummary, asked: float, gates: GateSettings) -> GateResult:
    """`--min-pass-at-1`."""
    if gates.confidence is None:
        return _of_grid(MIN_PASS_AT_1, "pass@1", cell, cell.pass_at_1_range, asked)
    sure = gates.confidence
    return _of_truth(MIN_PASS_AT_1, "pass@1", cell, asked, gates, lambda counts: show_pass_at_1(counts, sure))


def judge_pass_hat_k(cell: CellSummary, asked: float, gates: GateSettings) -> GateResult:
    """`--min-pass-k`."""
    word, k = f"pass^{cell.k}", cell.k
    if gates.confidence is None:
        return _of_grid(MIN_PASS_K, word, cell, cell.pass_hat_k_range, asked)
    sure = gates.confidence
    return _of_truth(MIN_PASS_K, word, cell, asked, gates, lambda counts: show_pass_hat_k(counts, k, sure))


def judge_task(task: TaskSummary, gates: GateSettings) -> GateResult | None:
    """The verdict on a task by its `min_pass_rate`, or None if it is skipped, or measured and not judged.

    Also None if the task failed as expected, or passed unexpectedly without `strict`. With a strict mark `xfail` the
    task is judged even if the suite's gates decide.
    """
    asked = gates.asked_of_task(task.min_pass_rate)
    asked = 1.0 if asked is None and task.strict else asked
    if task.skipped or asked is None or task.expected is Expectation.XFAILED:
        return None
    threshold, value = f"at least {written(asked)}", f"{task.passes}/{task.n}"
    if task.expected is Expectation.XPASSED:
        reason = f"{_passed(task)}, and xfail(strict=True) expects it to fail"
        unexpected = GateResult(XFAIL_STRICT, task.cell, Verdict.FAIL, value, "to fail", reason, task.task)
        return unexpected if task.strict else None
    if not task.n:
        reason = f"none of {plural(task.unmeasured, 'attempt')} could be evaluated"
        return GateResult(MIN_PASS_RATE, task.cell, Verdict.UNDECIDED, value, threshold, reason, task.task)
    passed = _passed(task)
    if gates.confidence is None:
        verdict = pass_at_1_range([(task.n, task.passes, task.unmeasured)]).verdict(asked)
        reason = f"{passed}; {'all were' if asked == 1 else f'a share of {written(asked)} was'} asked for"
    else:
        worst = _shown_by_task(task.n + task.unmeasured, task.passes, gates.confidence)
        best = _shown_by_task(task.n + task.unmeasured, task.passes + task.unmeasured, gates.confidence)
        verdict, how = agreed(worst, best, asked, task.unmeasured, gates)
        shown = _span(Shown(worst.low, best.high), asked)
        reason = f"{passed}, which shows a pass rate of {shown} ({how}); {threshold} was asked for"
    return GateResult(MIN_PASS_RATE, task.cell, verdict, value, threshold, reason, task.task)


def _of_grid(name: str, word: str, cell: CellSummary, cases: MissingRange, asked: float) -> GateResult:
    verdict = cases.verdict(asked)
    threshold = f"at least {written(asked)}"
    if cases.worst is None or cases.best is None:
        return nothing_to_judge(name, cell.cell, threshold, f"no task has a {word}")
    low, high = rate_beside(cases.worst, asked), rate_beside(cases.best, asked)
    value = low if cases.worst == cases.best else f"{low} to {high}"
    where = f"is {value}" if cases.worst == cases.best else f"lies between {low} and {high}"
    missing, unmeasured = cases.missing, ""
    if missing and missing == cell.decided:
        unmeasured = f", whatever the {plural(missing, 'decided attempt')} would show"
    elif missing:
        unmeasured = f", because {plural(missing, 'attempt')} {_was(missing)} not measured"
    reason = f"{word} {where}{unmeasured}; {threshold} was asked for"
    return GateResult(name, cell.cell, verdict, value, threshold, reason)


def _of_truth(
    name: str,
    word: str,
    cell: CellSummary,
    asked: float,
    gates: GateSettings,
    show: Callable[[Counts], Shown | None],
) -> GateResult:
    threshold = f"at least {written(asked)}"
    tasks = [task for task in cell.tasks if not task.skipped]
    worst = show([(task.n + task.unmeasured, task.passes) for task in tasks])
    best = show([(task.n + task.unmeasured, task.passes + task.unmeasured) for task in tasks])
    if worst is None or best is None:
        return nothing_to_judge(name, cell.cell, threshold, f"no task has a {word}")
    verdict, how = agreed(worst, best, asked, cell.unmeasured, gates)
    value = _span(Shown(worst.low, best.high), asked)
    missing = ""
    if cell.unmeasured:
        missing = f", because {plural(cell.unmeasured, 'attempt')} {_was(cell.unmeasured)} not measured"
    reason = f"{word} of this suite is at least {value.replace(' to ', ' and at most ')}{missing} ({how})"
    return GateResult(name, cell.cell, verdict, value, threshold, f"{reason}; {threshold} was asked for")


def agreed(worst: Shown, best: Shown, asked: float, unmeasured: int, gates: GateSettings) -> tuple[Verdict, str]:
    """The verdict, and how sure it is. It is UNDECIDED if worst and best case over missing attempts disagree.

    Only complete data can turn UNDECIDED into another verdict: nothing becomes green because attempts are missing.
    On the grid, where the bounds of a case are one number, nothing is said of how sure it is.
    """
    how = "" if gates.confidence is None else f"one-sided bounds, each {percent(gates.confidence)} sure"
    verdict = worst.verdict(asked)
    if verdict is not best.verdict(asked):
        return Verdict.UNDECIDED, how
    taken = _TAKEN_AS[gates.undecided]
    if verdict is Verdict.UNDECIDED and not unmeasured and taken is not verdict:
        return taken, f"{how}: undecided, which counts as {taken} by --agent-undecided={gates.undecided}"
    return verdict, how


def _shown_by_task(n: int, passes: int, confidence: float) -> Shown:
    interval = clopper_pearson(passes, n, 2 * confidence - 1)
    return Shown(interval.low, interval.high)


def _span(shown: Shown, asked: float) -> str:
    return f"{rate_beside(shown.low, asked)} to {rate_beside(shown.high, asked)}"


def _passed(task: TaskSummary) -> str:
    """How many attempts passed, out of those that ran if they decided the others, otherwise out of all wanted ones."""
    missing = task.unmeasured - task.decided
    of = task.n if task.decided else task.n + task.unmeasured
    text = f"{task.passes} of {plural(of, 'attempt')} passed"
    text += f", {missing} {_was(missing)} not measured" if missing else ""
    return text + (f", which decided the other {task.decided}" if task.decided else "")


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
