"""The attempt store is the logs: every `.eval` log of ours, read by its header and summaries, never whole."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar
from zipfile import ZipFile

from fsspec.core import url_to_fs
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from pydantic import Field, NonNegativeInt, TypeAdapter, ValidationError

from pytest_agenteval.engine.inspect_private import read_all_summaries
from pytest_agenteval.engine.logs.journal import Entry, entries
from pytest_agenteval.engine.logs.remote import HEADER, SUMMARIES, RemoteLogs
from pytest_agenteval.engine.logs.roll import unpack
from pytest_agenteval.engine.logs.scorecard import record_of
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.holdout import Look
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import MOST_K, StoredLog, StoredTask
from pytest_agenteval.texts import shortened

__all__ = [
    "keep_from_git",
    "log_files",
    "metadata_of",
    "read_all",
    "read_headers",
    "require_writable",
    "roster",
    "try_attempts",
    "try_headers",
]

T = TypeVar("T")
_REASON = 300
_AT_ONCE = 64
"""So many logs of an object store are fetched at once."""
_REMOTE = RemoteLogs()
"""One for the process: baseline, history and resumption look into the same store."""
_Attempts = dict[tuple[str, int], tuple[str, AttemptRecord]]
"""Task and record, by task and number."""
_Part = Annotated[int, Field(ge=1, le=MOST_K)]
_TASKS: TypeAdapter[tuple[StoredTask, ...]] = TypeAdapter(tuple[StoredTask, ...])


@dataclass(frozen=True, slots=True)
class _Header:
    """What we write about a log into its metadata."""

    k: Annotated[int, Field(strict=True, ge=1, le=MOST_K)]
    tasks: tuple[StoredTask, ...] = ()
    session: str | None = None
    invocation: str | None = None
    began: str = ""
    early_stop: str | None = None
    setup: str = ""
    shard: tuple[_Part, _Part] | None = None
    shard_sizes: Annotated[tuple[NonNegativeInt, ...], Field(max_length=MOST_K)] = ()
    suites: dict[str, NonNegativeInt] = field(default_factory=dict)
    suite: str = ""
    took: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    aside: dict[str, str] = field(default_factory=dict)
    identity: RunIdentity | None = None
    look: Look | None = None
    roll: str = ""


_HEADER: TypeAdapter[_Header] = TypeAdapter(_Header)


def roster(tasks: Iterable[StoredTask]) -> Any:
    """The tasks of a log as its metadata has them."""
    return _TASKS.dump_python(tuple(tasks), mode="json", exclude_defaults=True)


def require_writable(place: str) -> None:
    """See whether logs can be written to a place; an address is tried out.

    Inspect would create a missing bucket, so a mistyped name would send the logs where nobody looks.

    Raises:
        NotReady: nothing can be written there.
    """
    why = _why_not_written_there(place) if "://" in place else _why_not_written_here(Path(place).absolute())
    if why is not None:
        raise NotReady(f"logs cannot be written to {place}, because {why}: name another place with --agent-log-dir")


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


def keep_from_git(place: str) -> None:
    """Where the directory for logs is new, or empty, have git ignore what will be in it: logs are not redacted.

    An empty directory may hold that of `pytest-agenteval check`.
    """
    if _is_remote(place):
        return
    folder = Path(place)
    with suppress(OSError):  # whether logs can be written is seen when they are
        folder.mkdir(parents=True, exist_ok=True)
        if {each.name for each in folder.iterdir()} <= {"check"}:
            with (folder / ".gitignore").open("x") as file:
                file.write("*\n")


def log_files(place: str | Path) -> list[str]:
    """The `.eval` logs that a place holds: a log, or a directory with all below it; any address that fsspec knows.

    Raises:
        NotReady: it does not exist, or cannot be listed.
    """
    where = str(place)
    if where.endswith(".eval"):
        if _is_remote(where):
            with suppress(Exception):  # reading it says why
                _REMOTE.look(where)
        return [where]
    if "://" not in where and not Path(where).is_dir():
        raise NotReady(f"{where} is neither a .eval log nor a directory of them: check the path")
    try:
        found = list_eval_logs(where, formats=["eval"], recursive=True)
    except Exception as error:  # whatever a file system makes fsspec raise
        raise NotReady(f"{where} cannot be listed: {error}") from None
    for info in found:
        _REMOTE.listed(info.name, info.size, str(info.mtime))
    return sorted(_plain(info.name) for info in found)


def read_headers(files: Iterable[str]) -> Iterator[StoredLog]:
    """Our logs among these, without their attempts.

    Raises:
        NotReady: a file cannot be read as a log.
    """
    return _raising(try_headers(files))


def try_headers(files: Iterable[str]) -> Iterator[StoredLog | NotReady]:
    """Our logs among these, without their attempts, and for each file that cannot be read as a log the reason."""
    for file in _fetched(files, HEADER, str):
        try:
            log = _read(file, lambda opened: read_eval_log(opened, header_only=True, format="eval"))
            stored = _stored(file, log)
        except NotReady as error:
            yield error
        else:
            if stored is not None:
                yield stored


def try_attempts(logs: Iterable[StoredLog]) -> Iterator[StoredLog | NotReady]:
    """The same logs with their attempts, and for each that cannot be read the reason."""
    for log in _fetched(logs, SUMMARIES, lambda log: log.path):
        try:
            journaled = _journaled(log.path) if log.killed else {}
            attempts = _read(log.path, partial(_attempts, log.path))
        except NotReady as error:
            yield error
        else:
            yield replace(log, attempts=tuple((journaled | attempts).values()))


def read_all(logs: Iterable[StoredLog]) -> list[StoredLog]:
    """The same logs with their attempts.

    All that is read lives on. The garbage collector would look through it again and again: a third of the time.

    Raises:
        NotReady: the summaries of one cannot be read.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return list(_raising(try_attempts(logs)))
    finally:
        if collects:
            gc.enable()


