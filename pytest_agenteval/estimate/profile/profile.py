"""The whole profile of a cell, and profiles side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.profile.consistency import Consistency, consistency_of
from pytest_agenteval.estimate.profile.figure import Figure
from pytest_agenteval.estimate.profile.predictability import Predictability, predictability_of
from pytest_agenteval.estimate.profile.safety import Safety, safety_of
from pytest_agenteval.estimate.profile.seen import Seen, seen_in
from pytest_agenteval.record.records import Cell, TaskRecord

__all__ = ["Beside", "Profile", "profile_of", "side_by_side"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How reliable the agent of a cell is, in four dimensions, of which robustness has a block of its own."""

    cell: Cell
    tasks: int
    """Tasks with an attempt that counts."""
    consistency: Consistency
    predictability: Predictability
    safety: Safety


@dataclass(frozen=True, slots=True)
class Beside:
    """One figure of several cells, over the tasks that have it in every cell."""

    name: str
    values: tuple[float | None, ...]
    """In the order of the cells."""
    tasks: int


_FIGURES: Mapping[str, Callable[[Profile], Figure]] = {
    "consistency: outcome": lambda profile: profile.consistency.outcome,
    "consistency: actions": lambda profile: profile.consistency.actions,
    "consistency: order": lambda profile: profile.consistency.order,
    "consistency: resources": lambda profile: profile.consistency.resources,
    "over-confident by": lambda profile: profile.predictability.overconfidence,
    "Brier": lambda profile: profile.predictability.brier,
    "no violation in": lambda profile: profile.safety.compliance,
}
"""The figures that each task has a value of, so that cells can be compared over common tasks."""


def profile_of(cell: Cell, records: Iterable[TaskRecord]) -> Profile:
    """The profile of a cell from the records of a run, those of other cells too."""
    return _profile(cell, seen_in(record for record in records if record.cell == cell))


def _profile(cell: Cell, seen: Seen) -> Profile:
    return Profile(cell, len(seen.attempts), consistency_of(seen), predictability_of(seen), safety_of(seen))


def side_by_side(profiles: Sequence[Profile]) -> tuple[Beside, ...]:
    """The figures of at least two cells over common tasks, those alone that every cell has.

    The way of passed attempts, for one, is known where a task passed twice, and cells that pass other tasks would
    otherwise be compared over other tasks.
    """
    rows = []
    for name, pick in _FIGURES.items():
        figures = [pick(profile) for profile in profiles]
        common = [task for task in figures[0].by_task if all(task in each.by_task for each in figures)]
        if common:
            rows.append(Beside(name, tuple(each.over(common) for each in figures), len(common)))
    return tuple(rows)
