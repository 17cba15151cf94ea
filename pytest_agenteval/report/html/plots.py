"""The figures: pass^j with its intervals for a cell, and what cells cost compared with how reliable they are."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from pytest_agenteval.record import figures
from pytest_agenteval.report.html.cells import CellView, CurvePoint, Front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ACCENT", "BAND", "INK", "MUTED", "PALE", "WIDE_BAND", "cost_plot", "curve_plot", "svg"]

INK, MUTED, PALE, ACCENT, BAND, WIDE_BAND = (f"#00000{i}" for i in range(1, 7))
"""Colours to draw with: each stands for a colour of the page, which knows light and dark."""

_NAMES = {INK: "ink", MUTED: "muted", PALE: "line", ACCENT: "accent", BAND: "band", WIDE_BAND: "wide-band"}
_KEPT = {
    "clip-path", "fill", "fill-opacity", "font-size", "font-weight", "opacity", "stroke", "stroke-dasharray",
    "stroke-linecap", "stroke-linejoin", "stroke-opacity", "stroke-width", "text-anchor",
}  # fmt: skip
_REFERENCE = re.compile(r"(url\(#|^#)")

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pytest-agenteval",
    "font.size": 11.0,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": PALE,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.parse_math": False,
}
_ALL_TICKS = 10


def curve_plot(cell: CellView, others: Sequence[CellView]) -> str | None:
    """pass^1 to pass^k of a cell as a line in its intervals, with the other cells pale behind it; None without a value.

    If early stopping thinned the grid there is no line, only pass@1 and the certain bounds of pass^k.
    """
    points = [point for point in cell.curve if point.value is not None]
    if not points and cell.certain is None:
        return None

    def draw(axes: Axes) -> dict[str, str]:
        for other in others:
            line = [(point.j, point.value) for point in other.curve if point.value is not None]
            axes.plot([j for j, _ in line], [value for _, value in line], color=PALE, linewidth=1.2, zorder=1)
        for width, colour, pick in ((11, WIDE_BAND, "tasks_like_these"), (6, BAND, "this_suite")):
            bounds = [(point.j, *pair) for point in points if (pair := getattr(point, pick)) is not None]
            _band(axes, bounds, colour, width)
        if cell.certain is not None:
            low, high = cell.certain
            axes.plot([cell.k, cell.k], [low, high], color=MUTED, linewidth=6, solid_capstyle="butt", gid="certain")
        titles = {"certain": f"pass^{cell.k} is certain to lie here"}
        axes.plot([p.j for p in points], [p.value or 0.0 for p in points], color=ACCENT, linewidth=1.8, zorder=3)
        for point in points:
            gid = f"point{point.j}"
            titles[gid] = point.told
            axes.plot([point.j], [point.value or 0.0], "o", color=ACCENT, markersize=4.5, zorder=4, gid=gid)
        for point, side in ((points[0], "left"), (points[-1], "right")) if points else ():
            if side == "left" or len(points) > 1:
                _label(axes, point, side)
        axes.set_xlim(1 - 0.05 * cell.k, cell.k * 1.04 + 0.02)
        axes.set_xticks(_ticks(cell.k))
        axes.set_ylim(-0.02, 1.05)
        _rates(axes, "pass^j")
        axes.set_xlabel("j attempts, all of which pass", fontsize=10)
        return titles

    label = f"{cell.name}: " + ", ".join(f"pass^{p.j} {figures.rate(p.value)}" for p in points)
    return svg(draw, f"curve-{cell.letter}", label, (340, 215))


def cost_plot(cells: Sequence[CellView], front: Front) -> str | None:
    """Cost per attempt against pass^k, a point per cell; None with fewer than two points or without different costs.

    Args:
        cells: those with unknown cost or pass^k are left out.
        front: the cells whose points are filled.
    """
    ks = {cell.k for cell in cells}
    hat_k = f"pass^{ks.pop()}" if len(ks) == 1 else "pass^k"
    known = [(c.per_attempt, c.pass_hat_k, c) for c in cells if c.per_attempt is not None and c.pass_hat_k is not None]
    costs = [cost for cost, _, _ in known]
    if len(set(costs)) < 2:
        return None

    def draw(axes: Axes) -> dict[str, str]:
        log = min(costs) > 0 and max(costs) / min(costs) >= 5
        axes.set_xscale("log" if log else "linear")
        stairs = sorted((cost, rate) for cost, rate, cell in known if cell.letter in front.letters)
        if front.line and stairs:
            edge = max(costs) * (1.6 if log else 1.12)
            axes.step(
                [*(x for x, _ in stairs), edge], [*(y for _, y in stairs), stairs[-1][1]],
                where="post", color=ACCENT, linewidth=1.2, zorder=2,
            )  # fmt: skip
        titles = {}
        for cost, rate, cell in known:
            gid = f"cell{cell.letter}"
            titles[gid] = f"{cell.name}: {hat_k} {figures.rate(rate)}, {figures.dollars(cost)} an attempt"
            if (bounds := cell.curve[-1].this_suite) is not None:
                axes.plot([cost, cost], bounds, color=WIDE_BAND, linewidth=6, solid_capstyle="butt", zorder=1)
            hollow: dict[str, Any] = {} if cell.letter in front.letters else {"markerfacecolor": "none"}
            axes.plot([cost], [rate], "o", color=ACCENT, markersize=7, zorder=3, gid=gid, **hollow)
            axes.annotate(
                cell.letter, (cost, rate), xytext=(7, 5), textcoords="offset points", fontsize=11, fontweight="bold",
                color=INK, zorder=4,
            )  # fmt: skip
        low, high = min(costs), max(costs)
        margin = (low / 1.6, high * 1.6) if log else (max(-0.02 * high, low - 0.15 * (high - low)), high * 1.12)
        axes.set_xlim(*margin)
        ticks = _dollar_ticks(low, high) if log else [0.0, high / 2, high]
        axes.set_xticks(ticks, [f"${tick:.3g}" for tick in ticks])
        axes.tick_params(axis="x", which="minor", length=0, labelbottom=False)
        axes.set_ylim(-0.02, 1.05)
        _rates(axes, hat_k)
        axes.set_xlabel("cost per attempt (log scale)" if log else "cost per attempt", fontsize=10)
        return titles

    label = f"cost per attempt against {hat_k}: " + "; ".join(
        f"{cell.name} {figures.dollars(cost)}, {figures.rate(rate)}" for cost, rate, cell in known
    )
    return svg(draw, "cost", label, (380, 262))


def svg(draw: Callable[[Axes], dict[str, str]], name: str, label: str, size: tuple[int, int]) -> str:
    """A drawing as an element of the page.

    Args:
        draw: draws it, and returns by the gid of a drawn element the text shown when the pointer is on it.
        name: the prefix of every identifier; unique in the page.
        label: what it shows, for readers who cannot see it.
        size: width and height in points.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pytest's -W error is meant for the user's code
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_SETTINGS}):
            figure = Figure(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
            FigureCanvasSVG(figure)
            titles = draw(figure.add_subplot())
            file = io.StringIO()
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _fit_for_page(file.getvalue(), name, label, titles)


def _band(axes: Axes, bounds: Sequence[tuple[int, float, float]], colour: str, width: int) -> None:
    js, low, high = ([each[i] for each in bounds] for i in range(3))
    if len(js) > 1:
        axes.fill_between(js, low, high, color=colour, linewidth=0, zorder=1.5)
    elif js:
        axes.plot([js[0], js[0]], [low[0], high[0]], color=colour, linewidth=width, solid_capstyle="butt", zorder=1.5)


def _label(axes: Axes, point: CurvePoint, side: str) -> None:
    value = point.value or 0.0
    below = value > 0.9
    axes.annotate(
        figures.rate(value), (point.j, value), xytext=(2 if side == "left" else -2, -7 if below else 7),
        textcoords="offset points", ha=side, va="top" if below else "bottom", fontsize=12, color=INK, zorder=5,
    )  # fmt: skip


def _rates(axes: Axes, name: str) -> None:
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.tick_params(length=3, labelsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(name, loc="left", fontsize=10, color=MUTED)


def _ticks(k: int) -> list[int]:
    return list(range(1, k + 1)) if k <= _ALL_TICKS else sorted({2**i for i in range(k.bit_length())} | {k})


def _dollar_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten, thinned to at most five."""
    ticks = [m * 10.0**e for e in range(-9, 7) for m in (1, 2, 5) if low / 1.3 <= m * 10.0**e <= high * 1.3]
    return ticks[:: max(1, -(-len(ticks) // 5))] or [low, high]


def _fit_for_page(drawn: str, name: str, label: str, titles: Mapping[str, str]) -> str:
    """The drawing as an element that a page with a policy against inline styles can contain.

    Args:
        drawn: the output of matplotlib.
        name: the prefix of every identifier; unique in the page.
        label: what the figure shows, for readers who cannot see it.
        titles: by the gid of a drawn element, the text shown when the pointer is on it.
    """
    root = ElementTree.fromstring(drawn)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style") or _invisible(child):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        gid = element.get("id", "")
        _rewrite(element, name)
        if gid in titles:
            title = ElementTree.Element("title")
            title.text = titles[gid]
            element.insert(0, title)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _rewrite(element: ElementTree.Element, name: str) -> None:
    attributes = {_local(key): " ".join(value.split()) for key, value in element.attrib.items()}
    for declaration in attributes.pop("style", "").split(";"):
        key, colon, value = declaration.partition(":")
        if colon and key.strip() in _KEPT:
            attributes[key.strip()] = value.strip()
    for key, value in attributes.items():
        if value in _NAMES:
            attributes[key] = f"var(--{_NAMES[value]})"
        elif key == "id":
            attributes[key] = f"{name}-{value}"
        elif key == "href" or value.startswith("url(#"):
            attributes[key] = _REFERENCE.sub(rf"\g<1>{name}-", value)
    element.attrib.clear()
    element.attrib.update(attributes)


def _invisible(element: ElementTree.Element) -> bool:
    return element.get("style") == "fill: none" and _local(element.tag) == "path"


def _local(name: str) -> str:
    return name.rpartition("}")[2]
