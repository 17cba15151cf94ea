"""A paired test of two things on the same tasks: the exact sign-flip test.

If the two did not differ, each task's difference could equally have the other sign. Then all 2^n choices of signs are
equally likely, and p is the share of them whose sum is at least the observed one (Fisher 1935).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["sign_flip_p"]

_EXACT = 36
"""Up to this many differences, all choices of signs are counted: two halves of 2^18 sums each."""
_DRAWS = 99_999
"""Above that, this many choices are drawn, always the same ones; p is then (1 + hits) / (1 + draws), never too
small."""
_BLOCK = 9_999

_Sums = np.ndarray[tuple[int], np.dtype[np.float64]]


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """The one-sided p-value for the sum of the differences being above 0; None if there are no differences.

    A difference of 0 changes nothing.
    """
    if not differences:
        return None
    sizes = np.abs(np.array([each for each in differences if each], dtype=np.float64))
    if not sizes.size:
        return 1.0
    # Sums that are equal on paper may differ in their last digits. They count as equal, which makes p larger.
    least = float(np.sum(differences)) - 1e-9 * float(sizes.sum())
    if sizes.size <= _EXACT:
        half = sizes.size // 2
        one, other = _sums(sizes[:half]), np.sort(_sums(sizes[half:]))
        reached = other.size - np.searchsorted(other, least - one, side="left")
        return float(reached.sum() / 2.0**sizes.size)
    random, hits = np.random.default_rng(0), 0
    for start in range(0, _DRAWS, _BLOCK):
        signs = random.choice(np.array([-1.0, 1.0]), size=(min(_BLOCK, _DRAWS - start), sizes.size))
        hits += int((signs @ sizes >= least).sum())
    return (1 + hits) / (1 + _DRAWS)


def _sums(sizes: _Sums) -> _Sums:
    """Every sum over all choices of signs of the parts."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums
