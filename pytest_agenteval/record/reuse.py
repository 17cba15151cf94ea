"""Which stored attempts a new invocation may reuse, and why it may not reuse the others.

Attempts are never chosen by outcome: all that count and were made at the same, unchanged task are reused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.merge import differing, fold
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, TaskRecord
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import StoredLog, StoredTask

__all__ = ["Reuse", "Taken", "newest_run", "resume", "reuse_note", "top_up", "without_outdated"]


@dataclass(frozen=True, slots=True)
class Taken:
    """The attempts that a task takes over from the store."""

    attempts: tuple[AttemptRecord, ...] = ()
    """They count and are not run again. Each has its number."""
    discarded: tuple[AttemptRecord, ...] = ()
    """Begun but not finished: they run again, and their cost is kept."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """What a run takes over, by the task's node id."""

    taken: dict[str, Taken]
    refused: tuple[str, ...] = ()
    """Why some stored attempts were not taken, one sentence each."""


def newest_run(logs: Sequence[StoredLog], tasks: Iterable[StoredTask], now: RunIdentity) -> StoredLog | None:
    """The newest log of the run to resume: one of the same shard with one of these tasks in the same cell.

    Args:
        logs: the store.
        tasks: as they are now.
        now: what the run is called now. A run with the same name is preferred to newer ones.
    """
    wanted = {task.key for task in tasks}
    having = [log for log in logs if log.shard == now.shard and any(task.key in wanted for task in log.tasks)]
    same = [log for log in having if now.named and log.identity is not None and log.identity.run == now.run]
    return max(same or having, key=lambda log: log.created, default=None)


def resume(logs: Sequence[StoredLog], run: str, tasks: Sequence[StoredTask], k: int, not_before: str = "") -> Reuse:
    """What a run has finished, so that it can go on, with the attempts it took from others (`stored.lent_to`).

    Args:
        logs: the store.
        run: the name of the run.
        tasks: as they are now.
        k: the wanted number of attempts at each task.
        not_before: the earliest end time (ISO 8601, UTC) of an attempt that may be taken.
    """
    return _reuse([log for log in logs if log.run == run or log.lent], tasks, k, not_before)


def top_up(logs: Sequence[StoredLog], tasks: Sequence[StoredTask], k: int, not_before: str = "") -> Reuse:
    """What all runs finished, except those that stopped early: outcomes decided which attempts those ran.

    The arguments are those of :func:`resume`. Attempts are numbered afresh, by age. What another run began and did not
    finish belongs to that run.
    """
    whole = [log for log in logs if log.early_stop is None]
    reuse = _reuse(whole, tasks, k, not_before)
    wanted = {task.key for task in tasks}
    stopped = sum(
        record.outcome.counts
        for log in logs
        if log.early_stop is not None and any(task.key in wanted for task in log.tasks)
        for _, record in log.attempts
    )
    refused = reuse.refused
    if stopped:
        refused += (f"{plural(stopped, 'attempt')} not reused: --agent-early-stop chose by outcome which attempts ran",)
    return Reuse({task: _renumbered(taken) for task, taken in reuse.taken.items() if taken.attempts}, refused)


def without_outdated(records: Sequence[TaskRecord]) -> tuple[tuple[TaskRecord, ...], tuple[str, ...]]:
    """The records without reused attempts of cells where the model now has another version.

    Only a model's answer tells its version, so a change is known after the first fresh attempt. Returns the records,
    and one sentence for each such cell.
    """
    notes: dict[Cell, str] = {}
    for cell in dict.fromkeys(record.cell for record in records):
        attempts = [attempt for record in records if record.cell == cell for attempt in record.attempts]
        before = {a.model_versions for a in attempts if a.reused and a.model_versions}
        now = {a.model_versions for a in attempts if not a.reused and a.model_versions}
        if before and now and before != now:
            notes[cell] = (
                f"{cell}: the provider says that {_versions(now)} answers now, and {_versions(before)} did before: the "
                "attempts of earlier invocations do not count; --agent-top-up runs them again"
            )
    return tuple(_outdated(record) if record.cell in notes else record for record in records), tuple(notes.values())


