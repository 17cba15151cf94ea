"""A perturbation of a task as its item has it, and the random numbers that decide what happens in an attempt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from pytest_agenteval.collect.prompt_variants import StoredPrompt
from pytest_agenteval.options.perturbations import PROMPTS, Asked, FaultPlan

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
    changes: tuple[str, ...] = ()
    """Seeded changes of the prompt, of what the model is told about tools, and of the commands' environment."""
    prompt: StoredPrompt | None = None
    """The stored wording that replaces the prompt."""
    author: bool = False
    """Whether the test itself varies what it sets up."""

    @property
    def identity(self) -> list[object]:
        """What defines it: with any other of these it is another task. Who reviewed a text does not matter."""
        prompt = None if self.prompt is None else [self.prompt.of, self.prompt.text]
        return [VERSION, self.group, self.name, self.seed, self.faults, self.changes, prompt, self.author]

    def random(self, *what: object) -> Random:
        """A generator that always begins with the same numbers for the same things."""
        return Random("|".join(map(str, (self.seed, *what))))


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


def perturbations_of(
    asked: Sequence[Asked], k: int, seed: int, stored: Sequence[StoredPrompt] = (), *, varies: bool = False
) -> list[Perturbation]:
    """The variants that a task gets.

    Args:
        asked: the perturbations of the run.
        k: attempts under each; the variants of one share them.
        seed: of all of them.
        stored: the task's stored prompts.
        varies: whether the task asks for its perturbation, and so can vary itself.
    """
    found = []
    for each in asked:
        if each.author and not varies:
            continue
        made = Perturbation(each.name, each.name, seed, k, each.faults, each.changes, None, each.author)
        if each.prompts is None:
            found.append(made)
            continue
        chosen = [prompt for prompt in stored if not each.prompts or prompt.name in each.prompts]
        for at, prompt in enumerate(chosen):
            share = k // len(chosen) + (at < k % len(chosen))
            name = each.name.replace(PROMPTS, f"prompt-{prompt.name}")
            if share:
                found.append(dataclasses.replace(made, name=name, k=share, prompt=prompt))
    return found


def _chance(*what: object) -> float:
    digest = blake2b("|".join(map(str, what)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
