"""What makes a test an agent task: the mark, and the plugin's own fixtures, which every attempt resolves afresh.

pytest never calls these functions: an attempt asks the engine for the value (see `run/fixtures.py`). They exist so that
pytest knows the names, shows the help, and puts `agent_model` into the closure of every agent task.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = [
    "INSPECT_TASK",
    "LOOKALIKES",
    "MARK",
    "NAMES",
    "agent",
    "agent_model",
    "agent_scaffold",
    "attempt",
    "perturbation",
    "rules",
    "sandbox",
]

MARK = "agent_task"
"""The name of the mark (`agent_task.py`), here because pytest is told of it at each start."""
INSPECT_TASK = "agenteval_inspect_task"
"""The attribute of a test that is made from an Inspect task (`inspect_task.py`)."""
LOOKALIKES = pytest.StashKey[list[str]]()
"""Node ids of ordinary tests with a fixture named `agent` that is not ours."""
NAMES = ("agent", "sandbox", "attempt", "agent_model", "agent_scaffold", "perturbation", "rules")


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
def perturbation(attempt: Any) -> Any:
    """None, or under `--agent-perturb` a seeded source of variation for the test's own set-up: `.pick("a", "b")`."""


@pytest.fixture
def rules(attempt: Any) -> Any:
    """Rules that the body checks: `with rules.check("keeps the header"):`, where a failed assertion is a violation."""


@pytest.fixture
def sandbox(attempt: Any) -> Any:
    """This attempt's fresh sandbox: Inspect's `SandboxEnvironment` (exec, read_file, write_file)."""


@pytest.fixture
def agent(attempt: Any, agent_scaffold: Any) -> Any:
    """The agent under evaluation: `await agent.run(prompt)`. Override this fixture to use your own agent."""