def reuse_note(records: Sequence[TaskRecord]) -> str | None:
    """How many attempts an invocation took over and what it paid itself; None if it ran them all."""
    attempts = [attempt for record in records for attempt in record.attempts]
    reused = [attempt for attempt in attempts if attempt.reused]
    earlier = [*reused, *(attempt for record in records for attempt in record.discarded)]
    if not earlier:
        return None
    paid = figures.cost(Cost.of(Cost.of_paid(attempt) for attempt in earlier))
    now = figures.cost(Cost.of(Cost.of_paid(attempt) for attempt in attempts if not attempt.reused))
    return (
        f"{len(reused)} of {plural(len(attempts), 'attempt')} were run by earlier invocations, "
        f"which paid {paid}; this one paid {now}"
    )


def _outdated(record: TaskRecord) -> TaskRecord:
    old = tuple(attempt for attempt in record.attempts if attempt.reused)
    why = "another version of the model answers now"
    kept = [AttemptRecord(a.number, Outcome.NOT_RUN, Cause.OUTDATED, why) if a.reused else a for a in record.attempts]
    return replace(record, attempts=tuple(kept), discarded=(*record.discarded, *old))


def _versions(found: set[tuple[str, ...]]) -> str:
    return ", ".join(sorted({name for names in found for name in names}))


def _reuse(logs: Sequence[StoredLog], tasks: Sequence[StoredTask], k: int, not_before: str) -> Reuse:
    stored: dict[tuple[str, Cell], list[tuple[StoredTask, AttemptRecord]]] = {}
    for log in logs:
        tasks_then = {task.task: task for task in log.tasks}
        for name, record in log.given:
            if (then := tasks_then.get(name)) is not None:
                stored.setdefault(then.key, []).append((then, record))
    refused: Counter[str] = Counter()
    taken = {}
    for task in tasks:
        fit = []
        for then, record in stored.get(task.key, []):
            reason = _why_not(then, task, record, not_before)
            if reason is None or not record.outcome.counts:
                fit.append(record.of_task(then.task, task.task))
            else:
                refused[reason] += 1
        fit, older = _of_newest_version(fit)
        if older:
            refused["the provider has reported another version of the model since"] += older
        wanted = k if task.perturbed is None else task.perturbed.k
        attempts, _ = fold([record for record in fit if record.outcome.counts], wanted)
        discarded = [record for record in fit if not record.outcome.counts]
        if attempts or discarded:
            reused = (replace(record, reused=True) for record in attempts)
            taken[task.task] = Taken(tuple(reused), tuple(replace(record, reused=True) for record in discarded))
    return Reuse(taken, tuple(f"{plural(count, 'attempt')} not reused: {why}" for why, count in refused.items()))


def _why_not(then: StoredTask, now: StoredTask, record: AttemptRecord, not_before: str) -> str | None:
    if changed := differing(then, now):
        return f"{', '.join(changed)} {'has' if len(changed) == 1 else 'have'} changed"
    if doubts := then.doubts or now.doubts:
        return f"it cannot be told whether the task is the same: {doubts[0]}"
    if not_before and (record.ended or "") < not_before:
        return "older than --agent-max-age"
    return None


def _of_newest_version(records: list[AttemptRecord]) -> tuple[list[AttemptRecord], int]:
    """The attempts by the newest version of the model, and how many others would count."""
    with_version = [record for record in records if record.outcome.counts and record.model_versions]
    if not with_version:
        return records, 0
    newest = max(with_version, key=lambda record: record.ended or "").model_versions
    other = [r for r in records if r.outcome.counts and r.model_versions not in ((), newest)]
    return [record for record in records if record not in other], len(other)


def _renumbered(taken: Taken) -> Taken:
    by_age = sorted(taken.attempts, key=lambda attempt: (attempt.ended or "", attempt.number))
    return Taken(tuple(attempt.renumbered(number) for number, attempt in enumerate(by_age, 1)))
