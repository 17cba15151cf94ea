"""The optional judge: a model that is asked what running cannot show. It can reject a task, never accept one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from pytest_agenteval.builder.calls import Asks, Calls
from pytest_agenteval.builder.form import NotJson, parse
from pytest_agenteval.builder.gate import Reason
from pytest_agenteval.builder.intent import Intent
from pytest_agenteval.builder.proposal import Proposal
from pytest_agenteval.builder.proposers import as_request, prompt_text

__all__ = ["ModelJudge"]

_QUESTIONS = ("aligned", "complete", "realistic")
_JUDGEMENTS = 3


class ModelJudge:
    """Asks three times; the majority decides each question, and unreadable answers count for nobody."""

    def __init__(self, model: Asks, calls: Calls) -> None:
        self._model, self._calls = model, calls

    async def reject(self, intent: Intent, proposal: Proposal) -> Reason | None:
        """Why the task is rejected; None if it is not. Raises `Stopped`."""
        task = asdict(proposal)
        shown = {key: task[key] for key in ("title", "prompt", "files", "desk", "checks", "solution", "answer")}
        asked = {"intent": {"query": intent.query, "capability": intent.capability}, "task": shown}
        turns = [self._ask(proposal.id, as_request("judge", asked), turn) for turn in range(_JUDGEMENTS)]
        answers = await asyncio.gather(*turns)
        for question in _QUESTIONS:
            against = [why for said, why in answers if said.get(question) is False]
            if 2 * len(against) > _JUDGEMENTS:
                return Reason("JUDGED", f"not {question}: {against[0]}", _unique(against))
        return None

    async def _ask(self, draft: str, request: str, turn: int) -> tuple[dict[str, object], str]:
        text = await self._calls.ask(self._model, "judge", draft, prompt_text("judge"), request, turn=turn)
        try:
            found = parse(text)
        except NotJson:
            return {}, ""
        return (found, str(found.get("reason", ""))) if isinstance(found, dict) else ({}, "")


def _unique(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
