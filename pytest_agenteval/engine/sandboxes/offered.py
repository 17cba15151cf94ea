"""A sandbox that another package offers under a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.collect.agent_task import TaskOptions

__all__ = ["OfferedSandbox"]


@dataclass(frozen=True, slots=True)
class OfferedSandbox:
    """What `--agent-sandbox=NAME` stands for: a sandbox provider of Inspect's registry, and how tasks configure it."""

    provider: str
    """Inspect's name of the provider."""
    configure: Callable[[str, TaskOptions], Any] = lambda task, options: None
    """Makes the provider's configuration from a task's node id and options. It may raise `NotReady`."""
    note: str = ""
    """What a reader of every task's record should know, for example `not isolated`."""
