"""Earlier runs, read from Inspect's logs: the attempts that count, with the metadata of their scores."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers, try_attempts, try_headers
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun, EarlierTask, by_task
from pytest_agenteval.record.merge import merge
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, name_of, total_of
from pytest_agenteval.record.runs import stored_runs
from pytest_agenteval.record.stored import StoredLog, lent_to
from pytest_agenteval.record.tool_calls import ToolCalls

__all__ = ["history", "read_baseline", "run_name", "whole_grid_history"]

_NEWEST = 200
"""So many logs, the newest, are read for the history."""
_RUNS = 50
"""So many runs, the newest, are looked through for a baseline."""


def read_baseline(place: str, wanted: Collection[str] = (), setup: str = "", own: Collection[str] = ()) -> EarlierRun:
    """The run that a log belongs to, or of a directory the newest run of the whole grid that has the wanted tasks.

    Where no run has them all, it is the one that has most of them, the newest of several.

    Args:
        place: a log, with the others of its run beside it, or a directory; any address that fsspec knows.
        wanted: the names of the tasks to compare with, without their cells.
        setup: of this run's models; the name of a run with another one says so.
        own: the names of this run, which is not its own baseline unless there is no other one.

    Raises:
        NotReady: there is no log, one cannot be read, or every run stopped early.
    """
    is_log = place.endswith(".eval")
    files = log_files((place.rpartition("/")[0] or ".") if is_log else place)
    store = list(read_headers(files))
    runs = stored_runs(store)
    if is_log:
        runs = [run for run in runs if any(_same(log.path, place) for log in run.logs)]
    if not runs:
        raise NotReady(f"--agent-baseline={place} holds no .eval log of pytest-agenteval: give an earlier run's logs")
    whole = [run for run in runs if not any(log.early_stop for log in run.logs)]
    if not whole:
        raise NotReady(
            f"--agent-baseline={place} is a run with --agent-early-stop, whose pass rates are biased: "
            "give a run of the whole grid"
        )
    found: list[tuple[int, EarlierRun]] = []
    others = [run for run in whole if run.named not in own and not any(log.run in own for log in run.logs)]
    for run in (others or whole)[:_RUNS]:
        earlier = _run(read_all([*run.logs, *lent_to(run.logs, store)]), setup)
        had = len({attempt.task for attempt in earlier.attempts} & set(wanted))
        found.append((had, earlier))
        if had == len(set(wanted)):
            break
    return max(found, key=lambda each: each[0])[1]


def _same(path: str, place: str) -> bool:
    return path == place if "://" in place else Path(place).exists() and Path(path).samefile(place)


def _run(logs: list[StoredLog], setup: str) -> EarlierRun:
    records = merge(logs).records
    attempts = [
        _attempt(name_of(record), record.cell, record.source, each)
        for record in records
        if record.perturbed is None
        for each in record.attempts
        if each.outcome.counts
    ]
    newest = max(logs, key=lambda log: log.created)
    said = ""
    if newest.setup != setup:
        theirs, ours = newest.setup or "default settings", setup or "default settings"
        said = f"; its models ran with {theirs}, these with {ours}"
    return EarlierRun(run_name(logs, said), tuple(attempts), tuple(records))


def run_name(logs: Sequence[StoredLog], more: str = "") -> str:
    """The name of the run of these logs in reports, for example `the run of 2026-05-01 12:30 (11 logs)`.

    Args:
        logs: one at least.
        more: what to add to their number.
    """
    when = max(log.created for log in logs).replace("T", " ")[:16]
    return f"the run of {when} ({plural(len(logs), 'log')}{more})"


def history(log_dir: str, setup: str) -> dict[tuple[str, Cell], EarlierTask]:
    """What the newest logs of a directory say of each task, by name and cell, where agents were set up alike.

    Attempts of runs that stopped early are in it: it serves to order attempts and to guess costs, not to estimate. Logs
    that cannot be read are left out.
    """
    return by_task(attempt for _, attempts in _readable(log_dir, setup) for attempt in attempts)


def whole_grid_history(log_dir: str, setup: str) -> dict[tuple[str, Cell], EarlierTask]:
    """The same without runs that stopped early, whose pass rates are biased; plans use it for their expectations."""
    read = _readable(log_dir, setup)
    return by_task(attempt for log, attempts in read if not log.early_stop for attempt in attempts)


def _readable(log_dir: str, setup: str) -> Iterator[tuple[StoredLog, list[EarlierAttempt]]]:
    try:
        files = log_files(log_dir)
    except NotReady:
        return
    newest = sorted(files, key=lambda file: file.rpartition("/")[2], reverse=True)[:_NEWEST]
    alike = (log for log in try_headers(newest) if not isinstance(log, NotReady) and log.setup == setup)
    for log in try_attempts(alike):
        if not isinstance(log, NotReady):
            yield log, list(_attempts(log))


def _attempts(log: StoredLog) -> Iterator[EarlierAttempt]:
    tasks = {task.task: task for task in log.tasks}
    for name, record in log.attempts:
        if record.outcome.counts and name in tasks:
            yield _attempt(*tasks[name].key, tasks[name].source, record)


def _attempt(task: str, cell: Cell, source: str | None, record: AttemptRecord) -> EarlierAttempt:
    return EarlierAttempt(
        cell=cell,
        task=task,
        passed=record.outcome is Outcome.PASSED,
        cost=total_of(call.cost for call in record.model_calls),
        tool_calls=ToolCalls.of(record.tool_calls),
        source=source,
        seconds=record.wall_seconds + sum(each.wall_seconds for each in record.retries),
    )
