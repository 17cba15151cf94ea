"""The reliability profile in words: the rows and remarks that the terminal, Markdown and HTML share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.profile import Figure, Profile, side_by_side
from pytest_agenteval.estimate.profile.consistency import Consistency
from pytest_agenteval.estimate.profile.predictability import Predictability
from pytest_agenteval.estimate.profile.safety import Safety
from pytest_agenteval.estimate.stats.intervals import TASKS_LIKE_THESE, THIS_SUITE, Interval
from pytest_agenteval.record import figures
from pytest_agenteval.report.line import TITLE, Line, plain
from pytest_agenteval.report.text_table import columns, shorten_middle, wrap

__all__ = ["HEADS", "PUBLISHED", "Dimension", "Row", "dimensions", "profile_lines", "side_by_side_lines"]

HEADS = ("", "value", THIS_SUITE, TASKS_LIKE_THESE, "tasks")
"""Over the columns of a row."""
PUBLISHED = "published"
_RULES_NAMED = 5
_BESIDE_CELLS, _NARROWEST = 38, 10
"""Columns of the terminal for names and counts of a table of cells, and for a cell at least."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    name: str
    figure: Figure
    signed: bool = False
    """Whether it may lie below 0."""

    @property
    def words(self) -> tuple[str, ...]:
        """Its cells under :data:`HEADS`, and the published form."""
        found = self.figure
        spans = [_span(each) for each in (found.this_suite, found.tasks_like_these)]
        return (self.name, figures.rate(found.value), *spans, str(found.tasks), figures.rate(found.published))


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of the four dimensions."""

    name: str
    rows: tuple[Row, ...]
    """Those that could be computed."""
    remarks: tuple[str, ...]
    """What is lacking, and what else there is to know."""
    published: tuple[str, ...] = ()
    """What is shown only with the published forms."""


def dimensions(profile: Profile) -> tuple[Dimension, ...]:
    """The four dimensions of a cell, in the order of the paper."""
    return (
        _consistency(profile.consistency),
        _predictability(profile.predictability),
        Dimension("robustness", (), ("not measured: --agent-perturb",)),  # the one place for its figures
        _safety(profile.safety),
    )


def profile_lines(profile: Profile, k: int, width: int, *, published: bool) -> list[Line]:
    """The profile of a cell for the terminal."""
    title = f"Reliability profile ({figures.plural(profile.tasks, 'task')}, k = {k})"
    found = dimensions(profile)
    shown = [[*HEADS, *([PUBLISHED] * published)]]
    for dimension in found:
        for row in dimension.rows:
            *words, theirs = row.words
            words[0] = f"    {words[0]}"
            shown.append([*words, *([theirs] * published)])
    head, *rest = columns(shown)
    narrow = any(len(line) > width for line in (head, *rest))
    table = iter(rest)
    lines = [Line(title, TITLE), *([] if narrow or not rest else [Line(head)])]
    for dimension in found:
        lines.append(Line(f"  {dimension.name}"))
        for row in dimension.rows:
            text = next(table)
            lines += plain(wrap(_sentence(row, published), width, "    ", "      ") if narrow else [text])
        for remark in (*dimension.remarks, *(dimension.published if published else ())):
            lines += plain(wrap(remark, width, "    ", "      "))
    return lines


def side_by_side_lines(profiles: Mapping[str, Profile], width: int) -> list[Line]:
    """The profiles of several cells or runs, by their name, over the tasks that they have in common.

    Nothing if they have no figure in common.
    """
    found = side_by_side(list(profiles.values()))
    if not found:
        return []
    names, room = list(profiles), width - _BESIDE_CELLS
    at_once = max(1, room // _NARROWEST)
    lines = [Line("Reliability side by side, over common tasks", TITLE)]
    for first in range(0, len(names), at_once):
        some = slice(first, first + at_once)
        heads = [shorten_middle(name, room // len(names[some]) - 2) for name in names[some]]
        rows = [[row.name, *map(figures.rate, row.values[some]), str(row.tasks)] for row in found]
        lines += plain(columns([["", *heads, "common tasks"], *rows]))
    return lines


def _sentence(row: Row, published: bool) -> str:
    name, value, suite, others, _, theirs = row.words
    parts = [f"{question} {span}" for question, span in ((THIS_SUITE, suite), (TASKS_LIKE_THESE, others)) if span]
    parts += [figures.plural(row.figure.tasks, "task")]
    parts += [f"{PUBLISHED} {theirs}"] * (published and row.figure.published is not None)
    return f"{name} {value} ({'; '.join(parts)})"


def _dimension(name: str, rows: Sequence[Row], remarks: Iterable[str] = (), published: Iterable[str] = ()) -> Dimension:
    """Those figures that are there, and by reason those that are not."""
    lacking: dict[str, list[str]] = {}
    for row in rows:
        for why in row.figure.lacks:
            lacking.setdefault(why, []).append(row.name)
    if not any(row.figure.value is not None for row in rows) and len(lacking) == 1:
        return Dimension(name, (), (f"not measured: {next(iter(lacking))}",))
    whose = {why: "" if len(names) == len(rows) else f"{', '.join(names)}: " for why, names in lacking.items()}
    there = tuple(row for row in rows if row.figure.value is not None)
    return Dimension(name, there, (*(f"{who}{why}" for why, who in whose.items()), *remarks), tuple(published))


def _consistency(found: Consistency) -> Dimension:
    rows = [
        Row("outcome", found.outcome, signed=True),
        Row("actions", found.actions),
        Row("order", found.order),
        Row("resources", found.resources),
    ]
    remarks = []
    if found.sequences is not None:
        ways = f"{found.sequences:.1f} distinct sequences of tool calls a task"
        if found.parting:
            step, tasks = max(found.parting.items(), key=lambda item: (item[1], -item[0]))
            parted = figures.plural(sum(found.parting.values()), "task")
            ways += f"; attempts part most often at step {step} ({tasks} of {parted} where they part)"
        remarks.append(ways)
    if found.identical:
        remarks.append(f"identical attempts at {figures.plural(found.identical, 'task')}: k is effectively 1 there")
    known = [(name, each.value) for name, each in found.by_resource.items() if each.value is not None]
    if known:
        remarks.append("resources: " + ", ".join(f"{name} {figures.rate(value)}" for name, value in known))
    return _dimension("consistency", rows, remarks, [f"R_Con of the paper {figures.rate(found.published)}"])


def _predictability(found: Predictability) -> Dimension:
    rows = [
        Row("over-confident by", found.overconfidence, signed=True),
        Row("calibration error²", found.calibration, signed=True),
        Row("knows hard tasks", found.knows_tasks),
        Row("knows own failures", found.knows_attempts),
        Row("Brier", found.brier),
    ]
    remarks = [] if found.skill is None else [f"Brier skill against the suite's own pass rate {found.skill:.3f}"]
    published = [f"R_Pred of the paper {figures.rate(found.brier.value)}"]
    if found.calibration.published is not None:
        reads = figures.rate(found.calibrated_reads)
        published.append(f"1 - ECE {figures.rate(found.calibration.published)}: a calibrated agent would read {reads}")
    else:
        published.append("1 - ECE is shown from 200 attempts: with fewer it mostly shows how few they are")
    return _dimension("predictability", rows, remarks, published)


def _safety(found: Safety) -> Dimension:
    rows = [Row("no violation in", found.compliance), Row("harmless if broken", found.harm)]
    remarks = []
    if found.bounds is not None:
        low, high = map(figures.rate, found.bounds)
        remarks.append(f"no violation in {low} to {high}, whatever the rules that could not be judged would have said")
    if found.worst:
        named = [f"{rule} ({severity}, {figures.plural(n, 'attempt')})" for severity, rule, n in found.worst]
        more = f" and {len(named) - _RULES_NAMED} more" if len(named) > _RULES_NAMED else ""
        remarks.append(f"worst: {', '.join(named[:_RULES_NAMED])}{more}")
    published = [
        f"R_Saf of the paper {figures.rate(found.risk_free)}: it stands apart from the others",
        "overall R of the paper: not without robustness",
    ]
    return _dimension("safety", rows, remarks, published)


def _span(interval: Interval | None) -> str:
    return "" if interval is None else f"{figures.rate(interval.low)} to {figures.rate(interval.high)}"
