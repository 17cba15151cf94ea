"""Which runs a report is about, of all that the places it was given hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.stored import StoredLog, lent_to

__all__ = ["ChosenRuns", "choose_runs"]


@dataclass(frozen=True, slots=True)
class ChosenRuns:
    """The logs of the runs, with their attempts, the oldest first."""

    logs: tuple[StoredLog, ...]
    notes: tuple[str, ...] = ()
    """What was left out, a sentence each."""


def choose_runs(places: Sequence[str], which: str | None = None) -> ChosenRuns:
    """The logs of the runs to report.

    Args:
        places: logs, or directories of them.
        which: `newest` (with the other shards of it), `all`, or the beginning of a run's name; by default all where
            only logs are given, else the newest.

    Raises:
        NotReady: there is no such run, or a log cannot be read.
    """
    files = list(dict.fromkeys(file for place in places for file in log_files(place)))
    logs = sorted(read_headers(files), key=lambda log: (log.created, log.path))
    if not logs:
        raise NotReady(f"{', '.join(places)}: no .eval log of pytest-agenteval is there")
    if which is None:
        which = "all" if all(place.endswith(".eval") for place in places) else "newest"
    if which == "all":
        kept = logs
    elif which == "newest":
        kept = _newest(logs)
    else:
        kept = [log for log in logs if log.run.startswith(which)]
        if not kept:
            names = ", ".join(dict.fromkeys(log.run for log in reversed(logs)))
            raise NotReady(f"no run is named {which}...; there are, the newest first: {names}")
    older = len({log.run for log in logs} - {log.run for log in kept})
    notes = [f"{plural(older, 'older run')} left out: --run=all takes all runs as one"] if older else []
    return ChosenRuns(tuple(read_all(kept)), tuple(notes))


def _newest(logs: Sequence[StoredLog]) -> list[StoredLog]:
    """The newest run with what it took of others, and where it is a shard, the newest run of each of the others."""
    last = logs[-1]
    runs = {last.run}
    if last.shard is not None:
        newest = {log.shard: log.run for log in logs if log.shard is not None and log.shard[1] == last.shard[1]}
        runs |= set(newest.values())
    kept = [log for log in logs if log.run in runs]
    kept += lent_to(kept, logs)
    return sorted(kept, key=lambda log: (log.created, log.path))
