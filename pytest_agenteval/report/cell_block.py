"""The terminal's block of lines for one cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_uppercase

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell
from pytest_agenteval.report.failures import failure_kinds
from pytest_agenteval.report.line import BAD, TITLE, UNSURE, Line, plain
from pytest_agenteval.report.pass_rates import curve, interval_lines, pass_parts, savings
from pytest_agenteval.report.robustness import robustness_table
from pytest_agenteval.report.rules import rule_sentences
from pytest_agenteval.report.text_table import wrap

__all__ = ["cell_block", "cell_letter", "cell_names", "missing_text"]

_INDENT = "  "
_HANGING = "    "
_ALIKE_TOLD = 5
"""How many tasks are named whose missing attempts have the same numbers and reasons."""
_WORTH_TELLING = 1.0  # seconds of an attempt


def cell_block(cell: CellSummary, width: int) -> list[Line]:
    """pass@1 beside pass^k, the curve, the costs, the failures, and every attempt that is missing or broken."""
    lines = [Line(text, TITLE) for text in _bars(pass_parts(cell), width)]
    for text in interval_lines(cell):
        lines += plain(wrap(text, width, _INDENT, _HANGING))
    if cell.k > 1 and cell.curve[0].value is not None:
        lines += plain(wrap(curve(cell), width, _INDENT, _HANGING))
    if cell.k == 1 and cell.attempts:
        lines += plain(wrap("with k = 1 pass^1 is pass@1: --k=8 shows how reliable it is", width, _INDENT, _HANGING))
    for text in savings(cell):
        lines += plain(wrap(text, width, _INDENT, _HANGING))
    lines += plain(_bars(_cost_parts(cell), width))
    for text in _role_costs(cell):
        lines += plain(wrap(text, width, _HANGING, _HANGING))
    lines += plain(_bars(_tool_parts(cell), width))
    for text in rule_sentences(cell.rules):
        lines += plain(wrap(text, width, _INDENT, _HANGING))
    for text in robustness_table(cell):
        lines += plain(wrap(text, max(width, 120), _INDENT, _HANGING))
    waited = cell.sandbox_wait_per_attempt
    if waited is not None and waited > _WORTH_TELLING:
        text = (
            f"an attempt waited {waited:.1f} s on average for a place to start its sandbox: "
            "the processors and the memory of Docker's host, or the room in the cluster, say how many start at once; "
            "it counts in no time limit, and nothing need be done"
        )
        lines += plain(wrap(text, width, _INDENT, _HANGING))
    lines += [Line(text) for sentence in _left_out(cell) for text in wrap(sentence, width, _INDENT, _HANGING)]
    for task in cell.tasks:
        if task.broken:
            text = f"broken: {task.task} attempt{_s(task.broken)} {figures.number_ranges(task.broken)}"
            lines += [Line(part, BAD) for part in wrap(text, width, _INDENT, _HANGING)]
    for text in _missing(cell):
        lines += [Line(part, UNSURE) for part in wrap(text, width, _INDENT, _HANGING)]
    return lines


def cell_names(cells: Sequence[CellSummary]) -> dict[Cell, str]:
    """The cells' names: only the model if all have the same scaffold."""
    same = len({cell.cell.scaffold for cell in cells}) == 1
    return {cell.cell: cell.cell.model if same else str(cell.cell) for cell in cells}


def cell_letter(number: int) -> str:
    """What stands for a cell where there is no room for its name: A to Z, then A1 to Z1 and so on."""
    turn, place = divmod(number, len(ascii_uppercase))
    return f"{ascii_uppercase[place]}{turn or ''}"


def _missing(cell: CellSummary) -> Iterable[str]:
    """A line for each task with missing attempts. If many lack the same ones, the first few and a count."""
    by_text: dict[str, list[str]] = {}
    for task in cell.tasks:
        if task.missing:
            by_text.setdefault(missing_text(task.missing), []).append(task.task)
    for text, tasks in by_text.items():
        more = len(tasks) - _ALIKE_TOLD
        yield from (f"missing: {task} {text}" for task in (tasks if more <= 1 else tasks[:_ALIKE_TOLD]))
        if more > 1:
            yield f"missing: {text} of {more} more tasks"


