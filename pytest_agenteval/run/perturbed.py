"""What a test sees of its perturbation (the fixture `perturbation`)."""

from __future__ import annotations

from random import Random
from typing import TypeVar

__all__ = ["OwnPerturbation"]

T = TypeVar("T")


class OwnPerturbation:
    """A seeded source of variation for the test's own set-up; the base has None in its place."""

    def __init__(self, name: str, random: Random) -> None:
        self.name = name
        """As `--agent-perturb` has it."""
        self.used = False
        """Whether the test has drawn anything."""
        self._random = random

    @property
    def random(self) -> Random:
        """Draws the same numbers whenever this attempt is run with the same seed."""
        self.used = True
        return self._random

    def pick(self, *options: T) -> T:
        """One of these."""
        return self.random.choice(options)
