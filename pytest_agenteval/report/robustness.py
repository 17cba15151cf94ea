"""What perturbations did to a cell's pass rates: a table for the terminal, and the same in sentences."""

from __future__ import annotations

from math import isinf

from pytest_agenteval.estimate.robustness import Robustness
from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.estimate.stats.intervals import Interval
from pytest_agenteval.record import figures

__all__ = ["robustness_rows", "robustness_sentences", "robustness_table"]

HEAD = ("robustness", "tasks", "base", "under", "lost", "R", "this suite", "tasks like these", "met it", "worse?")
_ALPHA = 0.05
_NAMED = 3


def robustness_rows(cell: CellSummary) -> list[tuple[str, ...]]:
    """A row for each perturbation, under :data:`HEAD`."""
    return [_row(each) for each in cell.robustness]


def robustness_table(cell: CellSummary) -> list[str]:
    """The rows as aligned lines, each followed by what more there is to say; empty without a perturbation."""
    if not cell.robustness:
        return []
    rows = [HEAD, *robustness_rows(cell)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, *(f"{each.group}: {text}" for each in cell.robustness for text in _details(each))]


def robustness_sentences(cell: CellSummary) -> list[str]:
    """A sentence for each perturbation, where there is no room for a table."""
    sentences = []
    for each in cell.robustness:
        row = dict(zip(HEAD, _row(each), strict=True))
        sentences.append(
            f"under {each.group}: R {row['R']} (this suite {row['this suite']}; tasks like these "
            f"{row['tasks like these']}), pass rate {row['base']} to {row['under']} over "
            f"{figures.plural(len(each.pairs), 'task')}, {row['met it']} attempts met it, worse: {row['worse?']}"
        )
        sentences += [f"{each.group}: {text}" for text in _details(each)]
    return sentences


def _row(found: Robustness) -> tuple[str, ...]:
    return (
        found.group,
        str(len(found.pairs)),
        figures.rate(found.base),
        figures.rate(found.under),
        "-" if found.lost is None else f"{found.lost:.3f}",
        "-" if found.ratio is None else f"{found.ratio:.2f}",
        _span(found.this_suite),
        _span(found.tasks_like_these),
        f"{found.met}/{found.attempts}",
        _worse(found.p_worse),
    )


def _details(found: Robustness) -> list[str]:
    told = []
    if found.faults:
        delivered = sum(each.delivered for each in found.faults)
        absorbed = sum(each.absorbed for each in found.faults)
        kinds: dict[str, int] = {}
        for each in found.faults:
            kinds[each.kind] = kinds.get(each.kind, 0) + each.delivered + each.absorbed
        named = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda one: (-one[1], one[0])))
        told.append(f"{figures.plural(delivered + absorbed, 'fault')} ({named}), {delivered} delivered")
    if found.attempts and not found.met:
        told.append("no attempt met it: R says nothing")
    extra = []
    if found.extra_turns is not None:
        extra.append(f"{found.extra_turns:+.1f} turns")
    if found.extra_cost:
        sign = "+" if found.extra_cost > 0 else "-"
        extra.append(f"{sign}{figures.dollars(abs(found.extra_cost))}")
    if extra:
        told.append(f"{', '.join(extra)} an attempt")
    if found.worst is not None:
        told.append(f"the worst variant is {found.worst[0]}, {figures.rate(found.worst[1])}")
    if found.not_paired:
        more = len(found.not_paired) - _NAMED
        names = ", ".join(found.not_paired[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        told.append(f"not compared, for no attempt of the base or of the variant counts: {names}")
    return ["; ".join(told)] if told else []


def _worse(p: float | None) -> str:
    return "-" if p is None else f"{'yes' if p <= _ALPHA else 'no'} (p = {p:.2g})"


def _span(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{interval.low:.2f} to {'unbounded' if isinf(interval.high) else f'{interval.high:.2f}'}"
