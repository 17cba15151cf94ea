"""A perturbation of a task as its item has it, and the random numbers that decide what happens in an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from pytest_agenteval.options.perturbations import Asked, FaultPlan

__all__ = ["FaultDraws", "Perturbation", "perturbations_of"]

VERSION = 1
"""Increased whenever the same seed gives other faults or other texts."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One variant of a task."""

    group: str
    """What reports put together in one row."""
    name: str
    """In the node id."""
    seed: int
    k: int
    """How many attempts it gets."""
    faults: FaultPlan | None = None

    @property
    def identity(self) -> list[object]:
        """What defines it: with any other of these it is another task."""
        return [VERSION, self.group, self.name, self.seed, self.faults]

    def chance(self, *what: object) -> float:
        """A number from 0 to below 1, always the same for the same things."""
        return _chance(self.seed, *what)

    def random(self, *what: object) -> Random:
        """A generator that always begins with the same numbers for the same things."""
        return Random(f"{self.seed}|{'|'.join(map(str, what))}")


@dataclass(slots=True)
class FaultDraws:
    """Which calls of one attempt meet a fault. Each plane counts its own calls, so that none moves another's faults."""

    plan: FaultPlan
    seed: int
    task: str
    """The base's name: the same faults in all cells."""
    attempt: int

    def kind(self, plane: str, call: int) -> str | None:
        """What happens to the n-th call of a plane, counted from 1; None for nothing."""
        kinds = self.plan.of(plane)
        if not kinds:
            return None
        u = _chance(self.seed, self.task, self.attempt, plane, call)
        if self.plan.at:
            return kinds[int(u * len(kinds))] if call in self.plan.at else None
        return kinds[int(u / self.plan.rate * len(kinds))] if u < self.plan.rate else None


def perturbations_of(asked: Sequence[Asked], k: int, seed: int) -> list[Perturbation]:
    """The variants that a task gets."""
    return [Perturbation(each.name, each.name, seed, k, each.faults) for each in asked]


def _chance(*what: object) -> float:
    digest = blake2b("|".join(map(str, what)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
