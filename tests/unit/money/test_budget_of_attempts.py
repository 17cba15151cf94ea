"""Many attempts that share a budget: those that have begun come first, so that its last dollar finishes attempts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agenteval.money import budget as budgets
from pytest_agenteval.money.budget import BudgetClosed, Reservation, RunBudget
from pytest_agenteval.money.tabs import Tab

CENT = 0.01


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 60))  # only a deadlock takes that long


async def let_everything_run() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def ask(budget: RunBudget, worst_case: float, tab: Tab | None) -> asyncio.Task[Reservation]:
    return asyncio.ensure_future(budget.reserve(worst_case, tab))


async def finish(budget: RunBudget, kind: str, cost: float) -> None:
    tab = budget.open_tab(kind)
    (await budget.reserve(cost, tab)).settle(cost)
    budget.close_tab(tab, finished=True)


def test_of_two_calls_that_wait_the_older_attempts_is_granted_first() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        old, young = budget.open_tab("t"), budget.open_tab("t")
        (await budget.reserve(0.05, old)).settle(0.05)
        (await budget.reserve(0.05, young)).settle(0.05)
        held = await budget.reserve(0.9, old)
        later, earlier = ask(budget, 0.1, young), ask(budget, 0.1, old)
        await let_everything_run()
        held.settle(0.8)
        await let_everything_run()
        assert (earlier.done(), later.done()) == (True, False)
        (await earlier).settle(0.1)
        budget.close_tab(old, finished=True)
        with pytest.raises(BudgetClosed):
            await later

    run(body())


def test_a_fresh_attempt_waits_while_the_money_would_not_finish_those_that_have_begun() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        budget.learn("t", 0.4)
        budget.learn("t", 0.2)  # so one may cost 0.4 and a half of that
        begun, fresh = budget.open_tab("t"), budget.open_tab("t")
        (await budget.reserve(0.1, begun)).settle(0.1)
        assert (await budget.reserve(0.4, fresh)).worst_case == 0.4  # 0.9 are left, of which 0.5 are owed
        third = ask(budget, 0.01, budget.open_tab("t"))
        await let_everything_run()
        assert not third.done()
        (await budget.reserve(0.1, begun)).settle(0.1)
        budget.close_tab(begun, finished=True)  # it needed less
        await let_everything_run()
        assert third.done()

    run(body())


def test_before_anything_is_known_the_oldest_alone_may_spend_freely() -> None:
    async def body() -> None:
        budget = RunBudget(16.0)
        oldest, second, third = (budget.open_tab("t") for _ in range(3))
        (await budget.reserve(0.5, oldest)).settle(0.5)
        (await budget.reserve(0.6, second)).settle(0.6)
        waiting = ask(budget, 0.6, third)  # together more than a sixteenth
        await let_everything_run()
        assert not waiting.done()
        (await budget.reserve(0.5, oldest)).settle(0.1)
        budget.close_tab(oldest, finished=True)
        (await waiting).settle(0.6)

    run(body())


def test_an_attempt_that_starts_anew_keeps_its_place_and_needs_its_money_again() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        for _ in range(100):
            budget.learn("t", 0.3)
        begun, fresh = budget.open_tab("t"), budget.open_tab("t")
        (await budget.reserve(0.3, begun)).settle(0.3)  # 0.7 are left
        begun.try_again()
        held = ask(budget, 0.5, fresh)
        await let_everything_run()
        assert not held.done()  # 0.3 of them are owed
        (await budget.reserve(0.1, begun)).settle(0.1)
        await let_everything_run()
        assert not held.done()
        budget.close_tab(begun, finished=False)
        assert (await held).open

    run(body())


def test_costs_are_known_by_kind_where_they_are() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        for _ in range(1000):
            budget.learn("cheap", 0.01)
            budget.learn("dear", 0.9)
        cheap, dear = budget.open_tab("cheap"), budget.open_tab("dear")
        (await budget.reserve(0.001, cheap)).settle(0.001)
        first = await budget.reserve(0.5, dear)
        other = ask(budget, 0.1, budget.open_tab("cheap"))
        await let_everything_run()
        assert not other.done()  # the dear one is expected to need it all
        first.settle(0.5)
        budget.close_tab(dear, finished=True)
        (await other).settle(0.0)

    run(body())


def test_no_call_is_held_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The older attempt may wait for a lock that the held one has."""
    monkeypatch.setattr(budgets, "PATIENCE_SECONDS", 0.01)

    async def body() -> None:
        budget = RunBudget(1.0)
        budget.learn("t", 0.9)
        older = budget.open_tab("t")
        (await budget.reserve(0.1, older)).settle(0.1)
        (await budget.reserve(0.1, budget.open_tab("t"))).settle(0.1)
        (await budget.reserve(0.1, older)).settle(0.1)

    run(body())


