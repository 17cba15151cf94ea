from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agenteval.money.budget import BudgetExhausted, Reservation, RunBudget
from pytest_agenteval.money.tabs import Tab


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 60))  # only a deadlock takes that long


async def let_everything_run() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def ask(budget: RunBudget, worst_case: float) -> asyncio.Task[Reservation]:
    return asyncio.ensure_future(budget.reserve(worst_case))


def test_a_reservation_is_set_aside_and_the_cost_is_spent() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        first = await budget.reserve(0.4)
        assert (first.worst_case, first.open, budget.in_flight) == (0.4, True, 1)
        assert (budget.spent, budget.reserved, budget.kept) == (0.0, 0.4, 0.0)
        first.settle(0.1)
        assert (first.open, budget.in_flight) == (False, 0)
        assert (budget.spent, budget.reserved, budget.kept) == (0.1, 0.0, 0.0)

    run(body())


def test_released_money_is_free_and_kept_money_is_gone() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        (await budget.reserve(0.4)).release()
        assert (budget.spent, budget.kept, budget.reserved) == (0.0, 0.0, 0.0)
        (await budget.reserve(0.4)).keep()
        assert (budget.spent, budget.kept, budget.reserved) == (0.0, 0.4, 0.0)
        with pytest.raises(BudgetExhausted):
            await budget.reserve(0.7)

    run(body())


def test_dimes_add_up_to_dollars() -> None:
    async def body() -> None:
        budget = RunBudget(0.3)
        held = [await budget.reserve(0.1) for _ in range(3)]
        assert budget.reserved == 0.3
        for each in held:
            each.settle(0.1)
        assert budget.spent == 0.3
        with pytest.raises(BudgetExhausted):
            await budget.reserve(1e-9)

    run(body())


def test_what_does_not_fit_waits_for_calls_in_flight() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        first = await budget.reserve(0.8)
        second = ask(budget, 0.5)
        await let_everything_run()
        assert (second.done(), budget.waiting, budget.exhausted) == (False, 1, False)
        first.settle(0.2)
        (await second).settle(0.5)
        assert (budget.waiting, budget.spent) == (0, 0.7)

    run(body())


def test_what_cannot_fit_with_nothing_in_flight_ends_the_budget() -> None:
    async def body() -> None:
        budget = RunBudget(5.0)
        (await budget.reserve(4.5)).settle(4.25)
        (await budget.reserve(0.25)).keep()
        with pytest.raises(BudgetExhausted) as raised:
            await budget.reserve(0.75)
        assert budget.exhausted
        error = raised.value
        assert (error.limit, error.spent, error.kept, error.worst_case) == (5.0, 4.25, 0.25, 0.75)
        assert str(error) == (
            "The run's budget of $5.00 cannot pay for the next model call, which may cost up to $0.75: "
            "$4.25 is spent, $0.25 is held for calls of unknown cost; "
            "raise --max-cost, or lower the max_tokens of the call."
        )
        with pytest.raises(BudgetExhausted) as later:
            await budget.reserve(0.0)
        assert str(later.value) == str(error)

    run(body())


def test_a_first_call_above_the_limit_is_refused_at_once() -> None:
    async def body() -> None:
        budget = RunBudget(0.001)
        with pytest.raises(BudgetExhausted, match=r"budget of \$0\.001 .* up to \$0\.0012: \$0\.00 is spent; raise"):
            await budget.reserve(0.0012)

    run(body())


def test_calls_waiting_when_the_budget_ends_are_refused_too() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        first = await budget.reserve(0.8)
        large, small = ask(budget, 0.5), ask(budget, 0.1)
        await let_everything_run()
        first.settle(0.8)
        results = await asyncio.gather(large, small, return_exceptions=True)
        assert [str(result) for result in results] == [
            "The run's budget of $1.00 cannot pay for the next model call, which may cost up to $0.50: $0.80 is spent; "
            "raise --max-cost, or lower the max_tokens of the call."
        ] * 2
        assert (budget.waiting, budget.in_flight, budget.spent) == (0, 0, 0.8)

    run(body())


