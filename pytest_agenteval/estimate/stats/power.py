"""What a gate or a comparison is likely to say, before anything is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_agenteval.estimate.stats.distributions import normal_quantile
from pytest_agenteval.estimate.stats.estimators import passes_needed
from pytest_agenteval.estimate.stats.regression import TIES_BROKEN, p_of_all_tasks, p_of_task
from pytest_agenteval.record.verdict import Verdict

__all__ = [
    "VerdictChances",
    "chance_pass_at_1_reached",
    "chance_pass_hat_k_reached",
    "power_of_gate",
    "power_of_regression_test",
    "smallest_detectable_drop",
    "smallest_ratio_found",
]

Floats = NDArray[np.float64]
_BISECTIONS = 10


@dataclass(frozen=True, slots=True)
class VerdictChances:
    """How often a gate would give each verdict."""

    passes: float
    fails: float
    undecided: float


def chance_pass_hat_k_reached(rates: Sequence[float], k: int, threshold: float) -> float:
    """The exact chance that a run of k attempts shows pass^k >= threshold, given the tasks' pass rates.

    Two runs of the same agent disagree with chance 2 P (1 - P).
    """
    return _chance_of_at_least([rate**k for rate in rates], passes_needed(threshold, len(rates)))


def chance_pass_at_1_reached(rates: Sequence[float], k: int, threshold: float) -> float:
    """The exact chance that a run of k attempts shows pass@1 >= threshold, given the tasks' pass rates."""
    return _chance_of_at_least([rate for rate in rates for _ in range(k)], passes_needed(threshold, len(rates) * k))


def power_of_gate(
    rates: Sequence[float],
    attempts: int,
    judge: Callable[[list[tuple[int, int]]], Verdict],
    simulations: int = 400,
    seed: int = 0,
) -> VerdictChances:
    """How often a gate says PASS, FAIL and UNDECIDED, given the tasks' pass rates, by simulation.

    Args:
        rates: the pass rate of each task.
        attempts: the number of attempts at each task.
        judge: the gate, as a function of `(n, c)` of each task.
        simulations: how many runs are simulated; the standard error is at most 0.5 / sqrt(simulations).
        seed: the same seed gives the same figures.
    """
    rng = np.random.default_rng(seed)
    passes = rng.binomial(attempts, np.asarray(rates), size=(simulations, len(rates)))
    counts = Counter(judge([(attempts, int(c)) for c in run]) for run in passes)
    return VerdictChances(*(counts[v] / simulations for v in (Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED)))


def power_of_regression_test(
    before: Sequence[float],
    after: Sequence[float],
    attempts_before: int,
    attempts_after: int,
    alpha: float = 0.05,
    simulations: int = 1000,
    seed: int = 0,
) -> float:
    """How often the regression test calls an agent worse if its pass rates went from `before` to `after`.

    With `before` equal to `after` this is the rate of false alarms. The p-value over all tasks is taken from its normal
    approximation with the exact mean and variance. That costs a point of power or two and makes this fast.
    """
    if len(before) != len(after):
        raise ValueError(
            f"{len(before)} pass rates before and {len(after)} after cannot be compared: give equal numbers"
        )
    rng = np.random.default_rng(seed)
    tasks = len(before)
    passes_before = rng.binomial(attempts_before, np.asarray(before), size=(simulations, tasks))
    passes_after = rng.binomial(attempts_after, np.asarray(after), size=(simulations, tasks))
    total, size = passes_before + passes_after, attempts_before + attempts_after
    share = attempts_after / size
    # Mean and variance of the hypergeometric number of passes after, summed over tasks.
    mean = (total * share).sum(axis=1)
    variance = (total * (size - total) * share * (1 - share) / (size - 1)).sum(axis=1)
    table = np.array(
        [
            [p_of_task((attempts_before, b), (attempts_after, a)) for a in range(attempts_after + 1)]
            for b in range(attempts_before + 1)
        ]
    )
    limit, spent = _naming_limits(table, total, alpha / 2)
    named = table[passes_before, passes_after].min(axis=1) <= limit
    left = alpha - spent
    quantile = np.array([normal_quantile(level) for level in left])
    half = 0.0 if tasks * attempts_after <= TIES_BROKEN else 0.5  # a tie is half on either side, where it is broken
    fell = (variance > 0) & (passes_after.sum(axis=1) + half <= mean + quantile * np.sqrt(variance))
    return float((fell | named).mean())


def _naming_limits(table: Floats, total: NDArray[np.int64], level: float) -> tuple[Floats, Floats]:
    """The largest p that names a task in each simulated run, and how often an unchanged agent would have one named.

    As `naming_limit`, for all runs at once. `table` holds the p of each (passes before, passes after), and `total` the
    passes of both runs together at each task of each run.
    """
    possible = np.unique(table[table <= level])
    if not possible.size:
        return np.zeros(len(total)), np.zeros(len(total))
    sums = np.add.outer(*map(np.arange, table.shape))
    attained = np.zeros((sums.max() + 1, possible.size))
    for column, p in enumerate(possible):
        np.maximum.at(attained[:, column], sums, np.where(table <= p, table, 0.0))
    tasks = (total[..., None] == np.arange(len(attained))).sum(axis=1)
    chances = 1.0 - np.exp(tasks @ np.log1p(-attained))
    held = np.where(chances <= level, np.arange(1, possible.size + 1), 0).max(axis=1)
    limits, spent = np.append(0.0, possible), np.column_stack([np.zeros(len(total)), chances])
    return limits[held], spent[np.arange(len(total)), held]


def smallest_detectable_drop(
    rates: Sequence[float],
    attempts_before: int,
    attempts_after: int,
    power: float = 0.8,
    alpha: float = 0.05,
    simulations: int = 1000,
    seed: int = 0,
) -> float | None:
    """The smallest fall of pass@1 that the regression test finds with this power, if all rates fall by the same factor.

    None if even an agent that never passes is not detected.
    """
    after = np.asarray(rates)
    settings = (attempts_before, attempts_after, alpha, simulations, seed)
    if power_of_regression_test(rates, (0.0 * after).tolist(), *settings) < power:
        return None
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        lost = 0.5 * (low + high)
        if power_of_regression_test(rates, (after * (1.0 - lost)).tolist(), *settings) < power:
            low = lost
        else:
            high = lost
    return float(high * after.mean())


def smallest_ratio_found(
    rates: Sequence[float],
    attempts_base: int,
    attempts_under: int,
    power: float = 0.8,
    alpha: float = 0.05,
    simulations: int = 300,
    seed: int = 0,
) -> float | None:
    """The largest share of the pass rate left under a perturbation whose loss the exact test finds with this power.

    All rates fall by the same factor. None if even an agent that never passes there is not found.
    """
    base = np.asarray(rates)

    def found(ratio: float) -> bool:
        rng = np.random.default_rng(seed)
        before = rng.binomial(attempts_base, base, size=(simulations, len(base)))
        after = rng.binomial(attempts_under, base * ratio, size=(simulations, len(base)))
        hits = 0
        for one, two in zip(before.tolist(), after.tolist(), strict=True):
            pairs = [((attempts_base, b), (attempts_under, a)) for b, a in zip(one, two, strict=True)]
            hits += p_of_all_tasks(pairs) <= alpha
        return hits >= power * simulations

    if not found(0.0):
        return None
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if found(middle) else (low, middle)
    return low


def _chance_of_at_least(chances: Sequence[float], least: int) -> float:
    """P(at least `least` of independent events happen)."""
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, (1.0 - chance, chance))
    return min(1.0, float(distribution[least:].sum()))
