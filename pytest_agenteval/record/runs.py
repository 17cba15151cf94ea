"""Which logs are of one run: its invocations, and its shards on other machines.

A name from the user or the CI system makes shards one run, as long as they are of the same commit, tests, setup and k.
Without a name, shards belong together if all that is the same and none is there twice: the newest ones, back to the
first that is. A shard of another run never fills a gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass

from pytest_agenteval.record.shards import shards_named
from pytest_agenteval.record.stored import StoredLog

__all__ = ["StoredRun", "differences_named", "line_of", "shards_left_out", "stored_runs"]


_TOLD = 5
"""So many values that differ are told, the newest."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run."""

    logs: tuple[StoredLog, ...]
    """Its own, the oldest first."""

    @property
    def newest(self) -> StoredLog:
        """Its newest log."""
        return self.logs[-1]

    @property
    def named(self) -> str | None:
        """Its name from the user or the CI system."""
        return _named(self.newest)

    @property
    def shards(self) -> frozenset[tuple[int, int]]:
        """Its shards that are there, as (part, number of parts)."""
        return frozenset(log.shard for log in self.logs if log.shard is not None)

    @property
    def title(self) -> str:
        """What reports call it: its name, else when its newest log was written; with the commit where it is known."""
        identity = self.newest.identity
        code = None if identity is None else identity.code
        commit = f", commit {code}" if code else ""
        return f"run {self.named or 'of ' + self.newest.created.replace('T', ' ')[:16]}{commit}"

    def without(self, paths: Collection[str]) -> StoredRun | None:
        """The rest of it without these logs; None if nothing is left."""
        rest = tuple(log for log in self.logs if log.path not in paths)
        return StoredRun(rest) if rest else None


def stored_runs(logs: Iterable[StoredLog]) -> list[StoredRun]:
    """The runs that these logs are of, the newest first."""
    sessions: dict[str, list[StoredLog]] = {}
    for log in sorted(logs, key=lambda log: (log.created, log.path)):
        sessions.setdefault(log.run, []).append(log)
    groups: defaultdict[Hashable, list[list[StoredLog]]] = defaultdict(list)
    for run, session in sessions.items():
        groups[_group(run, session[-1])].append(session)
    runs = [run for group in groups.values() for run in _runs(group)]
    return sorted(runs, key=lambda run: (run.newest.created, run.newest.path), reverse=True)


def differences_named(runs: Sequence[StoredRun]) -> list[str]:
    """In what logs differ that are taken together, a sentence each."""
    newest = {log.run: log for run in runs for log in run.logs}
    sentences = []
    for what, of in _ASPECTS.items():
        holders: dict[Hashable, list[StoredLog]] = {}
        for log in newest.values():
            holders.setdefault(of(log), []).append(log)
        if len(holders) > 1:
            told = [_told(what, logs) for logs in holders.values()]
            more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
            sentences.append(f"taken together, although {what} differs: {'; '.join(told[-_TOLD:])}{more}")
    return sentences


def shards_left_out(kept: Sequence[StoredRun], left: Iterable[StoredRun]) -> list[str]:
    """Why shards that the kept run lacks are not taken from the other runs that have them, a sentence for each run."""
    newest, there = kept[0].newest, frozenset[tuple[int, int]]().union(*(run.shards for run in kept))
    sentences = []
    for run in left:
        parts = sorted(part for part, of in run.shards - there if newest.shard is not None and of == newest.shard[1])
        if parts and newest.shard is not None:
            differ = [what for what, of in _ASPECTS.items() if of(run.newest) != of(newest)]
            why = f"differs in {' and '.join(differ)}" if differ else "is another run"
            sentences.append(f"{shards_named(parts, newest.shard[1])} of the {run.title} left out: it {why}")
    return sentences


def line_of(log: StoredLog) -> Hashable:
    """The same for the invocations that do the same part of a run one after the other, as when a job starts again."""
    return log.run if _named(log) is None else (_group(log.run, log), log.shard)


def _commit(log: StoredLog) -> str | None:
    return None if log.identity is None else log.identity.commit


def _named(log: StoredLog) -> str | None:
    return log.identity.run if log.identity is not None and log.identity.named else None


def _tests(log: StoredLog) -> Hashable:
    """Which tests were selected, and their code."""
    return frozenset((task.key, task.source) for task in log.roll)


_ASPECTS: dict[str, Callable[[StoredLog], Hashable]] = {
    "the name of the run": _named,
    "the commit": _commit,
    "the code or selection of the tests": _tests,
    "the setup": lambda log: log.setup,
    "k": lambda log: log.k,
    "the number of shards": lambda log: log.shard and log.shard[1],
}
"""What shards of one run have in common."""


def _told(what: str, logs: Sequence[StoredLog]) -> str:
    log = logs[-1]
    value = {"the commit": _commit(log), "the setup": log.setup or "default settings", "k": str(log.k)}.get(what)
    parts = sorted({log.shard[0] for log in logs if log.shard is not None})
    where = shards_named(parts, log.shard[1]) if log.shard is not None else StoredRun(tuple(logs)).title
    return where if value is None else f"{value} ({where})"


def _group(run: str, newest: StoredLog) -> Hashable:
    """Sessions with the same key can be of one run."""
    shards = None if newest.shard is None else newest.shard[1]
    if newest.identity is None:  # an old log says no more than the number of its shards
        return run if shards is None else ("old", shards)
    alike = (_commit(newest), _tests(newest), newest.k, shards)
    if newest.identity.named:
        return ("named", newest.identity.run, *alike, newest.setup)
    return run if shards is None else ("unnamed", *alike)


def _runs(sessions: list[list[StoredLog]]) -> list[StoredRun]:
    """The runs of one group of sessions, which are given the oldest first."""
    newest = sessions[-1][-1]
    if newest.identity is not None and newest.identity.named:
        stopped_early = any(log.early_stop for session in sessions for log in session)
        # outcomes decided which attempts those ran, so they cannot be pooled
        return _newest_of_each(sessions) if stopped_early else [_run(sessions)]
    if newest.shard is None:
        return [_run(sessions)]
    if newest.identity is None:
        return _newest_of_each(sessions)
    by_setup: dict[str, list[list[StoredLog]]] = {}
    for session in sessions:
        by_setup.setdefault(session[-1].setup, []).append(session)
    if len({session[-1].shard for session in sessions}) == len(sessions):
        return [_run(sessions)]  # nothing to choose between; a difference of the setup is named
    return [run for alike in by_setup.values() for run in _back_to_the_first_repeated(alike)]


def _run(sessions: Iterable[list[StoredLog]]) -> StoredRun:
    logs = sorted((log for session in sessions for log in session), key=lambda log: (log.created, log.path))
    return StoredRun(tuple(logs))


def _newest_of_each(sessions: list[list[StoredLog]]) -> list[StoredRun]:
    """Of each shard its newest session; of what is left again; and so on."""
    by_part: defaultdict[Hashable, list[list[StoredLog]]] = defaultdict(list)
    for session in reversed(sessions):
        by_part[session[-1].shard].append(session)
    depth = max(map(len, by_part.values()))
    return [_run(found[at] for found in by_part.values() if at < len(found)) for at in range(depth)]


def _back_to_the_first_repeated(sessions: list[list[StoredLog]]) -> list[StoredRun]:
    runs: list[list[list[StoredLog]]] = []
    for session in reversed(sessions):
        if not runs or session[-1].shard in {each[-1].shard for each in runs[-1]}:
            runs.append([])
        runs[-1].append(session)
    return [_run(run) for run in runs]