def test_a_large_call_is_not_starved_by_small_ones() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        small = [await budget.reserve(0.1) for _ in range(5)]
        large = ask(budget, 0.9)
        await let_everything_run()
        later = [ask(budget, 0.1) for _ in range(3)]
        for held in small[:4]:
            held.settle(0.0)
            await let_everything_run()
        # 0.9 + the 0.1 that is left in flight: now it fits, and nobody behind it does.
        assert large.done()
        assert not any(each.done() for each in later)
        (await large).settle(0.0)
        small[4].settle(0.0)
        for each in later:
            (await each).settle(0.0)

    run(body())


def test_one_settled_call_can_make_room_for_several() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        first = await budget.reserve(1.0)
        waiting = [ask(budget, 0.25) for _ in range(5)]
        await let_everything_run()
        first.release()
        await let_everything_run()
        assert [each.done() for each in waiting] == [True, True, True, True, False]
        (await waiting[0]).settle(0.0)
        for each in waiting[1:]:
            (await each).settle(0.0)

    run(body())


def test_a_cancelled_head_of_the_queue_lets_the_next_one_in() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        first = await budget.reserve(0.8)
        large, small = ask(budget, 0.5), ask(budget, 0.2)
        await let_everything_run()
        assert not small.done()
        large.cancel()
        await let_everything_run()
        assert large.cancelled()
        (await small).settle(0.2)
        first.settle(0.8)
        assert (budget.spent, budget.waiting, budget.in_flight, budget.exhausted) == (1.0, 0, 0, False)

    run(body())


def test_a_call_cancelled_in_the_moment_of_its_grant_gives_the_money_back() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        first = await budget.reserve(1.0)
        second, third = ask(budget, 1.0), ask(budget, 1.0)
        await let_everything_run()
        first.release()  # grants the second, which has not run yet
        second.cancel()
        await let_everything_run()
        assert second.cancelled()
        (await third).settle(1.0)
        assert (budget.spent, budget.reserved, budget.in_flight) == (1.0, 0.0, 0)

    run(body())


def test_a_call_cancelled_in_the_moment_of_its_refusal_is_cancelled() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        first = await budget.reserve(1.0)
        second = ask(budget, 1.0)
        await let_everything_run()
        first.settle(0.5)
        second.cancel()
        await let_everything_run()
        assert second.cancelled()
        assert budget.exhausted

    run(body())


@pytest.mark.parametrize("first", ["settle", "release", "keep"])
@pytest.mark.parametrize("second", ["settle", "release", "keep"])
def test_a_reservation_is_ended_exactly_once(first: str, second: str) -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        reservation = await budget.reserve(0.5)
        arguments = {"settle": (0.25,)}
        getattr(reservation, first)(*arguments.get(first, ()))
        before = (budget.spent, budget.kept, budget.reserved)
        with pytest.raises(RuntimeError, match="end a reservation exactly once"):
            getattr(reservation, second)(*arguments.get(second, ()))
        assert (budget.spent, budget.kept, budget.reserved) == before

    run(body())


def test_with_a_limit_a_call_of_unknown_price_is_refused_before_it_is_made() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        with pytest.raises(ValueError, match="worst case of a call is unknown in a run with a limit"):
            await budget.reserve(None)
        assert (budget.in_flight, budget.reserved) == (0, 0.0)

    run(body())


def test_an_answer_of_unknown_cost_counts_with_its_worst_case() -> None:
    async def body() -> None:
        budget = RunBudget(1.0)
        (await budget.reserve(0.5)).settle(None)
        assert (budget.kept, budget.spent, budget.unpriced) == (0.5, 0.0, 0)

    run(body())


