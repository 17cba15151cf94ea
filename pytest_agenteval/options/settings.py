"""What the user asked for, checked, and the keys under which a session keeps it.

pytest loads this module at each start. Hence its classes are named tuples, which are made several times faster than
dataclasses, and annotations are not postponed: `NamedTuple` would compile each of them from its text.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

__all__ = ["INSPECT_TASK", "LOOKALIKES", "MARK", "SHARD_SIZES", "Settings"]


class Settings(NamedTuple):
    """What the user asked for, checked. Rates lie in [0, 1], costs are US dollars, None means not asked."""

    active: bool
    """Whether agent tasks run at all: only when `--agent-model`, `--k` or `--agent-run` was given."""
    models: tuple[str, ...]
    scaffolds: tuple[str, ...]
    scaffold_args: tuple[tuple[str, Any], ...]
    inspect_tasks: tuple[str, ...]
    k: int
    run: bool
    max_cost: float | None
    min_pass_at_1: float | None
    min_pass_k: float | None
    max_cost_per_attempt: float | None
    max_env_error_rate: float
    max_tool_failure_rate: float | None
    baseline: str | None
    gate_mode: str
    confidence: float
    undecided: str
    early_stop: str | None
    resume: bool
    top_up: bool
    max_age: float | None
    """Seconds."""
    shard: tuple[int, int] | None
    """Which part of how many, from 1."""
    json: Path | None
    comment: Path | None
    html: Path | None
    plan: bool
    stall_notice: float
    """Seconds."""
    concurrency: int
    env_retries: int
    model_args: tuple[tuple[str, Any], ...]
    roles: tuple[tuple[str, str], ...]
    """Roles beside the agent's, each with its model."""
    model_base_url: str | None
    generate: tuple[tuple[str, Any], ...]
    prices: Path | None
    sandbox: str
    sandbox_default: str | None
    allow_local: bool
    allow_host_access: bool
    keep_sandbox: bool
    log_dir: str
    unsafe_fixtures: tuple[str, ...]

    @property
    def model_setup(self) -> str:
        """How the models are set up, as text: with another setup it is another model. Secrets are left out."""
        given = dict(self.model_args) | dict(self.generate)
        if self.model_base_url is not None:
            given["base_url"] = self.model_base_url
        return _told(given)

    @property
    def setup(self) -> str:
        """How the agents are set up, as text, beyond their cells: of models, other roles and scaffolds."""
        given: dict[str, Any] = {f"role {name}": model for name, model in self.roles}
        given |= {f"scaffold {name}": value for name, value in self.scaffold_args}
        return ", ".join(filter(None, (self.model_setup, _told(given))))


def _told(given: dict[str, Any]) -> str:
    secret = re.compile("key|token$|secret|password", re.IGNORECASE)
    return ", ".join(f"{name}={'...' if secret.search(name) else given[name]}" for name in sorted(given))


MARK = "agent_task"
"""The name of the mark (`tasks.py`), here because pytest is told of it at each start."""
INSPECT_TASK = "agenteval_inspect_task"
"""The attribute of a test that is made from an Inspect task (`inspect_tasks.py`)."""
SHARD_SIZES = pytest.StashKey[tuple[int, ...]]()
"""How many agent tasks each part of `--agent-shard` has."""
LOOKALIKES = pytest.StashKey[list[str]]()
"""Node ids of ordinary tests with a fixture named `agent` that is not ours."""
