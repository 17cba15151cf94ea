"""The report at the end of a session, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.estimate.cells import compare_cells
from pytest_agenteval.estimate.profile import profile_of
from pytest_agenteval.judge import GateResult
from pytest_agenteval.judge.exit_status import FAILED, OK
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import figures
from pytest_agenteval.record.verdict import Verdict
from pytest_agenteval.report.cell_block import cell_block, cell_names
from pytest_agenteval.report.comparison import comparison
from pytest_agenteval.report.failures import failure_lines
from pytest_agenteval.report.line import BAD, GOOD, PLAIN, TITLE, UNSURE, Line, plain
from pytest_agenteval.report.notes import task_notes
from pytest_agenteval.report.profile import profile_lines, side_by_side_lines
from pytest_agenteval.report.regression import regression_lines
from pytest_agenteval.report.task_table import task_table
from pytest_agenteval.report.text_table import wrap
from pytest_agenteval.report.verdicts import cell_verdict
from pytest_agenteval.report.writer import ReportSection

__all__ = ["Line", "failure_lines", "report_lines", "verdict_lines"]

_INDENT = "  "
_TASKS_NAMED = 20
"""How many FAIL or UNDECIDED tasks get a line of their own under the gates; the table shows all."""

_MARKUP = {Verdict.PASS: GOOD, Verdict.FAIL: BAD, Verdict.UNDECIDED: UNSURE}


def report_lines(
    judgement: Judgement,
    *,
    width: int,
    selected: tuple[int, int] | None = None,
    notes: Sequence[str] = (),
    sections: Sequence[ReportSection] = (),
) -> list[Line]:
    """The whole report.

    Args:
        judgement: the numbers and the verdicts on them.
        width: columns of the terminal, at least 60.
        selected: (selected tasks, all tasks), if a selection was made.
        notes: what a reader should know about the run as a whole, one sentence each.
        sections: what plugins add.
    """
    run, gates, status = judgement.run, judgement.gates, judgement.status
    width = max(width, 60)
    lines: list[Line] = []
    for why in run.incomplete:  # first, because it is about every number below
        lines += [Line(text, UNSURE) for text in wrap(f"incomplete: {why}", width, hanging=_INDENT)]
    for cell in run.cells:
        verdicts = {gate.task: gate.verdict for gate in gates if gate.task is not None and gate.cell == cell.cell}
        lines += [*task_table(cell, verdicts, width), *cell_block(cell, width), Line("")]
        if judgement.profile is not None:
            found = profile_of(cell.cell, judgement.records)
            lines += [*profile_lines(found, cell.k, width, published=judgement.profile == "published"), Line("")]
    if len(run.cells) > 1:
        together = {cell.cell: cell_verdict(gates, cell) for cell in run.cells}
        compared_cells = compare_cells(run, judgement.records)
        lines += [*comparison(run.cells, compared_cells, together, width), Line("")]
        if judgement.profile is not None:
            named = cell_names(run.cells)
            profiles = {named[cell.cell]: profile_of(cell.cell, judgement.records) for cell in run.cells}
            lines += [*side_by_side_lines(profiles, width), Line("")]
    for compared in judgement.comparisons:
        lines += [*regression_lines(compared, width), Line("")]
    if selected is not None:
        lines.append(Line(f"{selected[0]} of {figures.plural(selected[1], 'task')} selected"))
    for note in [*notes, *task_notes(run)]:
        lines += plain(wrap(f"note: {note}", width, hanging=_INDENT))
    names = cell_names(run.cells)
    for gate in _listed(gates):
        name = gate.name if gate.task is None else f"{gate.task} ({gate.name})"
        where = f" [{names[gate.cell]}]" if gate.cell in names and len(names) > 1 else ""
        lines += verdict_lines(gate.verdict, f"{name}{where}: {gate.reason}", width)
    lines += _judged_tasks(gates, width)
    for section in sections:
        lines += [Line(""), Line(section.title, TITLE), *(Line(f"{_INDENT}{text}") for text in section.lines), Line("")]
    markup = GOOD if status.code == OK else BAD if status.code == FAILED else UNSURE
    bold = {**markup, **TITLE}
    return lines + [Line(text, bold) for text in wrap(f"exit {status.code}: {status.reason}", width, hanging=_INDENT)]


def verdict_lines(verdict: Verdict, text: str, width: int) -> list[Line]:
    """A verdict with its reason, whose further lines are indented below it."""
    lead = f"{verdict.value:<9} "
    first, *others = wrap(f"{lead}{text}", width, hanging=" " * len(lead))
    return [Line(first, _MARKUP[verdict]), *(Line(other, PLAIN) for other in others)]


def _listed(gates: Sequence[GateResult]) -> list[GateResult]:
    """The gates that get a line of their own: all those of the suite, and the first tasks that did not pass."""
    suite = [gate for gate in gates if gate.task is None]
    return suite + [gate for gate in gates if gate.task is not None and gate.verdict is not Verdict.PASS][:_TASKS_NAMED]


def _judged_tasks(gates: Sequence[GateResult], width: int) -> list[Line]:
    judged = [gate for gate in gates if gate.task is not None]
    if not judged:
        return []
    passed = [gate for gate in judged if gate.verdict is Verdict.PASS]
    more = len(judged) - len(passed) - _TASKS_NAMED
    count = f"{len(passed)} of {figures.plural(len(judged), 'judged task')} passed"
    if more > 0:
        count += f"; the table shows {more} more that did not"
    if len(passed) == len(judged):
        return verdict_lines(Verdict.PASS, f"{judged[0].name}: {count}", width)
    return plain(wrap(count, width, " " * 10, " " * 10))
