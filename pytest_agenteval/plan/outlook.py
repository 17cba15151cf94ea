"""What is known about tasks before they run: history from logs, and costs from it or from the tasks' limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.logs.baseline import read_baseline, whole_grid_history
from pytest_agenteval.money.prices import PriceBook, open_prices
from pytest_agenteval.money.rates import MILLION
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.plan.expect import PlannedTask
from pytest_agenteval.plan.offered import Offered
from pytest_agenteval.record.records import Cell

__all__ = ["attempts_of_baseline", "outlook"]


def outlook(settings: Settings, items: Sequence[AgentItem], offered: Offered) -> dict[Cell, list[PlannedTask]]:
    """The tasks of each cell, with what is known from earlier runs and their own options.

    Raises:
        NotReady: the file of prices cannot be used.
    """
    prices = open_prices(settings.money.prices, offered.prices)
    known = whole_grid_history(settings.store.log_dir, settings.agents.setup)
    cells: dict[Cell, list[PlannedTask]] = {}
    for item in items:
        seen = known.get((item.task_name, item.cell))
        free = prices.source(item.cell.model) == "built in"
        cells.setdefault(item.cell, []).append(
            PlannedTask(
                task=item.nodeid,
                min_pass_rate=item.options.min_pass_rate,
                earlier=None if seen is None else (seen.n, seen.c),
                mean_cost=0.0 if free else None if seen is None else seen.cost,
                most_cost=0.0 if free else _most(item, prices),
                mean_seconds=None if seen is None else seen.seconds,
            )
        )
    return cells


def attempts_of_baseline(settings: Settings, wanted: Collection[str]) -> int | None:
    """How many attempts that count a task has in the baseline, on average; None if no baseline was given.

    Raises:
        NotReady: the baseline cannot be read.
    """
    if settings.gates.baseline is None:
        return None
    tasks = read_baseline(settings.gates.baseline, wanted, settings.agents.setup).tasks.values()
    return max(1, round(sum(task.n for task in tasks) / len(tasks))) if tasks else None


def _most(item: AgentItem, prices: PriceBook) -> float | None:
    """The most by the task's own limits: dollars, or all its tokens at the highest rate."""
    limits = []
    if item.options.max_cost is not None:
        limits.append(item.options.max_cost)
    rates = prices.rates(item.cell.model)
    if item.options.token_limit is not None and rates is not None and not rates.per_call:
        dearest = max(rates.input, rates.output, rates.cache_read_or_input, rates.cache_write_or_input)
        limits.append(item.options.token_limit * dearest / MILLION)
    return min(limits, default=None)
