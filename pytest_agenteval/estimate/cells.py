"""Several cells side by side: what each costs for what it passes, which ones are beaten, and what drives costs.

The cells are compared over their common tasks: those with an attempt that counts in every cell. A cell that shares no
task with any other is left out, and listed. Costs are US dollars and include all roles and retries; a task's cost is
per attempt that counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from statistics import fmean, median

from pytest_agenteval.estimate.run import CellSummary, RunSummary
from pytest_agenteval.estimate.stats.estimators import pass_hat_k
from pytest_agenteval.estimate.stats.regression import p_of_all_tasks
from pytest_agenteval.estimate.stats.side_by_side import Shares, convex_front, sign_flip_p, staircase, two_way_shares
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, TaskRecord, name_of

__all__ = ["ALPHA", "Bill", "CellComparison", "CellRow", "Dominance", "TaskSpread", "compare_cells"]

ALPHA = 0.05
"""The highest chance of calling a cell dominated by another cell that does not beat it, for each pair of cells."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a cell cost in total, and per thing that it bought; None if it bought none."""

    total: Cost
    per_attempt: Cost | None
    per_success: Cost | None
    """Also None if early stopping chose the attempts. The same applies to the next field."""
    per_reliable_task: Cost | None
    """Per task that passed all k attempts."""


@dataclass(frozen=True, slots=True)
class Dominance:
    """A cell that costs less and passes at least as often, as shown by paired tests over the common tasks."""

    by: Cell
    tasks: int
    """How many common tasks the two have."""
    cost_ratio: float | None
    """How many times as much the dominated cell costs; None if the other costs nothing and this one does."""
    p_cost: float
    """One-sided: the sign-flip test on the tasks' costs."""
    p_passes: float
    """One-sided: the exact test on the passes within tasks."""
    pass_at_1: float
    """Of the dominated cell over these tasks."""
    pass_at_1_of_other: float


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell of the comparison. Rates and costs cover all its tasks; its place on the fronts only the common ones."""

    summary: CellSummary
    bill: Bill
    uncached: Bill
    """Without the provider's cache: every input token priced as fresh input, none as written to a cache."""
    used_cache: bool
    """Whether a call read from or wrote to the provider's cache."""
    on_front: bool | None
    """Whether it is on the front of cost and pass@1; None if a cost or a rate is unknown, or the cell is left out. The
    same applies to the next field."""
    on_staircase: bool | None
    """Whether it is on the staircase of cost and pass^k."""
    dominated: Dominance | None
    """The dominating cell that passes most often."""

    @property
    def cell(self) -> Cell:
        """Which one it is."""
        return self.summary.cell


@dataclass(frozen=True, slots=True)
class TaskSpread:
    """What one task costs in different cells."""

    task: str
    cheapest: Cell
    dearest: Cell
    low: float
    """US dollars per attempt in the cheapest cell."""
    high: float
    ratio: float | None
    """`high / low`; None if the low is 0."""


@dataclass(frozen=True, slots=True)
class CellComparison:
    """All cells of a run side by side."""

    rows: tuple[CellRow, ...]
    common: tuple[str, ...]
    """The common tasks: those of every cell that is not left out."""
    left_out: tuple[Cell, ...]
    """Cells that share no task with another cell, while other cells do. They are on no front and in no spread."""
    unknown: tuple[Cell, ...]
    """Cells with a common task of unknown cost. If there are any, there are no fronts."""
    spreads: tuple[TaskSpread, ...]
    """One for each common task with a known cost in every cell, the widest first."""
    shares: Shares | None
    """How much of the variance of the log of a task's cost across cells is due to the model (`rows`) and to the
    scaffold (`columns`). None unless there are at least two of each, every model ran in every scaffold, and all costs
    are known and above 0."""

    @property
    def widest(self) -> TaskSpread | None:
        """The task with the widest spread of costs."""
        return next((spread for spread in self.spreads if spread.ratio is not None), None)

    @property
    def median_ratio(self) -> float | None:
        """The median over all spreads that have a ratio."""
        ratios = [spread.ratio for spread in self.spreads if spread.ratio is not None]
        return median(ratios) if ratios else None


