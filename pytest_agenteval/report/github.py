"""What GitHub Actions shows of a run: outputs of the step, and annotations beside the code. Text only."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, TaskRecord
from pytest_agenteval.record.verdict import Verdict
from pytest_agenteval.report.cell_block import cell_names
from pytest_agenteval.texts import inert

__all__ = ["output_file", "outputs", "workflow_commands"]

_SHOWN = 9
"""GitHub shows ten annotations of a kind: these, and one that says how many more there are."""
_LONGEST = 1_000


def outputs(judgement: Judgement) -> dict[str, str]:
    """The outputs of the step. A rate is that of the cell with the lowest one; an unknown value is empty."""
    cells = judgement.run.cells
    cost = judgement.run.cost.total
    return {
        "verdict": judgement.status.verdict.value,
        "exit_status": str(judgement.status.code),
        "pass_at_1": _lowest(cell.pass_at_1.value for cell in cells),
        "pass_hat_k": _lowest(cell.pass_hat_k.value for cell in cells),
        "cost_usd": "" if cost is None else _written(cost),
    }


def output_file(values: Mapping[str, str]) -> str:
    """The outputs in the format of `$GITHUB_OUTPUT`, each between delimiters that it cannot contain."""
    written = []
    for name, value in values.items():
        delimiter = f"agenteval_{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:32]}"
        written.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    return "".join(written)


def workflow_commands(judgement: Judgement, *, folder: str = "", failures_told: bool = False) -> list[str]:
    """Workflow commands for what failed (errors) and what is undecided (warnings), the worst nine and one for the rest.

    Args:
        judgement: the verdicts.
        folder: from the root of the checkout to the directory that node ids begin in.
        failures_told: whether another plugin annotates every failed test. Then only gates and undecided tasks are left.
    """
    records = {(record.cell, record.task): record for record in judgement.records}
    names = cell_names(judgement.run.cells) if len(judgement.run.cells) > 1 else {}
    errors: list[str] = []
    warnings: list[str] = []
    for gate in judgement.gates:
        if gate.task is None and gate.verdict is not Verdict.PASS:
            title = f"{gate.verdict.value}: {gate.name}{_of(gate.cell, names)}"
            (errors if gate.verdict is Verdict.FAIL else warnings).append(_command(gate.verdict, title, gate.reason))
    reasons = {(gate.cell, gate.task): gate for gate in judgement.gates if gate.task is not None}
    for summary in judgement.run.tasks:
        key = summary.cell, summary.task
        judged = reasons.get(key)
        verdict = Verdict.FAIL if summary.broken else Verdict.PASS if judged is None else judged.verdict
        if verdict is Verdict.PASS or (failures_told and verdict is Verdict.FAIL):
            continue
        record, reason = records[key], "the test is broken" if judged is None or summary.broken else judged.reason
        word = "BROKEN" if summary.broken else verdict.value
        title = f"{word}: {summary.task.partition('::')[2] or summary.task}{_of(summary.cell, names)}"
        command = _command(verdict, title, f"{reason}{_why(record)}", *_place(record, folder))
        (errors if verdict is Verdict.FAIL else warnings).append(command)
    found = errors + warnings
    if len(found) <= _SHOWN:
        return found
    kind = Verdict.FAIL if len(errors) > _SHOWN else Verdict.UNDECIDED
    more = f"{len(found) - _SHOWN} more: see the summary of the job"
    return [*found[:_SHOWN], _command(kind, "agent evaluation", more)]


def _command(verdict: Verdict, title: str, message: str, file: str | None = None, line: str | None = None) -> str:
    kind = "error" if verdict is Verdict.FAIL else "warning"
    given = {"file": file, "line": line, "title": title[:200]}
    properties = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    return f"::{kind} {properties}::{_data(inert(message[:_LONGEST]))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(inert(text)).replace(":", "%3A").replace(",", "%2C")


def _place(record: TaskRecord, folder: str) -> tuple[str, str | None]:
    """The suite's file, and the line of the first attempt that did not pass, if it is in this file."""
    suite = record.task.partition("::")[0]
    for attempt in _unlucky(record):
        file, _, line = (attempt.where or "").rpartition(":")
        if file == suite and line.isdigit():
            return posixpath.join(folder, suite), line
    return posixpath.join(folder, suite), None


def _why(record: TaskRecord) -> str:
    first = next((attempt for attempt in _unlucky(record) if attempt.message), None)
    return "" if first is None else f"\nattempt {first.number}: {first.message}"


def _unlucky(record: TaskRecord) -> Sequence[AttemptRecord]:
    return [attempt for attempt in record.attempts if attempt.outcome not in (Outcome.PASSED, Outcome.SKIPPED)]


def _of(cell: Cell | None, names: Mapping[Cell, str]) -> str:
    return f" [{names[cell]}]" if cell is not None and cell in names else ""


def _lowest(rates: Iterable[float | None]) -> str:
    known = list(rates)
    return _written(min(rate for rate in known if rate is not None)) if known and None not in known else ""


def _written(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
