"""A cell beside its baseline, as lines: what regressed, with cost and tool-call failures, and what is not compared."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval import figures
from pytest_agenteval.gates.regression import Comparison, RegressedTask
from pytest_agenteval.reports.line import BAD, TITLE, Line, plain
from pytest_agenteval.reports.text_table import wrap

__all__ = ["regression_lines"]

_INDENT = "  "
_HANGING = "    "
_NAMED = 10
"""So many tasks of a list are named."""


def regression_lines(found: Comparison, width: int) -> list[Line]:
    """What the comparison shows beyond its verdict."""
    title = f"{found.cell} beside {found.baseline}"
    title += f" of {found.other}" if found.other is not None else ""
    lines = [Line(text, TITLE) for text in wrap(title, width)]
    for task in found.regressed:
        lines += [Line(text, BAD) for text in wrap(f"regressed: {_changes(task)}", width, _INDENT, _HANGING)]
    for task in found.fell_most:
        lines += plain(wrap(f"fell, though not beyond chance by itself: {_changes(task)}", width, _INDENT, _HANGING))
    for what, tasks in (
        ("the test changed, not compared", found.changed),
        ("not in the baseline", found.added),
        ("only in the baseline", found.removed),
        ("no attempt counts", found.silent),
    ):
        if tasks:
            lines += plain(wrap(f"{what}: {_named(tasks)}", width, _INDENT, _HANGING))
    if len(lines) == 1:
        count = figures.plural(len(found.test.tasks), "task")
        lines += plain(wrap(f"{count} compared, none regressed by itself", width, _INDENT, _HANGING))
    return lines


def _changes(task: RegressedTask) -> str:
    before, after = (f"{c}/{n}" for n, c in (task.before, task.after))
    cost = f"{_dollars(task.cost_before)} -> {_dollars(task.cost_after)}"
    tools = f"{figures.percent(task.tool_failures_before)} -> {figures.percent(task.tool_failures_after)}"
    passes = f"{task.task} {before} -> {after} (p = {task.p:.2g})"
    return f"{passes}, cost per attempt {cost}, tool-call failures {tools}"


def _dollars(amount: float | None) -> str:
    return "unknown" if amount is None else figures.dollars(amount)


def _named(tasks: Sequence[str]) -> str:
    more = len(tasks) - _NAMED
    return ", ".join(tasks[:_NAMED]) + (f" and {more} more" if more > 0 else "")
