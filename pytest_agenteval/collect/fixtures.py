"""The plugin's own fixtures. Using one makes a test an agent task, and every attempt gets its own values.

pytest never calls these functions: an attempt asks the engine for the value (see `run/fixtures.py`). They exist so that
pytest knows the names, shows the help, and includes `agent_model` in the closure of every agent task.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["NAMES", "agent", "agent_model", "agent_scaffold", "attempt", "sandbox"]

NAMES = ("agent", "sandbox", "attempt", "agent_model", "agent_scaffold")


@pytest.fixture
def agent_model() -> Any:
    """Inspect's name for the model under evaluation (one value per --agent-model)."""


@pytest.fixture
def agent_scaffold() -> Any:
    """The name of the scaffold, the agent program around the model (one value per --agent-scaffold)."""


@pytest.fixture
def attempt(agent_model: Any) -> Any:
    """This attempt: its number (from 1), task and model; `attempt.wait(...)` runs a coroutine from a sync test."""


@pytest.fixture
def sandbox(attempt: Any) -> Any:
    """This attempt's fresh sandbox: Inspect's `SandboxEnvironment` (exec, read_file, write_file)."""


@pytest.fixture
def agent(attempt: Any, agent_scaffold: Any) -> Any:
    """The agent under evaluation: `await agent.run(prompt)`. Override this fixture to use your own agent."""
