"""Finds gates that no outcome could pass, before money is spent. On the grid nearly all can be passed."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

from pytest_agenteval.estimate.stats.distributions import normal_quantile
from pytest_agenteval.estimate.stats.intervals import attempts_to_show, rate_shown_by_all_passing
from pytest_agenteval.judge.pass_rates import Shown, show_pass_at_1, show_pass_hat_k
from pytest_agenteval.judge.profile import show_consistency
from pytest_agenteval.judge.thresholds import MIN_CONSISTENCY, MIN_PASS_AT_1, MIN_PASS_K, MIN_PASS_RATE, GateSettings
from pytest_agenteval.record.figures import plural, written

__all__ = ["why_never"]


def why_never(tasks: Sequence[tuple[str, float | None]], k: int, gates: GateSettings) -> str | None:
    """Why this many tasks and attempts could never pass one of the gates, in a sentence; None if all can be passed.

    Args:
        tasks: the tasks of one cell, with the pass rate that each asks for, None if it asks for none.
        k: attempts at each task.
        gates: the thresholds.
    """
    if tasks and k < 2 and gates.min_consistency is not None:
        return f"{MIN_CONSISTENCY} compares attempts at the same task with each other: it needs --k=2 or more"
    if gates.confidence is None or not tasks:
        return None
    every = [(k, k)] * len(tasks)
    reasons = [
        _suite(MIN_PASS_K, f"pass^{k}", gates.min_pass_k, show_pass_hat_k(every, k, gates.confidence), every, None),
        _suite(
            MIN_PASS_AT_1,
            "pass@1",
            gates.min_pass_at_1,
            show_pass_at_1(every, gates.confidence),
            every,
            _k_for_pass_at_1(gates.min_pass_at_1, len(tasks), gates.confidence),
        ),
        _suite(
            MIN_CONSISTENCY,
            "consistency",
            gates.min_consistency,
            show_consistency(every, gates.confidence),
            every,
            None,
        ),
        *(_task(task, own, k, gates) for task, own in tasks),
    ]
    return next((reason for reason in reasons if reason is not None), None)


def _task(task: str, own: float | None, k: int, gates: GateSettings) -> str | None:
    asked = gates.asked_of_task(own)
    assert gates.confidence is not None
    if asked is None or asked == 0 or rate_shown_by_all_passing(k, gates.confidence) >= asked:
        return None
    what = f"{MIN_PASS_RATE} {written(asked)} of {task}" + (" (the default)" if own is None else "")
    if asked == 1:
        way_out = f"give the tasks a {MIN_PASS_RATE} below 1, or a gate such as {MIN_PASS_K}"
        return f"{what} could never pass: no number of attempts shows p >= 1; {way_out}"
    shown = rate_shown_by_all_passing(k, gates.confidence)
    needed = attempts_to_show(asked, gates.confidence)
    return f"{what} could never pass: {k} of {k} shows only p >= {_below(shown, asked)}; this gate needs k >= {needed}"


def _suite(
    name: str, word: str, asked: float | None, shown: Shown | None, every: Sequence[tuple[int, int]], needed: int | None
) -> str | None:
    if asked is None or shown is None or shown.low >= asked:
        return None
    attempts = sum(n for n, _ in every)
    all_pass = f"{attempts} of {attempts} shows only {word} >= {_below(shown.low, asked)}"
    if asked == 1:
        way_out = "no number of attempts shows 1: ask for less"
    elif needed is not None:
        way_out = f"this gate needs k >= {needed}"
    else:
        way_out = f"with {plural(len(every), 'task')} this gate asks for too much: ask for less, or add tasks"
    return f"{name}={written(asked)} could never pass: {all_pass}; {way_out}"


def _k_for_pass_at_1(asked: float | None, tasks: int, confidence: float) -> int | None:
    """The smallest k at which all attempts passing is enough, by Wilson: N / (N + z^2) >= asked."""
    if asked is None or not 0 < asked < 1:
        return None
    least = asked * normal_quantile(confidence) ** 2 / (1 - asked) / tasks
    return max(1, ceil(least)) if least < inf else None


def _below(shown: float, asked: float) -> str:
    """With enough digits, at least two, to show that it is less than the threshold."""
    for digits in range(2, 12):
        text = f"{shown:.{digits}f}"
        if float(text) < asked:
            return text
    return repr(shown)