def test_without_a_limit_everything_is_granted_and_counted() -> None:
    async def body() -> None:
        budget = RunBudget(None)
        held = [await budget.reserve(1e6) for _ in range(10)]
        for each in held:
            each.settle(2.5)
        unknown, lost, refused = [await budget.reserve(None) for _ in range(3)]
        unknown.settle(None)
        lost.keep()
        refused.release()
        assert (budget.limit, budget.exhausted) == (None, False)
        assert (budget.spent, budget.reserved, budget.unpriced) == (25.0, 0.0, 2)

    run(body())


@pytest.mark.parametrize("amount", [-0.01, float("nan"), float("inf"), 1e300])
def test_what_is_no_amount_is_refused(amount: float) -> None:
    async def body() -> None:
        with pytest.raises(ValueError, match="limit is not an amount of dollars"):
            RunBudget(amount)
        budget = RunBudget(1.0)
        with pytest.raises(ValueError, match="worst case is not an amount of dollars"):
            await budget.reserve(amount)
        reservation = await budget.reserve(0.5)
        with pytest.raises(ValueError, match="cost is not an amount of dollars"):
            reservation.settle(amount)
        reservation.release()

    run(body())


def test_a_limit_of_zero_lets_free_calls_through() -> None:
    async def body() -> None:
        budget = RunBudget(0.0)
        (await budget.reserve(0.0)).settle(0.0)
        with pytest.raises(BudgetExhausted):
            await budget.reserve(1e-6)

    run(body())


# Random schedules. Amounts are whole cents, so that a tolerance of a millionth of a dollar hides nothing.

GRAIN = 1e-6


@dataclass(frozen=True)
class Call:
    start: int
    """In which round of the event loop it asks."""
    worst: int
    cost: int
    rounds: int
    """How long it is in flight."""
    end: Literal["settle", "release", "keep"]
    cancelled_in: int | None = None


calls = st.builds(
    Call,
    start=st.integers(0, 8),
    worst=st.integers(0, 60),
    cost=st.integers(0, 60),
    rounds=st.integers(0, 6),
    end=st.sampled_from(["settle", "settle", "settle", "release", "keep"]),
)
honest_calls = calls.map(lambda call: replace(call, cost=min(call.cost, call.worst)))
schedules = st.lists(honest_calls, max_size=25)
limits = st.integers(0, 300)


class Watched(RunBudget):
    """Remembers which reservations were in flight when the last one was granted."""

    def __init__(self, limit: float | None) -> None:
        super().__init__(limit)
        self.at_last_grant: set[Reservation] = set()

    def _grant(self, units: int | None, tab: Tab | None) -> Reservation:
        reservation = super()._grant(units, tab)
        self.at_last_grant = set(self._open)
        return reservation


class Run:
    """Plays a schedule in an event loop of its own, checks what must always hold, and keeps what came out."""

    def __init__(self, limit: int, schedule: Sequence[Call], *, honest: bool = True) -> None:
        self.limit = limit / 100
        self.honest = honest
        self.budget = Watched(self.limit)
        self.made: dict[Reservation, Call] = {}
        self.refusals: list[BudgetExhausted] = []
        self.outcomes: list[str] = []
        asyncio.run(self.play(schedule))

    async def play(self, schedule: Sequence[Call]) -> None:
        tasks = [asyncio.ensure_future(self.make(call)) for call in schedule]
        # Even one after the other, with the rounds it takes to wake each, they need no more than this.
        enough = 40 + sum(call.rounds + 5 for call in schedule)
        for now in range(enough):
            for call, task in zip(schedule, tasks, strict=True):
                if call.cancelled_in == now:
                    task.cancel()
            await asyncio.sleep(0)
            self.check()
            if all(task.done() for task in tasks):
                break
        assert all(task.done() for task in tasks), "a call waits for ever"
        self.outcomes = ["cancelled" if task.cancelled() else task.result() for task in tasks]
        assert (self.budget.in_flight, self.budget.waiting, self.budget.reserved) == (0, 0, 0.0)

    async def make(self, call: Call) -> str:
        for _ in range(call.start):
            await asyncio.sleep(0)
        try:
            reservation = await self.budget.reserve(call.worst / 100)
        except BudgetExhausted as refusal:
            self.refusals.append(refusal)
            return "refused"
        self.made[reservation] = call
        try:
            for _ in range(call.rounds):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            reservation.keep()
            raise
        if call.end == "settle":
            reservation.settle(call.cost / 100)
        else:
            getattr(reservation, call.end)()
        self.check()
        return "made"

    def check(self) -> None:
        if self.honest:
            assert self.budget.spent + self.budget.kept + self.budget.reserved <= self.limit + GRAIN
        if self.budget.waiting:
            assert self.budget.in_flight, "a call waits though nothing is in flight"


