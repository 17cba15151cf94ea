"""Scripted attempts at a task (*plays*): what the built-in models do where it is not the task's own solution."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pytest_agenteval.collect.agent_task import ToolUse

__all__ = ["Plays", "Scene"]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a scripted agent knows when it is its turn."""

    number: int
    """Of the attempt, from 1."""
    turn: int
    """How many turns it has had in this conversation."""
    prompt: str
    """What the task and its user have said so far."""
    instructions: str
    """System messages, and the tools with their descriptions, as text."""
    request: str
    """All messages of this model call, as text."""
    shell: Callable[[str], Awaitable[str | None]]
    """Runs a shell command in the sandbox without the agent's tools and returns its output; None if it cannot."""
    host_state: Callable[[], Awaitable[object]]
    """The value of the task's fixture `end_state` now; None if it uses none, or the fixture raises."""


class Plays(Protocol):
    """All plays of one task; the number of the attempt selects one."""

    def __len__(self) -> int:
        """How many attempts there are."""

    async def act(self, scene: Scene) -> ToolUse:
        """The next tool call of an attempt. It ends with a call of `submit`."""

    def for_judge(self, number: int, prompt: str) -> str:
        """What a model in another role than the agent's is asked in place of this message."""

    def scored(self, number: int, scores: Mapping[str, str]) -> None:
        """What an Inspect task's scorers gave an attempt: values by scorer, or by `scorer/key`, as text."""
