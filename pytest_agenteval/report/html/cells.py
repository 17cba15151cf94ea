"""What the page shows of each cell: numbers as the terminal writes them, and raw numbers for the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.cells import CellComparison
from pytest_agenteval.estimate.profile import profile_of
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.intervals import (
    TASKS_LIKE_THESE,
    THIS_SUITE,
    Interval,
    tasks_like_these_pass_hat_k,
    this_suite_pass_hat_k,
)
from pytest_agenteval.estimate.stats.side_by_side import staircase
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.report.cell_block import cell_block, cell_letter, cell_names
from pytest_agenteval.report.html.text import shown
from pytest_agenteval.report.pass_rates import interval_lines, pass_parts, savings
from pytest_agenteval.report.profile import Dimension, dimensions
from pytest_agenteval.report.robustness import robustness_sentences
from pytest_agenteval.report.rules import rule_sentences
from pytest_agenteval.report.verdicts import cell_verdict

__all__ = ["CellView", "CurvePoint", "Front", "cell_views", "front_of"]

_POINTS = 32
"""The number of points that get intervals of their own on a longer curve."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """pass^j; None if it was not measured."""

    j: int
    value: float | None
    this_suite: tuple[float, float] | None
    """At 95%, like the other one."""
    tasks_like_these: tuple[float, float] | None
    tasks: int
    """How many tasks have at least j attempts."""

    @property
    def told(self) -> str:
        """All of it in words."""
        parts = [f"pass^{self.j} {figures.rate(self.value)}"]
        for question, bounds in ((THIS_SUITE, self.this_suite), (TASKS_LIKE_THESE, self.tasks_like_these)):
            if bounds is not None:
                parts.append(f"{question} {_span(bounds)}")
        return "; ".join(parts)

    @property
    def row(self) -> tuple[str, ...]:
        """A row of a table: j, the value, both intervals, the tasks."""
        bounds = (_span(self.this_suite), _span(self.tasks_like_these))
        return (str(self.j), figures.rate(self.value), *bounds, str(self.tasks))


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell."""

    letter: str
    """Stands for the cell where there is no room for its name."""
    name: str
    k: int
    verdict: str
    """The combined verdict of its gates and judged tasks: the worst of them."""
    curve: tuple[CurvePoint, ...]
    certain: tuple[float, float] | None
    """If early stopping thinned the grid, the bounds within which pass^k certainly lies."""
    pass_hat_k: float | None
    per_attempt: float | None
    """US dollars; None if a call has no known price."""
    rates: tuple[str, ...]
    """pass@1, pass^k and their gap, as on the terminal."""
    sentences: tuple[str, ...]
    """Intervals, savings, worst and best case."""
    words: tuple[str, ...]
    """Everything the terminal shows about it."""
    columns: Mapping[str, str]
    """By heading, its row in the table of cells."""
    money: Mapping[str, str]
    """By heading, its row in the table of costs."""
    profile: tuple[Dimension, ...] = ()
    """The four dimensions of its reliability; empty if nobody asked for them."""


@dataclass(frozen=True, slots=True)
class Front:
    """Which cells no other one beats in both cost per attempt and pass^k."""

    letters: frozenset[str]
    """Of the cells on it."""
    line: bool
    """Whether it may be drawn through the cells' points, because it covers the same tasks as they do."""
    told: str
    """What it is a front of."""


def front_of(cells: Sequence[CellView], compared: CellComparison) -> Front:
    """The front as the terminal shows it; if the cost of a cell is unknown, the front of the others."""
    if compared.unknown or not compared.common:
        known = [
            (cell.letter, (cell.per_attempt, cell.pass_hat_k))
            for cell in cells
            if cell.per_attempt is not None and cell.pass_hat_k is not None
        ]
        kept = staircase([(cost, rate) for _, (cost, rate) in known])
        letters = frozenset(letter for (letter, _), on in zip(known, kept, strict=True) if on)
        return Front(letters, True, "the cells whose cost and pass^k are known")
    pairs = zip(cells, compared.rows, strict=True)
    letters = frozenset(cell.letter for cell, row in pairs if row.on_staircase)
    placed = [row.summary for row in compared.rows if row.cell not in compared.left_out]
    same = all(len(cell.tasks) - cell.skipped == len(compared.common) for cell in placed)
    who = "these cells have" if compared.left_out else "every cell has"
    return Front(letters, same, f"the {figures.plural(len(compared.common), 'task')} that {who}")


