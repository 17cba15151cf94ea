"""The budget of a run: each model call reserves its worst case before it is made, and settles its real cost afterwards.

When a reservation is granted, all granted reservations, settled costs and kept reservations together do not exceed the
limit. So the run can overshoot only by what calls in flight cost above their worst case.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from pytest_agenteval.money.tabs import Tab, Tabs

__all__ = ["BudgetClosed", "BudgetExhausted", "Reservation", "RunBudget"]

_UNITS = 10**12
"""Amounts are counted in whole millionths of a millionth of a dollar. Three calls of $0.10 then fit in $0.30; in
floating point they would not."""
PATIENCE_SECONDS = 30.0
"""How long a call is held back for older attempts while no call is in flight. They may be waiting for something that
this call's own attempt holds."""


class BudgetClosed(Exception):
    """The run's budget pays for no more calls. The message is one sentence that says why."""


class BudgetExhausted(BudgetClosed):
    """The run's budget could not pay for a model call, and pays for none after it.

    All refused calls, the first and those after it, report the figures of the first.
    """

    def __init__(self, *, limit: float, spent: float, kept: float, worst_case: float) -> None:
        self.limit = limit
        self.spent = spent
        self.kept = kept
        """Dollars held for calls of unknown cost."""
        self.worst_case = worst_case
        """The most that the call that ended the budget could have cost."""
        lost = f", {_dollars(kept)} is held for calls of unknown cost" if kept else ""
        super().__init__(
            f"The run's budget of {_dollars(limit)} cannot pay for the next model call, which may cost up to "
            f"{_dollars(worst_case)}: {_dollars(spent)} is spent{lost}; "
            f"raise --max-cost, or lower the max_tokens of the call."
        )


class Reservation:
    """The worst case of one model call, set aside until the call ends.

    End it exactly once, with :meth:`settle`, :meth:`release` or :meth:`keep`. A second time raises RuntimeError.
    """

    def __init__(self, budget: RunBudget, units: int | None, tab: Tab | None) -> None:
        self._budget = budget
        self._units = units
        self._tab = tab
        self._open = True

    def __repr__(self) -> str:
        return f"<Reservation of {self.worst_case}, {'open' if self._open else 'ended'}>"

    @property
    def worst_case(self) -> float | None:
        """The reserved amount in dollars; None for a call without a known price in a run without a limit."""
        return None if self._units is None else self._units / _UNITS

    @property
    def open(self) -> bool:
        """Whether it has not been ended yet."""
        return self._open

    def settle(self, cost: float | None) -> None:
        """The call was answered and cost this much, in dollars.

        None means that the cost is unknown. The call's worst case then counts against the limit permanently.

        Raises:
            ValueError: the cost is not an amount. The reservation stays open.
        """
        if cost is None:
            self.keep()
        else:
            self._budget._end(self, spent=_units(cost, "cost"), kept=0)

    def release(self) -> None:
        """The call was certainly not billed: it was never sent, or the provider refused it."""
        self._budget._end(self, spent=0, kept=0)

    def keep(self) -> None:
        """It is unknown what was billed: the answer was lost or does not say. The worst case counts permanently."""
        self._budget._end(self, spent=0, kept=self._units)


