from __future__ import annotations

import asyncio

import pytest

from pytest_agenteval.money.budget import BudgetClosed, BudgetExhausted, RunBudget


def test_a_stopped_budget_pays_for_no_call_more_whatever_is_left() -> None:
    async def play() -> None:
        budget = RunBudget(1.0)
        before = await budget.reserve(0.4)
        budget.stop("no price")
        with pytest.raises(BudgetClosed, match=r"^no price$") as refused:
            await budget.reserve(0.1)
        assert not isinstance(refused.value, BudgetExhausted)
        before.settle(0.3)
        assert (budget.exhausted, budget.stopped, budget.spent) == (True, "no price", 0.3)

    asyncio.run(play())


def test_stopping_refuses_the_calls_that_wait() -> None:
    async def play() -> None:
        budget = RunBudget(1.0)
        held = await budget.reserve(0.9)
        waiting = asyncio.ensure_future(budget.reserve(0.5))
        await asyncio.sleep(0)
        budget.stop("no price")
        with pytest.raises(BudgetClosed, match="no price"):
            await waiting
        held.release()
        assert (budget.waiting, budget.in_flight) == (0, 0)

    asyncio.run(play())


def test_a_call_of_unknown_price_is_told_why_the_budget_was_stopped() -> None:
    async def play() -> None:
        budget = RunBudget(1.0)
        budget.stop("no price")
        budget.stop("a later reason")
        with pytest.raises(BudgetClosed, match="no price"):
            await budget.reserve(None)

    asyncio.run(play())
