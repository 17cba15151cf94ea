"""The figures of a run as OpenMetrics text, which GitLab shows in a merge request beside those of the target branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.records import Cell

__all__ = ["metrics_text"]

_OF_CELL: Mapping[str, tuple[str, Callable[[CellSummary], float | None]]] = {
    "agent_pass_at_1": ("pass@1", lambda cell: cell.pass_at_1.value),
    "agent_tasks": ("tasks that are not skipped", lambda cell: len(cell.tasks) - cell.skipped),
    "agent_reliable_tasks": ("tasks whose every attempt passed", lambda cell: cell.reliable),
    "agent_attempts": ("attempts that count", lambda cell: cell.attempts),
    "agent_attempts_unmeasured": ("attempts that were wanted and do not count", lambda cell: cell.unmeasured),
    "agent_cost_usd": ("what all attempts cost", lambda cell: cell.cost.total),
    "agent_cost_per_attempt_usd": (
        "what an attempt cost, without asking how sure its agent was",
        lambda cell: _dollars(cell.cost_per_attempt),
    ),
    "agent_tool_failure_rate": ("share of the tool calls that failed", lambda cell: cell.tool_calls.rate),
    "agent_environment_errors": ("tries that met an environment error", lambda cell: cell.environment_errors.count),
}


def metrics_text(judgement: Judgement) -> str:
    """All metrics, one line per cell. What is unknown is `NaN`."""
    lines = _family("agent_exit_status", "exit status of the run", [("", judgement.status.code)])
    if judgement.comparisons:
        fallen = [(_labels(found.cell), len(found.regressed)) for found in judgement.comparisons]
        lines += _family("agent_regressed_tasks", "tasks that fell beyond chance", fallen)
    hat_k = [(_labels(cell.cell, f',k="{cell.k}"'), cell.pass_hat_k.value) for cell in judgement.run.cells]
    lines += _family("agent_pass_hat_k", "pass^k", hat_k)
    for name, (meaning, value) in _OF_CELL.items():
        lines += _family(name, meaning, [(_labels(cell.cell), value(cell)) for cell in judgement.run.cells])
    return "\n".join([*lines, "# EOF", ""])


def _family(name: str, meaning: str, samples: Sequence[tuple[str, float | None]]) -> list[str]:
    values = [f"{name}{labels} {'NaN' if value is None else figures.written(value)}" for labels, value in samples]
    return [f"# TYPE {name} gauge", f"# HELP {name} {meaning}", *values]


def _labels(cell: Cell, more: str = "") -> str:
    return f'{{model="{_escaped(cell.model)}",scaffold="{_escaped(cell.scaffold)}"{more}}}'


def _escaped(text: str) -> str:
    """GitLab takes `#` for the beginning of a comment, also within quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("#", "")


def _dollars(cost: Cost | None) -> float | None:
    return None if cost is None else cost.total
