"""What calls of models cost, together with what nobody knows about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pytest_agenteval.record.records import AttemptRecord, ModelCall, Retry, total_of

__all__ = ["Cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars, with the calls of unknown cost and the calls whose answer was lost kept apart."""

    priced: float = 0.0
    """The sum of all calls whose cost is known: the least that was paid."""
    unpriced_calls: int = 0
    """Answered calls of unknown cost: their model has no known price, or they are uncounted."""
    lost_calls: int = 0
    """Calls whose answer never came: they may have been billed."""
    lost_at_most: float | None = 0.0
    """The most that the lost calls can have cost, or None where nothing was reserved for one of them."""
    uncounted_calls: int = 0
    """Of the unpriced calls those whose answer does not say how many tokens they took."""
    uncounted_at_most: float | None = 0.0
    """The most that these can have cost, or None where nothing was reserved for one of them."""

    @property
    def total(self) -> float | None:
        """What was paid for the answered calls, or None as soon as the cost of one is unknown."""
        return None if self.unpriced_calls else self.priced

    @property
    def at_most(self) -> float | None:
        """The most that can have been paid, lost calls included, or None where nobody knows."""
        if self.unpriced_calls > self.uncounted_calls:
            return None
        return total_of((self.priced, self.lost_at_most, self.uncounted_at_most))

    @property
    def exact(self) -> bool:
        """Whether `priced` is all that was paid: no call is of unknown cost and none was lost."""
        return not self.unpriced_calls and not self.lost_calls

    def per(self, count: int) -> Cost | None:
        """The cost of one of `count` things that were bought with it, or None where there is none.

        The numbers of unpriced, uncounted and lost calls stay those of the whole.
        """
        if count < 1:
            return None
        return replace(
            self,
            priced=self.priced / count,
            lost_at_most=None if self.lost_at_most is None else self.lost_at_most / count,
            uncounted_at_most=None if self.uncounted_at_most is None else self.uncounted_at_most / count,
        )

    @classmethod
    def of(cls, costs: Iterable[Cost]) -> Cost:
        """The sum."""
        parts = list(costs)
        return cls(
            priced=math.fsum(part.priced for part in parts),
            unpriced_calls=sum(part.unpriced_calls for part in parts),
            lost_calls=sum(part.lost_calls for part in parts),
            lost_at_most=total_of(part.lost_at_most for part in parts),
            uncounted_calls=sum(part.uncounted_calls for part in parts),
            uncounted_at_most=total_of(part.uncounted_at_most for part in parts),
        )

    @classmethod
    def of_try(cls, record: AttemptRecord | Retry) -> Cost:
        """What one try of an attempt cost: of an attempt, the last one, without its earlier tries."""
        return cls.of_calls(record.model_calls, record.lost_calls, record.lost_cost)

    @classmethod
    def of_attempt(cls, attempt: AttemptRecord) -> Cost:
        """What an attempt cost with all its tries."""
        return cls.of([cls.of_try(attempt), *(cls.of_try(retry) for retry in attempt.retries)])

    @classmethod
    def of_calls(cls, calls: Iterable[ModelCall], lost_calls: int = 0, lost_cost: float = 0.0) -> Cost:
        """What answered calls cost, beside a number of lost ones that can have cost so much at most."""
        calls = list(calls)
        known = [call.cost for call in calls if call.cost is not None]
        uncounted = [call for call in calls if call.tokens is None]
        return cls(
            priced=math.fsum(known),
            unpriced_calls=len(calls) - len(known),
            lost_calls=lost_calls,
            # A lost call for which nothing was reserved has no upper bound: without a budget there is no reservation.
            lost_at_most=None if lost_calls and lost_cost <= 0 else lost_cost,
            uncounted_calls=len(uncounted),
            uncounted_at_most=total_of(call.cost_at_most for call in uncounted),
        )
