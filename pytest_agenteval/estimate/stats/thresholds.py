"""How many passes reach a threshold: the one rule for comparing counts with thresholds."""

from __future__ import annotations

from math import ceil

__all__ = ["passes_needed"]


def passes_needed(threshold: float, total: int) -> int:
    """The smallest whole number s with `s / total >= threshold`, compared as floats.

    Every estimate here is a fraction rounded once, so this rule and `estimate >= threshold` always agree: 7 of 10 reach
    0.7.

    Raises:
        ValueError: `threshold` is not between 0 and 1, or `total` is below 1.
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"a threshold of {threshold} cannot be compared with a rate: give one between 0 and 1")
    if total < 1:
        raise ValueError(f"a threshold needs something to count, not a total of {total}: give a total of at least 1")
    needed = ceil(threshold * total)
    while needed > 0 and (needed - 1) / total >= threshold:
        needed -= 1
    while needed / total < threshold:
        needed += 1
    return needed
