"""Which perturbation of which task: what pairs a perturbed task with its base."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Perturbed"]


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A task under a perturbation."""

    group: str
    """What reports put together in one row: `exec-faults`, or `prompts` for all stored prompts."""
    name: str
    """The variant, as the node id has it, for example `exec-faults` or `prompt-formal`."""
    of: str
    """The name of the base task, without cell and variant."""
    k: int
    """How many attempts were asked for."""
