"""The report as Markdown, for a job's summary and for a comment: the verdict first, then failures, the rest folded.

A size limit is always kept: each part takes a share of the remaining room, and says how many lines it cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.regression import TaskChange
from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.judge.baseline import Comparison
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import figures
from pytest_agenteval.record.records import Cell, name_of
from pytest_agenteval.record.verdict import Verdict
from pytest_agenteval.report.failures import failure_lines
from pytest_agenteval.report.markdown_text import MORE, code, fitting, html_code, preformatted, prose, size
from pytest_agenteval.report.notes import task_notes
from pytest_agenteval.report.pass_rates import interval_lines, pass_parts
from pytest_agenteval.report.task_table import verdict_mark
from pytest_agenteval.report.verdicts import task_verdicts
from pytest_agenteval.report.writer import ReportSection

__all__ = ["COMMENT_LIMIT", "MARKER", "SUMMARY_LIMIT", "comment", "markdown_report"]

MARKER = "<!-- pytest-agenteval -->"
"""The first line of a comment, by which the sender finds the comment to replace."""
COMMENT_LIMIT = 65_536
"""GitHub's limit for a comment, in characters; here applied to bytes."""
SUMMARY_LIMIT = 1024 * 1024
"""GitHub's limit for the summary of a step, in bytes."""

_SEVERITY = ("FAIL", "BROKEN", "UNDECIDED", "none", "-", "~")
"""The verdicts and measurements that are shown first, the worst first; then tasks with missing attempts."""
_FINE = len(_SEVERITY) + 1
"""The verdicts and measurements of all other tasks, which are folded."""
_WHY = 20
"""How many tasks are shown attempt by attempt."""
_LEAST = 2_000
"""With fewer bytes than this there is no report."""


def comment(judgement: Judgement, notes: Sequence[str] = (), sections: Sequence[ReportSection] = ()) -> str:
    """The report as a comment on a pull request."""
    return f"{MARKER}\n{markdown_report(judgement, notes, sections, limit=COMMENT_LIMIT - len(MARKER) - 1)}"


def markdown_report(
    judgement: Judgement,
    notes: Sequence[str] = (),
    sections: Sequence[ReportSection] = (),
    *,
    limit: int = SUMMARY_LIMIT,
) -> str:
    """The report as Markdown of at most `limit` bytes.

    Args:
        judgement: the numbers and the verdicts on them.
        notes: what a reader should know about the run as a whole, one sentence each.
        sections: what plugins add, folded.
        limit: in bytes of UTF-8.

    Raises:
        ValueError: the limit leaves no room for a verdict and its reason.
    """
    if limit < _LEAST:
        raise ValueError(f"a report does not fit into {limit} bytes: give it {_LEAST} at least")
    status = judgement.status
    page = _Page(limit)
    page.add([f"## {judgement.status.verdict.value.replace('_', ' ')}: agent evaluation"])
    page.add([f"exit {status.code}: {prose(status.reason, 300)}"])
    page.add([line for cell in judgement.run.cells for line in _cell_lines(cell)], 0.25)
    page.add([line for found in judgement.comparisons for line in _baseline_lines(found)], 0.2)
    page.add(_gate_lines(judgement), 0.25)
    rows = _Rows(judgement)
    first = [task for task in rows.by_severity if rows.severity(task) < _FINE]
    rest = rows.by_severity[len(first) :]
    page.add(rows.of(first), 0.6, rows.more, head=rows.head)
    page.add([f"- note: {prose(note)}" for note in [*notes, *task_notes(judgement.run)]], 0.2)
    folded = f"{len(rest)} {'other ' if first else ''}{'task' if len(rest) == 1 else 'tasks'}"
    page.add(rows.of(rest), 0.6, rows.more, head=[*_fold(folded), *rows.head], tail=_UNFOLD)
    for task in first[:_WHY]:
        lines = [preformatted(line.text) for line in failure_lines(rows.records[task.cell, task.task])]
        why = _fold(f"why: {html_code(rows.name(task))}")
        page.add(lines, 0.5, MORE, head=[*why, "<pre>"], tail=["</pre>", *_UNFOLD])
    for section in sections:
        lines = [preformatted(line) for line in section.lines]
        head = [*_fold(html_code(section.title)), "<pre>"]
        page.add(lines, 0.5, MORE, head=head, tail=["</pre>", *_UNFOLD])
    return page.text


