"""Who proposes: families of tasks, which cost nothing, or a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Protocol

from pytest_agenteval.builder.calls import Asks, Calls
from pytest_agenteval.builder.checks import KINDS
from pytest_agenteval.builder.families.family import Family
from pytest_agenteval.builder.families.known import fitting
from pytest_agenteval.builder.form import ID, NotJson, parse
from pytest_agenteval.builder.intent import Ground, Intent, Slot, Subtask
from pytest_agenteval.errors import NotReady, did_you_mean

__all__ = ["Feedback", "ModelProposer", "Proposer", "TemplateProposer", "as_request", "prompt_text"]

Feedback = Sequence[Mapping[str, Any]]
"""What was found wrong with the earlier versions of a draft: rule, message, evidence."""
_MOST_SUBTASKS = 6


class Proposer(Protocol):
    """Proposes sub-tasks and drafts. What it proposes is data, and nothing is believed of it."""

    @property
    def id(self) -> str:
        """Another id makes other stages."""

    async def subtasks(self, intent: Intent, infeasible: Sequence[Ground]) -> list[Subtask]:
        """Kinds of tasks for an intent; of those that were infeasible, others in their place."""

    async def ground(self, intent: Intent, subtask: Subtask) -> Ground:
        """Whether tasks of a kind can be made."""

    async def draft(
        self, intent: Intent, subtask: Subtask, slot: Slot, feedback: Feedback, examples: Sequence[Any]
    ) -> str:
        """The text of a proposal: JSON, if all is well."""


class TemplateProposer:
    """Seeded families of tasks. The same seed gives the same tasks; a repaired draft is one of another seed."""

    id = "template"

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families

    async def subtasks(self, intent: Intent, infeasible: Sequence[Ground]) -> list[Subtask]:
        """See :class:`Proposer`."""
        for name in intent.families:
            if name not in self._families:
                hint = did_you_mean(name, self._families, f"there are {', '.join(self._families)}")
                raise NotReady(f"there is no family {name}: {hint}")
        query = " ".join([intent.query, *(name.replace("_", " ") for name in intent.like)])
        chosen = [self._families[name] for name in intent.families] or fitting(query, self._families)
        gone = {each.id for each in infeasible}
        return [Subtask(family.name, family.about) for family in chosen if family.name not in gone]

    async def ground(self, intent: Intent, subtask: Subtask) -> Ground:
        """See :class:`Proposer`."""
        known = subtask.id in self._families
        return Ground(subtask.id, known, "" if known else f"there is no family {subtask.id}")

    async def draft(
        self, intent: Intent, subtask: Subtask, slot: Slot, feedback: Feedback, examples: Sequence[Any]
    ) -> str:
        """See :class:`Proposer`."""
        again = f"/{len(feedback)}" if feedback else ""
        seed = f"{intent.avoid}{intent.seed}/{slot.index + 1}{again}"
        made = self._families[subtask.id].draft(seed, slot.steps(intent.seed))
        return json.dumps({**made, "id": slot.id, "subtask": subtask.id}, indent=1, ensure_ascii=False)


class ModelProposer:
    """A model. Its own words never become instructions: they come back to it inside the request only."""

    def __init__(self, model: Asks, calls: Calls) -> None:
        self._model, self._calls = model, calls

    @property
    def id(self) -> str:
        """The model with its settings, and the prompts."""
        return f"{self._model.name} {self._model.setup}"

    async def subtasks(self, intent: Intent, infeasible: Sequence[Ground]) -> list[Subtask]:
        """See :class:`Proposer`."""
        request = {"intent": _intent(intent), "checks": _checks(), "seed": intent.seed}
        if infeasible:
            request["infeasible"] = [{"id": each.id, "reason": each.reason} for each in infeasible]
        for turn in range(3):
            found = await self._json("subtasks", "", request, turn)
            listed = found.get("subtasks") if isinstance(found, dict) else None
            right = [
                Subtask(each["id"], each["about"])
                for each in (listed if isinstance(listed, list) else [])
                if isinstance(each, dict) and isinstance(each.get("about"), str) and ID.fullmatch(str(each.get("id")))
            ]
            unique = list({each.id: each for each in right}.values())
            if unique:
                return unique[:_MOST_SUBTASKS]
        raise NotReady(
            f"{self._model.name} proposed no sub-tasks in three answers: look at them in .new-suite/calls, write "
            "subtasks.toml yourself, or choose another model"
        )

    async def ground(self, intent: Intent, subtask: Subtask) -> Ground:
        """See :class:`Proposer`."""
        request = {
            "intent": _intent(intent),
            "subtask": {"id": subtask.id, "about": subtask.about},
            "checks": _checks(),
        }
        for turn in range(3):
            found = await self._json("ground", "", request, turn)
            if isinstance(found, dict) and isinstance(found.get("feasible"), bool):
                return Ground(subtask.id, found["feasible"], " ".join(str(found.get("reason", "")).split()))
        return Ground(subtask.id, False, f"{self._model.name} gave no readable answer in three")

    async def draft(
        self, intent: Intent, subtask: Subtask, slot: Slot, feedback: Feedback, examples: Sequence[Any]
    ) -> str:
        """See :class:`Proposer`."""
        request = {
            "intent": _intent(intent),
            "subtask": {"id": subtask.id, "about": subtask.about},
            "index": slot.index,
            "seed": f"{intent.avoid}{intent.seed}",
            "steps": slot.steps(intent.seed),
            "checks": _checks(),
            "examples": list(examples),
            "feedback": list(feedback),
        }
        return await self._ask("draft", slot.id, request, 0)

    async def _json(self, stage: str, draft: str, request: Mapping[str, Any], turn: int) -> Any:
        try:
            return parse(await self._ask(stage, draft, request, turn))
        except NotJson:
            return None

    async def _ask(self, stage: str, draft: str, request: Mapping[str, Any], turn: int) -> str:
        instructions = f"{prompt_text('role')}\n{prompt_text(stage)}"
        return await self._calls.ask(self._model, stage, draft, instructions, as_request(stage, request), turn=turn)


def prompt_text(name: str) -> str:
    """One of the prompts."""
    return (files("pytest_agenteval.builder") / "prompts" / f"{name}.md").read_text("utf-8")


def as_request(stage: str, request: Mapping[str, Any]) -> str:
    """The user's message: JSON that cannot end its own frame."""
    text = json.dumps({"stage": stage, **request}, sort_keys=True, ensure_ascii=True).replace("<", "\\u003c")
    return f"<request>{text}</request>"


def _intent(intent: Intent) -> dict[str, Any]:
    said = {"query": intent.query, "capability": intent.capability, "like": list(intent.like)}
    return {**said, "forbidden_shortcuts": list(intent.forbidden_shortcuts)}


def _checks() -> list[dict[str, Any]]:
    return [{"kind": name, "about": kind.about, "example": {"kind": name, **kind.example}}
            for name, kind in KINDS.items() if name != "desk"]  # fmt: skip
