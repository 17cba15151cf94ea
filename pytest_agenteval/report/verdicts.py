"""Which verdict belongs to whom: the same in all reports."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.judge import GateResult
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.verdict import Verdict

__all__ = ["cell_verdict", "task_verdicts"]


def task_verdicts(judgement: Judgement) -> dict[tuple[Cell, str], Verdict]:
    """The verdicts on the judged tasks, by cell and node id."""
    return {
        (gate.cell, gate.task): gate.verdict
        for gate in judgement.gates
        if gate.task is not None and gate.cell is not None
    }


def cell_verdict(gates: Sequence[GateResult], cell: CellSummary) -> str:
    """The combined verdict of all gates and judged tasks of a cell: the worst of them."""
    if cell.broken:
        return "BROKEN"
    verdicts = {gate.verdict for gate in gates if gate.cell == cell.cell}
    for verdict in (Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS):
        if verdict in verdicts:
            return verdict.value
    return "-"
