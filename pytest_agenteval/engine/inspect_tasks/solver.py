"""The scaffold of tasks that are made from Inspect tasks: their own solver."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from inspect_ai.agent import AgentState

from pytest_agenteval.collect.inspect_task import TASK_SOLVER
from pytest_agenteval.engine.models.meter import CallMeter

if TYPE_CHECKING:
    from pytest_agenteval.engine.agents.scaffolds import AgentRequest

__all__ = ["TaskSolver"]


class TaskSolver:
    """The name under which an Inspect task's own solver runs; that task runs it, and nothing else has one."""

    def refuse(self, request: AgentRequest) -> NoReturn:
        """Refuse everything: a test that is made from an Inspect task does not come here in its own solver.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"scaffold {TASK_SOLVER} is the solver of an Inspect task, and this test is made from none")

    async def run(self, state: AgentState, request: AgentRequest, meter: CallMeter) -> AgentState:
        """Refuse it, too.

        Raises:
            TypeError: always.
        """
        self.refuse(request)
