"""Held-out tasks run only with `--agent-holdout`: every look at them makes them say less about new tasks."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_agenteval.record.figures import plural

__all__ = ["PLUGIN", "Holdout"]

PLUGIN = "pytest_agenteval_holdout"
"""The name under which :class:`Holdout` is registered."""
_SENT = "agenteval_held_out"


class Holdout:
    """Deselects tasks that are held out. Shards, plans and reports then know nothing of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._names: tuple[str, ...] = ()
        """Of the tasks that were left out, without the cell."""

    @property
    def note(self) -> str | None:
        """What was left out, in a sentence; None if nothing was."""
        left = len(self._names)
        if not left:
            return None
        return (
            f"{plural(left, 'held-out task')} {'is' if left == 1 else 'are'} left out: --agent-holdout runs them, too"
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect, after the user's own selection and before shards are made."""
        from pytest_agenteval.collect.items import AgentItem

        left = [item for item in items if isinstance(item, AgentItem) and item.options.held_out]
        if not left:
            return
        self._names = tuple(dict.fromkeys(item.task_name for item in left))
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [item for item in items if item not in gone]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """A worker of xdist tells the controller, which collects nothing."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[_SENT] = list(self._names)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker left out; all workers leave out the same."""
        self._names = tuple(getattr(node, "workeroutput", {}).get(_SENT, self._names))
