"""What each attempt has spent of a run's budget, and what those that have begun are still expected to need.

Money spread over many attempts finishes none of them. So an attempt that began earlier comes first, and a later one
continues only while the budget also covers what the earlier ones are expected to need.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Tab", "Tabs"]

_PROBE = 16
"""Until an attempt has finished, the cost of one is unknown. All but the oldest may together use this share, 1/16."""


@dataclass(slots=True, eq=False)
class Tab:
    """The spending of one attempt, in the budget's units."""

    kind: str
    """A label shared by attempts of similar cost: the name of their task in its cell."""
    began: int | None = None
    """Its place in the order in which attempts made their first call; None before that."""
    spent: int = 0
    """Spent by the present try, including the most that its calls of unknown cost can have cost."""
    before: int = 0
    """Spent by earlier tries, which were repeated."""
    reserved: int = 0

    def try_again(self) -> None:
        """The attempt starts again in a fresh sandbox. It needs all of its money again, and keeps its place."""
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
    """The tabs of attempts that have begun and not ended, the oldest first."""
    _began: int = 0
    _all: _Seen = field(default_factory=_Seen)
    _kinds: dict[str, _Seen] = field(default_factory=dict)

    def begin(self, tab: Tab) -> None:
        """The attempt makes a call."""
        if tab.began is None:
            tab.began, self._began = self._began, self._began + 1
            self._open.append(tab)

    def close(self, tab: Tab, *, finished: bool) -> None:
        """The attempt has ended. If it `finished`, its cost predicts the cost of others of its kind."""
        if tab in self._open:
            self._open.remove(tab)
            if finished:
                self.learn(tab.kind, tab.spent)

    def learn(self, kind: str, cost: int) -> None:
        """An attempt of this kind has finished, in this run or earlier, and its last try cost this much."""
        self._all.add(cost)
        self._kinds.setdefault(kind, _Seen()).add(cost)

    def may_spend(self, tab: Tab | None, amount: int, *, free: int, limit: int) -> bool:
        """Whether the `free` part of the `limit` pays for a call of this amount and for what older attempts need."""
        older = self._open[: self._open.index(tab)] if tab in self._open else self._open
        if not older:
            return True
        if not self._all.count:
            younger = (other for other in self._open if other is not self._open[0])
            return sum(other.before + other.spent + other.reserved for other in younger) + amount <= limit // _PROBE
        return amount + sum(max(0, self._needs(other) - other.reserved) for other in older) <= free

    def _needs(self, tab: Tab) -> int:
        """It may cost as much as the most expensive of its kind, and slightly more while few are known."""
        known = self._kinds.get(tab.kind)
        alike: Iterable[Tab] = self._open
        if known is None:
            known = self._all
        else:
            alike = (other for other in self._open if other.kind == tab.kind)
        dearest = max(known.dearest, *(other.spent for other in alike))
        return dearest + dearest // known.count - tab.spent
