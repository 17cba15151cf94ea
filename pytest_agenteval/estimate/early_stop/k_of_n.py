"""Which units to test next to find out whether at least m of n pass (a k-out-of-n system).

Every PASS needs `to_pass` more passing units, every FAIL `to_fail` more failing ones. Take the first `to_pass` units in
the order of cost / P(pass), and the first `to_fail` in the order of cost / P(fail). The two sets must overlap, and a
unit in both is worth testing whatever the answer will be. With known, independent chances this is optimal (Salloum
1979, Ben-Dov 1981, Chang et al. 1990). Wrong chances cost money, never correctness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_agenteval.estimate.early_stop.grid import Bools, Ints

__all__ = ["Units", "next_units"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Units:
    """The open units of a race, one entry each."""

    rows: Ints
    chance: Floats
    """The chance of passing, inside (0, 1)."""
    cost: Floats
    """The expected cost of testing the unit to its end."""
    can_pass: Bools
    """Whether the unit may still pass. A unit that cannot is worth testing only for its failure."""
    idle: Bools
    """Whether the unit is not being tested already."""


def next_units(units: Units, to_pass: int, to_fail: int, slots: int) -> list[int]:
    """The rows of up to `slots` idle units, best first.

    Units that serve both answers come first; further slots go to units that serve the likelier answer. Units that serve
    neither are not picked: an empty slot is better than a guess.
    """
    by_pass = np.argsort(units.cost / units.chance, kind="stable")
    by_pass = by_pass[units.can_pass[by_pass]]
    by_fail = np.argsort(units.cost / (1.0 - units.chance), kind="stable")
    # A side that can no longer be reached needs no units.
    for_pass = by_pass[:to_pass] if 0 < to_pass <= by_pass.size else by_pass[:0]
    for_fail = by_fail[:to_fail] if 0 < to_fail <= by_fail.size else by_fail[:0]
    if not for_pass.size:
        ordered = for_fail
    elif not for_fail.size:
        ordered = for_pass
    else:
        serves_pass = np.zeros(units.rows.size, np.bool_)
        serves_pass[for_pass] = True
        both = for_fail[serves_pass[for_fail]]
        likely_pass = float(units.chance[by_pass].sum()) >= to_pass
        rest = for_pass if likely_pass else for_fail
        ordered = np.concatenate((both, rest[~np.isin(rest, both)]))
    picks = ordered[units.idle[ordered]][:slots]
    return [int(row) for row in units.rows[picks]]
