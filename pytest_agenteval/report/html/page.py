"""Writes the page: one file that needs nothing else and may load nothing else."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_agenteval.errors import NotReady
from pytest_agenteval.estimate.cells import compare_cells
from pytest_agenteval.estimate.run import RunSummary
from pytest_agenteval.judge import Verdict
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import figures
from pytest_agenteval.record.conversation import ConversationReader
from pytest_agenteval.report.html.attempts import RowView, legend, rows
from pytest_agenteval.report.html.cells import CellView, cell_views, front_of
from pytest_agenteval.report.html.embedding import Room, embedded
from pytest_agenteval.report.html.failures import environment_errors, tool_failures
from pytest_agenteval.report.html.plots import cost_plot, curve_plot
from pytest_agenteval.report.html.profile_plot import profile_plot
from pytest_agenteval.report.html.text import shown
from pytest_agenteval.report.log_places import log_place
from pytest_agenteval.report.notes import task_notes
from pytest_agenteval.report.profile import HEADS, PUBLISHED
from pytest_agenteval.report.regression import regression_lines
from pytest_agenteval.report.run_facts import run_facts
from pytest_agenteval.report.writer import ReportSection, write_whole

__all__ = ["check_installed", "write_html"]

_ROOM = Room()

_WORST_FIRST = (Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS)


def check_installed() -> None:
    """Make sure, before anything is spent, that the page can be written.

    Raises:
        NotReady: Jinja2 or matplotlib is not installed.
    """
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        which = figures.joined(missing)
        raise NotReady(f"--agent-html needs {which}: install them with `pip install 'pytest-agenteval[html]'`")


def write_html(
    path: Path,
    judgement: Judgement,
    conversations: ConversationReader,
    notes: Sequence[str] = (),
    sections: Sequence[ReportSection] = (),
    *,
    room: Room = _ROOM,
) -> None:
    """Write the report of a run.

    Args:
        path: of the file; its directory is made, and a file that is there is replaced at once and whole.
        judgement: the records, the numbers and the verdicts.
        conversations: reads the conversation of an attempt; called for attempts that have a log, those that did not
            pass first, until the room is used up.
        notes: what a reader should know about the run as a whole, one sentence each.
        sections: what plugins add.
        room: the space for conversations.

    Raises:
        NotReady: the extra `html` is not installed.
        OSError: the file cannot be written.
    """
    check_installed()
    write_whole(path, _pieces(judgement, conversations, notes, sections, room))


def _pieces(
    judgement: Judgement,
    conversations: ConversationReader,
    notes: Sequence[str],
    sections: Sequence[ReportSection],
    room: Room,
) -> Iterator[str]:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def safe(value: Any) -> Any:
        """All text on the page passes through here; only drawings, style and script are markup."""
        return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=PackageLoader("pytest_agenteval.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=safe,
    )
    environment.filters["plural"] = figures.plural
    run = judgement.run
    compared = compare_cells(run, judgement.records)
    cells = cell_views(judgement, compared)
    front = front_of(cells, compared)
    tasks = rows(judgement.records, [cell.cell for cell in run.cells])
    kept = embedded(tasks, conversations, room)
    templates = resources.files("pytest_agenteval.report.html").joinpath("templates")
    style, script = (Markup(templates.joinpath(name).read_text("utf-8")) for name in ("page.css", "page.js"))
    gates = sorted(judgement.gates, key=lambda gate: _WORST_FIRST.index(gate.verdict))
    curves = {cell.letter: curve_plot(cell, [other for other in cells if other is not cell]) for cell in cells}
    plot = cost_plot(cells, front)
    panels = {
        f"{cell.letter} {each.name}": profile_plot(each, f"{cell.letter}-{each.name}")
        for cell in cells
        for each in cell.profile
    }
    yield from environment.get_template("page.html.j2").generate(
        policy=_policy(style, script),
        style=style,
        script=script,
        status=judgement.status,
        scope=" · ".join([_scope(run, tasks), *run_facts(judgement)]),
        address=_address(judgement),
        gates_unmet=[gate for gate in gates if gate.task is None and gate.verdict is not Verdict.PASS],
        gates_met=[gate for gate in gates if gate.task is None and gate.verdict is Verdict.PASS],
        judged_unmet=[gate for gate in gates if gate.task is not None and gate.verdict is not Verdict.PASS],
        judged_met=[gate for gate in gates if gate.task is not None and gate.verdict is Verdict.PASS],
        cells=cells,
        letters={cell.cell: view.letter for cell, view in zip(run.cells, cells, strict=True)},
        summaries=run.cells,
        several=len(cells) > 1,
        curves={letter: Markup(svg) for letter, svg in curves.items() if svg},
        panels={name: Markup(svg) for name, svg in panels.items() if svg},
        profile_heads=[*HEADS, *([PUBLISHED] if judgement.profile == "published" else [])],
        front=front,
        cost_plot=Markup(plot) if plot else None,
        unplaced=[cell for cell in cells if cell.per_attempt is None or cell.pass_hat_k is None],
        tool_rows=tool_failures(run.cells),
        cause_rows=environment_errors(judgement.records),
        total=figures.cost(run.cost),
        money_heads=_money_heads(judgement, cells),
        comparisons=[[line.text for line in regression_lines(found, 100_000)] for found in judgement.comparisons],
        notes=[*notes, *task_notes(run)],
        sections=sections,
        everywhere=set.intersection(*(set(row.notes) for row in tasks)) if len(tasks) > 1 else set(),
        legend=legend(tasks),
        rows=tasks,
        texts={anchor: Markup(text) for anchor, text in kept.texts.items()},
        left_out=kept.left_out,
        left_out_passed=kept.passed,
        log_dir=_log_dir(judgement),
    )


def _money_heads(judgement: Judgement, cells: Sequence[CellView]) -> list[str]:
    """For all cells; what was paid now only if some of it was paid before."""
    reused = any(attempt.reused for record in judgement.records for attempt in (*record.attempts, *record.discarded))
    heads = list(dict.fromkeys(head for cell in cells for head in cell.money if reused or head != "paid now"))
    return sorted(heads, key="what is not known".__eq__)


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _scope(run: RunSummary, tasks: Sequence[RowView]) -> str:
    attempts = sum(cell.attempts for cell in run.cells)
    ks = sorted({cell.k for cell in run.cells})
    parts = [figures.plural(len(tasks), "task"), f"k = {', '.join(map(str, ks))}" if ks else ""]
    parts += [figures.plural(len(run.cells), "cell"), f"{figures.plural(attempts, 'attempt')} that count"]
    return " · ".join(part for part in (*parts, f"total cost {figures.cost(run.cost)}") if part)


def _address(judgement: Judgement) -> str | None:
    address = None if judgement.identity is None else judgement.identity.address
    return address if address is not None and address.startswith(("https://", "http://")) else None


def _log_dir(judgement: Judgement) -> str:
    logs = (log_place(a.log) for record in judgement.records for a in record.attempts if a.log)
    return next((str(PurePosixPath(log).parent) if "://" not in log else log.rpartition("/")[0] for log in logs), "")