def missing_text(attempts: Iterable[AttemptRecord]) -> str:
    """Which attempts are missing, and why: `attempts 2, 5 (environment error: sandbox); attempt 8 (not run: ...)`."""
    by_reason: dict[str, list[int]] = {}
    for attempt in attempts:
        by_reason.setdefault(_why(attempt.outcome, attempt.cause), []).append(attempt.number)
    return "; ".join(f"attempt{_s(n)} {figures.number_ranges(n)} ({why})" for why, n in by_reason.items())


def _why(outcome: Outcome, cause: Cause | None) -> str:
    what = outcome.value.replace("_", " ")
    return what if cause is None else f"{what}: {cause.value.replace('_', ' ')}"


def _cost_parts(cell: CellSummary) -> list[str]:
    if cell.decided:
        return [f"total cost {figures.cost(cell.cost)}{_doubt(cell.cost)}"]
    success, reliable = figures.cost(cell.cost_per_success), figures.cost(cell.cost_per_reliable_task)
    all_k = f"all {cell.k} attempts" if cell.k > 1 else "its attempt"
    return [
        f"total cost {figures.cost(cell.cost)}{_doubt(cell.cost)}",
        f"per success {success}" if cell.passes else "per success - (no attempt passed)",
        f"per reliable task {reliable}" if cell.reliable else f"per reliable task - (no task passed {all_k})",
    ]


def _role_costs(cell: CellSummary) -> list[str]:
    """A line for each role, if there is another than the agent's."""
    if all(each.role == "agent" for each in cell.roles):
        return []
    return [f"{each.role} {figures.cost(each.cost)} in {figures.plural(each.calls, 'call')}" for each in cell.roles]


def _doubt(cost: Cost) -> str:
    doubts = figures.cost_doubts(cost)
    return f" ({', '.join(doubts)})" if doubts else ""


def _tool_parts(cell: CellSummary) -> list[str]:
    calls = cell.tool_calls
    tools = f"tool-call failures {calls.failed} of {figures.plural(calls.calls, 'call')}"
    if calls.unknown:
        tools += f", {calls.unknown} unknown"
    if calls.failures:
        rate = "" if calls.unknown else f"{figures.percent(calls.rate)}: "
        tools += f" ({rate}{failure_kinds(calls)})"
    errors = cell.environment_errors
    environment = f"environment errors {errors.count} of {figures.plural(errors.tries, 'try')}"
    if errors.count:
        environment += f" ({figures.percent(errors.rate)})"
    return [tools, f"non-zero exits {figures.exits(calls.nonzero_exits, calls.unknown_exits)}", environment]


def _left_out(cell: CellSummary) -> list[str]:
    sentences = []
    at_1, hat_k = cell.pass_at_1_range, cell.pass_hat_k_range
    known = None not in (at_1.worst, at_1.best, hat_k.worst, hat_k.best)
    if cell.unmeasured > cell.decided and cell.attempts and known:
        sentences.append(
            f"worst and best case over {figures.plural(cell.unmeasured, 'attempt')} not measured: "
            f"pass@1 {figures.rate(at_1.worst)} to {figures.rate(at_1.best)}, "
            f"pass^{cell.k} {figures.rate(hat_k.worst)} to {figures.rate(hat_k.best)}"
        )
    kept = len(cell.tasks) - cell.skipped
    for word, left_out, why in (
        ("pass@1", cell.pass_at_1.tasks_left_out, "no attempt counts"),
        (f"pass^{cell.k}", cell.pass_hat_k.tasks_left_out, "n < k"),
    ):
        if left_out and left_out < kept and not cell.decided:
            sentences.append(f"{word} leaves out {left_out} of {figures.plural(kept, 'task')} ({why})")
    if cell.skipped:
        sentences.append(f"skipped, in no estimate: {figures.plural(cell.skipped, 'task')}")
    return sentences


def _s(numbers: Sequence[int]) -> str:
    return "" if len(numbers) == 1 else "s"


def _bars(parts: Sequence[str], width: int) -> list[str]:
    """Parts with bars between them, on as few lines as the width allows."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f" | {part}"
        else:
            lines += wrap(part, width, _INDENT, _HANGING)
    return lines
