"""An Inspect task that has been loaded: what all of its attempts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inspect_ai import Task
from inspect_ai.model import Model

from pytest_agenteval.collect.inspect_task import Asked
from pytest_agenteval.engine.inspect_tasks.scores import Judge

__all__ = ["LoadedTask"]


@dataclass(slots=True)
class LoadedTask:
    """An Inspect task as its function made it, for all of its attempts."""

    asked: Asked
    make: Callable[[], Task]
    task: Task
    judge: Judge
    code: str
    """The version of its package, or a digest of its file."""
    needs_model: bool
    """Whether its function asked for the model: then it is made once more for every model."""
    unclear: str | None = None
    """Why the scores of an attempt were no verdict, where those of no other will be one."""
    _by_model: dict[str, Task] = field(default_factory=dict)

    def for_model(self, model: Model) -> Task:
        """The task whose solver and scorers may hold this model; inside the evaluation."""
        if not self.needs_model:
            return self.task
        if str(model) not in self._by_model:
            self._by_model[str(model)] = self.make()
        return self._by_model[str(model)]
