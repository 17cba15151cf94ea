"""Paid questions: never the same one twice, never above the budget, and each in the ledger before it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol
from uuid import uuid4

from pytest_agenteval.builder.ledger import Ledger, reserving, settling
from pytest_agenteval.builder.place import Journal, Place
from pytest_agenteval.engine.models.asking import Answer, NoAnswer
from pytest_agenteval.errors import NotReady
from pytest_agenteval.money.budget import BudgetClosed, RunBudget
from pytest_agenteval.record.digest import digest

__all__ = ["Asks", "Calls", "Stopped", "refuse_unpriced"]


class Asks(Protocol):
    """A model; see :class:`pytest_agenteval.engine.models.asking.Respondent`."""

    @property
    def name(self) -> str:
        """By Inspect's way of naming."""

    @property
    def setup(self) -> str:
        """Everything that its answers depend on beside the question."""

    def at_most(self, instructions: str, question: str) -> float | None:
        """The most that a question costs, in dollars; None where no price is known."""

    async def ask(self, instructions: str, question: str) -> Answer:
        """Ask one question; raises `NoAnswer`."""


class Stopped(Exception):
    """Nothing more can be asked: the budget is spent, or the model does not answer. The message is one sentence."""


class Calls:
    """All questions of one suite. Answers are kept by content: a repeated question costs nothing."""

    def __init__(self, place: Place, limit: float | None) -> None:
        self._place = place
        self._journal = Journal(place.home / "ledger.jsonl")
        before = self.ledger
        self.limit = limit
        left = None if limit is None else max(0.0, limit - before.committed)
        self.budget = RunBudget(left)
        self.asked = self.cached = 0
        self._at_once = asyncio.Semaphore(8)
        self.on_change: Callable[[], None] = lambda: None

    @property
    def ledger(self) -> Ledger:
        """The sums of all lines so far, those of earlier runs of the command too."""
        return Ledger.of(self._journal.lines())

    @property
    def left(self) -> float | None:
        """Dollars that may still be spent; None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.ledger.committed)

    async def ask(self, model: Asks, stage: str, draft: str, instructions: str, question: str, *, turn: int = 0) -> str:
        """The model's answer, from the cache if it has been asked before.

        Args:
            model: who is asked.
            stage: for the ledger.
            draft: likewise; empty where it is about no draft.
            instructions: the system message, in our words only.
            question: the user's message.
            turn: tells several answers to one question apart.

        Raises:
            Stopped: the budget does not pay for it, or the model does not answer.
        """
        key = digest(json.dumps([model.name, model.setup, instructions, question, turn]))
        if (kept := self._place.json("calls", f"{key}.json")) is not None:
            self.cached += 1
            return str(kept["text"])
        async with self._at_once:
            try:
                reservation = await self.budget.reserve(model.at_most(instructions, question))
            except BudgetClosed:
                ledger = self.ledger
                raise Stopped(
                    f"--max-cost={self.limit:g} does not pay for the next call, which may cost up to "
                    f"${model.at_most(instructions, question) or 0:.4f}: ${ledger.spent:.4f} is spent"
                    + (f", ${ledger.lost:.4f} is held for lost calls" if ledger.lost else "")
                ) from None
            id, most = uuid4().hex[:12], reservation.worst_case
            self._journal.add(reserving(id, stage, draft, most))
            try:
                answer = await model.ask(instructions, question)
            except NoAnswer as error:
                lost = (most or 0.0) * (error.lost + error.billed)
                self._journal.add(settling(id, None, None, answered=False, lost=lost))
                reservation.keep() if error.billed else reservation.release()
                raise Stopped(str(error)) from None
            self.asked += 1
            call = answer.call
            tokens = {
                "input": call.input_tokens, "output": call.output_tokens, "cache_read": call.cache_read_tokens,
                "cache_write": call.cache_write_tokens,
            }  # fmt: skip
            lost = (most or 0.0) * answer.lost
            self._journal.add(settling(id, call.cost, tokens, answered=True, lost=lost))
            reservation.settle(call.cost)
            self._place.keep_json({"model": model.name, "stage": stage, "draft": draft, "text": answer.text},
                                  "calls", f"{key}.json")  # fmt: skip
            self.on_change()
            return answer.text

    def record(self, stage: str, at_most: float | None) -> Callable[[float | None, int], None]:
        """A reservation line for many calls that somebody else makes; call what it returns when they are over."""
        id = uuid4().hex[:12]
        self._journal.add(reserving(id, stage, "", at_most))

        def over(usd: float | None, calls: int) -> None:
            self._journal.add(settling(id, usd, None, answered=True, calls=calls))

        return over


def refuse_unpriced(limit: float | None, model: str, *, priced: bool) -> None:
    """A budget cannot be held with a model whose price nobody knows. Raises `NotReady`."""
    if limit is not None and not priced:
        raise NotReady(
            f"--max-cost cannot be held: the price of {model} is not known; give its prices with --agent-prices=FILE, "
            "or install pytest-agenteval[prices]"
        )
