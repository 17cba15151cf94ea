"""The variants of collected tasks that `--agent-perturb` asks for, as items after their base."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.collect.perturbation import perturbations_of
from pytest_agenteval.collect.prompt_variants import StoredPrompt, read_prompts
from pytest_agenteval.options.settings import Settings

__all__ = ["prompts_file", "stored_prompts", "with_variants"]


def with_variants(items: Iterable[Any], settings: Settings) -> list[Any]:
    """The same items, each agent task followed by its variants.

    Raises:
        pytest.Collector.CollectError: a file of stored prompts cannot be used.
    """
    found: list[Any] = []
    asked = settings.perturb
    wants_prompts = any(each.prompts is not None for each in asked.asked)
    for item in items:
        found.append(item)
        if not isinstance(item, AgentItem):
            continue
        stored = stored_prompts(item) if wants_prompts else ()
        read = [prompt for prompt in stored if prompt.reviewed or asked.unreviewed]
        k, varies = asked.k or settings.attempts.k, item.plan.uses_ours("perturbation")
        variants = perturbations_of(asked.asked, k, asked.seed, read, varies=varies)
        found += [AgentItem.of(item, each) for each in variants]
        if len(read) < len(stored):
            item.note(
                f"{len(stored) - len(read)} stored prompts are left out, for nobody has reviewed them: set `reviewed`, "
                "or add --agent-unreviewed"
            )
    return found


def prompts_file(item: AgentItem) -> Path:
    """Where its stored prompts are, or would be."""
    named = item.options.variants
    return item.path.parent / (named or f"variants/{item.originalname}.toml")


def stored_prompts(item: AgentItem) -> tuple[StoredPrompt, ...]:
    """The stored prompts of a task; none if it has no file of them.

    Raises:
        pytest.Collector.CollectError: the file cannot be used, or the one that the task names is not there.
    """
    file = prompts_file(item)
    if item.options.variants is None and not file.is_file():
        return ()
    try:
        return read_prompts(file)
    except ValueError as error:
        raise pytest.Collector.CollectError(f"{item.nodeid}: {error}") from None
