"""How much of the spread in a table is due to its rows, to its columns, and to neither alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Shares", "two_way_shares"]


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of the sum of squares; they add up to 1."""

    rows: float
    columns: float
    together: float
    """Their interaction: what the sum of a row effect and a column effect does not explain."""


def two_way_shares(tables: Sequence[Sequence[Sequence[float]]]) -> Shares | None:
    """The two-way decomposition of the variance within each table, one value per place, pooled over all tables.

    Args:
        tables: all with the same rows and columns.

    Returns:
        The shares, or None if nothing varies or there is no table.
    """
    rows = columns = total = 0.0
    for table in tables:
        values = np.array(table, dtype=np.float64)
        values = values - values.mean()
        rows += values.shape[1] * float((values.mean(axis=1) ** 2).sum())
        columns += values.shape[0] * float((values.mean(axis=0) ** 2).sum())
        total += float((values**2).sum())
    if total <= 1e-12:  # equal values differ by rounding only
        return None
    return Shares(rows / total, columns / total, max(0.0, (total - rows - columns) / total))
