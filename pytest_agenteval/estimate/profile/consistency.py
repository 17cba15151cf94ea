"""Consistency: do attempts at the same task end alike, go the same way, and use as much?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import exp, sqrt
from statistics import fmean

from pytest_agenteval.estimate.profile.figure import Figure, mean_of, unknown
from pytest_agenteval.estimate.profile.seen import Seen, actions, passed
from pytest_agenteval.estimate.stats.agreement import (
    Actions,
    mean_over_pairs,
    outcome_consistency,
    outcome_consistency_variance,
    parting_step,
    published_outcome_consistency,
    same_order,
    same_tools,
    same_use,
    variation,
)
from pytest_agenteval.estimate.stats.distributions import normal_quantile
from pytest_agenteval.estimate.stats.estimators import Counts
from pytest_agenteval.estimate.stats.intervals import THIS_SUITE, Interval, tasks_like_these_mean
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.records import AttemptRecord, ModelCall, total_of

__all__ = ["RESOURCES", "Consistency", "consistency_of", "this_suite_consistency"]


@dataclass(frozen=True, slots=True)
class Consistency:
    """How alike the attempts at a task are."""

    outcome: Figure
    """How much likelier two attempts agree than differ in passing, from -1 to 1."""
    actions: Figure
    """Of passed attempts: how alike the shares of their tool calls are."""
    order: Figure
    """Of passed attempts: how alike the sequences of their tool calls are."""
    resources: Figure
    """How alike the amounts that attempts use are, averaged over :data:`RESOURCES`."""
    by_resource: Mapping[str, Figure] = field(default_factory=dict)
    sequences: float | None = None
    """How many distinct sequences of tool calls a task has on average, over tasks with at least two attempts."""
    parting: Mapping[int, int] = field(default_factory=dict)
    """By step, from 1, at how many tasks the attempts part there. Tasks whose attempts all do the same are in none."""
    identical: int = 0
    """At how many tasks the model did exactly the same in all attempts, so that k is effectively 1."""

    @property
    def published(self) -> float | None:
        """R_Con of the paper: the mean of outcome, trajectories and resources, in their published forms."""
        paths = _mean([self.actions.published, self.order.published])
        return _mean([self.outcome.published, paths, self.resources.published])


def consistency_of(seen: Seen) -> Consistency:
    """The consistency of a cell."""
    if seen.thinned:
        nothing = unknown("early stopping chose the attempts")
        return Consistency(nothing, nothing, nothing, nothing)
    several = {task: found for task, found in seen.attempts.items() if len(found) > 1}
    few = _left_out(len(seen.attempts) - len(several), "with one attempt")
    paths = {task: [actions(each) for each in found if passed(each)] for task, found in seen.attempts.items()}
    runs = {task: [actions(each) for each in found] for task, found in several.items()}
    parts = Counter(step for each in runs.values() if (step := parting_step(each)) is not None)
    attempts = sum(map(len, several.values()))
    used: dict[str, dict[str, list[float]]] = {
        name: {task: [x for each in found if (x := amount(each)) is not None] for task, found in several.items()}
        for name, amount in RESOURCES.items()
    }
    by_resource = {
        name: _resource(by_task, attempts - sum(map(len, by_task.values())), name) for name, by_task in used.items()
    }
    return Consistency(
        outcome=_outcome(several, few),
        actions=_along(paths, same_tools),
        order=_along(paths, same_order),
        resources=_resources(by_resource, used, attempts, few),
        by_resource=by_resource,
        sequences=fmean(len(set(each)) for each in runs.values()) if runs else None,
        parting=dict(sorted(parts.items())),
        identical=seen.identical,
    )


def this_suite_consistency(counts: Counts, confidence: float = 0.95) -> Interval | None:
    """The consistency of outcomes that endless re-runs of this suite would show; None if no task has two attempts.

    Normal, with the exact variance of each task's estimate at its smoothed pass rate.
    """
    used = [(n, c) for n, c in counts if n > 1]
    if not used:
        return None
    mean = fmean(outcome_consistency(n, c) or 0.0 for n, c in used)
    error = sqrt(sum(outcome_consistency_variance(n, c) for n, c in used)) / len(used)
    half = normal_quantile(0.5 + confidence / 2) * error
    low, high = max(-1.0, mean - half), min(1.0, mean + half)
    return Interval(low, high, confidence, THIS_SUITE, "normal with exact variance at smoothed pass rates")


def _outcome(several: Mapping[str, Sequence[AttemptRecord]], few: Sequence[str]) -> Figure:
    if not several:
        return unknown("no task has two attempts that count")
    counts = {task: (len(found), sum(map(passed, found))) for task, found in several.items()}
    by_task = {task: outcome_consistency(n, c) or 0.0 for task, (n, c) in counts.items()}
    pairs = sum(n * (n - 1) / 2 for n, _ in counts.values())
    agree = tasks_like_these_mean([(each + 1) / 2 for each in by_task.values()], pairs)
    return mean_of(
        by_task,
        this_suite=this_suite_consistency(list(counts.values())),
        tasks_like_these=agree and _spread_out(agree),
        lacks=few,
        published=[published_outcome_consistency(n, c) for n, c in counts.values()],
    )


def _spread_out(agree: Interval) -> Interval:
    """From the chance that two attempts agree to consistency."""
    return Interval(2 * agree.low - 1, 2 * agree.high - 1, agree.confidence, agree.question, agree.method)


def _along(paths: Mapping[str, Sequence[Actions]], alike: Callable[[Actions, Actions], float]) -> Figure:
    by_task = {task: mean for task, runs in paths.items() if (mean := mean_over_pairs(runs, alike)) is not None}
    if not by_task:
        return unknown(f"no task passed twice ({plural(len(paths), 'task')})")
    moved = ([run for run in runs if run] for runs in paths.values())
    return mean_of(
        by_task,
        tasks_like_these=tasks_like_these_mean(list(by_task.values()), sum(len(paths[task]) for task in by_task)),
        lacks=_left_out(len(paths) - len(by_task), "that did not pass twice"),
        published=[mean for runs in moved if (mean := mean_over_pairs(runs, alike)) is not None],
    )


def _agents(attempt: AttemptRecord) -> list[ModelCall]:
    return [call for call in attempt.model_calls if call.role == "agent"]


RESOURCES: Mapping[str, Callable[[AttemptRecord], float | None]] = {
    "cost": lambda attempt: total_of(call.cost for call in _agents(attempt)),
    "tokens": lambda attempt: total_of(call.tokens for call in _agents(attempt)),
    "model calls": lambda attempt: len(_agents(attempt)),
    "tool calls": lambda attempt: len(actions(attempt)),
    "working seconds": lambda attempt: attempt.working_seconds,
}
"""What an agent uses in an attempt, without other roles and repeated tries; None if unknown. Never wall time, which
depends on the machine's load."""


