"""What a gate says."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.verdict import Verdict

__all__ = ["GateResult", "nothing_to_judge"]


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


def nothing_to_judge(name: str, cell: Cell | None, threshold: str, why: str) -> GateResult:
    """UNDECIDED, for there is nothing to hold against the threshold."""
    return GateResult(name, cell, Verdict.UNDECIDED, "-", threshold, f"nothing to judge: {why}")
