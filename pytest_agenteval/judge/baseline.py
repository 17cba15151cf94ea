"""The comparison with a baseline: which tasks are compared, what the test says, and what else changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_agenteval.estimate.run import CellSummary, RunSummary
from pytest_agenteval.estimate.stats.regression import Regression, TaskChange, regression_bounds, regression_test
from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.judge.result import GateResult, nothing_to_judge
from pytest_agenteval.judge.thresholds import BASELINE
from pytest_agenteval.record.figures import plural, rate
from pytest_agenteval.record.history import EarlierRun, EarlierTask
from pytest_agenteval.record.records import Cell, name_of
from pytest_agenteval.record.verdict import Verdict

__all__ = [
    "Comparison",
    "Counterpart",
    "RegressedTask",
    "ThatCell",
    "compare",
    "judge_comparison",
    "judge_comparisons",
    "nearest_cell",
    "same_cell",
]

_THRESHOLD = "no regression"
_NAMED = 3
_FALLEN = 10


@dataclass(frozen=True, slots=True)
class RegressedTask:
    """A task that passes less often than before, and what else changed. None means unknown."""

    task: str
    before: tuple[int, int]
    """`(n, c)` in the baseline."""
    after: tuple[int, int]
    p: float
    """Corrected for testing every task (step-down minP)."""
    cost_before: float | None
    """US dollars per attempt that counts, without repeated tries."""
    cost_after: float | None
    tool_failures_before: float | None
    """The share of the tool calls that failed."""
    tool_failures_after: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One cell beside the baseline."""

    cell: Cell
    baseline: str
    """The name of the earlier run in reports."""
    other: Cell | None
    """The baseline's cell, if it is a different one."""
    new: bool
    """Whether the baseline has no cell to compare with: it is measured, and not judged."""
    test: Regression
    worst: bool | None
    """Whether it would be a regression if every unmeasured attempt had failed; None if nothing could be compared."""
    best: bool | None
    """Whether it would be one if every unmeasured attempt had passed."""
    pass_at_1_before: float | None
    """Over the compared tasks, like the one after."""
    pass_at_1_after: float | None
    regressed: tuple[RegressedTask, ...]
    """The largest fall first, and so below."""
    fell_most: tuple[RegressedTask, ...]
    """If all tasks together fell: those that fell, but not by their own test; the ten least probable at most."""
    changed: tuple[str, ...]
    """Tasks whose test function differs from that in the baseline: not compared."""
    added: tuple[str, ...]
    """Tasks that are not in the baseline."""
    removed: tuple[str, ...]
    """Tasks of the baseline that are not in this run."""
    silent: tuple[str, ...]
    """Tasks of both runs that have no attempt that counts in this one."""


class Counterpart(Protocol):
    """Chooses the baseline's cell to hold a cell against."""

    def __call__(self, cell: Cell, there: Collection[Cell], /) -> Cell | None:
        """The cell, of those in the baseline; None if there is none."""


def same_cell(cell: Cell, there: Collection[Cell]) -> Cell | None:
    """The same cell. One that the baseline lacks is new."""
    return cell if cell in there else None


@dataclass(frozen=True, slots=True)
class ThatCell:
    """The same cell where the baseline has it, else the one that the user names."""

    model: str
    scaffold: str | None = None
    """None: any, if the baseline has only one with that model."""

    def __call__(self, cell: Cell, there: Collection[Cell], /) -> Cell | None:
        """See :class:`Counterpart`."""
        if cell in there:
            return cell
        fit = [each for each in there if each.model == self.model and self.scaffold in (None, each.scaffold)]
        return fit[0] if len(fit) == 1 else None


def nearest_cell(cell: Cell, there: Collection[Cell]) -> Cell | None:
    """The same cell, or else the only one of that model, or else the only one: for two runs that were both named."""
    of_model = [each for each in there if each.model == cell.model]
    for candidates in ([each for each in there if each == cell], of_model, list(there)):
        if len(candidates) == 1:
            return candidates[0]
    return None


def compare(
    run: RunSummary, earlier: EarlierRun, beside: Counterpart = same_cell, elsewhere: Collection[str] = ()
) -> tuple[Comparison, ...]:
    """Compare each cell with one of the baseline.

    Args:
        run: the new run.
        earlier: the baseline.
        beside: which of its cells.
        elsewhere: the names of tasks that this run leaves to its other shards, so that they are not gone.
    """
    tasks = earlier.tasks
    cells = {cell for _, cell in tasks}
    comparisons = []
    for cell in run.cells:
        other = beside(cell.cell, cells)
        before = {name: seen for (name, of), seen in tasks.items() if of == other and name not in elsewhere}
        comparisons.append(_compare(cell, before, earlier.name, other))
    return tuple(comparisons)


