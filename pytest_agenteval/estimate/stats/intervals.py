"""Intervals of a rate, each named after the question it answers.

Two questions need two intervals. "This suite, re-run": what would the same tasks show on average over endless attempts?
Only the luck of the attempts counts. "Tasks like these": what would other tasks of the same kind show? The luck of
which tasks are in the suite counts too, and matters most. An interval for one question is wrong for the other: the
interval from pooled attempts covers the answer to the second only about 69 % of the time instead of 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log, sqrt

from pytest_agenteval.estimate.stats.distributions import beta_quantile, normal_quantile, t_quantile
from pytest_agenteval.estimate.stats.estimators import Counts, check_counts, pass_hat_k, suite_pass_at_1
from pytest_agenteval.estimate.stats.posterior import suite_pass_hat_k_draws

__all__ = [
    "TASKS_LIKE_THESE",
    "THIS_SUITE",
    "THIS_TASK",
    "Interval",
    "attempts_to_show",
    "clopper_pearson",
    "rate_shown_by_all_passing",
    "tasks_like_these_mean",
    "tasks_like_these_pass_hat_k",
    "this_suite_pass_at_1",
    "this_suite_pass_hat_k",
    "wilson",
]

THIS_TASK = "this task, re-run"
THIS_SUITE = "this suite, re-run"
TASKS_LIKE_THESE = "tasks like these"


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval."""

    low: float
    high: float
    confidence: float
    """How often such an interval contains the true value, for example 0.95."""
    question: str
    """The question: `this suite, re-run`, `tasks like these` or `this task, re-run`."""
    method: str
    """How it was computed, in a few words."""