class RunBudget:
    """The dollars of one run, for all its model calls, in one asyncio event loop.

    Attempts that have begun come first, in the order they began, then the others in the order of their requests. A call
    that does not fit waits while others are in flight, because these may cost less than their worst case. A call is
    also held back while the money would not cover what older attempts are expected to need as well (:mod:`.tabs`). All
    later calls wait behind it, so that a large one does not starve.

    A caller must not reserve while it holds a reservation: it could wait for itself.

    Raises:
        ValueError: the limit is negative or not a number.
    """

    def __init__(self, limit: float | None) -> None:
        """A budget of `limit` dollars. With None every reservation is granted at once, and spending is only counted."""
        self._limit = None if limit is None else _units(limit, "limit")
        self._spent = 0
        self._kept = 0
        self._unpriced = 0
        self._open: set[Reservation] = set()
        self._reserved = 0
        self._tabs = Tabs()
        self._waiting: list[_Waiting] = []
        self._patience: asyncio.TimerHandle | None = None
        """Runs while a call is held back and none is in flight."""
        self._ended_by: int | None = None
        """The worst case of the call that ended the budget."""
        self._stopped: str | None = None
        """Why it was stopped with money left."""

    @property
    def limit(self) -> float | None:
        """The dollars that the run may spend, or None for no limit."""
        return None if self._limit is None else self._limit / _UNITS

    @property
    def spent(self) -> float:
        """The cost of answered calls in dollars, without those of unknown price (:attr:`unpriced`)."""
        return self._spent / _UNITS

    @property
    def reserved(self) -> float:
        """The most that calls in flight can cost, in dollars."""
        return self._reserved / _UNITS

    @property
    def kept(self) -> float:
        """The most that calls of unknown cost can have cost, in dollars: their answer was lost, or does not say."""
        return self._kept / _UNITS

    @property
    def unpriced(self) -> int:
        """How many calls have no upper bound, because their price is unknown: more was spent than :attr:`spent`."""
        return self._unpriced

    @property
    def in_flight(self) -> int:
        """How many reservations are open."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """How many calls wait for a reservation."""
        return sum(not each.future.done() for each in self._waiting)

    @property
    def exhausted(self) -> bool:
        """Whether a call was refused for lack of money, or the budget was stopped. Every later call is refused."""
        return self._ended_by is not None or self._stopped is not None

    @property
    def stopped(self) -> str | None:
        """Why it was stopped with money left, or None."""
        return self._stopped

    def stop(self, reason: str) -> None:
        """Pay for no more calls, even if there is money left. Each is refused for this reason from now on."""
        self._stopped = self._stopped or reason
        self._advance()

    def open_tab(self, kind: str) -> Tab:
        """Open a tab for one attempt. Attempts of one `kind` cost about the same. End it with :meth:`close_tab`."""
        return Tab(kind)

    def close_tab(self, tab: Tab, *, finished: bool) -> None:
        """The attempt has ended: no call waits for its needs any more. `finished`: it did all that it had to do."""
        self._tabs.close(tab, finished=finished)
        self._advance()

    def learn(self, kind: str, cost: float) -> None:
        """An attempt of this kind that an earlier run finished cost this many dollars."""
        self._tabs.learn(kind, _units(cost, "cost"))

    async def reserve(self, worst_case: float | None, tab: Tab | None = None) -> Reservation:
        """Reserve the most that a call can cost, in dollars, waiting while calls in flight may still leave enough.

        An unknown price (None) is possible only in a run without a limit. A call without a tab belongs to no attempt,
        and waits for all attempts that have begun.

        Raises:
            BudgetExhausted: it does not fit and nothing is in flight, or the budget was exhausted before.
            BudgetClosed: the budget was stopped before.
            ValueError: the worst case is not an amount, or unknown in a run with a limit.
        """
        if self._stopped is not None:
            raise BudgetClosed(self._stopped)
        units = None if worst_case is None else _units(worst_case, "worst case")
        if self._limit is None:
            return self._grant(units, tab)
        if units is None:
            raise ValueError(
                "The worst case of a call is unknown in a run with a limit; refuse unpriced models before."
            )
        future: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(units, future, tab))
        self._advance()
        try:
            return await future
        except asyncio.CancelledError:
            # The grant or the refusal may have come just before the cancellation.
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().release()
            future.cancel()
            self._advance()
            raise

    @property
    def _committed(self) -> int:
        return self._spent + self._kept + self._reserved

    def _advance(self, *, held_long: bool = False) -> None:
        """Grant everything at the head of the queue that fits. Refuse everything if nothing in flight can make room.

        With `held_long`, one call that is held back for older attempts is granted nevertheless.
        """
        while self._waiting and self._limit is not None:
            first = min(self._waiting, key=_Waiting.place)
            if not first.future.done():  # otherwise its caller was cancelled
                free = self._limit - self._committed
                if self._stopped is not None:
                    first.future.set_exception(BudgetClosed(self._stopped))
                elif self._ended_by is not None:
                    first.future.set_exception(
                        BudgetExhausted(
                            limit=self._limit / _UNITS,
                            spent=self.spent,
                            kept=self.kept,
                            worst_case=self._ended_by / _UNITS,
                        )
                    )
                elif first.units > free:
                    if self._open:
                        return
                    self._ended_by = first.units
                    continue
                elif held_long or self._tabs.may_spend(first.tab, first.units, free=free, limit=self._limit):
                    first.future.set_result(self._grant(first.units, first.tab))
                    held_long = False
                else:
                    if not self._open and self._patience is None:
                        self._patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._let_go)
                    return
            self._waiting.remove(first)

    def _let_go(self) -> None:
        self._patience = None
        self._advance(held_long=True)

    def _grant(self, units: int | None, tab: Tab | None) -> Reservation:
        reservation = Reservation(self, units, tab)
        self._open.add(reservation)
        self._reserved += units or 0
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if tab is not None:
            self._tabs.begin(tab)
            tab.reserved += units or 0
        return reservation

    def _end(self, reservation: Reservation, *, spent: int | None, kept: int | None) -> None:
        if not reservation._open:
            raise RuntimeError(f"{reservation!r} was ended before; end a reservation exactly once.")
        reservation._open = False
        self._open.remove(reservation)
        self._reserved -= reservation._units or 0
        self._spent += spent or 0
        self._kept += kept or 0
        if reservation._tab is not None:
            reservation._tab.reserved -= reservation._units or 0
            reservation._tab.spent += (spent or 0) + (kept or 0)
        self._unpriced += spent is None or kept is None
        self._advance()


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    units: int
    future: asyncio.Future[Reservation]
    tab: Tab | None

    def place(self) -> float:
        """Attempts that have begun by their age, then the others. Of equals the first to come is served."""
        began = self.tab.began if self.tab is not None else None
        return math.inf if began is None else began


def _units(amount: float, what: str) -> int:
    units = amount * _UNITS
    if not (math.isfinite(units) and units >= 0):
        raise ValueError(f"The {what} is not an amount of dollars: {amount}.")
    return round(units)


def _dollars(amount: float) -> str:
    whole, _, cents = f"{amount:,.6f}".rstrip("0").partition(".")
    return f"${whole}.{cents:0<2}"