_Amounts = Mapping[str, Sequence[float]]
"""By task, what its attempts used as far as that is known."""


def _resource(used: _Amounts, lost: int, name: str) -> Figure:
    by_task = {task: mean for task, amounts in used.items() if (mean := mean_over_pairs(amounts, same_use)) is not None}
    lacks = (f"{name} of {plural(lost, 'attempt')} unknown",) if lost else ()
    if not by_task:
        return unknown(*lacks)
    published = [exp(-spread) for amounts in used.values() if (spread := variation(amounts)) is not None]
    likely = tasks_like_these_mean(list(by_task.values()), sum(map(len, used.values())))
    return mean_of(by_task, tasks_like_these=likely, lacks=lacks, published=published)


def _resources(
    by_resource: Mapping[str, Figure], used: Mapping[str, _Amounts], attempts: int, few: Sequence[str]
) -> Figure:
    tasks = dict.fromkeys(chain.from_iterable(each.by_task for each in by_resource.values()))
    if not tasks:
        return unknown("no task has two attempts that count")
    by_task, published = {}, []
    for task in tasks:
        by_task[task] = fmean(each.by_task[task] for each in by_resource.values() if task in each.by_task)
        spreads = [spread for amounts in used.values() if (spread := variation(amounts[task])) is not None]
        published += [exp(-fmean(spreads))] if spreads else []
    lacks = (*few, *chain.from_iterable(each.lacks for each in by_resource.values()))
    likely = tasks_like_these_mean(list(by_task.values()), attempts)
    return mean_of(by_task, tasks_like_these=likely, lacks=lacks, published=published)


def _left_out(tasks: int, why: str) -> tuple[str, ...]:
    return (f"{plural(tasks, 'task')} {why} left out",) if tasks else ()


def _mean(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return fmean(known) if known else None
