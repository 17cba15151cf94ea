"""What a set of logs lacks: attempts that left no record, tasks of which there is no log, shards, suites."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell
from pytest_agenteval.record.runs import line_of
from pytest_agenteval.record.shards import shard_of, shards_named
from pytest_agenteval.record.stored import StoredLog, StoredTask

__all__ = [
    "EndedRuns",
    "LostTask",
    "final_invocations",
    "gaps",
    "lost_tasks",
    "newest_roll",
    "not_ended",
]


@dataclass(frozen=True, slots=True)
class EndedRuns:
    """How runs ended, as far as that says why attempts left no record."""

    spent: frozenset[str]
    """Runs whose last invocation ran out of budget."""
    settled: frozenset[str]
    """Runs with early stopping whose last invocation finished: the attempts they did not run were not needed."""

    @classmethod
    def of(cls, logs: Sequence[StoredLog]) -> EndedRuns:
        """Of all runs that these logs are of, the oldest log first."""
        last = {log.run: log.invocation for log in logs}
        newest = [log for log in logs if log.invocation == last[log.run]]
        ends: dict[str, list[bool]] = {}
        for log in newest:
            ends.setdefault(log.run, []).append(log.early_stop is not None and log.ended)
        return cls(
            spent=frozenset(
                log.run
                for log in newest
                if any(a.outcome is Outcome.NOT_RUN and a.cause is Cause.BUDGET for _, a in log.attempts)
            ),
            settled=frozenset(run for run, ended in ends.items() if all(ended)),
        )

    def never_ran(self, attempts: Sequence[AttemptRecord], k: int, runs: Collection[str]) -> list[AttemptRecord]:
        """The attempts of a task that left no record, if the reason is known.

        Args:
            attempts: the others.
            k: how many there should be.
            runs: the runs that had this task.
        """
        known = {attempt.number for attempt in attempts}
        if not self.spent.isdisjoint(runs):
            cause, why = Cause.BUDGET, "the run's budget could pay for no more calls before it could start"
        elif not self.settled.isdisjoint(runs):
            cause, why = Cause.DECIDED, "every verdict was already fixed"
        else:
            return []
        return [AttemptRecord(n, Outcome.NOT_RUN, cause, why) for n in range(1, k + 1) if n not in known]


@dataclass(frozen=True, slots=True)
class LostTask:
    """A task that was selected and of which there is no log."""

    task: StoredTask
    k: int
    runs: frozenset[str]
    """The runs that had it, whose other logs are there; empty if it belongs to a shard that is not."""


def newest_roll(logs: Sequence[StoredLog]) -> Mapping[tuple[str, Cell], StoredTask]:
    """The tasks that the newest run was to run, in the order of the tests; the oldest log is given first."""
    known = [log.roll for log in logs if log.roll and not log.lent]
    return {task.key: task for task in known[-1]} if known else {}


def lost_tasks(logs: Sequence[StoredLog], known: Collection[tuple[str, Cell]]) -> Iterator[LostTask]:
    """The selected tasks of which there is no log.

    Args:
        logs: the oldest first.
        known: the tasks that the logs are about.
    """
    found: dict[tuple[str, Cell], LostTask] = {}
    told = {(log.invocation, log.shard): log for log in logs if log.roll and not log.lent}  # all its logs say the same
    for log in told.values():
        for task in log.roll:
            if task.key in known:
                continue
            before = found.get(task.key, LostTask(task, 0, frozenset()))
            own = log.shard is None or shard_of(task.home, log.shard[1]) == log.shard[0]
            runs = before.runs | {log.run} if own else before.runs
            found[task.key] = LostTask(task, max(log.k, before.k), runs)
    yield from found.values()


def gaps(logs: Sequence[StoredLog]) -> list[str]:
    """The shards and suites that are missing, a phrase each."""
    found = []
    for parts in sorted({log.shard[1] for log in logs if log.shard is not None}):
        there = {log.shard[0] for log in logs if log.shard is not None and log.shard[1] == parts}
        if missing := [part for part in _with_tasks(logs, parts) if part not in there]:
            found.append(f"{shards_named(missing, parts)} {'is' if len(missing) == 1 else 'are'} missing")
    begun = {(log.run, log.suite) for log in logs}
    idle: dict[str, int] = {}
    for log in logs:
        for suite, tasks in log.suites.items():
            if (log.run, suite) not in begun:
                idle[suite] = tasks
    return found + [f"no attempt at {plural(tasks, 'task')} of {suite} is there" for suite, tasks in idle.items()]


def not_ended(logs: Sequence[StoredLog]) -> list[str]:
    """The suites whose last log nobody closed, a phrase each. What pytest met after their attempts is not known."""
    final = final_invocations(logs)
    open_ = {log.suite: None for log in logs if log.invocation in final and not log.ended}
    return [f"the run of {suite} did not come to its end" for suite in open_]


def final_invocations(logs: Sequence[StoredLog]) -> set[str]:
    """The last invocation of each run, and of each shard of a run that has a name: a job that was started again."""
    last: dict[Hashable, str] = {}
    for invocation, log in {log.invocation: log for log in logs if not log.lent}.items():
        last[line_of(log)] = invocation
    return set(last.values())


def _with_tasks(logs: Sequence[StoredLog], parts: int) -> list[int]:
    """The shards that have tasks, as far as that is known; else all."""
    of_them = [log for log in logs if log.shard is not None and log.shard[1] == parts]
    for log in reversed(of_them):
        if log.roll:
            return sorted({shard_of(task.home, parts) for task in log.roll})
        if len(log.shard_sizes) == parts:
            return [part for part, size in enumerate(log.shard_sizes, 1) if size]
    return list(range(1, parts + 1))