# Attempts as a run makes them: so many at once, each call after the other.


@dataclass(frozen=True)
class Planned:
    costs: tuple[int, ...]
    """Of its calls, in cents."""
    pauses: tuple[int, ...]
    """Rounds of the event loop before each call (its tools) and during it."""

    @property
    def cost(self) -> int:
        return sum(self.costs)


@dataclass
class Played:
    limit: int
    worst: int
    """What is reserved for a call, in cents."""
    known: Sequence[int] = ()
    finished: list[Planned] = field(default_factory=list)
    spent: int = 0

    async def play(self, attempts: Sequence[Planned], at_once: int) -> None:
        budget = RunBudget(self.limit * CENT)
        for cost in self.known:
            budget.learn("t", cost * CENT)
        waiting: Iterator[Planned] = iter(attempts)

        async def place() -> None:
            for planned in waiting:
                tab = budget.open_tab("t")
                done = False
                try:
                    await self.attempt(budget, tab, planned)
                    done = True
                    self.finished.append(planned)
                except BudgetClosed:
                    pass
                finally:
                    budget.close_tab(tab, finished=done)

        await asyncio.gather(*(place() for _ in range(at_once)))
        assert (budget.in_flight, budget.waiting, budget.reserved) == (0, 0, 0.0)
        assert budget.spent <= self.limit * CENT + 1e-9
        self.spent = round(budget.spent / CENT)

    async def attempt(self, budget: RunBudget, tab: Tab, planned: Planned) -> None:
        for cost, pause in zip(planned.costs, planned.pauses, strict=True):
            for _ in range(pause):
                await asyncio.sleep(0)
            reservation = await budget.reserve(self.worst * CENT, tab)
            for _ in range(pause):
                await asyncio.sleep(0)
            reservation.settle(cost * CENT)


def alike(calls: int, cost: int, count: int, seed: int) -> list[Planned]:
    draw = random.Random(seed)
    return [Planned((cost,) * calls, tuple(draw.randint(0, 5) for _ in range(calls))) for _ in range(count)]


@settings(deadline=None, max_examples=60)
@given(
    calls=st.integers(1, 12),
    cost=st.integers(1, 5),
    above=st.integers(0, 3),
    pays_for=st.floats(0, 30),
    at_once=st.integers(1, 20),
    known=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_a_budget_that_can_pay_for_m_attempts_finishes_m_within_one(
    calls: int, cost: int, above: int, pays_for: float, at_once: int, known: bool, seed: int
) -> None:
    """Beside the cost of m attempts it must have, for the last call, what that call reserves above its cost."""
    each = calls * cost
    limit = round(pays_for * each) + above
    played = Played(limit, cost + above, [each] * 3 if known else [])
    asyncio.run(played.play(alike(calls, cost, 40, seed), at_once))
    m = min(40, (limit - above) // each)
    assert len(played.finished) >= m - 1


@settings(deadline=None, max_examples=60)
@given(
    attempts=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=12), min_size=1, max_size=25
    ),
    limit=st.integers(0, 400),
    at_once=st.integers(1, 20),
)
def test_whatever_attempts_cost_each_ends_and_the_limit_holds(
    attempts: list[list[tuple[int, int]]], limit: int, at_once: int
) -> None:
    planned = [Planned(tuple(c for c, _ in calls), tuple(p for _, p in calls)) for calls in attempts]
    played = Played(limit, 5)
    asyncio.run(asyncio.wait_for(played.play(planned, at_once), 20))
    if sum(each.cost for each in planned) + 5 * at_once <= limit:
        assert len(played.finished) == len(planned)
    assert played.finished or not planned or limit < planned[0].cost + 5 or at_once > 1


def test_attempts_of_unequal_cost_waste_little_of_a_budget() -> None:
    """Without the order of attempts half and more of the budget goes to attempts that never finish."""
    wasted = []
    for seed in range(60):
        draw = random.Random(seed)
        lengths = [draw.randint(5, 15) for _ in range(40)]
        attempts = [Planned((1,) * n, tuple(draw.randint(0, 5) for _ in range(n))) for n in lengths]
        played = Played(120, 2)
        asyncio.run(played.play(attempts, 16))
        wasted.append(played.spent - sum(each.cost for each in played.finished))
    assert sum(wasted) / len(wasted) < 0.15 * 120
