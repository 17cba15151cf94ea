"""The plan of a run, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.options.values import EarlyStop
from pytest_agenteval.plan.duration import Duration
from pytest_agenteval.plan.expect import POWER, CostPlan, Detection, EarlyStopPlan, PerturbPlan
from pytest_agenteval.record import figures
from pytest_agenteval.record.records import Cell, total_of
from pytest_agenteval.report.line import TITLE, Line, plain
from pytest_agenteval.report.text_table import wrap

__all__ = ["CellPlan", "plan_lines"]

_INDENT = "  "
_HANGING = "    "
_OFTEN = 0.8
"""The plan advises against a gate that lets an unchanged agent pass less often than this."""


@dataclass(frozen=True, slots=True)
class CellPlan:
    """Everything planned for one cell."""

    cell: Cell
    costs: CostPlan
    early: EarlyStopPlan | None
    """None if no gate allows early stopping."""
    early_asked: str | None
    """The kind of early stopping that the user requested."""
    detections: Sequence[Detection]
    never: str | None
    """Why a gate could never pass, in a sentence."""
    asks: bool = False
    """Whether agents are asked how sure they are."""
    perturbed: Sequence[PerturbPlan] = ()


def plan_lines(
    cells: Sequence[CellPlan], duration: Duration, max_cost: float | None, history: str, width: int
) -> list[Line]:
    """The whole plan.

    Args:
        cells: one or more.
        duration: the time of all cells together, for they run at once.
        max_cost: the run's budget, in US dollars.
        history: where the history comes from, for example `logs/agenteval`.
        width: columns of the terminal.
    """
    width = max(width, 60)
    lines: list[Line] = []
    for plan in cells:
        tasks, k = plan.costs.tasks, plan.costs.k
        size = f"{figures.plural(tasks, 'task')} x k = {k}: {figures.plural(tasks * k, 'attempt')}"
        lines += [Line(text, TITLE) for text in wrap(f"{plan.cell}: {size}", width)]
        sentences = [*_costs(plan, history), *_early(plan)]
        if plan.asks:
            calls = f"{figures.plural(tasks * k, 'call')} with the whole conversation of an attempt"
            sentences.append(f"--agent-ask-confidence adds {calls}, which are in none of these costs")
        sentences += [_detection(each) for each in plan.detections]
        sentences += [_perturbed(each) for each in plan.perturbed]
        if plan.never is not None:
            sentences.append(f"this run would be refused: {plan.never}")
        for text in sentences:
            lines += plain(wrap(text, width, _INDENT, _HANGING))
        lines.append(Line(""))
    lines += plain(wrap(_together(cells, max_cost), width))
    for text in _time(duration, history):
        lines += plain(wrap(text, width))
    return [*lines, Line("nothing was run", TITLE)]


def _costs(plan: CellPlan, history: str) -> list[str]:
    costs = plan.costs
    if costs.expected is None or costs.once is None:
        expected = f"expected cost unknown: no costs in {history}"
    else:
        expected = f"expected cost {_times(costs.k, costs.once)}"
        expected += (
            "" if costs.once == 0 else f", from the history of {costs.known} of {costs.tasks} tasks in {history}"
        )
    if costs.most is None or costs.most_once is None:
        silent = costs.tasks - costs.limited
        states = "states" if silent == 1 else "state"
        most = f"worst case unknown: {silent} of {figures.plural(costs.tasks, 'task')} {states} no max_cost"
        most += ", nor a token_limit for a model with a price"
    else:
        most = f"worst case {_times(costs.k, costs.most_once)}"
        most += "" if costs.most_once == 0 else ", every attempt at its limit; repeated tries and judges come on top"
    return [expected, most]


def _times(k: int, once: float) -> str:
    """`$4.16 (exactly 8 times k = 1: $0.520)`."""
    return figures.dollars(once * k) + (
        "" if k == 1 or once == 0 else f" (exactly {k} times k = 1: {figures.dollars(once)})"
    )


def _early(plan: CellPlan) -> list[str]:
    early = plan.early
    if early is None:
        return []
    if early.with_history:
        basis = f"the history of {early.with_history} of {plan.costs.tasks} tasks, the prior Beta(1/2, 1/2) for others"
        if early.with_history == plan.costs.tasks:
            basis = "the history of every task"
    else:
        basis = "no history: every pass rate drawn from the prior Beta(1/2, 1/2)"
    option = plan.early_asked or EarlyStop.EXACT
    would = "needs" if plan.early_asked else "would need"
    text = f"--agent-early-stop={option} {would} about {early.attempts:.0f} of {early.of} attempts"
    text += f", {early.of / early.attempts:.1f} times fewer" if early.attempts else ""
    if plan.costs.expected:
        text += f", about {figures.dollars(plan.costs.expected * early.attempts / early.of)}"
    return [f"{text} ({early.simulations} simulations, from {basis})"]


def _detection(found: Detection) -> str:
    sure = f"{100 * POWER:.0f}%"
    if found.before is None:
        who = f"{found.gate} ({figures.plural(found.tasks, 'task')})"
        if found.after is None:
            return f"{who}: fails no task, whatever its pass rate"
        return f"{who}: fails a task with {sure} power when its pass rate is {figures.rate(found.after)} or less"
    if found.after is None:
        text = f"{found.gate}: does not find even an agent that never passes with {sure} power"
    elif found.after >= found.before:
        text = f"{found.gate}: at the expected pass@1 of {figures.rate(found.before)} it fails already"
    else:
        fall = f"from the expected {figures.rate(found.before)} to {figures.rate(found.after)}"
        text = f"{found.gate}: the smallest regression found with {sure} power is a fall of pass@1 {fall}"
    if found.unchanged_passes is not None:
        text += f"; an unchanged agent gets PASS {figures.percent(found.unchanged_passes)} of the time"
        if found.unchanged_passes < _OFTEN and (found.after is None or found.after < found.before):
            text += ", so a FAIL tells little: lower the threshold"
    return text


def _perturbed(plan: PerturbPlan) -> str:
    text = (
        f"under {plan.group}: {figures.plural(plan.attempts, 'attempt')} more at {figures.plural(plan.tasks, 'task')}"
    )
    if plan.expected is not None:
        text += f", expected cost {figures.dollars(plan.expected)}"
    if plan.smallest is None:
        return f"{text}; too few to find even an R of 0 with {100 * POWER:.0f}% power"
    return f"{text}; finds an R of {plan.smallest:.2f} or less with {100 * POWER:.0f}% power"


def _time(duration: Duration, history: str) -> list[str]:
    """How long it takes, and what shorter times take."""
    together = f"{_sandboxes(duration.at_once)} at once on one driver"
    if duration.seconds is None or duration.busy is None:
        return [f"expected time unknown: no attempts in {history}; {together}"]
    mean = _length(duration.busy / duration.attempts)
    text = f"expected time {_length(duration.seconds)}: attempts of {mean} in the history of {duration.known} of "
    sentences = [f"{text}{figures.plural(duration.tasks, 'task')} in {history}, {together}"]
    for fleet in duration.fleets():
        text = f"in {_length(fleet.seconds)}: {_sandboxes(fleet.sandboxes)} at once on "
        text += figures.plural(fleet.drivers, "driver")
        each = -(-fleet.sandboxes // fleet.drivers)
        text += f" (--agent-concurrency={each}" + (" each, --agent-shard)" if fleet.drivers > 1 else ")")
        sentences.append(text)
    return sentences


def _sandboxes(count: int) -> str:
    return "1 sandbox" if count == 1 else f"{count} sandboxes"


def _length(seconds: float) -> str:
    """About how long, for example `45 s`, `38 min` or `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _together(cells: Sequence[CellPlan], max_cost: float | None) -> str:
    attempts = sum(plan.costs.tasks * plan.costs.k for plan in cells)
    attempts += sum(each.attempts for plan in cells for each in plan.perturbed)
    text = f"all in all {figures.plural(attempts, 'attempt')}"
    total = total_of(
        [
            *(plan.costs.expected for plan in cells),
            *(each.expected for plan in cells for each in plan.perturbed),
        ]
    )
    perturbed = any(plan.perturbed for plan in cells)
    most = None if perturbed else total_of(plan.costs.most for plan in cells)
    text += ", expected cost unknown" if total is None else f", expected cost {figures.dollars(total)}"
    text += f", worst case {figures.dollars(most)}" if most else ""
    if max_cost is not None:
        text += f"; the run stops at --max-cost={figures.dollars(max_cost)}"
    return text
