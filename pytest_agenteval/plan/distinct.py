"""Checks that all tasks of a run can be told apart. Otherwise two tasks would be stored as one."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.records import Cell

__all__ = ["refuse_alike"]


def refuse_alike(items: Sequence[AgentItem]) -> None:
    """Refuse a task that was collected twice, and tasks of one cell that differ only in the cell's parameters.

    Raises:
        NotReady: there are two such tasks.
    """
    seen: dict[tuple[str, Cell], AgentItem] = {}
    nodes: set[str] = set()
    for item in items:
        if item.nodeid in nodes:
            raise NotReady(
                f"{item.nodeid} was collected twice, by --keep-duplicates or by a conftest or plugin that repeats "
                "items, and its attempts would be counted twice: leave that out, because --k says how often a task runs"
            )
        nodes.add(item.nodeid)
        other = seen.setdefault((item.task_name, item.cell), item)
        if other is not item:
            raise NotReady(
                f"{other.nodeid} and {item.nodeid} differ only in the ids of agent_model or agent_scaffold, and are in "
                f"one cell ({item.cell}): name each model and each scaffold once"
            )