def judge_comparisons(comparisons: Sequence[Comparison]) -> tuple[GateResult, ...]:
    """The gate for each cell. A new cell is not judged, unless all are, which leaves the gate nothing to judge."""
    known = [found for found in comparisons if not found.new]
    return tuple(judge_comparison(found) for found in known or comparisons)


def judge_comparison(found: Comparison) -> GateResult:
    """FAIL for a regression, PASS for none; UNDECIDED if missing attempts decide, if most of the baseline's tasks are
    gone, and if no regression is found among fewer than half of the tasks."""
    test = found.test
    if found.new:
        why = f"the cell is not in {found.baseline}: --agent-baseline-cell names another one to compare it with"
        return nothing_to_judge(BASELINE, found.cell, _THRESHOLD, why)
    if test.regressed is None:
        why = f"no task can be compared with {found.baseline}"
        return nothing_to_judge(BASELINE, found.cell, _THRESHOLD, why)
    span = f"{rate(found.pass_at_1_before)} to {rate(found.pass_at_1_after)}"
    reason = f"pass@1 of {plural(len(test.tasks), 'compared task')} went from {span} (p = {_p(test.p_all_tasks)})"
    left_out = len(found.added) + len(found.changed) + len(found.silent)
    if left_out:
        reason += f"; {plural(left_out, 'task')} not compared"
    for what, tasks in (("regressed", found.regressed), ("fell together", found.fell_most)):
        named = [f"{each.task} {_passes(each.before)} to {_passes(each.after)}" for each in tasks]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        reason += f"; {what}: {', '.join(named[:_NAMED])}{more}" if named else ""
    kept = len(test.tasks) + len(found.changed) + len(found.silent)
    if found.worst is not found.best:
        verdict = Verdict.UNDECIDED
        reason += "; it depends on attempts that were not measured"
    elif len(found.removed) > kept:
        verdict = Verdict.UNDECIDED
        reason += f"; {len(found.removed)} of the {plural(len(found.removed) + kept, 'task')} of the baseline are gone"
    elif not found.best and left_out > len(test.tasks):
        verdict = Verdict.UNDECIDED
        reason += ", which is most of them"
    else:
        verdict = Verdict.FAIL if found.best else Verdict.PASS
        reason += "" if found.best else "; that is no regression"
    return GateResult(BASELINE, found.cell, verdict, span, _THRESHOLD, reason)


def _compare(cell: CellSummary, before: Mapping[str, EarlierTask], name: str, beside: Cell | None) -> Comparison:
    tasks = {name_of(task): task for task in cell.tasks if not task.skipped}
    both = [task for task in tasks if task in before]
    changed = [task for task in both if None not in (tasks[task].source, before[task].source)
               and tasks[task].source != before[task].source]  # fmt: skip
    compared = {task: tasks[task] for task in both if task not in changed}
    counts = {task: (before[task].n, before[task].c) for task in compared}
    passed = {task: (now.n, now.passes) for task, now in compared.items()}
    test = regression_test(counts, passed)
    worst, best = regression_bounds(counts, passed, {task: now.unmeasured for task, now in compared.items()})
    skipped = {name_of(task) for task in cell.tasks if task.skipped}
    fallen = [change for change in test.tasks if change.drop > 0]

    def described(changes: Sequence[TaskChange]) -> tuple[RegressedTask, ...]:
        largest_first = sorted(changes, key=lambda change: -change.drop)
        return tuple(_regressed(c.task, c.p_corrected, before[c.task], compared[c.task]) for c in largest_first)

    return Comparison(
        cell=cell.cell,
        baseline=name,
        other=beside if beside != cell.cell else None,
        new=beside is None,
        test=test,
        worst=worst,
        best=best,
        pass_at_1_before=_mean([change.before for change in test.tasks]),
        pass_at_1_after=_mean([change.after for change in test.tasks]),
        regressed=described(test.regressed_tasks),
        fell_most=described([each for each in fallen if each not in test.regressed_tasks][:_FALLEN])
        if test.fell_overall
        else (),
        changed=tuple(changed),
        added=tuple(task for task in tasks if task not in before),
        removed=tuple(task for task in before if task not in tasks and task not in skipped),
        silent=test.not_compared,
    )


def _regressed(name: str, p: float, before: EarlierTask, now: TaskSummary) -> RegressedTask:
    cost = now.own_cost.per(now.n)
    return RegressedTask(
        name,
        (before.n, before.c),
        (now.n, now.passes),
        p,
        before.cost,
        None if cost is None else cost.total,
        before.tool_calls.rate,
        now.tool_calls.rate,
    )


def _mean(counts: Sequence[tuple[int, int]]) -> float | None:
    return sum(c / n for n, c in counts) / len(counts) if counts else None


def _passes(counts: tuple[int, int]) -> str:
    return f"{counts[1]}/{counts[0]}"


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"
