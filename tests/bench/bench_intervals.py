"""How often each interval of nominally 95 % holds what it claims to hold, and how wide it is, by simulation.

Six models of task difficulty, n = 10, 25 and 50 tasks, k = 8 attempts. Run: `python tests/bench/bench_intervals.py
[repetitions]` (default 1000; the standard error of a coverage is then about 0.007). Prints tables, asserts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pytest_agenteval.stats.intervals import (
    Interval,
    tasks_like_these_pass_at_1,
    tasks_like_these_pass_hat_k,
    this_suite_pass_at_1,
    this_suite_pass_hat_k,
)

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
    Method("pass@1, tasks like these", tasks_like_these_pass_at_1, 1, False),
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


def main() -> None:
    """Print the tables."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print_coverage(repetitions)


if __name__ == "__main__":
    main()
