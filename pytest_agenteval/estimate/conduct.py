"""What the attempts at one task say of their confidence and of their rules, in the sums that gates need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.record.conduct import RuleResults
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord

__all__ = ["Claimed", "Kept"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """How sure the agent was in the attempts that count."""

    told: int = 0
    """Attempts with a number."""
    gap: float = 0.0
    """The sum of their confidence, in [0, 1], less the number of those that passed."""
    silent_passes: int = 0
    """Attempts without a number that passed."""
    silent_fails: int = 0

    @classmethod
    def of(cls, counted: Sequence[AttemptRecord]) -> Claimed:
        """The sums over attempts that count."""
        gaps, silent = [], [0, 0]
        for attempt in counted:
            passed, said = attempt.outcome is Outcome.PASSED, attempt.confidence
            if said is None or said.value is None:
                silent[passed] += 1
            else:
                gaps.append(said.value / 100 - passed)
        return cls(len(gaps), math.fsum(gaps), silent[True], silent[False])

    def gap_range(self, missing: int) -> tuple[float, float]:
        """The smallest and the largest mean gap that unknown confidences and missing attempts can still lead to.

        There is one attempt at least, missing or not.
        """
        n = self.told + self.silent_passes + self.silent_fails + missing
        low = (self.gap - self.silent_passes - missing) / n
        return low, (self.gap + self.silent_fails + missing) / n


@dataclass(frozen=True, slots=True)
class Kept:
    """How the rules of a task were kept in the attempts that count."""

    kept: int
    """Attempts whose rules were all judged, and none broken."""
    broke: int
    """Attempts that broke one at least."""
    unknown: int
    """The others: a rule could not be judged."""

    @property
    def attempts(self) -> int:
        """All of them."""
        return self.kept + self.broke + self.unknown

    @classmethod
    def of(cls, found: Sequence[RuleResults], n: int) -> Kept | None:
        """The counts over `n` attempts that count, `found` for those with rules; None if no rules were asked for."""
        if not any(rules.checked for rules in found):
            return None
        broke = sum(bool(rules.violations) for rules in found)
        kept = sum(not rules.violations and not rules.unknown for rules in found)
        return cls(kept, broke, n - kept - broke)
