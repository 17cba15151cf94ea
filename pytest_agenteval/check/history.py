"""AE80x: what stored attempts of real agents say about the tasks. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Counts", "History", "Standing", "item_rest", "standings"]

Counts = tuple[int, int]
"""Attempts that count, and those of them that passed."""
ENOUGH = 4
"""Attempts below which a task's counts say nothing."""
ENOUGH_CELLS = 5
_BAND = (0.3, 0.7)

History = Mapping[str, Mapping[str, Counts]]
"""By task and cell."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the tasks stand; each task in at most one of these."""

    saturated: tuple[str, ...]
    """Always passed."""
    never: tuple[str, ...]
    """Never passed."""
    band: tuple[str, ...]
    """Passed between 30% and 70% of the time."""
    assessed: tuple[str, ...]
    """All tasks with enough attempts."""


def standings(history: History) -> Standing:
    """Where each task stands, over all cells."""
    sums = {task: _sum(cells.values()) for task, cells in history.items()}
    known = {task: counts for task, counts in sums.items() if counts[0] >= ENOUGH}
    return Standing(
        saturated=tuple(task for task, (n, c) in known.items() if c == n),
        never=tuple(task for task, (_, c) in known.items() if c == 0),
        band=tuple(task for task, (n, c) in known.items() if _BAND[0] <= c / n <= _BAND[1]),
        assessed=tuple(known),
    )


def item_rest(history: History) -> dict[str, float]:
    """By task, the correlation over cells of its pass rate with the sum of all others; only with enough cells.

    Tasks whose pass rate is the same in all cells are left out.
    """
    cells = sorted({cell for by_cell in history.values() for cell in by_cell})
    full = {
        task: [by_cell[cell][1] / by_cell[cell][0] for cell in cells]
        for task, by_cell in history.items()
        if all(by_cell.get(cell, (0, 0))[0] for cell in cells)
    }
    if len(cells) < ENOUGH_CELLS or len(full) < 2:
        return {}
    totals = [sum(rates[at] for rates in full.values()) for at in range(len(cells))]
    found = {}
    for task, rates in full.items():
        rest = [total - rate for total, rate in zip(totals, rates, strict=True)]
        if (r := _correlation(rates, rest)) is not None:
            found[task] = r
    return found


def _sum(counts: Iterable[Counts]) -> Counts:
    known = list(counts)
    return sum(n for n, _ in known), sum(c for _, c in known)


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    middle, other_middle = sum(one) / len(one), sum(other) / len(other)
    moments = [(a - middle, b - other_middle) for a, b in zip(one, other, strict=True)]
    spread = math.sqrt(sum(a * a for a, _ in moments) * sum(b * b for _, b in moments))
    return None if spread < 1e-12 else sum(a * b for a, b in moments) / spread
