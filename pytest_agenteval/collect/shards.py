"""`--agent-shard=I/N`: which tests belong to the I-th of N parts, the same on every machine and when tests are added.

A digest of the test's name decides its part. The name is the same in all cells, so they are in the same part. Parts are
of similar size only on average; in return, a new task never moves another one to a different part.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.shards import shard_of

if TYPE_CHECKING:
    from pytest_agenteval.collect.items import AgentItem

__all__ = ["ALL_TASKS", "PLUGIN", "Sharding"]

PLUGIN = "pytest_agenteval_sharding"
"""The name under which :class:`Sharding` is registered."""
ALL_TASKS: pytest.StashKey[tuple[AgentItem, ...]] = pytest.StashKey()
"""The agent tasks of all parts of `--agent-shard`."""
_SENT = "agenteval_shard"


class Sharding:
    """Deselects the tests of all other parts, including ordinary ones, so that each test runs in exactly one part."""

    def __init__(self, config: pytest.Config, shard: tuple[int, int]) -> None:
        self._config = config
        self._shard = shard
        self._tests = (0, 0)
        """(tests in this part, all tests)."""
        self.tasks = (0, 0)
        """(agent tasks in this part, all agent tasks)."""
        self.elsewhere: frozenset[str] = frozenset()
        """The names of the agent tasks in other parts. xdist's controller, which collects nothing, knows none."""

    @property
    def note(self) -> str:
        """How much of the suite this part is, in a sentence."""
        name = f"shard {self._shard[0]}/{self._shard[1]}"
        kept, tasks = self.tasks
        if not tasks:
            return name
        return f"{name}: {kept} of {plural(tasks, 'task')}" if kept else f"no task fell into {name}, of {tasks}"

    @property
    def without_tasks(self) -> bool:
        """Whether all agent tasks are in other parts, so that gates have nothing to judge."""
        return self.tasks[0] == 0 < self.tasks[1]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect, after every other selection."""
        from pytest_agenteval.collect.items import AgentItem

        part, parts = self._shard
        keys = (item.base_name if isinstance(item, AgentItem) else item.nodeid for item in items)
        homes = [shard_of(key, parts) for key in keys]
        mine = [home == part for home in homes]
        config.stash[ALL_TASKS] = tuple(item for item in items if isinstance(item, AgentItem))
        self.elsewhere = frozenset(
            item.task_name
            for item, is_mine in zip(items, mine, strict=True)
            if isinstance(item, AgentItem) and not is_mine
        )
        others = [item for item, is_mine in zip(items, mine, strict=True) if not is_mine]
        own = [item for item, is_mine in zip(items, mine, strict=True) if is_mine]
        self._tests = len(own), len(items)
        self.tasks = _agent_tasks(own, AgentItem), _agent_tasks(items, AgentItem)
        if others:
            config.hook.pytest_deselected(items=others)
            items[:] = own

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Make an empty part a success. A worker of xdist sends its counts to the controller, which collects
        nothing."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[_SENT] = [*self._tests, *self.tasks]
        elif session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._tests[0] == 0 < self._tests[1]:
            session.exitstatus = pytest.ExitCode.OK
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the counts that a worker of xdist collected; all workers collect the same."""
        sent: Sequence[int] | None = getattr(node, "workeroutput", {}).get(_SENT)
        if sent is not None:
            self._tests, self.tasks = (sent[0], sent[1]), (sent[2], sent[3])


def _agent_tasks(items: Iterable[pytest.Item], kind: type[pytest.Item]) -> int:
    return sum(isinstance(item, kind) for item in items)
