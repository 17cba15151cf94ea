"""What each attempt has had of a run's budget, and what those that have begun are expected to need still.

Money that is spread over many attempts finishes none of them. So an attempt that began earlier comes first, and a later
one goes on only while the budget also pays for what the earlier ones are expected to need.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Tab", "Tabs"]

_PROBE = 16
"""Until an attempt has finished nobody knows what one costs: all but the oldest may together take this part, 1/16."""


@dataclass(slots=True, eq=False)
class Tab:
    """What one attempt runs up, in the budget's units."""

    kind: str
    """What attempts of alike cost share: the name of their task in its cell."""
    began: int | None = None
    """Its place in the order in which attempts made their first call; None before that."""
    spent: int = 0
    """By the present try; what a call of unknown cost can have cost at most counts."""
    before: int = 0
    """By earlier tries, which came to nothing."""
    reserved: int = 0

    def try_again(self) -> None:
        """The attempt starts anew, in a fresh sandbox: it needs all of its money again, and keeps its place."""
        self.before += self.spent
        self.spent = 0


@dataclass(slots=True)
class _Seen:
    """Attempts that have finished."""

    count: int = 0
    dearest: int = 0

    def add(self, cost: int) -> None:
        self.count += 1
        self.dearest = max(self.dearest, cost)


@dataclass(slots=True)
class Tabs:
    """The tabs of a run."""

    _open: list[Tab] = field(default_factory=list)
    """Of attempts that have begun and not ended, the oldest first."""
    _began: int = 0
    _all: _Seen = field(default_factory=_Seen)
    _kinds: dict[str, _Seen] = field(default_factory=dict)

    def begin(self, tab: Tab) -> None:
        """The attempt makes a call."""
        if tab.began is None:
            tab.began, self._began = self._began, self._began + 1
            self._open.append(tab)

    def close(self, tab: Tab, *, finished: bool) -> None:
        """The attempt has ended; where it `finished`, what it cost tells what others like it will."""
        if tab in self._open:
            self._open.remove(tab)
            if finished:
                self.learn(tab.kind, tab.spent)

    def learn(self, kind: str, cost: int) -> None:
        """An attempt of this kind has finished, in this run or before it, and its last try cost this much."""
        self._all.add(cost)
        self._kinds.setdefault(kind, _Seen()).add(cost)

    def may_spend(self, tab: Tab | None, amount: int, *, free: int, limit: int) -> bool:
        """Whether what is `free` of the `limit` pays for a call of this amount and for what older attempts need."""
        older = self._open[: self._open.index(tab)] if tab in self._open else self._open
        if not older:
            return True
        if not self._all.count:
            younger = (other for other in self._open if other is not self._open[0])
            return sum(other.before + other.spent + other.reserved for other in younger) + amount <= limit // _PROBE
        return amount + sum(max(0, self._needs(other) - other.reserved) for other in older) <= free

    def _needs(self, tab: Tab) -> int:
        """It may become as dear as the dearest of its kind, and a little dearer while few are known."""
        known = self._kinds.get(tab.kind)
        alike: Iterable[Tab] = self._open
        if known is None:
            known = self._all
        else:
            alike = (other for other in self._open if other.kind == tab.kind)
        dearest = max(known.dearest, *(other.spent for other in alike))
        return dearest + dearest // known.count - tab.spent
