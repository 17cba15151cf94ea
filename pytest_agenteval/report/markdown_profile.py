"""The reliability profile of a cell in Markdown: a table, and what is lacking below it."""

from __future__ import annotations

from pytest_agenteval.estimate.profile import Profile
from pytest_agenteval.report.markdown_text import prose
from pytest_agenteval.report.profile import HEADS, PUBLISHED, dimensions

__all__ = ["profile_table"]


def profile_table(profile: Profile, *, published: bool) -> tuple[list[str], list[str], list[str]]:
    """The head of the table, its rows, and the remarks, each a line."""
    heads = ["dimension", "figure", *HEADS[1:], *([PUBLISHED] * published)]
    rows, remarks = [], []
    for dimension in dimensions(profile):
        for row in dimension.rows:
            *words, theirs = row.words
            rows.append(_row([dimension.name, *words, *([theirs] * published)]))
        for remark in (*dimension.remarks, *(dimension.published if published else ())):
            remarks.append(f"- {dimension.name}: {prose(remark)}")
    return [_row(heads), _row(["---", "---", *["---:"] * (len(heads) - 2)])], rows, remarks


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(map(prose, cells))} |"
