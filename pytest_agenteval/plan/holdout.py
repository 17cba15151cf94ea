"""Which look a run is at its held-out tasks, counted from the store."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.logs.files import log_files, try_headers
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.holdout import Look
from pytest_agenteval.record.stored import runs_with

__all__ = ["look_at"]


def look_at(items: Sequence[AgentItem], log_dir: str, own: str) -> Look | None:
    """The look that a run takes; None where real agents meet no held-out task in it.

    Args:
        items: the tasks of the run.
        log_dir: where the logs of earlier runs are.
        own: the name of the run, so that its shards and earlier invocations are the same look.
    """
    tasks = {item.task_name for item in items if item.options.held_out and not item.skips and not item.cell.rehearsed}
    if not tasks:
        return None
    try:
        found = list(try_headers(log_files(log_dir)))
    except NotReady:  # no run has been stored there yet
        found = []
    logs = [log for log in found if not isinstance(log, NotReady)]
    earlier = set().union(*runs_with(logs, tasks).values()) - {own}
    return Look(len(earlier) + 1, len(tasks), len(found) - len(logs))
