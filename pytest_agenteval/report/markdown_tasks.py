"""The tables of the Markdown report: tasks, and what regressed.

They have three columns and names that may break, so they fit into a telephone without scrolling sideways. What most
tasks do not have (a tool-call failure, a missing attempt) stands below the name, and only where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.judge.baseline import Comparison, RegressedTask
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import figures
from pytest_agenteval.record.records import name_of
from pytest_agenteval.report.markdown_text import MORE, code, name, prose
from pytest_agenteval.report.regression import OWN_COST, dollars_or_unknown, not_compared
from pytest_agenteval.report.task_table import short_names, verdict_mark
from pytest_agenteval.report.verdicts import task_verdicts

__all__ = ["MORE_ROWS", "TaskRows", "baseline_lines", "not_compared_lines", "regressed_table"]

MORE_ROWS = f"| {MORE} |"
"""Replaces rows that were cut, with their number."""

_SEVERITY = ("FAIL", "BROKEN", "UNDECIDED", "none", "-", "~")
"""The verdicts and measurements that are shown first, the worst first; then tasks with missing attempts."""
_FINE = len(_SEVERITY) + 1
"""The severity of all other tasks."""
_TOLD_BY_COUNTS = ("all", "none", "~", "-")
_LOUD = ("FAIL", "BROKEN", "UNDECIDED")
_NAMED = 30


class TaskRows:
    """The rows of the table of tasks."""

    def __init__(self, judgement: Judgement) -> None:
        self._verdicts = task_verdicts(judgement)
        self._changes = {  # by the names without the cells, which are the same in a baseline of other cells
            (found.cell, change.task): change for found in judgement.comparisons for change in found.test.tasks
        }
        self._cells = len(judgement.run.cells) > 1
        tasks = judgement.run.tasks
        names = [name_of(task) if self._cells else task.task for task in tasks]
        short, place = short_names(names)
        self._names = dict(zip(names, short, strict=True))
        self.head = _head(place, "$/<wbr>attempt", "--:")
        self.worst: list[TaskSummary] = sorted(
            (task for task in tasks if self._severity(task) < _FINE), key=self._severity
        )
        """Those that a reader must see, the worst first."""
        self.rest = [task for task in tasks if self._severity(task) == _FINE]
        """All others, in the order of the run."""

    def of(self, tasks: Sequence[TaskSummary]) -> list[str]:
        """A row per task."""
        return [self._row(task) for task in tasks]

    def _severity(self, task: TaskSummary) -> int:
        mark = self._mark(task)
        return _SEVERITY.index(mark) if mark in _SEVERITY else _FINE - bool(task.missing)

    def _mark(self, task: TaskSummary) -> str:
        return verdict_mark(task, self._verdicts.get((task.cell, task.task)))

    def _row(self, task: TaskSummary) -> str:
        mark = self._mark(task)
        shown = "" if mark in _TOLD_BY_COUNTS else f"**{mark}** " if mark in _LOUD else f"{prose(mark)} "
        title = f"{shown}{name(self._names[name_of(task) if self._cells else task.task])}"
        if task.skipped:
            return _row([title, "-", "-"])
        below = " · ".join(self._details(task))
        cost = prose(figures.cost(task.cost_per_attempt))
        return _row([f"{title}<br>{below}" if below else title, self._passed(task), cost])

    def _details(self, task: TaskSummary) -> list[str]:
        parts = [prose(str(task.cell))] if self._cells else []
        if task.pass_hat_k is not None and task.n > task.k:  # with n = k it is 1 or 0, as the counts say
            parts.append(f"pass^{task.k} {figures.rate(task.pass_hat_k)}")
        errors = task.environment_errors.count
        for count, noun in ((task.tool_calls.failed, "tool-call failure"), (errors, "environment error")):
            parts += [figures.plural(count, noun)] if count else []
        return parts

    def _passed(self, task: TaskSummary) -> str:
        now = f"{task.passes}/{task.n}"
        change = self._changes.get((task.cell, name_of(task)))
        if change is not None:
            now = f"{change.before[1]}/{change.before[0]} → {now}"
        return now if task.n >= task.k else f"{now} of {task.k}"


def baseline_lines(found: Comparison) -> list[str]:
    """What the comparison of a cell with the baseline says as a whole."""
    of = f" of {found.other}" if found.other is not None else ""
    beside = f"{code(str(found.cell))} beside {prose(found.baseline + of)}"
    if found.new:
        return [f"- {code(str(found.cell))} is new, not in {prose(found.baseline)}: it is measured and not compared"]
    before, after = found.pass_at_1_before, found.pass_at_1_after
    if before is None or after is None:
        return [f"- {beside}: no task can be compared"]
    tasks = figures.plural(len(found.test.tasks), "compared task")
    change = f"{figures.rate(before)} → {figures.rate(after)} ({after - before:+.3f})"
    return [f"- {beside}: pass@1 of {tasks} {change}; {_fallen(found)}"]


def regressed_table(found: Comparison) -> tuple[Sequence[str], list[str]]:
    """The head, and a row per task: those that fell beyond chance, then, where all together did, the others that fell;
    the largest fall first."""
    fell = (*found.regressed, *found.fell_most)
    names, place = short_names([task.task for task in fell])
    marks = ["**regressed** "] * len(found.regressed) + [""] * len(found.fell_most)
    head = _head(place, f"{OWN_COST}, tool-call failures", ":--")
    titles = [f"{mark}{name(short)}" for mark, short in zip(marks, names, strict=True)]
    return head, [_regressed(title, task) for title, task in zip(titles, fell, strict=True)]


def not_compared_lines(found: Comparison) -> list[str]:
    """The tasks that are gone, new, or not compared, by name."""
    lines = []
    for reason, tasks in () if found.new else not_compared(found):
        more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
        lines.append(f"- {reason}: {', '.join(map(code, tasks[:_NAMED]))}{more}")
    return lines


def _fallen(found: Comparison) -> str:
    regressed = f"**{figures.plural(len(found.regressed), 'task')} regressed**"
    if found.regressed and found.fell_most:
        text = f"{regressed}, and **all together fell**; the largest fall first"
    elif found.regressed:
        text = f"{regressed}, the largest fall first"
    elif found.fell_most:
        text = "no task fell beyond chance, but **all together did**; these fell"
    else:
        return "no task fell beyond chance"
    tasks = len(found.test.tasks)
    return text + (f"; p is corrected for {tasks} tasks" if tasks > 1 else "")


def _regressed(title: str, task: RegressedTask) -> str:
    passed = f"{task.before[1]}/{task.before[0]} → {task.after[1]}/{task.after[0]}<br>p = {task.p:.2g}"
    cost = f"{dollars_or_unknown(task.cost_before)} → {dollars_or_unknown(task.cost_after)}"
    tools = f"{figures.percent(task.tool_failures_before)} → {figures.percent(task.tool_failures_after)}"
    return _row([title, passed, f"{cost}<br>{tools}"])


def _head(place: str | None, last: str, side: str) -> Sequence[str]:
    tasks = "task" if place is None else f"task in {name(place)}"
    return _row([tasks, "passed", last]), _row([":--", ":--", side])


def _row(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"
