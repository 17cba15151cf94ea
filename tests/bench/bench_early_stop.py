"""Exact early stopping: never a wrong verdict, and how much it saves.

Run: `python tests/bench/bench_early_stop.py [grids] [repetitions]` (defaults: 100000 and 30). It exits with 1 if a
single verdict differs from that of the full grid. What a choice costs, `bench_report.py` shows.

The savings are those of a gate `pass^8 >= true pass^8 + gap` over six models of task difficulty, gaps -.2, -.1, 0,
.1 and .2 (those that leave the threshold between 0 and 1). Savings are ratios of means: attempts of the full grid by
attempts started, those abandoned in flight at the end among them. History is 8 earlier attempts of every task.
Failing attempts take half as long again as passing ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from time import perf_counter

import numpy as np
from support.full_grid import FullGrid

from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.gates import GridGate, PassAt1, PassHatK, TaskPassRate
from pytest_agenteval.estimate.early_stop.policy import ExactStop, ExactStopAfterFirst, SchedulingPolicy
from pytest_agenteval.estimate.early_stop.replay import replay
from pytest_agenteval.record.verdict import Verdict

K = 8
MODELS = ((0.14, 0.40), (0.19, 0.14), (0.64, 0.86), (0.84, 0.53), (2.8, 0.73), (4.0, 0.35))
GAPS = (-0.2, -0.1, 0.0, 0.1, 0.2)
THRESHOLDS = (0.0, 0.1, 0.25, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 0.9, 1.0)
Outcomes = list[list[bool | None]]


def full_grid_verdict(gate: PassHatK | PassAt1 | TaskPassRate, outcomes: dict[str, list[bool | None]]) -> Verdict:
    """The verdict on a finished grid without its skipped tasks, by counting in fractions."""
    rows = [row for task, row in outcomes.items() if not isinstance(gate, TaskPassRate) or task == gate.task]
    if all(outcome is None for row in rows for outcome in row):
        return Verdict.UNDECIDED
    rates = []
    for missing in (False, True):
        filled = [[missing if outcome is None else outcome for outcome in row] for row in rows]
        units = [all(row) for row in filled] if isinstance(gate, PassHatK) else [x for row in filled for x in row]
        rates.append(float(Fraction(sum(units), len(units))))
    if rates[0] >= gate.threshold:
        return Verdict.PASS
    return Verdict.FAIL if rates[1] < gate.threshold else Verdict.UNDECIDED


def one_grid(rng: np.random.Generator) -> tuple[int, int]:
    """A random world run by a random policy: how many of its verdicts were wrong, and how many there were."""
    size, k = int(rng.integers(1, 13)), int(rng.integers(1, 7))
    tasks = [f"t{i}" for i in range(size)]
    rates = rng.beta(*MODELS[rng.integers(len(MODELS))], size=size)
    lost = rng.random((size, k)) < rng.choice([0.0, 0.0, 0.05, 0.3])
    passed = rng.random((size, k)) < rates[:, None]
    outcomes = {task: [None if lost[i, j] else bool(passed[i, j]) for j in range(k)] for i, task in enumerate(tasks)}
    skipped = {task for task in tasks if rng.random() < 0.05} if rng.random() < 0.2 else set()

    def threshold() -> float:
        return float(rng.choice(THRESHOLDS) if rng.random() < 0.7 else rng.random())

    gates: list[PassHatK | PassAt1 | TaskPassRate] = []
    gates += {PassHatK(threshold()) for _ in range(rng.integers(3))}
    gates += {PassAt1(threshold()) for _ in range(rng.integers(3))}
    if rng.random() < 0.4 or not gates:
        gates += [TaskPassRate(task, threshold()) for task in tasks if rng.random() < 0.5]
    history = {task: (8, int(rng.integers(9))) for task in tasks if rng.random() < 0.5} if rng.random() < 0.5 else {}
    costs = {task: float(rng.exponential() + 0.01) for task in tasks} if rng.random() < 0.3 else {}
    state = Curtailment(tasks, k, gates)
    policy = (ExactStop if rng.random() < 0.8 else ExactStopAfterFirst)(state, history, costs)
    slots = int(rng.integers(1, 13))
    flying: list[tuple[str, int]] = []
    while not policy.finished:
        flying += policy.next_attempts(slots - len(flying))
        if not flying:
            raise RuntimeError("the policy waits though nothing is in flight")
        if rng.random() < 0.05:
            continue  # an environment error, to be repeated
        task, attempt = flying.pop(int(rng.integers(len(flying))))
        if task in skipped:
            policy.skip(task)
            flying = [other for other in flying if other[0] != task]
        else:
            policy.record(task, attempt, outcomes[task][attempt - 1])
    finished = {task: row for task, row in outcomes.items() if task not in skipped}
    return sum(state.verdict(gate) is not full_grid_verdict(gate, finished) for gate in gates), len(gates)


def print_property(grids: int) -> int:
    """Random grids, gates, orders, histories, costs, concurrency and errors. Returns the number of wrong verdicts."""
    rng = np.random.default_rng(2024)
    began, wrong, verdicts = perf_counter(), 0, 0
    for _ in range(grids):
        bad, all_of_them = one_grid(rng)
        wrong, verdicts = wrong + bad, verdicts + all_of_them
    print(f"{wrong} wrong of {verdicts} verdicts on {grids} random grids ({perf_counter() - began:.0f} s)")
    return wrong


@dataclass
class Saved:
    """What runs of one policy came to."""

    full: int = 0
    started: int = 0
    full_seconds: float = 0.0
    seconds: float = 0.0
    wrong: int = 0

    def add(self, other: Saved) -> None:
        """Sum up."""
        self.full += other.full
        self.started += other.started
        self.full_seconds += other.full_seconds
        self.seconds += other.seconds
        self.wrong += other.wrong


Policy = Callable[[Curtailment, dict[str, tuple[int, int]]], SchedulingPolicy]


def run_once(
    model: tuple[float, float],
    size: int,
    in_flight: int,
    gate: Callable[[float, float], GridGate | None],
    policy: Policy,
    with_history: bool,
    seed: tuple[int, ...],
) -> Saved | None:
    """One suite under one gate: what the policy started, against the full grid with as many in flight."""
    rng = np.random.default_rng(seed)
    tasks = [str(i) for i in range(size)]
    rates = rng.beta(*model, size=size)
    passed = rng.random((size, K)) < rates[:, None]
    seconds = rng.lognormal(4.0, 0.6, size=(size, K)) * np.where(passed, 1.0, 1.5)
    earlier = rng.binomial(8, rates)
    a, b = model
    asked = gate(float(np.prod([(a + j) / (a + b + j) for j in range(K)])), a / (a + b))
    if asked is None:
        return None

    def outcome(task: str, attempt: int) -> bool:
        return bool(passed[int(task), attempt - 1])

    def duration(task: str, attempt: int) -> float:
        return float(seconds[int(task), attempt - 1])

    state = Curtailment(tasks, K, [asked])
    history = {task: (8, int(c)) for task, c in zip(tasks, earlier, strict=True)} if with_history else {}
    done = replay(policy(state, history), outcome, in_flight, duration)
    everything = replay(FullGrid(tasks, K), outcome, in_flight, duration)
    assert isinstance(asked, PassHatK | PassAt1)
    truth = full_grid_verdict(asked, {task: passed[int(task)].tolist() for task in tasks})
    return Saved(size * K, len(done.started), everything.seconds, done.seconds, state.verdict(asked) is not truth)


def pass_hat_k_at(gap: float, pass_hat_k: float, pass_at_1: float) -> GridGate | None:
    """A gate on pass^8 this far from the truth."""
    return PassHatK(pass_hat_k + gap) if 0 < pass_hat_k + gap < 1 else None


def pass_at_1_at(gap: float, pass_hat_k: float, pass_at_1: float) -> GridGate | None:
    """A gate on pass@1 this far from the truth."""
    return PassAt1(pass_at_1 + gap) if 0 < pass_at_1 + gap < 1 else None


def print_savings(repetitions: int) -> int:
    """The table of savings. Returns the number of wrong verdicts."""
    settings: list[tuple[str, int, int, Policy, bool, Callable[[float, float, float], GridGate | None]]] = [
        (
            f"{name}, {size} tasks, {in_flight} in flight, {'8 earlier runs' if history else 'no history'}",
            size,
            in_flight,
            policy,
            history,
            gate,
        )
        for name, policy, gate in (
            ("exact, pass^8", ExactStop, pass_hat_k_at),
            ("exact+first, pass^8", ExactStopAfterFirst, pass_hat_k_at),
            ("exact, pass@1", ExactStop, pass_at_1_at),
        )
        for size, in_flight in ((50, 1), (50, 8), (20, 8))
        for history in (False, True)
        if (policy, gate, in_flight) != (ExactStopAfterFirst, pass_hat_k_at, 1)
        and (gate is pass_hat_k_at or size == 50)
    ]
    print(f"\n{'times fewer attempts than the full grid':64}" + "".join(f"{gap:+8.1f}" for gap in GAPS), end="")
    print(f"{'all':>8}{'median':>8}{'p10':>7}{'p90':>7}{'seconds':>9}{'wrong':>7}")
    wrong = 0
    for name, size, in_flight, policy, history, gate in settings:
        whole, ratios, cells = Saved(), [], []
        for gap in GAPS:
            at_gap = Saved()
            for number, model in enumerate(MODELS):
                for repetition in range(repetitions):
                    seed = (number, repetition, size)
                    one = run_once(model, size, in_flight, partial(gate, gap), policy, history, seed)
                    if one is not None:
                        at_gap.add(one)
                        ratios.append(one.full / one.started)
            cells.append(at_gap.full / at_gap.started)
            whole.add(at_gap)
        p10, median, p90 = np.quantile(ratios, (0.1, 0.5, 0.9))
        print(f"{name:64}" + "".join(f"{cell:8.2f}" for cell in cells), end="")
        print(f"{whole.full / whole.started:8.2f}{median:8.2f}{p10:7.2f}{p90:7.2f}", end="")
        print(f"{whole.full_seconds / whole.seconds:9.2f}{whole.wrong:7}", flush=True)
        wrong += whole.wrong
    return wrong


def main() -> int:
    """Print everything; 1 if a verdict was wrong."""
    grids = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    wrong = print_savings(repetitions) + print_property(grids)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
