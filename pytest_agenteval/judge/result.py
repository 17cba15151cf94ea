"""The result of one gate."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.verdict import Verdict

__all__ = ["GateResult", "nothing_to_judge"]


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of one gate."""

    name: str
    """The option as typed, or `min_pass_rate` for a task."""
    cell: Cell | None
    """None if the whole run is judged."""
    verdict: Verdict
    value: str
    """The measured value, `-` if there is none."""
    threshold: str
    """The required value."""
    reason: str
    """A sentence without its full stop."""
    task: str | None = None
    """The node id, if one task is judged."""


def nothing_to_judge(name: str, cell: Cell | None, threshold: str, why: str) -> GateResult:
    """UNDECIDED, because there is nothing to compare with the threshold."""
    return GateResult(name, cell, Verdict.UNDECIDED, "-", threshold, f"nothing to judge: {why}")
