"""What is left of an agent's pass rate under a perturbation: the ratio R to its base, over the same tasks.

R is over all attempts under the perturbation, those too that never met it: the attempts that meet a fault are the
longer, harder ones, and would read low even if the fault did nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pytest_agenteval.estimate.stats.intervals import Interval
from pytest_agenteval.estimate.stats.ratio import ratio_like_these, ratio_of_suite, suite_interval
from pytest_agenteval.estimate.stats.regression import p_of_all_tasks
from pytest_agenteval.estimate.task import TaskSummary
from pytest_agenteval.record.records import total_of

__all__ = ["FaultCount", "Pair", "Robustness", "robustness_of"]

_CONFIDENCE = 0.95
_LEAST_BASE = 0.05


@dataclass(frozen=True, slots=True)
class Pair:
    """A task, as its base and perturbed; each with at least one attempt that counts."""

    task: str
    """The name of the base."""
    base: tuple[int, int]
    """`(n, c)`."""
    under: tuple[int, int]
    base_missing: int
    """Wanted attempts that do not count."""
    under_missing: int


@dataclass(frozen=True, slots=True)
class FaultCount:
    """How often a kind of fault was injected."""

    plane: str
    kind: str
    delivered: int
    absorbed: int


@dataclass(frozen=True, slots=True)
class Robustness:
    """One perturbation in one cell."""

    group: str
    pairs: tuple[Pair, ...]
    not_paired: tuple[str, ...]
    """Perturbed tasks that cannot be compared, because they or their bases have no attempt that counts."""
    attempts: int
    """Under the perturbation, those that count, of the paired tasks."""
    met: int
    """Those that met it."""
    faults: tuple[FaultCount, ...]
    """The most frequent first; those of attempts that do not count, too."""
    worst: tuple[str, float] | None
    """Of several variants the one with the lowest pass rate, with that; None if there is one variant."""
    extra_turns: float | None
    """Model calls of a perturbed attempt beyond those of a base attempt, as means over all paired tasks."""
    extra_cost: float | None
    """The same in US dollars; None if a cost is unknown."""

    @property
    def base(self) -> float | None:
        """The mean pass rate of the bases; None without a pair."""
        return fmean(c / n for n, c in self._base) if self.pairs else None

    @property
    def under(self) -> float | None:
        """The same of the perturbed tasks."""
        return fmean(c / n for n, c in self._under) if self.pairs else None

    @property
    def lost(self) -> float | None:
        """How much of the pass rate is lost."""
        return None if self.base is None or self.under is None else self.base - self.under

    @property
    def ratio(self) -> float | None:
        """R, which may be above 1; None without a pair, and where the base passed nothing."""
        return self.under / self.base if self.base and self.under is not None else None

    @property
    def this_suite(self) -> Interval | None:
        """The interval of R for these tasks."""
        return self.shown(_CONFIDENCE)

    @property
    def tasks_like_these(self) -> Interval | None:
        """The interval of R for other tasks of the kind."""
        return ratio_like_these(self._base, self._under, _CONFIDENCE) if self.pairs else None

    @property
    def p_worse(self) -> float | None:
        """How often an agent that the perturbation does not touch would do as badly: exact, within tasks."""
        return p_of_all_tasks(list(zip(self._base, self._under, strict=True))) if self.pairs else None

    @property
    def missing(self) -> int:
        """Wanted attempts of the pairs that do not count."""
        return sum(pair.base_missing + pair.under_missing for pair in self.pairs)

    @property
    def weak_base(self) -> bool:
        """Whether the bases' pass rate may be too near to 0 for a ratio."""
        return not self.pairs or suite_interval(self._base, _CONFIDENCE)[1] < _LEAST_BASE

    @property
    def rarely_met(self) -> bool:
        """Whether fewer than half of the attempts met the perturbation."""
        return 2 * self.met < self.attempts or not self.attempts

    def shown(self, confidence: float) -> Interval | None:
        """The interval of R for these tasks, at another confidence."""
        return ratio_of_suite(self._base, self._under, confidence) if self.pairs else None

    def cases(self) -> tuple[Robustness, Robustness]:
        """The worst and the best that it can be, whatever the missing attempts would have come to."""
        return self._filled(base=True, under=False), self._filled(base=False, under=True)

    def _filled(self, *, base: bool, under: bool) -> Robustness:
        def fill(count: tuple[int, int], missing: int, passes: bool) -> tuple[int, int]:
            return count[0] + missing, count[1] + missing * passes

        pairs = tuple(
            Pair(p.task, fill(p.base, p.base_missing, base), fill(p.under, p.under_missing, under), 0, 0)
            for p in self.pairs
        )
        return Robustness(
            self.group, pairs, self.not_paired, self.attempts, self.met, self.faults, self.worst, self.extra_turns,
            self.extra_cost,
        )  # fmt: skip

    @property
    def _base(self) -> list[tuple[int, int]]:
        return [pair.base for pair in self.pairs]

    @property
    def _under(self) -> list[tuple[int, int]]:
        return [pair.under for pair in self.pairs]