class _Page:
    """Blocks of lines with an empty line between them."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._blocks: list[str] = []

    @property
    def text(self) -> str:
        return "\n\n".join(self._blocks) + "\n"

    def add(
        self,
        lines: Sequence[str],
        share: float = 1.0,
        more: str = f"- {MORE}",
        *,
        head: Sequence[str] = (),
        tail: Sequence[str] = (),
    ) -> None:
        """Add lines in a share of the remaining room, between a head and a tail that are never cut."""
        around = size("\n".join([*head, *tail])) + 4
        if kept := fitting(lines, int(self._left * share) - around, more):
            block = "\n".join([*head, *kept, *tail])
            self._blocks.append(block)
            self._left -= size(block) + 2


class _Rows:
    """The rows of the table of tasks."""

    def __init__(self, judgement: Judgement) -> None:
        self._verdicts = task_verdicts(judgement)
        self._changes = {  # by the names without the cells, which are the same in a baseline of other cells
            (found.cell, change.task): change for found in judgement.comparisons for change in found.test.tasks
        }
        self._cells = len(judgement.run.cells) > 1
        self.records = {(record.cell, record.task): record for record in judgement.records}
        self.by_severity = sorted(judgement.run.tasks, key=self.severity)
        names = ["task", *(["cell"] if self._cells else []), "k", "c/n", "pass@1"]
        names += ["Δ pass@1"] if self._changes else []
        names += ["pass^k", "$/attempt", "tool failures", "env errors", "verdict"]
        left = 2 if self._cells else 1
        rule = [":--"] * left + ["--:"] * (len(names) - left - 1) + [":--"]
        self.head = [_row(names), _row(rule)]
        self.more = f"| {MORE} |"

    def mark(self, task: TaskSummary) -> str:
        """The task's verdict, or its measurement."""
        return verdict_mark(task, self._verdicts.get((task.cell, task.task)))

    def severity(self, task: TaskSummary) -> int:
        """The place of the task among the others, from 0 for the worst."""
        mark = self.mark(task)
        return _SEVERITY.index(mark) if mark in _SEVERITY else _FINE - bool(task.missing)

    def name(self, task: TaskSummary) -> str:
        """With the cell, if there are several."""
        return f"{task.task} ({task.cell})" if self._cells else task.task

    def of(self, tasks: Sequence[TaskSummary]) -> list[str]:
        """A row per task."""
        return [self._row(task) for task in tasks]

    def _row(self, task: TaskSummary) -> str:
        mark = self.mark(task)
        name = name_of(task)
        fields = [
            code(name if self._cells else task.task),
            *([prose(str(task.cell))] if self._cells else []),
            str(task.k),
        ]
        change = self._changes.get((task.cell, name))
        numbers = [
            f"{task.passes}/{task.n}",
            figures.rate(task.pass_at_1),
            *([_delta(change)] if self._changes else []),
            figures.rate(task.pass_hat_k),
            prose(figures.cost(task.cost_per_attempt)),
            str(task.tool_calls.failed),
            str(task.environment_errors.count),
        ]
        if task.skipped:
            numbers = ["-"] * len(numbers)
        return _row([*fields, *numbers, f"**{mark}**" if mark in ("FAIL", "BROKEN", "UNDECIDED") else prose(mark)])


_UNFOLD = ("", "</details>")


def _fold(title: str) -> list[str]:
    return [f"<details><summary>{title}</summary>", ""]


def _row(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _delta(change: TaskChange | None) -> str:
    return "" if change is None else f"{0.0 - change.drop:+.3f}"


def _cell_lines(cell: CellSummary) -> list[str]:
    parts = [*pass_parts(cell), f"total cost {figures.cost(cell.cost)}"]
    if cell.passes and not cell.decided:
        parts.append(f"per success {figures.cost(cell.cost_per_success)}")
    tools = cell.tool_calls
    unknown = f", {tools.unknown} unknown" if tools.unknown else ""
    parts.append(f"tool-call failures {tools.failed} of {figures.plural(tools.calls, 'call')}{unknown}")
    errors = cell.environment_errors
    parts.append(f"environment errors {errors.count} of {figures.plural(errors.tries, 'try')}")
    lines = [f"- {code(str(cell.cell))}, k = {cell.k}: {prose(' · '.join(parts))}"]
    return lines + [f"  - {prose(text)}" for text in interval_lines(cell)]


def _baseline_lines(found: Comparison) -> list[str]:
    of = f" of {found.other}" if found.other is not None else ""
    before, after = found.pass_at_1_before, found.pass_at_1_after
    if before is None or after is None:
        return [f"- {code(str(found.cell))} beside {prose(found.baseline + of)}: no task can be compared"]
    span = f"{figures.rate(before)} to {figures.rate(after)} ({after - before:+.3f})"
    tasks = figures.plural(len(found.test.tasks), "task")
    return [f"- {code(str(found.cell))} beside {prose(found.baseline + of)}: pass@1 {span} over {tasks}"]


def _gate_lines(judgement: Judgement) -> list[str]:
    """The gates, the worst first. Judged tasks have their rows in the table."""
    several = len(judgement.run.cells) > 1
    order = (Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS)
    gates = sorted((g for g in judgement.gates if g.task is None), key=lambda gate: order.index(gate.verdict))
    return [
        f"- **{gate.verdict.value}** {code(gate.name)}{_of(gate.cell) if several else ''}: {prose(gate.reason)}"
        for gate in gates
    ]


def _of(cell: Cell | None) -> str:
    return "" if cell is None else f" [{prose(str(cell))}]"
