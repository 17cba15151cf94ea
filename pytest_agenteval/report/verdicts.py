"""The run's verdict in a word, and who is judged by what: the same in all reports that leave the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.judge import GateResult
from pytest_agenteval.judge.exit_status import FAILED, NO_TESTS, OK, UNDECIDED
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.verdict import Verdict

__all__ = ["RUN_VERDICTS", "cell_verdict", "run_verdict", "task_verdicts"]

RUN_VERDICTS = ("PASS", "FAIL", "UNDECIDED", "INCOMPLETE", "NOT_JUDGED", "NO_TESTS", "INTERRUPTED", "ERROR")
"""What :func:`run_verdict` can say."""


def run_verdict(judgement: Judgement) -> str:
    """One word for how the run ended.

    PASS, FAIL, UNDECIDED and INCOMPLETE are verdicts on the agent. NOT_JUDGED: nothing failed, and no gate and no task
    was judged. NO_TESTS: pytest ran nothing. INTERRUPTED and ERROR: pytest's own statuses 2, and 3 and above.
    """
    code, reason = judgement.status.code, judgement.status.reason
    if code == OK:
        return "PASS" if judgement.gates else "NOT_JUDGED"
    if code == UNDECIDED:
        return "INCOMPLETE" if reason.startswith("INCOMPLETE") else "UNDECIDED"
    return {FAILED: "FAIL", NO_TESTS: "NO_TESTS", 2: "INTERRUPTED"}.get(code, "ERROR")


def task_verdicts(judgement: Judgement) -> dict[tuple[Cell, str], Verdict]:
    """The verdicts on the judged tasks, by cell and node id."""
    return {
        (gate.cell, gate.task): gate.verdict
        for gate in judgement.gates
        if gate.task is not None and gate.cell is not None
    }


def cell_verdict(gates: Sequence[GateResult], cell: CellSummary) -> str:
    """What all gates and judged tasks of a cell say together: the worst of their verdicts."""
    if cell.broken:
        return "BROKEN"
    verdicts = {gate.verdict for gate in gates if gate.cell == cell.cell}
    for verdict in (Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS):
        if verdict in verdicts:
            return verdict.value
    return "-"
