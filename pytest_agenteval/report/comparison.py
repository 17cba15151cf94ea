"""Several cells side by side: one column each, then the fronts, the dominated cells and the spread of costs in
words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_agenteval.estimate.cells import ALPHA, CellComparison, CellRow, Dominance
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.side_by_side import Shares
from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.records import Cell
from pytest_agenteval.report.cell_block import cell_letter, cell_names
from pytest_agenteval.report.line import TITLE, UNSURE, Line, plain
from pytest_agenteval.report.text_table import columns, shorten_middle, wrap

__all__ = ["comparison"]

_HANGING = "  "
_GAP = 2
_ON_FRONT = "no other cell, nor a mix of two, is both cheaper and better"
_ON_STAIRCASE = "no other cell is both cheaper and better"


def comparison(
    cells: Sequence[CellSummary], found: CellComparison, verdicts: Mapping[Cell, str], width: int
) -> list[Line]:
    """The cells side by side. If their names are too wide for one table, letters stand for them.

    Args:
        cells: two or more.
        found: the comparison of these cells.
        verdicts: the combined verdict of the gates and judged tasks of a cell, by cell.
        width: of the terminal.
    """
    ks = {cell.k for cell in cells}
    hat_k = f"pass^{ks.pop()}" if len(ks) == 1 else "pass^k"
    names = cell_names(cells)
    labels, table = _table(cells, found, verdicts, hat_k)
    room = width - max(map(len, labels)) - _GAP
    full = [[shorten_middle(names[cell.cell], room), *column] for cell, column in zip(cells, table, strict=True)]
    lines = [Line("Cells side by side", TITLE)]
    if len(cells) > 2 and sum(_widest(column) + _GAP for column in full) > room + _GAP:
        names = {cell.cell: cell_letter(number) for number, cell in enumerate(cells)}
        whole = cell_names(cells)
        for cell, letter in names.items():
            lines.append(Line(f"  {letter}  {shorten_middle(whole[cell], width - 4 - len(letter))}"))
        full = [[names[cell.cell], *column] for cell, column in zip(cells, table, strict=True)]
    group = list[list[str]]()
    for column in full:
        if group and sum(_widest(other) + _GAP for other in [*group, column]) > room + _GAP:
            lines += _side_by_side(["", *labels], group)
            group = []
        group.append(column)
    lines += _side_by_side(["", *labels], group)
    lines.append(Line(f"total cost of all cells {figures.cost(Cost.of(cell.cost for cell in cells))}"))
    for text in _fronts(found, names, hat_k):
        lines += plain(wrap(text, width, hanging=_HANGING))
    for row in found.rows:
        if row.dominated is not None:
            text = f"dominated: {names[row.cell]} by {names[row.dominated.by]} ({_why(row.dominated)})"
            lines += [Line(part, UNSURE) for part in wrap(text, width, hanging=_HANGING)]
    for text in _spread(found, names):
        lines += plain(wrap(text, width, hanging=_HANGING))
    return lines


def _table(
    cells: Sequence[CellSummary], found: CellComparison, verdicts: Mapping[Cell, str], hat_k: str
) -> tuple[list[str], list[list[str]]]:
    """The labels of the rows and, by cell, the values."""
    cached = any(row.used_cache for row in found.rows)
    labels = ["tasks", "pass@1", hat_k, "gap", "total cost", "$/attempt", "$/success", "$/reliable task"]
    labels += ["without provider cache:", "  $/attempt", "  $/success", "  $/reliable task"] * cached
    labels += ["tool-call failures", "environment errors", "front", "verdict"]
    table = []
    for cell, row in zip(cells, found.rows, strict=True):
        bill, uncached = row.bill, row.uncached
        prices = [bill.total, bill.per_attempt, bill.per_success, bill.per_reliable_task]
        fresh = [uncached.per_attempt, uncached.per_success, uncached.per_reliable_task]
        rates = (cell.pass_at_1.value, cell.pass_hat_k.value, cell.gap)
        column = [str(len(cell.tasks) - cell.skipped), *map(figures.rate, rates)]
        column += map(figures.cost, prices)
        column += ["", *map(figures.cost, fresh)] * cached
        column += [figures.percent(cell.tool_calls.rate), figures.percent(cell.environment_errors.rate)]
        table.append([*column, _place(row, hat_k, row.cell in found.left_out), verdicts.get(cell.cell, "-")])
    return labels, table


def _place(row: CellRow, hat_k: str, left_out: bool) -> str:
    if row.dominated is not None:
        return "dominated"
    if left_out:
        return "-"
    if row.on_front is None:
        return "unknown"
    on = ["pass@1"] * row.on_front + [hat_k] * bool(row.on_staircase)
    return ", ".join(on) or "-"


def _fronts(found: CellComparison, names: Mapping[Cell, str], hat_k: str) -> list[str]:
    apart = [f"left out of fronts and spreads: {_alone(found, names)}"] if found.left_out else []
    if not found.common:
        return ["front: no task is measured in every cell", *apart]
    if found.unknown:
        who = figures.joined(names[cell] for cell in found.unknown)
        return [f"front: not known, for what {who} cost is not known", *apart]
    over = f"over {figures.plural(len(found.common), 'common task')}"
    on_front = [names[row.cell] for row in found.rows if row.on_front]
    texts = [f"front of cost and pass@1 ({_ON_FRONT}), {over}: {', '.join(on_front)}"]
    stairs = [names[row.cell] for row in found.rows if row.on_staircase]
    return texts + ([f"front of cost and {hat_k} ({_ON_STAIRCASE}): {', '.join(stairs)}"] if stairs else []) + apart


def _alone(found: CellComparison, names: Mapping[Cell, str]) -> str:
    who = figures.joined(names[cell] for cell in found.left_out)
    return f"{who}, which share{'s' * (len(found.left_out) == 1)} no task with another cell"


def _why(found: Dominance) -> str:
    ratio = f"costs {_times(found.cost_ratio)} as much" if found.cost_ratio is not None else "the other costs nothing"
    if found.cost_ratio == 1:
        ratio = "costs as much"
    rates = f"pass@1 {figures.rate(found.pass_at_1)} against {figures.rate(found.pass_at_1_of_other)}"
    proven = [f"{what} p = {_p(p)}" for what, p in (("costs", found.p_cost), ("passes", found.p_passes)) if p <= ALPHA]
    return f"{ratio}, {rates}; paired over {figures.plural(found.tasks, 'task')}: {', '.join(proven)}"


def _spread(found: CellComparison, names: Mapping[Cell, str]) -> list[str]:
    if not found.spreads:
        return []
    widest = found.widest
    if widest is None or widest.ratio is None or found.median_ratio is None:
        return ["cost spread: none, every task costs nothing in some cell"]
    text = (
        f"cost spread of a task across cells: {_times(found.median_ratio)} in the median, at most "
        f"{_times(widest.ratio)} ({widest.task}: {figures.dollars(widest.low)} an attempt in {names[widest.cheapest]}, "
        f"{figures.dollars(widest.high)} in {names[widest.dearest]})"
    )
    return [text, *([_shares(found.shares)] if found.shares is not None else [])]


def _shares(shares: Shares) -> str:
    return (
        f"of this spread (variance of log cost) the model makes {figures.percent(shares.rows)}, "
        f"the scaffold {figures.percent(shares.columns)}, their interplay {figures.percent(shares.together)}"
    )


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def _side_by_side(labels: Sequence[str], group: Sequence[Sequence[str]]) -> list[Line]:
    widths = [_widest(column) for column in group]
    padded = [[text.rjust(width) for text in column] for column, width in zip(group, widths, strict=True)]
    texts = columns([[label, *row] for label, *row in zip(labels, *padded, strict=True)])
    return [Line(texts[0], TITLE), *plain(texts[1:])]


def _widest(texts: Iterable[str]) -> int:
    return max(len(text) for text in texts)
