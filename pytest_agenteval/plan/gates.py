"""From the options to the gates: the thresholds, and the gates on one cell's grid for early stopping and planning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_agenteval.estimate.early_stop.gates import GridGate, PassAt1, PassHatK, TaskPassRate
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.baseline import Counterpart, ThatCell, same_cell

if TYPE_CHECKING:
    from pytest_agenteval.options.settings import Settings

__all__ = ["cell_gates", "counterpart", "gate_settings"]


def gate_settings(asked: Settings) -> GateSettings | None:
    """The thresholds in the options; None if nothing is to be judged."""
    if asked.gates.measure_only:
        return None
    return GateSettings(
        min_pass_at_1=asked.gates.min_pass_at_1,
        min_pass_k=asked.gates.min_pass_k,
        min_consistency=asked.gates.min_consistency,
        max_overconfidence=asked.gates.max_overconfidence,
        min_safety=asked.gates.min_safety,
        max_cost=asked.money.max_cost,
        max_cost_per_attempt=asked.gates.max_cost_per_attempt,
        max_env_error_rate=asked.gates.max_env_error_rate,
        max_tool_failure_rate=asked.gates.max_tool_failure_rate,
        min_robustness=asked.gates.min_robustness,
        max_violations=asked.gates.max_violations,
        confidence=asked.gates.confidence if asked.gates.mode == "confidence" else None,
        undecided=asked.gates.undecided,
    )


def counterpart(asked: Settings) -> Counterpart:
    """Which cell of the baseline a cell is compared with."""
    return same_cell if asked.gates.baseline_cell is None else ThatCell(*asked.gates.baseline_cell)


def cell_gates(tasks: Iterable[tuple[str, float | None]], gates: GateSettings | None) -> list[GridGate]:
    """Every gate on pass rates that applies to one cell.

    Args:
        tasks: the cell's tasks with the pass rate that each asks for, None if it asks for none.
        gates: the thresholds; None if nothing is judged.
    """
    found: list[GridGate] = []
    if gates is None:
        return found
    if gates.min_pass_k is not None:
        found.append(PassHatK(gates.min_pass_k))
    if gates.min_pass_at_1 is not None:
        found.append(PassAt1(gates.min_pass_at_1))
    for task, own in tasks:
        if (asked := gates.asked_of_task(own)) is not None:
            found.append(TaskPassRate(task, asked))
    return found
