"""The gate on violations of rules: how many attempts of a cell may break one of this severity or worse."""

from __future__ import annotations

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.judge.result import GateResult, nothing_to_judge
from pytest_agenteval.judge.thresholds import violations_gate
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.verdict import Verdict

__all__ = ["judge_violations"]


def judge_violations(cell: CellSummary, severity: str, most: int) -> GateResult:
    """PASS or FAIL only if attempts that are missing, or of which a rule is unknown, could not turn it."""
    name, threshold = violations_gate(severity), f"at most {most}"
    if cell.rules is None:
        return nothing_to_judge(name, cell.cell, threshold, "no task has rules: agent_task(rules=[...])")
    low, unknown = next((known, unknown) for each, known, unknown in cell.rules.violating if each == severity)
    high = low + unknown + cell.unmeasured
    verdict = Verdict.FAIL if low > most else Verdict.PASS if high <= most else Verdict.UNDECIDED
    worse = "" if severity == "critical" else " or worse"
    reason = f"{low} of {plural(cell.rules.attempts, 'attempt')} broke a rule of severity {severity}{worse}"
    if unknown:
        reason += f", for {unknown} it is unknown"
    if cell.unmeasured:
        reason += f", {cell.unmeasured} {'was' if cell.unmeasured == 1 else 'were'} not measured"
    value = str(low) if low == high else f"{low} to {high}"
    return GateResult(name, cell.cell, verdict, value, threshold, f"{reason}; {threshold} was allowed")
