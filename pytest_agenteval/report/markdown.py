"""The report as Markdown, for a job's summary and for a comment: the verdict first, then failures, the rest folded.

A size limit is always kept: each part takes a share of the remaining room, and says how many lines it cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.estimate.profile import profile_of
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import figures
from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.verdict import Verdict
from pytest_agenteval.report.failures import failure_lines
from pytest_agenteval.report.markdown_profile import profile_table
from pytest_agenteval.report.markdown_tasks import (
    MORE_ROWS,
    TaskRows,
    baseline_lines,
    not_compared_lines,
    regressed_table,
)
from pytest_agenteval.report.markdown_text import (
    MORE,
    code,
    fitting,
    html_code,
    link,
    preformatted,
    prose,
    size,
    wrapping,
)
from pytest_agenteval.report.notes import task_notes
from pytest_agenteval.report.pass_rates import interval_lines, pass_parts
from pytest_agenteval.report.robustness import robustness_sentences
from pytest_agenteval.report.rules import rule_sentences
from pytest_agenteval.report.run_facts import run_facts
from pytest_agenteval.report.writer import ReportSection

__all__ = ["COMMENT_LIMIT", "MARKER", "SUMMARY_LIMIT", "comment", "markdown_report"]

MARKER = "<!-- pytest-agenteval -->"
"""The first line of a comment, by which the sender finds the comment to replace."""
COMMENT_LIMIT = 65_536
"""GitHub's limit for a comment, in characters; here applied to bytes."""
SUMMARY_LIMIT = 1024 * 1024
"""GitHub's limit for the summary of a step, in bytes."""

_WHY = 20
"""How many tasks are shown attempt by attempt."""
_LEAST = 2_000
"""With fewer bytes than this there is no report."""


def comment(
    judgement: Judgement,
    notes: Sequence[str] = (),
    sections: Sequence[ReportSection] = (),
    *,
    files: str | None = None,
) -> str:
    """The report as a comment on a pull request."""
    limit = COMMENT_LIMIT - len(MARKER) - 1
    return f"{MARKER}\n{markdown_report(judgement, notes, sections, files=files, limit=limit)}"


def markdown_report(
    judgement: Judgement,
    notes: Sequence[str] = (),
    sections: Sequence[ReportSection] = (),
    *,
    files: str | None = None,
    limit: int = SUMMARY_LIMIT,
) -> str:
    """The report as Markdown of at most `limit` bytes.

    Args:
        judgement: the numbers and the verdicts on them.
        notes: what a reader should know about the run as a whole, one sentence each.
        sections: what plugins add, folded.
        files: the address where the CI system shows the files of the run.
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
    untold = [why for why in judgement.run.incomplete if why not in status.reason[:300]]
    page.add([f"- incomplete: {prose(why)}" for why in untold], 0.1)
    if about := _about(judgement, files):
        page.add([" · ".join(about)])
    for found in judgement.comparisons:
        page.add(baseline_lines(found), 0.2)
        head, fell = regressed_table(found)
        page.add(fell, 0.3, MORE_ROWS, head=head)
        page.add(not_compared_lines(found), 0.1)
    page.add(_gate_lines(judgement), 0.25)
    page.add([line for cell in judgement.run.cells for line in _cell_lines(cell)], 0.25)
    if judgement.profile is not None:
        for cell in judgement.run.cells:
            profile = profile_of(cell.cell, judgement.records)
            head, table, remarks = profile_table(profile, published=judgement.profile == "published")
            title = f"reliability profile of {html_code(str(cell.cell))}"
            if table:
                page.add(table, 0.2, MORE_ROWS, head=[*_fold(title), *head], tail=["", *remarks, *_UNFOLD])
            else:
                page.add(remarks, 0.2, head=_fold(title), tail=_UNFOLD)
    rows = TaskRows(judgement)
    page.add(rows.of(rows.worst), 0.6, MORE_ROWS, head=rows.head)
    page.add([f"- note: {prose(note)}" for note in [*notes, *task_notes(judgement.run)]], 0.2)
    folded = f"{len(rows.rest)} {'other ' if rows.worst else ''}{'task' if len(rows.rest) == 1 else 'tasks'}"
    page.add(rows.of(rows.rest), 0.6, MORE_ROWS, head=[*_fold(folded), *rows.head], tail=_UNFOLD)
    records = {(record.cell, record.task): record for record in judgement.records}
    several = len(judgement.run.cells) > 1
    for task in rows.worst[:_WHY]:
        lines = [wrapping(line.text) for line in failure_lines(records[task.cell, task.task])]
        why = _fold(f"why: {html_code(f'{task.task} ({task.cell})' if several else task.task)}")
        page.add(lines, 0.5, MORE, head=[*why, "<div><samp>"], tail=["</samp></div>", *_UNFOLD])
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


def _about(judgement: Judgement, files: str | None) -> list[str]:
    """Which run this is, with links to it."""
    run = None if judgement.identity is None else judgement.identity.address
    links = [link(text, address) for text, address in (("the run", run), ("its files", files)) if address is not None]
    return [*(prose(fact, 200) for fact in run_facts(judgement)), *links]


_UNFOLD = ("", "</details>")


def _fold(title: str) -> list[str]:
    return [f"<details><summary>{title}</summary>", ""]


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
    return lines + [f"  - {prose(text)}" for text in _more_lines(cell)]


def _more_lines(cell: CellSummary) -> list[str]:
    return [*interval_lines(cell), *rule_sentences(cell.rules), *robustness_sentences(cell)]


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