@dataclass(frozen=True, slots=True)
class _Seen:
    """One task in one cell."""

    n: int
    c: int
    hat_k: float | None
    cost: float | None


_Seens = Mapping[str, _Seen]


def compare_cells(run: RunSummary, records: Sequence[TaskRecord]) -> CellComparison:
    """The comparison of the cells of a run.

    Args:
        run: what the records add up to.
        records: of the same run; the costs without the cache are computed from their calls.
    """
    attempts: dict[Cell, list[AttemptRecord]] = {cell.cell: [] for cell in run.cells}
    for record in records:
        attempts[record.cell] += (*record.attempts, *record.discarded)
    measured = {cell.cell: _seen(cell) for cell in run.cells}
    left_out = _alone(measured)
    seen = {cell: tasks for cell, tasks in measured.items() if cell not in left_out}
    common = tuple(task for task in next(iter(seen.values()), {}) if all(task in tasks for tasks in seen.values()))
    places = dict(zip(seen, zip(*_fronts(list(seen.values()), common), strict=True), strict=True))
    rows = [
        _row(
            cell,
            attempts[cell.cell],
            *places.get(cell.cell, (None, None)),
            None if cell.decided else _dominance(cell.cell, measured),
        )
        for cell in run.cells
    ]
    unknown = tuple(cell for cell, tasks in seen.items() if any(tasks[task].cost is None for task in common))
    costs = {task: {cell: tasks[task].cost for cell, tasks in seen.items()} for task in common}
    known = {task: {cell: cost for cell, cost in by.items() if cost is not None} for task, by in costs.items()}
    whole = {task: by for task, by in known.items() if len(by) == len(seen)}
    spreads = sorted((_spread(task, by) for task, by in whole.items()), key=lambda spread: -(spread.ratio or 0.0))
    shares = _shares(list(seen), list(whole.values()))
    return CellComparison(tuple(rows), common, left_out, unknown, tuple(spreads), shares)


def _seen(cell: CellSummary) -> dict[str, _Seen]:
    """The tasks that count, by their common name; nothing if early stopping chose the attempts."""
    seen_tasks = {}
    for task in cell.tasks:
        if task.skipped or not task.n or cell.decided:
            continue
        cost = task.cost_per_attempt
        exact = cost.total if cost is not None and cost.exact else None
        seen_tasks[name_of(task)] = _Seen(task.n, task.passes, pass_hat_k(task.n, task.passes, cell.k), exact)
    return seen_tasks


def _alone(measured: Mapping[Cell, _Seens]) -> tuple[Cell, ...]:
    """The cells that share no task with another cell; none if no two cells share a task."""
    cells_of = Counter(task for tasks in measured.values() for task in tasks)
    alone = tuple(cell for cell, tasks in measured.items() if all(cells_of[task] == 1 for task in tasks))
    return alone if len(alone) < len(measured) else ()


def _row(
    cell: CellSummary, attempts: Sequence[AttemptRecord], front: bool | None, stair: bool | None, by: Dominance | None
) -> CellRow:
    calls = [call for attempt in attempts for each in attempt.tries for call in each.model_calls]
    return CellRow(
        summary=cell,
        bill=replace(_bill(cell, cell.work_cost), total=cell.cost),
        uncached=_bill(cell, Cost.of(Cost.of_attempt(_without_cache(attempt)) for attempt in attempts)),
        used_cache=any(call.cache_read_tokens or call.cache_write_tokens for call in calls),
        on_front=front,
        on_staircase=stair,
        dominated=by,
    )


def _bill(cell: CellSummary, total: Cost) -> Bill:
    success, reliable = (None, None) if cell.decided else (total.per(cell.passes), total.per(cell.reliable))
    return Bill(total, total.per(cell.attempts), success, reliable)


