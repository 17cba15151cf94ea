"""Benchmark tasks for AI agents as pytest tests: k attempts each, in sandboxes, judged on reliability and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_agenteval.collect.agent_task import agent_task
    from pytest_agenteval.collect.inspect_task import inspect_task
    from pytest_agenteval.engine.agents.dialogue import Dialogue, SimulatedUser, dialogue
    from pytest_agenteval.engine.agents.public import (
        Agent,
        AgentContext,
        AgentResult,
        Sandbox,
        SandboxAgent,
        record_tool,
        recorded_tool,
    )
    from pytest_agenteval.run.attempt import Attempt

    __version__: str

__all__ = [
    "Agent",
    "AgentContext",
    "AgentResult",
    "Attempt",
    "Dialogue",
    "Sandbox",
    "SandboxAgent",
    "SimulatedUser",
    "__version__",
    "agent_task",
    "dialogue",
    "inspect_task",
    "record_tool",
    "recorded_tool",
]

_HOMES = {
    "Agent": "pytest_agenteval.engine.agents.public",
    "AgentContext": "pytest_agenteval.engine.agents.public",
    "AgentResult": "pytest_agenteval.engine.agents.public",
    "Attempt": "pytest_agenteval.run.attempt",
    "Dialogue": "pytest_agenteval.engine.agents.dialogue",
    "Sandbox": "pytest_agenteval.engine.agents.public",
    "SandboxAgent": "pytest_agenteval.engine.agents.public",
    "SimulatedUser": "pytest_agenteval.engine.agents.dialogue",
    "agent_task": "pytest_agenteval.collect.agent_task",
    "dialogue": "pytest_agenteval.engine.agents.dialogue",
    "inspect_task": "pytest_agenteval.collect.inspect_task",
    "record_tool": "pytest_agenteval.engine.agents.public",
    "recorded_tool": "pytest_agenteval.engine.agents.public",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: pytest imports this package at every start."""
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-agenteval")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
