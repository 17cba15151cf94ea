"""The variants of collected tasks that `--agent-perturb` asks for, as items after their base."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.collect.perturbation import perturbations_of
from pytest_agenteval.options.settings import Settings

__all__ = ["with_variants"]


def with_variants(items: Iterable[Any], settings: Settings) -> list[Any]:
    """The same items, each agent task followed by its variants."""
    found: list[Any] = []
    asked = settings.perturb
    for item in items:
        found.append(item)
        if isinstance(item, AgentItem):
            variants = perturbations_of(asked.asked, asked.k or settings.attempts.k, asked.seed)
            found += [AgentItem.of(item, each) for each in variants]
    return found