def cell_views(judgement: Judgement, compared: CellComparison) -> list[CellView]:
    """The cells of a run, in its order."""
    run = judgement.run
    names = cell_names(run.cells) if len(run.cells) > 1 else {cell.cell: str(cell.cell) for cell in run.cells}
    names = {cell: shown(name) for cell, name in names.items()}  # figures are drawn with them
    dominated = {row.cell: row.dominated.by for row in compared.rows if row.dominated is not None}
    letters = {cell.cell: cell_letter(i) for i, cell in enumerate(run.cells)}
    views = []
    for cell in run.cells:
        verdict = cell_verdict(judgement.gates, cell)
        beaten = f"by {letters[dominated[cell.cell]]}" if cell.cell in dominated else "-"
        bill = cell.cost_per_attempt
        certain = cell.pass_hat_k_range if cell.decided else None
        bounds = None if certain is None or certain.worst is None or certain.best is None else certain
        views.append(
            CellView(
                letter=letters[cell.cell],
                name=names[cell.cell],
                k=cell.k,
                verdict=verdict,
                curve=_curve(cell),
                certain=None if bounds is None else (bounds.worst or 0.0, bounds.best or 0.0),
                pass_hat_k=cell.pass_hat_k.value,
                per_attempt=None if bill is None else bill.total,
                rates=tuple(pass_parts(cell)),
                sentences=(
                    *interval_lines(cell),
                    *savings(cell),
                    *_open(cell),
                    *rule_sentences(cell.rules),
                    *robustness_sentences(cell),
                ),
                words=tuple(line.text.strip() for line in cell_block(cell, 100_000)),
                columns=_columns(cell, beaten if dominated else None, verdict),
                money=_money(cell),
                profile=dimensions(profile_of(cell.cell, judgement.records)) if judgement.profile is not None else (),
            )
        )
    return views


def _columns(cell: CellSummary, beaten: str | None, verdict: str) -> dict[str, str]:
    return {
        "verdict": verdict,  # before the numbers: a narrow window cuts off the last columns
        "k": str(cell.k),
        "tasks": str(len(cell.tasks) - cell.skipped),
        "attempts": str(cell.attempts),
        "pass@1": figures.rate(cell.pass_at_1.value),
        "pass^k": figures.rate(cell.pass_hat_k.value),
        "gap": figures.rate(cell.gap),
        "$/attempt": figures.cost(cell.cost_per_attempt),
        "tool-call failures": figures.percent(cell.tool_calls.rate),
        "environment errors": figures.percent(cell.environment_errors.rate),
        **({} if beaten is None else {"dominated": beaten}),
    }


def _money(cell: CellSummary) -> dict[str, str]:
    cost = cell.cost
    paid_now = Cost.of(task.paid_now for task in cell.tasks)
    return {
        "total": figures.cost(cost),
        "paid now": figures.cost(paid_now),
        "per attempt": figures.cost(cell.cost_per_attempt),
        "per success": figures.cost(cell.cost_per_success),
        "per reliable task": figures.cost(cell.cost_per_reliable_task),
        "last tries alone": figures.cost(cell.own_cost),
        **{f"role {each.role}": figures.cost(each.cost) for each in cell.roles if each.role != "agent"},
        "what is not known": ", ".join(figures.cost_doubts(cost)) or "-",
    }


def _curve(cell: CellSummary) -> tuple[CurvePoint, ...]:
    counts = [(task.n, task.passes) for task in cell.tasks if not task.skipped]
    estimates, step = cell.estimates, -(-cell.k // _POINTS)
    points = []
    for j, estimate in enumerate(cell.curve, 1):
        if j not in (1, cell.k) and (j - 1) % step:
            continue
        value = cell.pass_at_1.value if j == 1 and cell.decided else estimate.value
        if value is None:
            found: Sequence[Interval | None] = ()
        elif j == 1:
            found = estimates.pass_at_1_intervals
        elif j == cell.k:
            found = estimates.pass_hat_k_intervals
        else:
            found = (this_suite_pass_hat_k(counts, j), tasks_like_these_pass_hat_k(counts, j))
        bounds = {interval.question: (interval.low, interval.high) for interval in found if interval is not None}
        points.append(CurvePoint(j, value, bounds.get(THIS_SUITE), bounds.get(TASKS_LIKE_THESE), estimate.tasks_used))
    return tuple(points)


def _open(cell: CellSummary) -> list[str]:
    at_1, hat_k = cell.pass_at_1_range, cell.pass_hat_k_range
    if cell.unmeasured <= cell.decided or not cell.attempts or None in (at_1.worst, hat_k.worst):
        return []
    return [
        f"worst and best case over {figures.plural(cell.unmeasured, 'attempt')} not measured: "
        f"pass@1 {figures.rate(at_1.worst)} to {figures.rate(at_1.best)}, "
        f"pass^{cell.k} {figures.rate(hat_k.worst)} to {figures.rate(hat_k.best)}"
    ]


def _span(bounds: tuple[float, float] | None) -> str:
    return "-" if bounds is None else f"{figures.rate(bounds[0])} to {figures.rate(bounds[1])}"