def robustness_of(bases: Iterable[TaskSummary], perturbed: Sequence[TaskSummary]) -> tuple[Robustness, ...]:
    """Each perturbation of a cell, in the order of its tasks.

    Args:
        bases: the tasks of the cell.
        perturbed: their variants.
    """
    by_name = {base.name or base.task: base for base in bases}
    groups: dict[str, list[TaskSummary]] = {}
    for task in perturbed:
        if task.perturbed is not None:
            groups.setdefault(task.perturbed.group, []).append(task)
    return tuple(_group(group, by_name, of) for group, of in groups.items())


def _group(group: str, bases: dict[str, TaskSummary], variants: Sequence[TaskSummary]) -> Robustness:
    by_base: dict[str, list[TaskSummary]] = {}
    for variant in variants:
        if variant.perturbed is not None and not variant.skipped:
            by_base.setdefault(variant.perturbed.of, []).append(variant)
    pairs, left, own = [], [], []
    for name, of in by_base.items():
        base = bases.get(name)
        n, c = sum(one.n for one in of), sum(one.passes for one in of)
        if base is None or base.skipped or not base.n or not n:
            left.append(name)
            continue
        own.append((base, of))
        pairs.append(Pair(name, (base.n, base.passes), (n, c), base.unmeasured, sum(one.unmeasured for one in of)))
    compared = [one for _, of in own for one in of]
    return Robustness(
        group=group,
        pairs=tuple(pairs),
        not_paired=tuple(left),
        attempts=sum(one.n for one in compared),
        met=sum(one.met for one in compared),
        faults=_faults(variants),
        worst=_worst(compared),
        extra_turns=_extra([(_mean(base.turns, base.n), _mean(_sum(of, "turns"), _sum(of, "n"))) for base, of in own]),
        extra_cost=_extra(
            [
                (_mean(base.own_cost.total, base.n), _mean(total_of(one.own_cost.total for one in of), _sum(of, "n")))
                for base, of in own
            ]
        ),
    )


def _sum(tasks: Sequence[TaskSummary], name: str) -> int:
    return sum(getattr(task, name) for task in tasks)


def _mean(total: float | None, n: int) -> float | None:
    return None if total is None or not n else total / n


def _extra(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    known = [after - before for before, after in pairs if before is not None and after is not None]
    return fmean(known) if known and len(known) == len(pairs) else None


def _worst(variants: Sequence[TaskSummary]) -> tuple[str, float] | None:
    """By name, over all tasks."""
    counts: dict[str, list[int]] = {}
    for one in variants:
        if one.perturbed is not None:
            n, c = counts.setdefault(one.perturbed.name, [0, 0])
            counts[one.perturbed.name] = [n + one.n, c + one.passes]
    rates = {name: c / n for name, (n, c) in counts.items() if n}
    return min(rates.items(), key=lambda each: (each[1], each[0])) if len(rates) > 1 else None


def _faults(variants: Sequence[TaskSummary]) -> tuple[FaultCount, ...]:
    delivered: Counter[tuple[str, str]] = Counter()
    absorbed: Counter[tuple[str, str]] = Counter()
    for fault in (fault for one in variants for fault in one.faults):
        (delivered if fault.delivered else absorbed)[fault.plane, fault.kind] += 1
    kinds = sorted({*delivered, *absorbed}, key=lambda kind: (-delivered[kind] - absorbed[kind], kind))
    return tuple(FaultCount(*kind, delivered[kind], absorbed[kind]) for kind in kinds)
