"""What a family is, and a family made of parts: each a sentence of the prompt, a step, and what must hold after it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_agenteval.builder.proposal import Check, Step

__all__ = ["Deck", "Family", "Part", "PartsFamily"]


class Family(Protocol):
    """Makes tasks of one kind. What the entry point `agenteval.families` names is an instance of one."""

    @property
    def name(self) -> str:
        """Lower-case words joined by dashes; also the sub-task's id."""

    @property
    def about(self) -> str:
        """What its tasks ask for, in one sentence."""

    @property
    def topics(self) -> Sequence[str]:
        """Words of a query that mean it."""

    def draft(self, seed: str, steps: int) -> Mapping[str, Any]:
        """A proposal (see :mod:`pytest_agenteval.builder.form`), the same for the same seed.

        Args:
            seed: draws everything in it.
            steps: how many steps its solution shall have; fewer if the family has no more.
        """


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to do."""

    ask: str
    """A sentence of the prompt."""
    step: Step
    """Does it."""
    checks: Sequence[Check]
    """Hold when it is done, and not before."""
    wrong: Sequence[tuple[str, Step]]
    """At least two steps that nearly do it, each with what is wrong with it."""
    other: Step
    """Does it in another way."""


@dataclass(frozen=True, slots=True)
class Deck:
    """Everything that a seed has drawn: the surroundings, and the things to do in them."""

    title: str
    intro: str
    """The beginning of the prompt."""
    parts: Sequence[Part]
    files: Mapping[str, str] = field(default_factory=dict)
    setup: Sequence[str] = ()
    desk: Mapping[str, Any] | None = None
    outro: str = ""
    checks: Sequence[Check] = ()
    """Hold in any case."""


@dataclass(frozen=True, slots=True)
class PartsFamily:
    """A family whose tasks have as many parts as their solutions have steps."""

    name: str
    about: str
    topics: Sequence[str]
    deal: Callable[[random.Random, int], Deck]
    """Draws a deck with about so many parts."""

    def draft(self, seed: str, steps: int) -> Mapping[str, Any]:
        """See :class:`Family`."""
        rng = random.Random(f"{self.name}/{seed}")
        deck = self.deal(rng, steps)
        parts = list(deck.parts)
        right = [part.step for part in parts]
        mutants = []
        for at, wrong in _two(parts):
            about, step = parts[at].wrong[wrong]
            mutants.append(_way(about, [*right[:at], step, *right[at + 1 :]]))
        asks = [part.ask for part in parts]
        numbered = asks if len(asks) == 1 else [f"{number}. {ask}" for number, ask in enumerate(asks, 1)]
        return {
            "title": deck.title,
            "prompt": "\n".join(filter(None, [deck.intro, *numbered, deck.outro])),
            "files": dict(deck.files),
            "setup": list(deck.setup),
            "desk": deck.desk,
            "solution": right,
            "answer": "",
            "checks": [*(check for part in parts for check in part.checks), *deck.checks],
            "mutants": mutants,
            "alternatives": [_way("another way", [part.other for part in parts])],
            "origin": {"family": self.name, "seed": seed},
        }


def _two(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Which parts go wrong, and in which of their ways: the first and the last, or two ways of the only one."""
    return [(0, 0), (0, 1)] if len(parts) == 1 else [(0, 0), (len(parts) - 1, 1)]


def _way(name: str, steps: Sequence[Step]) -> dict[str, Any]:
    return {"name": name, "solution": list(steps), "answer": "", "why": name}
