"""Worst and best case over missing attempts: what a suite would show if all of them had failed, or passed.

A missing attempt was wanted but says nothing about the agent (for example after an environment error that stayed, or a
spent budget). It is neither dropped nor guessed: with s passes and u missing of N attempts a rate lies in [s/N,
(s+u)/N], whatever the missing attempts would have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.stats.estimators import check_counts, suite_pass_hat_k
from pytest_agenteval.record.verdict import Verdict

__all__ = ["CountsWithMissing", "MissingRange", "pass_at_1_range", "pass_hat_k_range"]

CountsWithMissing = Sequence[tuple[int, int, int]]
"""One `(n, c, u)` per task: n attempts that count, c of which passed, and u more that are missing."""


@dataclass(frozen=True, slots=True)
class MissingRange:
    """An estimate of a suite if every missing attempt fails, and if every one passes."""

    worst: float | None
    """None if no task has enough attempts, including missing ones."""
    best: float | None
    evaluated: int
    """How many attempts of the tasks used count."""
    missing: int
    """How many attempts of the tasks used are missing."""

    def verdict(self, threshold: float) -> Verdict:
        """PASS or FAIL if worst and best case agree on `estimate >= threshold`, else UNDECIDED.

        A suite in which no attempt counts is UNDECIDED, whatever the threshold.
        """
        if self.worst is None or self.best is None or self.evaluated == 0:
            return Verdict.UNDECIDED
        if self.worst >= threshold:
            return Verdict.PASS
        return Verdict.FAIL if self.best < threshold else Verdict.UNDECIDED


def pass_at_1_range(tasks: CountsWithMissing) -> MissingRange:
    """Worst and best case of pass@1, averaged over the tasks with at least one wanted attempt."""
    return pass_hat_k_range(tasks, 1)


def pass_hat_k_range(tasks: CountsWithMissing, k: int) -> MissingRange:
    """Worst and best case of pass^k, averaged over the tasks with at least k attempts, including missing ones."""
    for n, c, u in tasks:
        check_counts(n, c)
        if u < 0:
            raise ValueError(f"a task cannot miss {u} attempts: give a number from 0")
    worst = suite_pass_hat_k([(n + u, c) for n, c, u in tasks], k)
    best = suite_pass_hat_k([(n + u, c + u) for n, c, u in tasks], k)
    used = [(n, u) for n, _, u in tasks if n + u >= k]
    return MissingRange(worst.value, best.value, sum(n for n, _ in used), sum(u for _, u in used))
