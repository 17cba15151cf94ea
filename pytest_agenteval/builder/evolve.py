"""Suites from suites: new instances of an old one's kinds, and kinds like those that told agents apart best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_agenteval.builder.intent import Ground, Intent, Slot, Subtask, grounds_of, quota_of, subtasks_of
from pytest_agenteval.builder.proposers import Feedback, Proposer
from pytest_agenteval.check.history import ENOUGH, History
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.digest import digest

__all__ = ["Old", "RefreshProposer", "discriminating", "old_suite"]


@dataclass(frozen=True, slots=True)
class Old:
    """A suite that was built before."""

    intent: Intent
    subtasks: Sequence[Subtask]
    prompts: Sequence[str]
    """Of all its drafts: none of them is made again."""


def old_suite(folder: Path) -> Old:
    """The suite in a folder, with an intent that draws other seeds than it did.

    Raises:
        NotReady: it was not made by `new-suite`, or its files are damaged.
    """
    home = folder / ".new-suite"
    try:
        texts = {name: (home / name).read_text("utf-8") for name in
                 ("intent.toml", "subtasks.toml", "ground.toml", "quota.toml")}  # fmt: skip
    except OSError as error:
        raise NotReady(
            f"{folder} cannot be refreshed: {error.filename} cannot be read; name a suite of new-suite"
        ) from None
    intent = Intent.from_toml(texts["intent.toml"], str(home / "intent.toml"))
    feasible = {each.id for each in grounds_of(texts["ground.toml"], str(home / "ground.toml")) if each.feasible}
    quota = quota_of(texts["quota.toml"], str(home / "quota.toml"))
    subtasks = [
        each for each in subtasks_of(texts["subtasks.toml"], str(home / "subtasks.toml")) if each.id in feasible
    ]
    prompts = _prompts(home / "drafts")
    avoid = f"{digest(json.dumps(sorted(prompts)))[:8]}/"
    tasks = {each.id: quota[each.id].tasks for each in subtasks if each.id in quota and quota[each.id].tasks}
    return Old(replace(intent, avoid=avoid, families=tasks, size=sum(tasks.values())), subtasks, prompts)


def _prompts(drafts: Path) -> list[str]:
    prompts = []
    for file in sorted(drafts.rglob("v*.json")):
        try:
            data = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(data, dict) and isinstance(data.get("prompt"), str):
            prompts.append(data["prompt"])
    return prompts


class RefreshProposer:
    """Another proposer, held to the sub-tasks of an old suite: they were proposed and found feasible then."""

    def __init__(self, inner: Proposer, subtasks: Sequence[Subtask]) -> None:
        self._inner, self._subtasks = inner, list(subtasks)

    @property
    def id(self) -> str:
        """See :class:`Proposer`."""
        return self._inner.id

    async def subtasks(self, intent: Intent, infeasible: Sequence[Ground]) -> list[Subtask]:
        """Those of the old suite."""
        return list(self._subtasks)

    async def ground(self, intent: Intent, subtask: Subtask) -> Ground:
        """It was feasible."""
        return Ground(subtask.id, True, "as in the refreshed suite")

    async def draft(
        self, intent: Intent, subtask: Subtask, slot: Slot, feedback: Feedback, examples: Sequence[Any]
    ) -> str:
        """The inner proposer's."""
        return await self._inner.draft(intent, subtask, slot, feedback, examples)


def discriminating(history: History, most: int = 8) -> list[str]:
    """The tasks whose stored attempts tell agents apart best, those nearest to a pass rate of 1/2 first.

    Saturated tasks, tasks that nobody passed, and tasks with too few attempts are left out.
    """
    rates = {}
    for task, cells in history.items():
        n, c = (sum(counts) for counts in zip(*cells.values(), strict=True))
        if n >= ENOUGH and 0 < c < n:
            rates[task] = c / n
    return sorted(rates, key=lambda task: (abs(rates[task] - 0.5), task))[:most]
