"""The lines on how often a cell's tasks pass: estimates, their intervals, and what early stopping left open."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.intervals import Interval
from pytest_agenteval.record import figures

__all__ = ["curve", "interval_lines", "pass_parts", "savings"]

_WHOLE_CURVE = 16
"""Up to this k every pass^j is shown; above it only those for powers of two and k."""
_WORTH_TELLING = 0.05  # seconds; anything shorter is shown as 0.0


def pass_parts(cell: CellSummary) -> list[str]:
    """pass@1 beside pass^k and their gap. If a rate was not measured, the line says so and why."""
    word = f"pass^{cell.k}"
    if cell.attempts == 0:
        return ["pass@1 not measured (no attempt counts)", f"{word} not measured (n < k)"]
    if cell.decided:
        return [_first_attempts(cell), f"{word} {_guaranteed(cell)}"]
    at_1 = f"pass@1 {figures.rate(cell.pass_at_1.value)}"
    if cell.pass_hat_k.value is None:
        return [at_1, f"{word} not measured (n < k){_bounds(cell)}"]
    gap = f"gap {figures.rate(cell.gap)}"
    if cell.pass_hat_k.tasks_used != cell.pass_at_1.tasks_used:
        gap += f" (over the {figures.plural(cell.pass_hat_k.tasks_used, 'task')} with n >= {cell.k})"
    return [at_1, f"{word} {figures.rate(cell.pass_hat_k.value)}", gap]


def interval_lines(cell: CellSummary) -> list[str]:
    """A line for each question that an interval answers."""
    rates: dict[str, list[str]] = {}
    estimates = cell.estimates
    for word, intervals in (
        ("pass@1", estimates.pass_at_1_intervals),
        (f"pass^{cell.k}", estimates.pass_hat_k_intervals if cell.k > 1 else ()),
    ):
        for interval in intervals:
            rates.setdefault(_question(interval), []).append(f"{word} {_span(interval)}")
    return [f"{question}: {', '.join(parts)}" for question, parts in rates.items()]


def curve(cell: CellSummary) -> str:
    """pass^1 to pass^k in one line."""
    if cell.k <= _WHOLE_CURVE:
        return f"pass^1 to pass^{cell.k}: " + " ".join(figures.rate(point.value) for point in cell.curve)
    shown = sorted({2**i for i in range(cell.k.bit_length())} | {cell.k})
    return "pass^j: " + ", ".join(f"j={j} {figures.rate(cell.curve[j - 1].value)}" for j in shown)


def savings(cell: CellSummary) -> Iterable[str]:
    """What early stopping saved: attempts and, if known, roughly how many dollars and how much time of attempts."""
    if cell.decided:
        wanted = sum(task.k for task in cell.tasks if not task.skipped)
        text = f"early stop: {cell.decided} of {figures.plural(wanted, 'attempt')} decided, so not run"
        saved = [figures.dollars(cell.saved_cost)] if cell.saved_cost else []
        if cell.saved_seconds is not None and cell.saved_seconds >= _WORTH_TELLING:
            saved.append(f"{_duration(cell.saved_seconds)} of attempts")
        if saved:
            text += f"; that saved about {figures.joined(saved)}, at the mean of those that ran"
        yield text


def _first_attempts(cell: CellSummary) -> str:
    if cell.estimates.first_attempts is None:
        return "pass@1 not measured (early stop)"
    first = figures.plural(cell.estimates.first_attempts, "first attempt")
    return f"pass@1 {figures.rate(cell.pass_at_1.value)} (from {first})"


def _guaranteed(cell: CellSummary) -> str:
    cases = cell.pass_hat_k_range
    if cases.worst == cases.best:
        return f"{figures.rate(cases.worst)} (guaranteed)"
    return f"{figures.rate(cases.worst)} to {figures.rate(cases.best)} (guaranteed bounds)"


def _duration(seconds: float) -> str:
    """With two significant digits: `0.4 s`, `45 s`, `3.2 min`, `24 min`, `6.5 h`."""
    unit, size = ("s", 1) if seconds < 99.5 else ("min", 60) if seconds < 99.5 * 60 else ("h", 3600)
    amount = seconds / size
    return f"{amount:.{1 if amount < 9.95 else 0}f} {unit}"


def _bounds(cell: CellSummary) -> str:
    bounds = cell.estimates.pass_hat_k_bounds
    if bounds is None:
        return ""
    return f", estimated from pass^{bounds.attempts}: {figures.rate(bounds.low)} to {figures.rate(bounds.high)}"


def _question(interval: Interval) -> str:
    return f"{interval.question} ({100 * interval.confidence:g}%)"


def _span(interval: Interval) -> str:
    return f"{figures.rate(interval.low)} to {figures.rate(interval.high)}"
