"""How numbers are written, the same in reasons and reports. An unknown number is written as a word, never as 0."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_agenteval.record.cost import Cost

__all__ = [
    "cost",
    "cost_doubts",
    "dollars",
    "dollars_beside",
    "exits",
    "joined",
    "number_ranges",
    "percent",
    "plural",
    "rate",
    "rate_beside",
    "written",
]


def rate(value: float | None) -> str:
    """A rate with three digits, `-` for None."""
    return "-" if value is None else f"{value:.3f}"


def rate_beside(value: float, threshold: float) -> str:
    """A rate with enough digits, at least three, to show on which side of a threshold it lies."""
    return _beside(value, threshold, f"{value:.3f}")


def percent(value: float | None) -> str:
    """A rate in per cent with one digit after the point, `-` for None."""
    return "-" if value is None else f"{100 * value:.1f}%"


def written(number: float) -> str:
    """A number as a user would type it: 0.5, 5, 0.0001."""
    return f"{number:.12f}".rstrip("0").rstrip(".") if number >= 1e-12 else f"{number:g}"


def dollars(amount: float) -> str:
    """An amount of US dollars with three significant digits: $0.0123, $1.24, $320."""
    if amount == 0:
        return "$0"
    size = abs(amount)
    if size >= 99.995:
        return f"${amount:,.0f}"
    if size >= 0.9995:
        return f"${amount:.2f}"
    for digits in range(3, 9):
        if size >= 0.9995 * 10.0 ** (2 - digits):
            return f"${amount:.{digits}f}"
    return f"${amount:.1e}"


def dollars_beside(amount: float, threshold: float) -> str:
    """An amount with enough digits to show on which side of a threshold it lies."""
    return "$" + _beside(amount, threshold, dollars(amount).removeprefix("$"))


def cost(amount: Cost | None) -> str:
    """A cost: `unpriced` if a call has no known price, `unknown` if only token counts are missing from the answers.

    Starts with `≥` if a lost call may have been billed; `-` for None.
    """
    if amount is None:
        return "-"
    if amount.total is None:
        return "unknown" if amount.unpriced_calls == amount.uncounted_calls else "unpriced"
    return dollars(amount.total) if amount.exact else f"≥ {dollars(amount.total)}"


def cost_doubts(amount: Cost) -> list[str]:
    """What is not known about a cost, one phrase each."""
    doubts = []
    if unpriced := amount.unpriced_calls - amount.uncounted_calls:
        doubts.append(f"{plural(unpriced, 'call')} without a price")
    if amount.uncounted_calls:
        doubts.append(f"{plural(amount.uncounted_calls, 'call')} answered without saying how many tokens they took")
    if amount.unpriced_calls and amount.priced:
        doubts.append(f"at least {dollars(amount.priced)}")
    if amount.unpriced_calls and amount.at_most is not None:
        doubts.append(f"at most {dollars(amount.at_most)}")
    if amount.lost_calls:
        doubts.append(f"{plural(amount.lost_calls, 'call')} without an answer, perhaps billed")
    return doubts


def plural(count: int, noun: str) -> str:
    """`1 attempt`, `2 attempts`, `1 try`, `2 tries`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("ry") else f"{count} {noun}s"


def exits(nonzero: int, unknown: int) -> str:
    """How many commands ended with a non-zero status: `2`, `2, unknown for 5 calls`; never 0 if some are unknown."""
    if not unknown:
        return str(nonzero)
    return f"{f'{nonzero}, ' if nonzero else ''}unknown for {plural(unknown, 'call')}"


def joined(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def number_ranges(numbers: Iterable[int]) -> str:
    """Numbers with ranges where they are consecutive: `2, 5-7`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _beside(value: float, threshold: float, text: str) -> str:
    for digits in range(3, 13):
        shown = float(text.replace(",", ""))
        if (shown > threshold) == (value > threshold) and (shown < threshold) == (value < threshold):
            return text
        text = f"{value:.{digits}f}"
    return repr(value)
