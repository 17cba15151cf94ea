"""What model calls cost, and what is not known about that cost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pytest_agenteval.record.records import AttemptRecord, ModelCall, Retry, total_of

__all__ = ["Cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars. Calls of unknown cost and calls without an answer are counted separately."""

    priced: float = 0.0
    """The sum of all calls whose cost is known: the least that was paid."""
    unpriced_calls: int = 0
    """Answered calls of unknown cost: their model has no known price, or they are uncounted."""
    lost_calls: int = 0
    """Calls whose answer never came: they may have been billed."""
    lost_at_most: float | None = 0.0
    """The most that the lost calls can have cost, or None if nothing was reserved for one of them."""
    uncounted_calls: int = 0
    """How many of the unpriced calls have an answer that does not say how many tokens they used."""
    uncounted_at_most: float | None = 0.0
    """The most that the uncounted calls can have cost, or None if nothing was reserved for one of them."""

    @property
    def total(self) -> float | None:
        """What was paid for the answered calls, or None if the cost of any of them is unknown."""
        return None if self.unpriced_calls else self.priced

    @property
    def at_most(self) -> float | None:
        """The most that can have been paid, including lost calls, or None if there is no known bound."""
        if self.unpriced_calls > self.uncounted_calls:
            return None
        return total_of((self.priced, self.lost_at_most, self.uncounted_at_most))

    @property
    def exact(self) -> bool:
        """Whether `priced` is everything that was paid: no call has an unknown cost, and none was lost."""
        return not self.unpriced_calls and not self.lost_calls

    def per(self, count: int) -> Cost | None:
        """The cost of one of the `count` things that it bought, or None if `count` is 0.

        The counts of unpriced, uncounted and lost calls stay those of the whole.
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
        if len(parts) == 1:  # most attempts have one try
            return parts[0]
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
        """What one try cost. For an attempt this is its last try, without the earlier ones."""
        return cls.of_calls(record.model_calls, record.lost_calls, record.lost_cost)

    @classmethod
    def of_attempt(cls, attempt: AttemptRecord) -> Cost:
        """What an attempt cost, all tries included."""
        return cls.of(map(cls.of_try, attempt.tries))

    @classmethod
    def of_asking(cls, attempt: AttemptRecord) -> Cost:
        """What it cost to ask how sure the agent was, in all tries."""
        return cls.of_calls(call for each in attempt.tries for call in each.asking)

    @classmethod
    def of_paid(cls, attempt: AttemptRecord) -> Cost:
        """Everything that was paid for an attempt: all tries, and asking how sure the agent was."""
        return cls.of((cls.of_attempt(attempt), cls.of_asking(attempt)))

    @classmethod
    def of_calls(cls, calls: Iterable[ModelCall], lost_calls: int = 0, lost_cost: float = 0.0) -> Cost:
        """What these answered calls cost, plus `lost_calls` lost ones that cost at most `lost_cost` together."""
        calls = list(calls)
        known = [call.cost for call in calls if call.cost is not None]
        uncounted = [call for call in calls if call.cost is None and call.tokens is None]
        return cls(
            priced=math.fsum(known),
            unpriced_calls=len(calls) - len(known),
            lost_calls=lost_calls,
            # Without a budget nothing is reserved, so a lost call has no upper bound.
            lost_at_most=None if lost_calls and lost_cost <= 0 else lost_cost,
            uncounted_calls=len(uncounted),
            uncounted_at_most=total_of(call.cost_at_most for call in uncounted),
        )
