"""Chooses the dispatcher of a run, and checks that its gates can be passed at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.errors import NotReady
from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.policy import ExactStop, ExactStopAfterFirst
from pytest_agenteval.judge.passable import why_never
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.options.values import EarlyStop
from pytest_agenteval.plan.gates import cell_gates, gate_settings
from pytest_agenteval.record.history import EarlierTask
from pytest_agenteval.record.records import Cell
from pytest_agenteval.run.dispatch import AsTheyCome, Dispatcher, StopWhenDecided

__all__ = ["choose_dispatcher", "refuse_gates_that_never_pass"]


def refuse_gates_that_never_pass(settings: Settings, items: Sequence[AgentItem]) -> None:
    """Refuse, before anything is spent, a gate that this number of attempts could never pass.

    Raises:
        NotReady: there is such a gate.
    """
    gates = gate_settings(settings)
    for tasks in _cells(items).values() if gates is not None else ():
        own = [(item.nodeid, item.options.min_pass_rate) for item in tasks if item.perturbation is None]
        if own and gates is not None and (reason := why_never(own, settings.attempts.k, gates)):
            raise NotReady(reason)


def choose_dispatcher(
    settings: Settings, items: Sequence[AgentItem], known: Mapping[tuple[str, Cell], EarlierTask]
) -> Dispatcher:
    """The dispatcher for these tasks.

    Args:
        settings: the settings of the run.
        items: all tasks that pytest may reach.
        known: results of earlier runs, by name and cell. They order the attempts and change no verdict.
    """
    if settings.attempts.early_stop is None:
        return AsTheyCome()
    policy = ExactStop if settings.attempts.early_stop is EarlyStop.EXACT else ExactStopAfterFirst
    policies = []
    for cell, tasks in _cells(items).items():
        own = {item.nodeid: _asked_by(item) for item in tasks}
        keys = {item.nodeid: (item.task_name, cell) for item in tasks}
        earlier = {task: known[key] for task, key in keys.items() if key in known}
        counts = {task: (seen.n, seen.c) for task, seen in earlier.items()}
        costs = {task: seen.cost for task, seen in earlier.items() if seen.cost}
        curtailment = Curtailment(list(own), settings.attempts.k, cell_gates(own.items(), gate_settings(settings)))
        policies.append(policy(curtailment, counts, costs))
    return StopWhenDecided(policies)


def _asked_by(item: AgentItem) -> float | None:
    """The pass rate that a task must reach in any case: a strict mark `xfail` judges it whatever the gates are."""
    rate = item.options.min_pass_rate
    return 1.0 if rate is None and item.strict else rate


def _cells(items: Sequence[AgentItem]) -> dict[Cell, list[AgentItem]]:
    cells: dict[Cell, list[AgentItem]] = {}
    for item in items:
        cells.setdefault(item.cell, []).append(item)
    return cells
