"""A cell beside its baseline, as lines: what regressed, with cost and tool-call failures, and what is not compared."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.estimate.stats.regression import Count, TaskChange
from pytest_agenteval.judge.baseline import Comparison, RegressedTask
from pytest_agenteval.record import figures
from pytest_agenteval.report.line import BAD, TITLE, Line, plain
from pytest_agenteval.report.text_table import wrap

__all__ = ["OWN_COST", "dollars_or_unknown", "not_compared", "regression_lines"]

_INDENT = "  "
_HANGING = "    "
_NAMED = 10
"""How many tasks of a list are named."""
OWN_COST = "own cost per attempt"
"""Without repeated tries, unlike the `$/attempt` of tables, which holds everything that was paid."""
_FALLEN = 3
"""How many of the tasks that fell no further than by chance are named."""


def regression_lines(found: Comparison, width: int) -> list[Line]:
    """What the comparison shows in addition to its verdict."""
    title = f"{found.cell} beside {found.baseline}"
    title += f" of {found.other}" if found.other is not None else ""
    lines = [Line(text, TITLE) for text in wrap(title, width)]
    if found.new:
        return lines + plain(wrap("new: this cell is not in the baseline", width, _INDENT, _HANGING))
    lines += plain(wrap(_compared(found), width, _INDENT, _HANGING))
    for task in found.regressed:
        lines += [Line(text, BAD) for text in wrap(f"regressed: {_changes(task)}", width, _INDENT, _HANGING)]
    for task in found.fell_most:
        lines += plain(wrap(f"fell, though not beyond chance by itself: {_changes(task)}", width, _INDENT, _HANGING))
    for what, tasks in not_compared(found):
        lines += plain(wrap(f"{what}: {_named(tasks)}", width, _INDENT, _HANGING))
    return lines


def not_compared(found: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    """The tasks that are not compared, by the reason; a reason without a task is left out."""
    reasons = (
        ("the test changed, not compared", found.changed),
        ("new, not in the baseline", found.added),
        ("gone, only in the baseline", found.removed),
        ("no attempt counts", found.silent),
    )
    return [(reason, tasks) for reason, tasks in reasons if tasks]


def _compared(found: Comparison) -> str:
    """How many tasks were compared and the result, then what the p of a task means."""
    tasks = found.test.tasks
    if not tasks:
        return "no task can be compared"
    text = f"{figures.plural(len(tasks), 'task')} compared, "
    fell = [change for change in tasks if change.drop > 0]
    told = len(found.regressed) + len(found.fell_most)
    if found.regressed:
        text += f"{len(found.regressed)} regressed" + (", and all together fell" if found.fell_most else "")
    elif found.fell_most:
        text += "no single task fell beyond chance, but all together did"
    else:
        text += "no single task fell beyond chance"
        if fell:
            told = min(len(fell), _FALLEN)
            more = f" and {len(fell) - told} more" if len(fell) > told else ""
            text += f"; fell within chance: {', '.join(map(_change, fell[:told]))}{more}"
    return text + (f"; each task's p adjusted for {len(tasks)} tasks" if told and len(tasks) > 1 else "")


def _change(change: TaskChange) -> str:
    return f"{change.task} {_passes(change.before, change.after, change.p_corrected)}"


def _changes(task: RegressedTask) -> str:
    cost = f"{dollars_or_unknown(task.cost_before)} -> {dollars_or_unknown(task.cost_after)}"
    tools = f"{figures.percent(task.tool_failures_before)} -> {figures.percent(task.tool_failures_after)}"
    passes = f"{task.task} {_passes(task.before, task.after, task.p)}"
    return f"{passes}, {OWN_COST} {cost}, tool-call failures {tools}"


def _passes(before: Count, after: Count, p: float) -> str:
    return f"{before[1]}/{before[0]} -> {after[1]}/{after[0]} (p = {p:.2g})"


def dollars_or_unknown(amount: float | None) -> str:
    """An amount of US dollars, or `unknown`."""
    return "unknown" if amount is None else figures.dollars(amount)


def _named(tasks: Sequence[str]) -> str:
    more = len(tasks) - _NAMED
    return ", ".join(tasks[:_NAMED]) + (f" and {more} more" if more > 0 else "")
