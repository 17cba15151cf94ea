"""What calls of models cost, together with what nobody knows about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_agenteval.records import AttemptRecord, ModelCall, Retry

__all__ = ["Cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars, with the calls of unknown price and the calls whose answer was lost kept apart."""

    priced: float = 0.0
    """The sum of all calls whose price is known: the least that was paid."""
    unpriced_calls: int = 0
    """Answered calls without a known price."""
    lost_calls: int = 0
    """Calls whose answer never came: they may have been billed."""
    lost_at_most: float | None = 0.0
    """The most that the lost calls can have cost, or None where nothing was reserved for one of them."""

    @property
    def total(self) -> float | None:
        """What was paid for the answered calls, or None as soon as one of them has no known price."""
        return None if self.unpriced_calls else self.priced

    @property
    def at_most(self) -> float | None:
        """The most that can have been paid, lost calls included, or None where nobody knows."""
        if self.unpriced_calls or self.lost_at_most is None:
            return None
        return self.priced + self.lost_at_most

    @property
    def exact(self) -> bool:
        """Whether `priced` is all that was paid: no call is unpriced and none was lost."""
        return not self.unpriced_calls and not self.lost_calls

    def per(self, count: int) -> Cost | None:
        """The cost of one of `count` things that were bought with it, or None where there is none.

        The numbers of unpriced and lost calls stay those of the whole.
        """
        if count < 1:
            return None
        lost = None if self.lost_at_most is None else self.lost_at_most / count
        return Cost(self.priced / count, self.unpriced_calls, self.lost_calls, lost)

    @classmethod
    def of(cls, costs: Iterable[Cost]) -> Cost:
        """The sum."""
        parts = list(costs)
        lost = [part.lost_at_most for part in parts]
        return cls(
            math.fsum(part.priced for part in parts),
            sum(part.unpriced_calls for part in parts),
            sum(part.lost_calls for part in parts),
            None if None in lost else math.fsum(part for part in lost if part is not None),
        )

    @classmethod
    def of_try(cls, record: AttemptRecord | Retry) -> Cost:
        """What one try of an attempt cost: of an attempt, the last one, without its earlier tries."""
        return cls._of_calls(record.model_calls, record.lost_calls, record.lost_cost)

    @classmethod
    def of_attempt(cls, attempt: AttemptRecord) -> Cost:
        """What an attempt cost with all its tries."""
        return cls.of([cls.of_try(attempt), *(cls.of_try(retry) for retry in attempt.retries)])

    @classmethod
    def _of_calls(cls, calls: Iterable[ModelCall], lost_calls: int, lost_cost: float) -> Cost:
        prices = [call.cost for call in calls]
        known = [price for price in prices if price is not None]
        # A lost call for which nothing was reserved has no upper bound: without a budget there is no reservation.
        lost = None if lost_calls and lost_cost <= 0 else lost_cost
        return cls(math.fsum(known), len(prices) - len(known), lost_calls, lost)
