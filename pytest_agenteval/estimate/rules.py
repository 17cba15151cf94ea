"""How often agents broke rules: in attempts that passed and in those that failed, by kind and by rule.

A rule that could not be judged is unknown, and gives bounds: it may have been kept or broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from pytest_agenteval.estimate.stats.intervals import Interval, tasks_like_these_pass_hat_k
from pytest_agenteval.record.conduct import Kind, RuleResults, Severity

__all__ = ["Broken", "RuleSummary", "Ruled", "RulesSummary", "summarize_rules"]

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Ruled:
    """An attempt that counts, with what rules say about it."""

    passed: bool
    results: RuleResults

    def asked(self, kind: Kind) -> bool:
        """Whether it had a rule of this kind."""
        return kind in self.results.kinds or (not self.results.kinds and bool(self.results.checked))

    def breaks(self, kind: Kind) -> bool | None:
        """Whether it broke a rule of this kind; None if that is unknown."""
        if any(each.kind == kind for each in self.results.violations):
            return True
        return None if any(self._kind(name) in (kind, None) for name in self.results.unknown) else False

    def breaks_rule(self, name: str) -> bool | None:
        """Whether it broke this rule; None if that is unknown."""
        if any(each.rule == name for each in self.results.violations):
            return True
        return None if name in self.results.unknown else False

    def reaches(self, severity: Severity) -> bool | None:
        """Whether it broke a rule of this severity or a worse one; None if that is unknown."""
        least = _SEVERITIES.index(severity)
        if any(_SEVERITIES.index(each.severity) >= least for each in self.results.violations):
            return True
        return None if any(self._rank(name) >= least for name in self.results.unknown) else False

    def _kind(self, name: str) -> Kind | None:
        known = dict(zip(self.results.checked, self.results.kinds, strict=False))
        return known.get(name)

    def _rank(self, name: str) -> int:
        known = dict(zip(self.results.checked, self.results.severities, strict=False))
        return _SEVERITIES.index(known.get(name, _SEVERITIES[-1]))


@dataclass(frozen=True, slots=True)
class Broken:
    """In how many attempts something was broken."""

    attempts: int
    violated: int
    unknown: int
    """Attempts for which it is not known, those that are not violated anyway."""
    interval: Interval | None = None
    """Of the share, by tasks; None with fewer than two tasks, and where an attempt is unknown."""

    @property
    def share(self) -> float | None:
        """The share of the attempts, None without any."""
        return self.violated / self.attempts if self.attempts else None

    @property
    def most(self) -> float | None:
        """The share, had all the unknown ones been broken."""
        return (self.violated + self.unknown) / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """One rule, or all rules of one kind."""

    name: str
    kind: Kind | None
    """None if unknown."""
    severity: Severity | None
    """None if unknown, and for a kind."""
    failed: Broken
    """In attempts that did not pass."""
    passed: Broken


@dataclass(frozen=True, slots=True)
class RulesSummary:
    """All rules of a cell."""

    attempts: int
    """Attempts that count and have rules."""
    kinds: tuple[RuleSummary, ...]
    """Of instructions and of safety, those that there are."""
    rules: tuple[RuleSummary, ...]
    """Rule by rule, in the order in which they were declared."""
    violating: tuple[tuple[Severity, int, int], ...]
    """(severity, attempts that broke a rule of it or a worse one, attempts for which that is unknown)."""
    worst: tuple[Severity, int] | None
    """The worst severity that was reached, and in how many attempts; None without a violation."""


def summarize_rules(tasks: Sequence[Sequence[Ruled]]) -> RulesSummary | None:
    """The rules of a cell, from the attempts of each of its tasks; None if there are no rules."""
    everyone = [one for task in tasks for one in task]
    if not everyone:
        return None
    kinds: tuple[Kind, ...] = get_args(Kind)
    names = dict.fromkeys(name for one in everyone for name in one.results.checked)
    violating = [(each, *_count(one.reaches(each) for one in everyone)) for each in _SEVERITIES]
    reached = [(severity, count) for severity, count, _ in violating if count]
    return RulesSummary(
        attempts=len(everyone),
        kinds=tuple(_kind(kind, tasks) for kind in kinds if any(one.asked(kind) for one in everyone)),
        rules=tuple(_rule(name, tasks) for name in names),
        violating=tuple(violating),
        worst=reached[-1] if reached else None,
    )


def _kind(kind: Kind, tasks: Sequence[Sequence[Ruled]]) -> RuleSummary:
    failed, passed = (
        [[one.breaks(kind) for one in task if one.passed is passes and one.asked(kind)] for task in tasks]
        for passes in (False, True)
    )
    return RuleSummary(kind, kind, None, _broken(failed), _broken(passed))


def _rule(name: str, tasks: Sequence[Sequence[Ruled]]) -> RuleSummary:
    own = [[one for one in task if name in one.results.checked] for task in tasks]
    first = next(one.results for task in own for one in task)
    at = first.checked.index(name)
    failed, passed = (
        [[one.breaks_rule(name) for one in task if one.passed is passes] for task in own] for passes in (False, True)
    )
    kind = first.kinds[at] if at < len(first.kinds) else None
    severity = first.severities[at] if at < len(first.severities) else None
    return RuleSummary(name, kind, severity, _broken(failed), _broken(passed))


def _broken(tasks: Sequence[Sequence[bool | None]]) -> Broken:
    everyone = [each for task in tasks for each in task]
    violated, unknown = _count(everyone)
    counts = [(len(task), _count(task)[0]) for task in tasks if task]
    interval = tasks_like_these_pass_hat_k(counts, 1) if not unknown else None
    return Broken(len(everyone), violated, unknown, interval)


def _count(found: Iterable[bool | None]) -> tuple[int, int]:
    """How many are broken, and how many unknown."""
    each = list(found)
    return sum(one is True for one in each), sum(one is None for one in each)
