"""A panel of the reliability profile: a row per figure, with its intervals as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agenteval.record import figures
from pytest_agenteval.report.html.plots import ACCENT, BAND, INK, MUTED, PALE, WIDE_BAND, svg
from pytest_agenteval.report.profile import HEADS, Dimension, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["profile_plot"]

_ROW = 40
"""Points."""


def profile_plot(dimension: Dimension, name: str) -> str | None:
    """The figures of one dimension on one scale; None if it has none.

    Args:
        dimension: what to draw.
        name: of the drawing, unique in the page.
    """
    rows = dimension.rows
    if not rows:
        return None
    signed = any((row.signed and (row.figure.value or 0.0) < 0) or _lowest(row) < 0 for row in rows)

    def draw(axes: Axes) -> dict[str, str]:
        titles = {}
        for place, row in enumerate(rows):
            found, y = row.figure, -float(place)
            axes.plot([-1.0 if signed else 0.0, 1.0], [y, y], color=PALE, linewidth=0.8, zorder=0)
            for interval, colour, width in ((found.tasks_like_these, WIDE_BAND, 11), (found.this_suite, BAND, 6)):
                if interval is not None:
                    ends = [interval.low, interval.high]
                    axes.plot(ends, [y, y], color=colour, linewidth=width, solid_capstyle="butt", zorder=1)
            gid = f"row{place}"
            titles[gid] = _told(row)
            axes.plot([found.value or 0.0], [y], "o", color=ACCENT, markersize=6, zorder=3, gid=gid)
            axes.text(-1.0 if signed else 0.0, y + 0.3, row.name, fontsize=11, color=INK, ha="left", va="bottom")
            axes.text(1.0, y + 0.3, figures.rate(found.value), fontsize=11, color=INK, ha="right", va="bottom")
        if signed:
            axes.axvline(0.0, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
        axes.set_ylim(0.35 - len(rows), 0.85)
        axes.set_xlim(-1.04 if signed else -0.02, 1.04 if signed else 1.02)
        axes.set_xticks([-1, -0.5, 0, 0.5, 1] if signed else [0, 0.25, 0.5, 0.75, 1])
        axes.set_yticks([])
        return titles

    label = f"{dimension.name}: " + "; ".join(_told(row) for row in rows)
    return svg(draw, f"profile-{name}", label, (340, 34 + _ROW * len(rows)))


def _lowest(row: Row) -> float:
    found = row.figure
    return min((each.low for each in (found.this_suite, found.tasks_like_these) if each is not None), default=0.0)


def _told(row: Row) -> str:
    name, value, *spans, _, _ = row.words
    parts = [f"{question} {span}" for question, span in zip(HEADS[2:4], spans, strict=True) if span]
    return "; ".join([f"{name} {value}", *parts])
