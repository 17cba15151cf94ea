"""Which runs a report is about, of all that the places it was given hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.runs import StoredRun, differences_named, shards_left_out, stored_runs
from pytest_agenteval.record.stored import StoredLog, lent_to

__all__ = ["ChosenRuns", "choose_runs"]


@dataclass(frozen=True, slots=True)
class ChosenRuns:
    """The logs of the runs, with their attempts, the oldest first."""

    logs: tuple[StoredLog, ...]
    notes: tuple[str, ...] = ()
    """What was left out, and in what the logs differ that were taken together, a sentence each."""

    @property
    def names(self) -> set[str]:
        """Of the runs, those of single invocations too."""
        given = {log.identity.run for log in self.logs if log.identity is not None and log.identity.named}
        return given | {log.run for log in self.logs if not log.lent}


def choose_runs(places: Sequence[str], which: str | None = None) -> ChosenRuns:
    """The logs of the runs to report.

    Args:
        places: logs, or directories of them.
        which: `newest` (with all its shards), `all`, or the beginning of a run's name; by default all where only logs
            are given, else the newest, which may have its shards in several of the places.

    Raises:
        NotReady: there is no such run, or a log cannot be read.
    """
    files = {place: log_files(place) for place in places}
    headers = {log.path: log for log in read_headers(dict.fromkeys(file for found in files.values() for file in found))}
    runs = stored_runs(headers.values())
    if not runs:
        raise NotReady(f"{', '.join(places)}: no .eval log of pytest-agenteval is there")
    if which is None:
        which = "all" if all(place.endswith(".eval") for place in places) else "newest"
    if which == "all":
        kept = runs
    elif which == "newest":
        kept = _together([[headers[file] for file in found if file in headers] for found in files.values()]) or runs[:1]
    else:
        kept = _named(runs, which)
    logs = [log for run in kept for log in run.logs]
    paths = {log.path for log in logs}
    left = [rest for run in runs if (rest := run.without(paths)) is not None]
    if which != "all":
        logs += lent_to(logs, headers.values())
    logs.sort(key=lambda log: (log.created, log.path))
    notes = [*differences_named(kept), *shards_left_out(kept, left)]
    if left:
        notes.append(f"{plural(len(left), 'other run')} left out: --run=all takes all runs as one")
    return ChosenRuns(tuple(read_all(logs)), tuple(notes))


def _together(places: Sequence[Sequence[StoredLog]]) -> list[StoredRun]:
    """The newest run of each place, if those are shards that make one whole; else none."""
    runs = [stored_runs(logs)[0] for logs in places if logs]
    shards = [log.shard for run in runs for log in {log.shard: log for log in run.logs}.values()]
    fit = len(runs) > 1 and None not in shards and len(set(shards)) == len(shards)
    return runs if fit and len({shard[1] for shard in shards if shard is not None}) == 1 else []


def _named(runs: Sequence[StoredRun], name: str) -> list[StoredRun]:
    """The runs whose name begins so, else the part of a run that one of its invocations began."""
    named = [run for run in runs if run.named is not None and run.named.startswith(name)]
    parts = [tuple(log for log in run.logs if log.run.startswith(name)) for run in runs]
    if found := named or [StoredRun(part) for part in parts if part]:
        return found
    names = ", ".join(dict.fromkeys(run.named or log.run for run in runs for log in reversed(run.logs)))
    raise NotReady(f"no run is named {name}...; there are, the newest first: {names}")
