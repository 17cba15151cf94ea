"""Predictability: is the agent as often right as it says, and does it say less where it is wrong?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from pytest_agenteval.estimate.profile.figure import Figure, mean_of, unknown
from pytest_agenteval.estimate.profile.seen import Seen, passed
from pytest_agenteval.estimate.stats.calibration import (
    Ranking,
    calibrated_reading,
    calibration_error,
    excess,
    mean_excess_interval,
    ranking,
    ranking_within_tasks,
    squared_calibration_error,
)
from pytest_agenteval.estimate.stats.intervals import tasks_like_these_mean
from pytest_agenteval.record.figures import plural

__all__ = ["Predictability", "predictability_of"]

_ENOUGH_FOR_ECE = 200
"""With fewer attempts than this, ECE mostly shows how few they are."""
_MANY_SILENT = 0.1

_Told = Mapping[str, Sequence[tuple[float, bool]]]


@dataclass(frozen=True, slots=True)
class Predictability:
    """What the agent's own confidence is worth."""

    overconfidence: Figure
    """The mean confidence less the pass rate, from -1 to 1."""
    calibration: Figure
    """The squared calibration error, without the part that chance adds; it may be below 0. Published: 1 - ECE, from 200
    attempts."""
    knows_tasks: Figure
    """AUROC over all attempts: how often a passed attempt has more confidence than a failed one."""
    knows_attempts: Figure
    """The same within tasks only."""
    brier: Figure
    """1 less the mean squared difference of confidence and outcome."""
    skill: float | None = None
    """How much smaller that difference is than if every confidence were the suite's pass rate: 1 at best, below 0 if it
    is larger. None if all attempts ended alike."""
    calibrated_reads: float | None = None
    """What the published 1 - ECE would read on average for a perfectly calibrated agent with these attempts."""
    asked: int = 0
    """Attempts that count."""
    silent: int = 0
    """Those of them without a number: nobody asked, no answer came, or it could not be read."""


def predictability_of(seen: Seen) -> Predictability:
    """The predictability of a cell."""
    told = {
        task: [(each.confidence.value / 100, passed(each)) for each in found
               if each.confidence is not None and each.confidence.value is not None]
        for task, found in seen.attempts.items()
    }  # fmt: skip
    told = {task: claims for task, claims in told.items() if claims}
    asked = sum(map(len, seen.attempts.values()))
    claims = list(chain.from_iterable(told.values()))
    nothing = None
    if seen.thinned:
        nothing = unknown("early stopping chose the attempts")
    elif not claims and any(each.confidence for each in chain.from_iterable(seen.attempts.values())):
        nothing = unknown(f"no attempt gave a number ({plural(asked, 'attempt')})")
    elif not claims:
        nothing = unknown("nobody asked how sure the agent is: --agent-ask-confidence, or attempt.confidence")
    if nothing is not None:
        return Predictability(nothing, nothing, nothing, nothing, nothing, asked=asked, silent=asked - len(claims))
    return _of_claims(told, asked, claims)


def _of_claims(told: _Told, asked: int, claims: Sequence[tuple[float, bool]]) -> Predictability:
    silent = asked - len(claims)
    lacks: tuple[str, ...] = ()
    if silent:
        lacks = (f"{silent} of {plural(asked, 'attempt')} gave no number",)
        if silent > _MANY_SILENT * asked:
            lacks = (f"{lacks[0]}, which is more than one in ten: those that did may differ from them",)
    gaps = {task: excess(each) for task, each in told.items()}
    losses = {task: fmean((sure - right) ** 2 for sure, right in each) for task, each in told.items()}
    rate = fmean(right for _, right in claims)
    enough = len(claims) >= _ENOUGH_FOR_ECE
    squared = squared_calibration_error(claims)
    return Predictability(
        overconfidence=mean_of(gaps, tasks_like_these=mean_excess_interval(list(gaps.values())), lacks=lacks),
        calibration=Figure(
            squared,
            len(told),
            lacks=lacks if squared is not None else ("no two attempts have a similar confidence",),
            published=1 - calibration_error(claims) if enough else None,
        ),
        knows_tasks=_ranked(ranking(list(told.values())), lacks),
        knows_attempts=_ranked(ranking_within_tasks(list(told.values())), lacks),
        brier=mean_of(
            {task: 1 - loss for task, loss in losses.items()},
            tasks_like_these=tasks_like_these_mean([1 - loss for loss in losses.values()], len(claims)),
            lacks=lacks,
        ),
        skill=1 - fmean((sure - right) ** 2 for sure, right in claims) / (rate * (1 - rate)) if 0 < rate < 1 else None,
        calibrated_reads=1 - calibrated_reading(claims) if enough else None,
        asked=asked,
        silent=silent,
    )


def _ranked(found: Ranking, lacks: tuple[str, ...]) -> Figure:
    if found.value is None:
        return unknown("no passed and failed attempts to compare")
    return Figure(found.value, found.tasks, tasks_like_these=found.interval, lacks=lacks)
