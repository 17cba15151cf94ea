"""The table of a cell's tasks, one row each."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.record import figures
from pytest_agenteval.record.records import name_of
from pytest_agenteval.record.verdict import Verdict
from pytest_agenteval.report.line import BAD, PLAIN, TITLE, UNSURE, Line, Markup
from pytest_agenteval.report.text_table import columns, shorten_middle, wrap

__all__ = ["short_names", "task_table", "verdict_mark"]

_LEAST_NAME = 20
"""If the column would be narrower than this, each name gets a line of its own."""


def task_table(cell: CellSummary, verdicts: Mapping[str, Verdict], width: int) -> list[Line]:
    """The cell's name, then a row per task, then what the columns mean.

    Args:
        cell: the cell.
        verdicts: of the judged tasks of this cell, by node id.
        width: of the terminal.
    """
    names, place = short_names([name_of(task) for task in cell.tasks])
    title = f"{cell.cell}, k = {cell.k}" + (f", {place}" if place else "")
    head = ["task", "c/n", "pass@1", f"pass^{cell.k}", "tool", "env", "$/attempt", "verdict"]
    marks = [verdict_mark(task, verdicts.get(task.task)) for task in cell.tasks]
    numbers = [_numbers(task, mark) for task, mark in zip(cell.tasks, marks, strict=True)]
    lines = [Line(text, TITLE) for text in wrap(title, width)]
    room = width - max(len(text) for text in columns([["", *head[1:]], *(["", *row] for row in numbers)]))
    bare = [f"{name.partition('[')[0].rpartition('::')[2]}{''.join(name.partition('[')[1:])}" for name in names]
    if max(map(len, names)) > room and len(set(bare)) == len(bare):
        names = bare  # the end of a name says more than the middle of a path
    longest = max(len(name) for name in names)
    if room >= min(longest, _LEAST_NAME):
        names = [shorten_middle(name, room) for name in names]
        texts = columns([head, *([name, *row] for name, row in zip(names, numbers, strict=True))])
        lines.append(Line(texts[0], TITLE))
        lines += [Line(text, _markup(mark)) for text, mark in zip(texts[1:], marks, strict=True)]
    else:
        texts = columns([["", *head[1:]], *(["", *row] for row in numbers)])
        lines.append(Line(texts[0], TITLE))
        for name, text, mark in zip(names, texts[1:], marks, strict=True):
            lines += [Line(shorten_middle(name, width), _markup(mark)), Line(text, _markup(mark))]
    return lines + [Line(text) for text in wrap(_legend(cell, marks), width)]


def short_names(node_ids: Sequence[str]) -> tuple[list[str], str | None]:
    """The node ids without their common suite or directory, and that common part or None."""
    if not node_ids:
        return [], None
    suites = {node_id.partition("::")[0] for node_id in node_ids}
    names = [node_id.partition("::")[2] for node_id in node_ids]
    if len(suites) == 1 and all(names):
        return names, suites.pop()
    if any(suite.startswith("/") for suite in suites):
        return list(node_ids), None
    shared = posixpath.commonpath([posixpath.dirname(suite) for suite in suites])
    return [node_id.removeprefix(f"{shared}/") if shared else node_id for node_id in node_ids], shared or None


def verdict_mark(task: TaskSummary, verdict: Verdict | None) -> str:
    """A task's verdict, or its measurement in lower case if it is not judged.

    For a task that is not judged and did not finish nothing was measured: it is decided.
    """
    if task.broken:
        return "BROKEN"
    if task.skipped:
        return "skipped"
    if verdict is not None:
        return verdict.value
    if task.expected is not None:
        return task.expected.value
    if task.decided:
        return "decided"
    if task.n == 0:
        return "-"
    return "~" if task.mixed else "all" if task.passes else "none"


def _numbers(task: TaskSummary, mark: str) -> list[str]:
    if task.skipped:
        return ["-", "-", "-", "-", "-", "-", mark]
    return [
        f"{task.passes}/{task.n}" + (f" of {task.k}" if task.decided else ""),
        figures.rate(task.pass_at_1),
        figures.rate(task.pass_hat_k),
        str(task.tool_calls.failed),
        str(task.environment_errors.count),
        figures.cost(task.cost_per_attempt),
        mark,
    ]


def _markup(mark: str) -> Markup:
    if mark in ("FAIL", "BROKEN"):
        return BAD
    return UNSURE if mark in ("UNDECIDED", "~", "none", "-") else PLAIN


def _legend(cell: CellSummary, marks: Sequence[str]) -> str:
    parts = ["tool: tool-call failures; env: environment errors, repeated tries included."]
    if any(not task.skipped and task.n < cell.k for task in cell.tasks):
        parts.append(f"pass^{cell.k} is - where it is not measured (n < k).")
    if any(task.decided for task in cell.tasks):
        parts.append("c/n of k, decided: the other attempts could change no verdict, so they did not run.")
    if {"xfail", "xpass"} & set(marks):
        parts.append("Expected to fail: it did (xfail), or passed all the same (xpass).")
    if {"~", "all", "none"} & set(marks):
        parts.append("Measured, not judged: all, some (~) or none of the attempts passed.")
    return " ".join(parts)