@settings(deadline=None)
@given(limits, schedules)
def test_honest_calls_never_exceed_the_limit_and_each_gets_an_answer(limit: int, schedule: list[Call]) -> None:
    result = Run(limit, schedule)
    assert set(result.outcomes) <= {"made", "refused"}
    made = [call for call, outcome in zip(schedule, result.outcomes, strict=True) if outcome == "made"]
    assert result.budget.spent == pytest.approx(sum(call.cost for call in made if call.end == "settle") / 100)
    assert result.budget.kept == pytest.approx(sum(call.worst for call in made if call.end == "keep") / 100)


@settings(deadline=None)
@given(limits, schedules)
def test_the_budget_ends_only_for_a_call_that_cannot_be_paid_for(limit: int, schedule: list[Call]) -> None:
    result = Run(limit, schedule)
    assert result.budget.exhausted == bool(result.refusals)
    if result.refusals:
        first = result.refusals[0]
        assert first.spent + first.kept + first.worst_case > first.limit + GRAIN
    if sum(call.worst for call in schedule) <= limit:
        assert "refused" not in result.outcomes


@settings(deadline=None)
@given(limits, st.lists(calls, max_size=25))
def test_overshoot_is_at_most_what_calls_in_flight_cost_above_their_worst_case(
    limit: int, schedule: list[Call]
) -> None:
    result = Run(limit, schedule, honest=False)
    in_flight = [result.made[reservation] for reservation in result.budget.at_last_grant]
    above = sum(max(0, call.cost - call.worst) for call in in_flight if call.end == "settle")
    assert result.budget.spent + result.budget.kept <= result.limit + above / 100 + GRAIN


# Little money and many calls at once, so that most of them wait, and are cancelled also in the moment of their grant.
cancellable = st.builds(
    lambda call, start, worst, moment: replace(
        call, start=start, worst=worst, cost=min(call.cost, worst), cancelled_in=moment
    ),
    honest_calls,
    st.integers(0, 2),
    st.integers(20, 60),
    st.none() | st.integers(0, 12),
)


@settings(deadline=None, max_examples=300)
@given(st.integers(40, 120), st.lists(cancellable, min_size=3, max_size=15))
def test_cancellations_leave_no_call_waiting_and_no_money_reserved(limit: int, schedule: list[Call]) -> None:
    """That every call came to an end, and in every moment the limit was kept, `Run` itself checks."""
    result = Run(limit, schedule)
    budget = result.budget
    assert (budget.in_flight, budget.waiting, budget.reserved) == (0, 0, 0.0)
    ended = list(zip(schedule, result.outcomes, strict=True))
    made = [call for call, outcome in ended if outcome == "made"]
    cancelled = sum(call.worst for call, outcome in ended if outcome == "cancelled")
    assert budget.spent == pytest.approx(sum(call.cost for call in made if call.end == "settle") / 100)
    kept = sum(call.worst for call in made if call.end == "keep")
    assert kept / 100 - GRAIN <= budget.kept <= (kept + cancelled) / 100 + GRAIN
