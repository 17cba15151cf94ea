"""The posterior of a suite's pass^k under a beta-binomial hierarchy: deterministic, and fast for large suites.

Model: task i passes with chance p_i, the p_i come from one Beta(a, b), and log a and log b are flat on a grid over
[log 0.05, log 20]. Given (a, b) every p_i is Beta(a + c_i, b + n_i - c_i), and the suite's pass^k is mean(p_i^k).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pytest_agenteval.estimate.stats.estimators import Counts, check_counts

__all__ = ["Draws", "suite_pass_hat_k_draws"]

_DRAWS = 4000
_GRID = 28
_SEED = 20_240_617
_ONE_BY_ONE = 32
"""For groups of more tasks with equal counts, the sum of their p^k is drawn from the normal with its exact moments."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Draws:
    """A sample of the posterior of mean(p_i^k), sorted."""

    values: Floats
    tasks: int
    """How many tasks it covers: those with at least one attempt."""

    def quantile(self, p: float) -> float:
        """The value that the suite's pass^k stays below with chance p."""
        return float(np.quantile(self.values, p))


def suite_pass_hat_k_draws(counts: Counts, k: int) -> Draws | None:
    """Draws from the posterior of the pass^k of exactly these tasks; the same counts always give the same draws.

    None if no task has an attempt.
    """
    if k < 1:
        raise ValueError(f"k = {k} asks for no attempt at all: give a k of at least 1")
    for n, c in counts:
        check_counts(n, c)
    # Sorted groups, so the order of the tasks and the process change no digit.
    groups = tuple(sorted(Counter((n, c) for n, c in counts if n > 0).items()))
    return _draws(groups, k) if groups else None


@lru_cache(maxsize=64)
def _draws(groups: tuple[tuple[tuple[int, int], int], ...], k: int) -> Draws:
    rng = np.random.default_rng(_SEED)
    a, b = _shapes(groups)
    total = np.zeros(_DRAWS)
    for (n, c), tasks in groups:
        alpha, beta = a + c, b + (n - c)
        if tasks <= _ONE_BY_ONE:
            draws = rng.beta(alpha[:, None], beta[:, None], size=(_DRAWS, tasks))
            total += (draws**k).sum(axis=1)
        else:
            mean, mean_square = _moment(alpha, beta, k), _moment(alpha, beta, 2 * k)
            spread = np.sqrt(np.maximum(mean_square - mean**2, 0.0) * tasks)
            total += np.clip(rng.normal(mean * tasks, spread), 0.0, tasks)
    tasks_in_all = sum(tasks for _, tasks in groups)
    values = np.sort(total / tasks_in_all)
    values.setflags(write=False)
    return Draws(values, tasks_in_all)


def _shapes(groups: tuple[tuple[tuple[int, int], int], ...]) -> tuple[Floats, Floats]:
    """Draws of (a, b) from their posterior on the grid, by systematic sampling: no luck in how often a point comes."""
    axis = np.exp(np.linspace(np.log(0.05), np.log(20.0), _GRID))
    a, b = (mesh.ravel() for mesh in np.meshgrid(axis, axis))
    weight = np.zeros(a.size)
    for (n, c), tasks in groups:
        weight += tasks * (_log_rising(a, c) + _log_rising(b, n - c) - _log_rising(a + b, n))
    chance = np.exp(weight - np.max(weight))
    ladder = np.cumsum(chance / chance.sum())
    rows = np.searchsorted(ladder, (np.arange(_DRAWS) + 0.5) / _DRAWS).clip(max=a.size - 1)
    return a[rows], b[rows]


def _log_rising(x: Floats, n: int) -> Floats:
    """log(x (x+1) ... (x+n-1))."""
    total = np.zeros_like(x)
    for j in range(n):
        total += np.log(x + j)
    return total


def _moment(alpha: Floats, beta: Floats, k: int) -> Floats:
    """E[p^k] of Beta(alpha, beta)."""
    total = np.ones_like(alpha)
    for j in range(k):
        total *= (alpha + j) / (alpha + beta + j)
    return total
