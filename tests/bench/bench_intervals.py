"""How often intervals hold what they claim to hold, and how often regression tests call an agent worse, by simulation.

Coverage and mean width of nominal 95 % intervals: six models of task difficulty, n = 10, 25 and 50 tasks, k = 8
attempts. Regression tests at a nominal 5 %: three of the models, n = 20 and 50, k = 8 in both runs.

Run: `python tests/bench/bench_intervals.py [repetitions]` (default 1000; the standard error of a coverage is then about
0.007). Prints tables, asserts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_agenteval.estimate.stats.intervals import (
    Interval,
    tasks_like_these_pass_hat_k,
    this_suite_pass_at_1,
    this_suite_pass_hat_k,
)
from pytest_agenteval.estimate.stats.regression import p_of_all_tasks, regression_test

K = 8
TASKS = (10, 25, 50)
MODELS = {
    "terminal-bench, weak agent": (0.14, 0.40),
    "terminal-bench, strong agent": (0.19, 0.14),
    "tau-bench airline": (0.64, 0.86),
    "pass@1 .61, pass^8 .25": (0.84, 0.53),
    "tau2 retail": (2.8, 0.73),
    "suite of a CI": (4.0, 0.35),
}
Counts = list[tuple[int, int]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Method:
    name: str
    interval: Callable[[Counts], Interval | None]
    k: int
    """The interval is about pass^k."""
    of_the_suite: bool
    """Whether the truth is that of these very tasks, or of all tasks of the model."""


METHODS = (
    Method("pass@1, this suite", this_suite_pass_at_1, 1, True),
    Method("pass^8, this suite", lambda counts: this_suite_pass_hat_k(counts, 8), 8, True),
    Method("pass^4, this suite", lambda counts: this_suite_pass_hat_k(counts, 4), 4, True),
    Method("pass@1, tasks like these", lambda counts: tasks_like_these_pass_hat_k(counts, 1), 1, False),
    Method("pass^8, tasks like these", lambda counts: tasks_like_these_pass_hat_k(counts, 8), 8, False),
    Method("pass^4, tasks like these", lambda counts: tasks_like_these_pass_hat_k(counts, 4), 4, False),
)


def moment(a: float, b: float, k: int) -> float:
    """E[p^k] of Beta(a, b)."""
    return float(np.prod([(a + j) / (a + b + j) for j in range(k)]))


def coverage(model: tuple[float, float], tasks: int, repetitions: int, seed: int) -> dict[str, tuple[float, float]]:
    """Per method: the share of intervals that hold the truth, and their mean width."""
    rng = np.random.default_rng(seed)
    held = {method.name: 0 for method in METHODS}
    width = {method.name: 0.0 for method in METHODS}
    for _ in range(repetitions):
        p = rng.beta(*model, size=tasks)
        counts = [(K, int(c)) for c in rng.binomial(K, p)]
        for method in METHODS:
            interval = method.interval(counts)
            assert interval is not None
            truth = float((p**method.k).mean()) if method.of_the_suite else moment(*model, method.k)
            held[method.name] += interval.low <= truth <= interval.high
            width[method.name] += interval.high - interval.low
    return {name: (held[name] / repetitions, width[name] / repetitions) for name in held}


def print_coverage(repetitions: int) -> None:
    """The table: coverage of every method, per model and number of tasks."""
    for tasks in TASKS:
        rows = {
            name: coverage(model, tasks, repetitions, seed=tasks * 100 + row)
            for row, (name, model) in enumerate(MODELS.items())
        }
        print(
            f"\nn = {tasks} tasks, k = {K}, {repetitions} repetitions: coverage (mean width) of nominal 95 % intervals"
        )
        print(f"{'':28}" + "".join(f"{name:>30}" for name in rows) + f"{'mean':>8}{'least':>8}")
        for method in METHODS:
            cells = [row[method.name] for row in rows.values()]
            text = "".join(f"{f'{held:.3f} ({width:.2f})':>30}" for held, width in cells)
            shares = [held for held, _ in cells]
            print(f"{method.name:28}{text}{np.mean(shares):8.3f}{min(shares):8.3f}")


def broken(rates: Floats, tasks: int, rng: np.random.Generator) -> Floats:
    """The rates where this many tasks that nearly always passed nearly always fail."""
    good = rng.permutation(np.argsort(-rates)[: max(tasks, int((rates >= 0.8).sum()))])
    after = rates.copy()
    after[good[:tasks]] = 0.15
    return after


def weaker(rates: Floats, by: float) -> Floats:
    """The rates where the odds of every task fall: this much is taken from their logits."""
    lower: Floats = 1 / (1 + np.exp(by) * (1 - rates) / rates)
    return lower


CHANGES: dict[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "no change": lambda rates, rng: rates,
    "1 task breaks": lambda rates, rng: broken(rates, 1, rng),
    "3 tasks break": lambda rates, rng: broken(rates, 3, rng),
    "logit - 0.7": lambda rates, rng: weaker(rates, 0.7),
    "p x 0.9": lambda rates, rng: rates * 0.9,
}


def print_regressions(repetitions: int) -> None:
    """How often each test calls the agent worse; the combined test is the product's."""
    models = ("pass@1 .61, pass^8 .25", "tau2 retail", "suite of a CI")
    print(f"\nregression tests at 5 %, k = {K} in both runs, {repetitions} repetitions per model")
    print(f"{'':30}{'all tasks together':>20}{'per task':>20}{'combined':>20}")
    for tasks in (20, 50):
        for row, (name, change) in enumerate(CHANGES.items()):
            rng = np.random.default_rng(tasks * 10 + row)
            called = np.zeros(3)
            for model in models:
                for _ in range(repetitions):
                    before = np.clip(rng.beta(*MODELS[model], size=tasks), 1e-9, 1 - 1e-9)
                    after = change(before, rng)
                    baseline, candidate = (
                        {str(i): (K, int(c)) for i, c in enumerate(rng.binomial(K, p))} for p in (before, after)
                    )
                    shown = regression_test(baseline, candidate)
                    together = p_of_all_tasks([(baseline[task], candidate[task]) for task in baseline])
                    named = any(task.p_corrected <= 0.05 for task in shown.tasks)
                    called += (together <= 0.05, named, bool(shown.regressed))
            shares = called / (repetitions * len(models))
            print(f"n = {tasks}, {name:22}" + "".join(f"{share:20.3f}" for share in shares))


def main() -> None:
    """Print the tables."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print_regressions(repetitions // 2)
    print_coverage(repetitions)


if __name__ == "__main__":
    main()