def _without_cache(attempt: AttemptRecord) -> AttemptRecord:
    def fresh(calls: Iterable[ModelCall]) -> tuple[ModelCall, ...]:
        return tuple(
            replace(call, cost=call.cost_uncached) if call.cache_read_tokens or call.cache_write_tokens else call
            for call in calls
        )

    retries = tuple(replace(retry, model_calls=fresh(retry.model_calls)) for retry in attempt.retries)
    return replace(attempt, model_calls=fresh(attempt.model_calls), retries=retries)


def _fronts(cells: Sequence[_Seens], common: Sequence[str]) -> tuple[Sequence[bool | None], Sequence[bool | None]]:
    nothing = (None,) * len(cells)
    costs = [[tasks[task].cost for task in common] for tasks in cells]
    known = [fmean(cost for cost in each if cost is not None) for each in costs if common and None not in each]
    if len(known) < len(cells):
        return nothing, nothing
    at_1 = [fmean(tasks[task].c / tasks[task].n for task in common) for tasks in cells]
    hat_k = [[each for task in common if (each := tasks[task].hat_k) is not None] for tasks in cells]
    stairs: Sequence[bool | None] = nothing
    if all(len(each) == len(common) for each in hat_k):
        stairs = staircase(list(zip(known, map(fmean, hat_k), strict=True)))
    return convex_front(list(zip(known, at_1, strict=True))), stairs


def _dominance(cell: Cell, seen: Mapping[Cell, _Seens]) -> Dominance | None:
    dominances = [each for other in seen if other != cell and (each := _beats(other, seen[other], seen[cell]))]
    return max(dominances, key=lambda each: (each.pass_at_1_of_other, each.cost_ratio or 0.0), default=None)


def _beats(cell: Cell, better: _Seens, worse: _Seens) -> Dominance | None:
    """Of lower cost and more passes, one must be shown by its test. The other must be shown too, or hold in every task.

    If both have to be shown, each test uses :data:`ALPHA`, because both being wrong together is rarer still.
    """
    pairs = [(better[task], seen) for task, seen in worse.items() if task in better]
    costs = [(one.cost, two.cost) for one, two in pairs if one.cost is not None and two.cost is not None]
    if not pairs or len(costs) < len(pairs):
        return None
    low, high = fmean(one for one, _ in costs), fmean(two for _, two in costs)
    rates = [(one.c / one.n, two.c / two.n) for one, two in pairs]
    at_1, other = fmean(two for _, two in rates), fmean(one for one, _ in rates)
    if low > high or other < at_1:
        return None
    p_cost = sign_flip_p([two - one for one, two in costs])
    p_passes = p_of_all_tasks([((one.n, one.c), (two.n, two.c)) for one, two in pairs])
    assert p_cost is not None
    dearer, rarer = p_cost <= ALPHA, p_passes <= ALPHA
    never_cheaper = all(two >= one for one, two in costs)
    never_better = all(two <= one for one, two in rates)
    if not ((dearer and (rarer or never_better)) or (rarer and never_cheaper)):
        return None
    ratio = high / low if low else None if high else 1.0
    return Dominance(cell, len(pairs), ratio, p_cost, p_passes, at_1, other)


def _spread(task: str, costs: Mapping[Cell, float]) -> TaskSpread:
    cheapest, dearest = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
    low, high = costs[cheapest], costs[dearest]
    return TaskSpread(task, cheapest, dearest, low, high, high / low if low else None)


def _shares(cells: Sequence[Cell], tasks: Sequence[Mapping[Cell, float]]) -> Shares | None:
    models = list(dict.fromkeys(cell.model for cell in cells))
    scaffolds = list(dict.fromkeys(cell.scaffold for cell in cells))
    if min(len(models), len(scaffolds)) < 2 or len(cells) < len(models) * len(scaffolds):
        return None
    paid = [costs for costs in tasks if min(costs.values()) > 0]
    return two_way_shares([[[log(costs[Cell(m, s)]) for s in scaffolds] for m in models] for costs in paid])
