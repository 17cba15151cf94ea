"""The attempt store is the logs: every `.eval` log of ours, read by its header and summaries, never whole."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log, read_eval_log_sample_summaries
from pydantic import TypeAdapter, ValidationError

from pytest_agenteval.engine.scorecard import record_of
from pytest_agenteval.readiness import NotReady
from pytest_agenteval.records import AttemptRecord
from pytest_agenteval.stored import StoredLog, StoredTask

__all__ = [
    "log_files",
    "metadata_of",
    "read_all",
    "read_attempts",
    "read_headers",
    "read_store",
    "require_writable",
    "roster",
]

_TASKS: TypeAdapter[tuple[StoredTask, ...]] = TypeAdapter(tuple[StoredTask, ...])


def roster(tasks: Iterable[StoredTask]) -> Any:
    """The tasks of a log as its metadata has them."""
    return _TASKS.dump_python(tuple(tasks), mode="json", exclude_defaults=True)


def require_writable(place: str) -> None:
    """See whether logs can be written to a place; an address is tried out.

    Inspect would make a bucket that is missing, so a mistyped name would send the logs where nobody looks.

    Raises:
        NotReady: nothing can be written there.
    """
    why = _why_not_written_there(place) if "://" in place else _why_not_written_here(Path(place).absolute())
    if why is not None:
        raise NotReady(f"logs cannot be written to {place}, for {why}: name another place with --agent-log-dir")


def _why_not_written_here(folder: Path) -> str | None:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        return f"{there} is not a directory"
    return None if os.access(there, os.W_OK) else f"{there} may not be written to"


def _why_not_written_there(address: str) -> str | None:
    try:
        system, path = url_to_fs(address)
        system.pipe_file(f"{path}/.agenteval", b"")
    except Exception as error:  # whatever a file system makes fsspec raise
        return f"the attempt ended with {type(error).__name__} ({error})"
    with suppress(Exception):  # who may write need not be allowed to remove
        system.rm_file(f"{path}/.agenteval")
    return None


def log_files(place: str | Path) -> list[str]:
    """The `.eval` logs that a place holds: a log, or a directory with all below it; any address that fsspec knows.

    Raises:
        NotReady: it does not exist, or cannot be listed.
    """
    where = str(place)
    if where.endswith(".eval"):
        return [where]
    if "://" not in where and not Path(where).is_dir():
        raise NotReady(f"{where} is neither a .eval log nor a directory of them: check the path")
    try:
        found = list_eval_logs(where, formats=["eval"], recursive=True)
    except Exception as error:  # whatever a file system makes fsspec raise
        raise NotReady(f"{where} cannot be listed: {error}") from None
    return sorted(_plain(info.name) for info in found)


def read_headers(files: Iterable[str]) -> Iterator[StoredLog]:
    """Our logs among these, without their attempts.

    Raises:
        NotReady: a file cannot be read as a log.
    """
    for file in files:
        try:
            log = read_eval_log(file, header_only=True)
        except Exception as error:  # whatever a damaged file makes Inspect, zipfile or pydantic raise
            raise NotReady(f"{file} cannot be read as an Inspect log: {error}") from None
        if (stored := _stored(file, log)) is not None:
            yield stored


def read_attempts(log: StoredLog) -> StoredLog:
    """The same log with its attempts.

    Raises:
        NotReady: its summaries cannot be read.
    """
    try:
        samples = read_eval_log_sample_summaries(log.path)
    except Exception as error:
        raise NotReady(f"{log.path} cannot be read as an Inspect log: {error}") from None
    attempts: list[tuple[str, AttemptRecord]] = []
    for sample in samples:
        score = (sample.scores or {}).get("passed")
        record = record_of(score.metadata or {}, log.path) if score is not None else None
        if record is not None:
            attempts.append((str(sample.id), record))
    return replace(log, attempts=tuple(attempts))


def read_all(logs: Iterable[StoredLog]) -> list[StoredLog]:
    """The same logs with their attempts; see :func:`read_attempts`.

    All that is read lives on. The garbage collector would look through it again and again: a third of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return [read_attempts(log) for log in logs]
    finally:
        if collects:
            gc.enable()


def read_store(place: str | Path) -> tuple[list[StoredLog], list[str]]:
    """All that can be read of a directory of logs, and a sentence for each log that cannot.

    A log that a crash has damaged must not keep the others from being used.

    Raises:
        NotReady: the place cannot be listed.
    """
    logs, problems = [], []
    for file in log_files(place):
        try:
            logs += [read_attempts(log) for log in read_headers([file])]
        except NotReady as error:
            problems.append(str(error))
    return logs, problems


def metadata_of(log: EvalLog) -> dict[str, Any]:
    """What we wrote about a log; empty where it is not ours."""
    said = log.eval.metadata or {}
    return said if "pytest_agenteval" in said else {}


def _stored(file: str, log: EvalLog) -> StoredLog | None:
    said = metadata_of(log)
    try:
        tasks = _TASKS.validate_python(said.get("tasks", ()))
    except ValidationError:
        return None
    if not said or not tasks:
        return None
    shard: Sequence[int] | None = said.get("shard")
    return StoredLog(
        path=file,
        run=str(said.get("session", log.eval.run_id)),
        invocation=str(said.get("invocation", log.eval.run_id)),
        created=log.eval.created,
        k=int(said["k"]),
        ended=log.status == "success",
        killed=log.status == "started",
        tasks=tasks,
        early_stop=said.get("early_stop"),
        setup=str(said.get("setup", "")),
        shard=(shard[0], shard[1]) if shard else None,
        shard_sizes=tuple(said.get("shard_sizes", ())),
        suites=dict(said.get("suites", {})),
        suite=str(said.get("suite", "")),
        took=tuple(said.get("took", ())),
        errors=tuple(map(str, said.get("errors", ()))),
    )


def _plain(name: str) -> str:
    return name.removeprefix("file://")
