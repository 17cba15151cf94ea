"""Exact early stopping: which gates' verdicts on the full grid are already fixed by what was recorded so far.

This is logic, not statistics. A verdict is fixed when every way to finish the grid leads to it. It therefore equals the
verdict on the full grid, whatever the order of the attempts and the reason for that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_agenteval.estimate.early_stop.gates import GridGate, TaskPassRate
from pytest_agenteval.estimate.early_stop.grid import Grid
from pytest_agenteval.record.verdict import Verdict

__all__ = ["Curtailment"]


class Curtailment:
    """A grid of tasks x k attempts under any number of gates at once."""

    def __init__(self, tasks: Sequence[str], k: int, gates: Iterable[GridGate]) -> None:
        """An empty grid under these gates."""
        self.grid = Grid(tasks, k)
        self.gates = tuple(gates)
        self._fixed: dict[GridGate, Verdict | None] = {}
        self.open_suite_gates: list[GridGate] = []
        """The gates over all tasks whose verdict is not fixed, in the order given."""
        self.open_task_gates: dict[int, list[TaskPassRate]] = {}
        """By row, the gates on single tasks whose verdict is not fixed."""
        for gate in self.gates:
            if gate in self._fixed:
                raise ValueError(f"{gate} is given twice: give every gate once")
            self._fixed[gate] = None
            if isinstance(gate, TaskPassRate):
                self.open_task_gates.setdefault(self.grid.row(gate.task), []).append(gate)
            else:
                self.open_suite_gates.append(gate)
        for row in list(self.open_task_gates):
            self._settle_row(row)
        self._settle_suite()

    @property
    def decided(self) -> bool:
        """Whether every gate's verdict is fixed, so that no further attempt can change one."""
        return not self.open_suite_gates and not self.open_task_gates

    def verdict(self, gate: GridGate) -> Verdict | None:
        """The verdict on the full grid if it is fixed, else None."""
        try:
            return self._fixed[gate]
        except KeyError:
            raise ValueError(f"{gate} is not a gate of this grid: ask for those it was made with") from None

    def record(self, task: str, attempt: int, passed: bool | None) -> None:
        """Enter the final result of an attempt, as in :meth:`Grid.record`."""
        self.grid.record(task, attempt, passed)
        self._settle_row(self.grid.row(task))
        self._settle_suite()

    def skip(self, task: str) -> None:
        """Take a skipped task out of the grid. A task skips in every attempt or in none."""
        self.grid.skip(task)
        self._settle_row(self.grid.row(task))
        self._settle_suite()

    def _settle_row(self, row: int) -> None:
        still = [gate for gate in self.open_task_gates.pop(row, ()) if not self._settle(gate)]
        if still:
            self.open_task_gates[row] = still

    def _settle_suite(self) -> None:
        self.open_suite_gates = [gate for gate in self.open_suite_gates if not self._settle(gate)]

    def _settle(self, gate: GridGate) -> bool:
        verdict = gate.race(self.grid).fixed
        self._fixed[gate] = verdict
        return verdict is not None
