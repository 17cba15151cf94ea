"""Merges stored attempts into one set of records. No attempt is picked by outcome, none counts twice, no cost is lost.

Attempts at a task that has changed since are left out, with a note. All other attempts that count are taken, the oldest
first. An attempt that an invocation began and did not finish is kept for its cost. Tasks that were selected and are in
no log, for their shard is not there or their suite never began, lack all their attempts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.gaps import EndedRuns, final_invocations, gaps, lost_tasks, newest_roll, not_ended
from pytest_agenteval.record.records import AttemptRecord, Cell, TaskRecord, name_of, settle_skips
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import StoredLog, StoredTask, differences

__all__ = ["Merged", "differing", "fold", "merge"]


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of merging a set of logs."""

    records: tuple[TaskRecord, ...]
    incomplete: tuple[str, ...] = ()
    """What is missing from the set, one phrase each: shards, suites that never began."""
    notes: tuple[str, ...] = ()
    """What a reader should know, one sentence each."""
    errors: tuple[str, ...] = ()
    """Errors that pytest met around attempts in the last invocation of each run, and counted as failed tests."""
    identity: RunIdentity | None = None
    """What the newest of the runs is called. A run made of its shards is a whole one."""
    every_first: bool = False
    """Whether every task was certain to get its first attempt, though runs stopped early."""


def fold(attempts: Iterable[AttemptRecord], k: int) -> tuple[tuple[AttemptRecord, ...], tuple[AttemptRecord, ...]]:
    """All attempts of one task that count, the oldest first, and for each missing one of the k why it is missing.

    An attempt keeps its number unless that is taken. Returns the attempts by number, and those that were replaced.
    """
    by_age = sorted(_once(attempts), key=lambda attempt: (attempt.ended or "", attempt.number))
    taken: dict[int, AttemptRecord] = {}
    homeless: list[AttemptRecord] = []
    for attempt in by_age:
        if not attempt.outcome.counts:
            continue
        if attempt.number in taken:
            homeless.append(attempt)
        else:
            taken[attempt.number] = attempt
    free = (number for number in range(1, len(by_age) + k + 1) if number not in taken)
    for attempt in homeless:
        number = next(free)
        taken[number] = attempt.renumbered(number)
    discarded = []
    for attempt in reversed(by_age):  # for an attempt that does not count, the newest record says best why
        if attempt.outcome.counts:
            continue
        if len(taken) < k and attempt.number not in taken and attempt.number <= k:
            taken[attempt.number] = attempt
        else:
            discarded.append(attempt)
    return tuple(taken[number] for number in sorted(taken)), tuple(reversed(discarded))


def _once(attempts: Iterable[AttemptRecord]) -> list[AttemptRecord]:
    """A log that was given twice (as a copy) counts once."""
    return list({(a.run, a.number, a.ended, a.outcome, a.fingerprint): a for a in attempts}.values())


def differing(then: StoredTask, now: StoredTask) -> tuple[str, ...]:
    """The parts in which a task has changed, by name; `its identity` if nothing is known about it."""
    if not then.identity or not now.identity:
        return ("its identity, which is not known,",)
    return differences(then.identity, now.identity)


