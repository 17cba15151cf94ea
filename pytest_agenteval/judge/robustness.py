"""The gate on robustness: what is left of the pass rate under a perturbation, R, is at least so much.

It is UNDECIDED where R would say little: a base near 0, or a perturbation that most attempts never met.
"""

from __future__ import annotations

from pytest_agenteval.estimate.robustness import Robustness
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.judge.result import GateResult, nothing_to_judge
from pytest_agenteval.judge.thresholds import GateSettings, robustness_gate
from pytest_agenteval.record.figures import percent, plural, written
from pytest_agenteval.record.verdict import Verdict

__all__ = ["judge_robustness"]


def judge_robustness(cell: CellSummary, gates: GateSettings) -> list[GateResult]:
    """A verdict for every perturbation that is asked about."""
    results = []
    for group, asked in gates.min_robustness:
        found = [each for each in cell.robustness if group in (None, each.group)]
        threshold = f"at least {written(asked)}"
        if not found:
            what = "no task ran under a perturbation" if group is None else f"no task ran under {group}"
            results.append(nothing_to_judge(robustness_gate(group), cell.cell, threshold, f"{what}: --agent-perturb"))
        results += [_judge(cell, each, asked, gates) for each in found]
    return results


def _judge(cell: CellSummary, found: Robustness, asked: float, gates: GateSettings) -> GateResult:
    name, threshold = robustness_gate(found.group), f"at least {written(asked)}"
    if found.ratio is None:
        why = (
            "no task has both a base and perturbed attempts that count" if not found.pairs else "the base never passed"
        )
        return nothing_to_judge(name, cell.cell, threshold, why)
    worst, best = found.cases()
    if gates.confidence is None:
        low, high, how = worst.ratio, best.ratio, ""
        value = _rate(low) if low == high else f"{_rate(low)} to {_rate(high)}"
    else:
        level = 2 * gates.confidence - 1
        worst_shown, best_shown = worst.shown(level), best.shown(level)
        low = None if worst_shown is None else worst_shown.low
        high = None if best_shown is None else best_shown.high
        value = f"{_rate(low)} to {_rate(high)}"
        how = f" (one-sided bounds, each {percent(gates.confidence)} sure)"
    verdict = _verdict(low, high, asked)
    reason = f"R is {value}{how}"
    if found.missing:
        reason += f", because {plural(found.missing, 'attempt')} {'was' if found.missing == 1 else 'were'} not measured"
    if verdict is Verdict.UNDECIDED and not found.missing and gates.confidence is not None:
        taken = {"fail": Verdict.FAIL, "pass": Verdict.PASS}.get(gates.undecided)
        if taken is not None:
            verdict = taken
            reason += f", which counts as {taken} by --agent-undecided={gates.undecided}"
    if found.not_paired:
        verdict = Verdict.UNDECIDED
        reason += f"; {plural(len(found.not_paired), 'task')} cannot be compared"
    if found.rarely_met:
        verdict = Verdict.UNDECIDED
        reason += f"; only {found.met} of {plural(found.attempts, 'attempt')} met the perturbation"
    if found.weak_base:
        verdict = Verdict.UNDECIDED
        reason += "; the base passes too seldom for a ratio"
    return GateResult(name, cell.cell, verdict, value, threshold, f"{reason}; {threshold} was asked for")


def _verdict(low: float | None, high: float | None, asked: float) -> Verdict:
    """None is unbounded."""
    if low is not None and low >= asked:
        return Verdict.PASS
    return Verdict.FAIL if high is not None and high < asked else Verdict.UNDECIDED


def _rate(rate: float | None) -> str:
    return "unbounded" if rate is None or rate == float("inf") else f"{rate:.3f}"