def _raising(found: Iterable[StoredLog | NotReady]) -> Iterator[StoredLog]:
    for each in found:
        if isinstance(each, NotReady):
            raise each
        yield each


def _fetched(things: Iterable[T], members: Sequence[str], address: Callable[[T], str]) -> Iterator[T]:
    """The same things, while what is to be read of them is fetched ahead."""
    left = iter(things)
    while batch := list(islice(left, _AT_ONCE)):
        _REMOTE.fetch(filter(_is_remote, map(address, batch)), members)
        yield from batch


def _read(file: str, read: Callable[[BinaryIO], T]) -> T:
    """What `read` finds in a log.

    Raises:
        NotReady: it cannot be read.
    """
    try:
        if _is_remote(file):
            return _read_remote(file, read)
        if Path(file).exists() and not Path(file).is_file():
            raise OSError("it is no file")  # opened, a pipe would be waited for
        with Path(file).open("rb") as opened:
            return read(opened)
    except Exception as error:  # whatever a damaged file makes Inspect, zipfile or pydantic raise
        raise _unreadable(file, error) from None


def _read_remote(file: str, read: Callable[[BinaryIO], T]) -> T:
    with suppress(Exception), _REMOTE.open(file) as opened:
        return read(opened)
    _REMOTE.look(file)  # a run that goes on may have written it since it was listed
    with _REMOTE.open(file) as opened:
        return read(opened)


def _journaled(log: str) -> _Attempts:
    """What the journal of a log holds, whose process may be running yet.

    It is read before the log: what leaves the journal meanwhile is in the log by then.
    """
    try:
        listed = entries(log)
    except Exception as error:  # whatever a file system makes fsspec raise
        raise _unreadable(log, error) from None
    if not _is_remote(log):
        return _in_entries(log, listed)
    for entry in listed:
        _REMOTE.listed(entry.address, entry.size, entry.stamp)
    found = _in_entries(log, list(_fetched(listed, SUMMARIES, lambda entry: entry.address)))
    with suppress(Exception):  # reading it says why
        _REMOTE.look(log)
    return found


def _in_entries(log: str, listed: Iterable[Entry]) -> _Attempts:
    found: _Attempts = {}
    for entry in listed:
        try:
            found |= _read(entry.address, partial(_attempts, log))
        except NotReady:
            if entry in entries(log):
                raise
    return found


def _attempts(file: str, opened: BinaryIO) -> _Attempts:
    """By what Inspect calls a sample, so that one that is in the log and in its journal is taken once."""
    attempts: _Attempts = {}
    with ZipFile(opened) as archive:
        for sample in read_all_summaries(archive):
            score = (sample.scores or {}).get("passed")
            record = record_of(score.metadata or {}, file) if score is not None else None
            if record is not None:
                attempts[str(sample.id), sample.epoch] = (str(sample.id), record)
    return attempts


def _unreadable(file: str, error: Exception) -> NotReady:
    """In one sentence, where pydantic writes a paragraph."""
    reason = shortened(str(error), _REASON) or type(error).__name__
    return NotReady(f"{file} cannot be read as an Inspect log of pytest-agenteval: {reason}")


def metadata_of(log: EvalLog) -> dict[str, Any]:
    """The metadata that we wrote about a log; empty if the log is not ours."""
    said = log.eval.metadata or {}
    return said if "pytest_agenteval" in said else {}


def _stored(file: str, log: EvalLog) -> StoredLog | None:
    said = metadata_of(log)
    if not said:
        return None
    try:
        header = _HEADER.validate_python(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, what = ".".join(map(str, first["loc"])), shortened(repr(first["input"]), 60)
        raise _unreadable(file, ValueError(f"{where} is {what} in its header ({first['msg']})")) from None
    try:
        roll = unpack(header.roll)
    except ValueError as error:
        raise _unreadable(file, ValueError(f"roll is damaged in its header ({error})")) from None
    if not header.tasks:
        return None
    return StoredLog(
        path=file,
        run=log.eval.run_id if header.session is None else header.session,
        invocation=log.eval.run_id if header.invocation is None else header.invocation,
        created=_created(log.eval.created, header.began),
        k=header.k,
        ended=log.status == "success",
        killed=log.status == "started",
        tasks=header.tasks,
        early_stop=header.early_stop,
        setup=header.setup,
        shard=header.shard,
        shard_sizes=header.shard_sizes,
        suites=header.suites,
        suite=header.suite,
        took=header.took,
        errors=header.errors,
        aside=header.aside,
        identity=header.identity,
        look=header.look,
        roll=roll,
    )


def _is_remote(file: str) -> bool:
    return "://" in file


def _created(log: str, invocation: str) -> str:
    """When a log was created. Inspect says only the second, in which two short runs may have begun."""
    second = len("2026-01-01T00:00:00")
    return invocation if invocation[:second] == log[:second] else log


def _plain(name: str) -> str:
    return name.removeprefix("file://")