def clopper_pearson(passes: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact interval of one task's pass rate from n attempts (Clopper and Pearson 1934); never too narrow."""
    _check_some(passes, n, confidence)
    tail = (1.0 - confidence) / 2
    low = 0.0 if passes == 0 else beta_quantile(tail, passes, n - passes + 1)
    high = 1.0 if passes == n else beta_quantile(1.0 - tail, passes + 1, n - passes)
    return Interval(low, high, confidence, THIS_TASK, "Clopper-Pearson")


def rate_shown_by_all_passing(attempts: int, confidence: float = 0.95) -> float:
    """The pass rate shown at this confidence, one-sided, if all of these attempts pass: 8 of 8 show 0.69."""
    _check_some(attempts, attempts, confidence)
    return float((1.0 - confidence) ** (1.0 / attempts))


def attempts_to_show(rate: float, confidence: float = 0.95) -> int:
    """How many attempts must all pass to show a pass rate at this confidence, one-sided: 29 for 0.9."""
    _check_confidence(confidence)
    if not 0.0 < rate < 1.0:
        raise ValueError(f"no number of attempts is the least that shows a pass rate of {rate}: give one inside (0, 1)")
    attempts = max(1, ceil(log(1.0 - confidence) / log(rate)))
    # The logarithms may be off by one in their last digit, so check the shown rate itself.
    if attempts > 1 and rate_shown_by_all_passing(attempts - 1, confidence) >= rate:
        attempts -= 1
    return attempts if rate_shown_by_all_passing(attempts, confidence) >= rate else attempts + 1


def this_suite_pass_at_1(counts: Counts, confidence: float = 0.95) -> Interval | None:
    """The pass@1 that endless re-runs of this suite would show: Wilson on the pooled attempts.

    Conservative: the passes of different tasks vary less than those of equal tasks, so it contains the true value more
    often than it claims. If tasks have different numbers of attempts, the pool size is the one that gives the precision
    of their average over tasks: T^2 / sum(1/n_i).

    None if no task has an attempt.
    """
    _check_confidence(confidence)
    mean = suite_pass_at_1(counts)
    if mean.value is None:
        return None
    size = mean.tasks_used**2 / sum(1.0 / n for n, _ in counts if n > 0)
    low, high = wilson(mean.value, size, normal_quantile(0.5 + confidence / 2))
    return Interval(low, high, confidence, THIS_SUITE, "Wilson on pooled attempts, conservative")


def this_suite_pass_hat_k(counts: Counts, k: int, confidence: float = 0.95) -> Interval | None:
    """The pass^k that endless re-runs of this suite would show: the posterior of a beta-binomial hierarchy.

    It assumes a model (task pass rates come from one beta distribution), so it also works if tasks have fewer than k
    attempts. It always contains the unbiased estimate.

    None if no task has an attempt.
    """
    _check_confidence(confidence)
    if k == 1:
        return this_suite_pass_at_1(counts, confidence)
    draws = suite_pass_hat_k_draws(counts, k)
    if draws is None:
        return None
    tail = (1.0 - confidence) / 2
    low, high = draws.quantile(tail), draws.quantile(1.0 - tail)
    scores = [score for n, c in counts if (score := pass_hat_k(n, c, k)) is not None]
    if scores and len(scores) == draws.tasks:
        estimate = sum(scores) / len(scores)
        low, high = min(low, estimate), max(high, estimate)
    return Interval(low, high, confidence, THIS_SUITE, "beta-binomial hierarchy")


def tasks_like_these_pass_hat_k(counts: Counts, k: int, confidence: float = 0.95) -> Interval | None:
    """The pass^k that other tasks of the same kind would show (k = 1: the pass@1).

    Wilson's interval with the effective sample size and Student's t. The effective size is m(1-m) / Var(m), where m is
    the mean over tasks and Var comes from the spread between tasks. It is at least the number of tasks and at most the
    number of disjoint groups of k attempts. At the minimum (for example if n = k, when every task scores 0 or 1) no
    spread was estimated, and the quantile is the normal one.

    None if fewer than two tasks have k attempts.
    """
    _check_confidence(confidence)
    scores = [score for n, c in counts if (score := pass_hat_k(n, c, k)) is not None]
    tasks = len(scores)
    if tasks < 2:
        return None
    return _on_tasks(scores, sum(n // k for n, _ in counts), confidence)


def tasks_like_these_mean(values: Sequence[float], most: float, confidence: float = 0.95) -> Interval | None:
    """The mean that other tasks of the same kind would show, of a value in [0, 1] that each task has.

    The same interval as that of pass^k: Wilson's with the effective sample size and Student's t.

    Args:
        values: one per task.
        most: the most that the effective sample size can be: how many observations the values are made of.
        confidence: of the interval.

    None if there are fewer than two values.
    """
    _check_confidence(confidence)
    return _on_tasks(values, max(most, len(values)), confidence) if len(values) > 1 else None


def _on_tasks(values: Sequence[float], most: float, confidence: float) -> Interval:
    tasks = len(values)
    mean = sum(values) / tasks
    variance_of_mean = sum((value - mean) ** 2 for value in values) / (tasks - 1) / tasks
    size = mean * (1.0 - mean) / variance_of_mean if variance_of_mean > 0.0 else tasks
    size = min(max(size, tasks), most)
    p = 0.5 + confidence / 2
    if size == tasks:
        low, high = wilson(mean, size, normal_quantile(p))
        return Interval(low, high, confidence, TASKS_LIKE_THESE, "Wilson on tasks")
    low, high = wilson(mean, size, t_quantile(p, tasks - 1))
    return Interval(low, high, confidence, TASKS_LIKE_THESE, "Wilson with effective sample size and t")


def wilson(mean: float, size: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval (Wilson 1927)."""
    square = quantile * quantile
    centre = (mean + square / (2 * size)) / (1 + square / size)
    half = quantile / (1 + square / size) * sqrt(max(mean * (1 - mean), 0.0) / size + square / (4 * size * size))
    # At 0 and 1 the two halves cancel exactly on paper, but only nearly in floats.
    return (0.0 if mean <= 0.0 else max(0.0, centre - half)), (1.0 if mean >= 1.0 else min(1.0, centre + half))


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"a confidence of {confidence} makes no interval: give one inside (0, 1), for example 0.95")


def _check_some(passes: int, n: int, confidence: float) -> None:
    _check_confidence(confidence)
    check_counts(n, passes)
    if n == 0:
        raise ValueError("no attempts say nothing about a pass rate: give at least one attempt")