def merge(logs: Sequence[StoredLog], k: int | None = None) -> Merged:
    """One set of records made from these logs.

    Args:
        logs: of one run, of the shards of one, or of any runs that the user wants to see as one.
        k: how many attempts to judge; by default the highest number that was asked for.
    """
    ordered = sorted(logs, key=lambda log: (log.created, log.path))
    pages: dict[tuple[str, Cell], list[_Page]] = {}
    for log in ordered:
        by_task: dict[str, list[AttemptRecord]] = {}
        for name, record in log.given:
            by_task.setdefault(name, []).append(record)
        for task in log.tasks:
            pages.setdefault(task.key, []).append(_Page(log, task, by_task.get(task.task, [])))
    ends, answering, selected = EndedRuns.of(ordered), _answering(ordered), newest_roll(ordered)
    final = final_invocations(ordered)
    left_aside: list[str] = []
    outdated: Counter[Cell] = Counter()
    stale: dict[tuple[str, ...], list[str]] = {}
    rewritten: list[str] = []
    records = []
    for (name, cell), written in pages.items():
        task = written[-1].task
        wanted = task.perturbed.k if task.perturbed is not None else k or max(page.log.k for page in written)
        last = [page for page in written if page.log.invocation == written[-1].log.invocation]
        aside = [page.log.aside[page.task.task] for page in last if page.task.task in page.log.aside]
        if aside and not any(page.attempts for page in last):
            left_aside += [f"{task.task} is not judged: {why}" for why in aside if why]
            continue
        if (asked := selected.get((name, cell))) is not None and _rewritten(task, asked):
            rewritten += [task.task] * sum(len(page.attempts) for page in written)
            task, written = asked, []
        kept: list[AttemptRecord] = []
        for page in written:
            if page.task.identity == task.identity:
                now = answering.get(cell, {}).get(page.log.invocation)
                fit = [each for each in page.attempts if now is None or now.issuperset(each.model_versions)]
                outdated[cell] += len(page.attempts) - len(fit)
                kept += [each.of_task(page.task.task, task.task) for each in fit]
            elif page.attempts:
                stale.setdefault(differing(page.task, task), []).extend([task.task] * len(page.attempts))
        kept += ends.never_ran(kept, wanted, {page.log.run for page in written})
        folded, discarded = fold(kept, wanted)
        records.append(_record(task, wanted, folded, discarded))
    for lost in lost_tasks(ordered, pages.keys()):
        wanted = lost.task.perturbed.k if lost.task.perturbed is not None else k or lost.k
        records.append(_record(lost.task, wanted, ends.never_ran((), wanted, lost.runs)))
    order = {key: at for at, key in enumerate(selected)}
    records.sort(key=lambda record: order.get((name_of(record), record.cell), len(order)))
    return Merged(
        records=tuple(records),
        incomplete=(*gaps(ordered), *not_ended(ordered)),
        notes=(
            *_looks(ordered),
            *left_aside,
            *([_left_out(("its test function",), rewritten)] if rewritten else []),
            *(_left_out(changed, names) for changed, names in stale.items()),
            *(
                f"{plural(count, 'attempt')} with {cell} left out: another version of the model has answered since"
                for cell, count in outdated.items()
                if count
            ),
        ),
        errors=tuple(error for log in ordered if log.invocation in final for error in log.errors),
        identity=_identity(ordered),
        every_first=all(log.early_stop in (None, "exact+first") for log in ordered),
    )


def _identity(logs: Sequence[StoredLog]) -> RunIdentity | None:
    own = [log for log in logs if not log.lent]
    if not own or (newest := own[-1].identity) is None:
        return None
    shards = {log.shard for log in own}
    return newest if len(shards) == 1 else replace(newest, shard=None)


def _looks(logs: Sequence[StoredLog]) -> list[str]:
    """Which looks at held-out tasks the runs were."""
    looks = [log.look for log in logs if log.look is not None and not log.lent]
    return [str(look) for look in dict.fromkeys(looks)]


@dataclass(frozen=True, slots=True)
class _Page:
    """What one log says about one task."""

    log: StoredLog
    task: StoredTask
    attempts: list[AttemptRecord]


def _rewritten(ran: StoredTask, asked: StoredTask) -> bool:
    """Whether the test function is another one in the newest run than in the newest log of the task."""
    return None not in (ran.source, asked.source) and ran.source != asked.source


def _record(
    task: StoredTask, k: int, attempts: Iterable[AttemptRecord], discarded: tuple[AttemptRecord, ...] = ()
) -> TaskRecord:
    return TaskRecord(
        task=task.task,
        cell=task.cell,
        k=k,
        attempts=settle_skips(attempts),
        min_pass_rate=task.min_pass_rate,
        notes=task.notes,
        source=task.source,
        discarded=discarded,
        expected_failure=task.expected_failure,
        strict=task.strict,
        name=task.name,
        perturbed=task.perturbed,
    )


def _answering(logs: Sequence[StoredLog]) -> dict[Cell, dict[str, set[str]]]:
    """By cell and earlier invocation, the model versions seen in the last invocation of the same run.

    Lent logs belong to the newest of the other runs. If the last invocation saw no version, there is no entry.
    """
    own = [log for log in logs if not log.lent]
    last = {log.run: log.invocation for log in own}
    home = {log.invocation: log.run if not log.lent else own[-1].run for log in logs} if own else {}
    seen: dict[tuple[Cell, str], set[str]] = {}
    for log in own:
        cells = {task.task: task.cell for task in log.tasks}
        for name, record in log.attempts:
            if log.invocation == last[log.run] and name in cells:
                seen.setdefault((cells[name], log.run), set()).update(record.model_versions)
    answering: dict[Cell, dict[str, set[str]]] = {}
    for (cell, run), versions in seen.items():
        earlier = [invocation for invocation, of in home.items() if of == run and invocation != last[run]]
        answering.setdefault(cell, {}).update(dict.fromkeys(earlier if versions else [], versions))
    return answering


def _left_out(changed: tuple[str, ...], names: Sequence[str]) -> str:
    tasks = list(dict.fromkeys(names))
    where = tasks[0] if len(tasks) == 1 else plural(len(tasks), "task")
    have = "has" if len(changed) == 1 else "have"
    return f"{plural(len(names), 'attempt')} at {where} left out: {', '.join(changed)} {have} changed since"
