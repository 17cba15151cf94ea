"""Inspect's recorder of `.eval` logs, made to say of every attempt whether it is in its log.

Inspect reports a sample when it has passed through the recorder, even if the write was skipped. If the write failed, it
ends the whole Inspect task, often silently. A run must count exactly what its logs hold, so the recorder itself reports
what was written, and a log that could not be written once is left as it is.

Inspect would write each log anew for every attempt. Here an attempt is written into the log's journal, and the log when
it has grown by a part of its size: what is written stays in proportion to what there is to say.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

import anyio
from inspect_ai.log import EvalLog, EvalPlan, EvalSample, EvalSampleSummary, EvalSpec
from tenacity import AsyncRetrying, stop_after_attempt, wait_exponential

from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.eval.ledger import Ledger, suite_in
from pytest_agenteval.engine.logs.journal import Journal
from pytest_agenteval.run.dispatch import Key

__all__ = ["telling"]

_TRIES = 3
"""Of each write: a disk or a store may fail for a moment."""
_GROWN = 1 / 3
"""Of its size: a log that has grown by that is written. All its writes together come to four times its size."""
_GROWN_SLOWLY = 1 / 16
_SMALL = 1 << 16
"""Bytes of a member, before it is compressed."""
_SLOWLY = 60.0
"""A log that was not written for so many seconds is written if it has grown by less: somebody may be looking at it."""


@contextmanager
def telling(news: Ledger) -> Iterator[None]:
    """Evals that start in here tell `news` of their logs."""
    before = inspect_private.recorders["eval"]
    inspect_private.recorders["eval"] = type("TellingRecorder", (_TellingRecorder,), {"news": news})
    try:
        yield
    finally:
        inspect_private.recorders["eval"] = before


@dataclass(slots=True)
class _Log:
    """What is known of one log while it is written."""

    journal: Journal
    recorded: dict[Key, Mapping[str, bytes]] = field(default_factory=dict)
    """Attempts in Inspect's own copy of the log, from which the next write makes the log, with the members there that
    hold them. They are not in its journal."""
    summaries: dict[Key, EvalSampleSummary] = field(default_factory=dict)
    """Inspect would look through all that it has for every attempt, so it gets them at the end."""
    size: int = 0
    """Bytes of the log when it was written last; 0 before that."""
    written: float = 0.0
    """When that was, on the monotonic clock."""
    stripped: set[Key] = field(default_factory=set)
    """Attempts whose content could not be encoded; Inspect tries again without it."""
    failure: str | None = None
    """Why the log could not be written, once it could not."""


class _TellingRecorder(inspect_private.EvalRecorder):
    news: Ledger

    def __init__(self, log_dir: str, fs_options: dict[str, Any] | None = None) -> None:
        super().__init__(log_dir, fs_options)
        self._logs: dict[str, _Log] = {}

    async def log_init(self, eval: EvalSpec, location: str | None = None, *, clean: bool = False) -> str:
        self._logs[eval.eval_id] = _Log(Journal(self._log_file_path(eval)))
        try:
            return await super().log_init(eval, location, clean=clean)
        except Exception as error:  # of Inspect's own copy: raised, it would end the other suites, too
            self._give_up(eval, error)
            return self._log_file_path(eval)

    async def log_start(self, eval: EvalSpec, plan: EvalPlan) -> None:
        if self._logs[eval.eval_id].failure is not None:
            return
        try:
            await super().log_start(eval, plan)
        except Exception as error:
            self._give_up(eval, error)

    async def log_sample(self, eval: EvalSpec, sample: EvalSample, *, write_through: bool = False) -> None:
        log, attempt = self._logs[eval.eval_id], (str(sample.id), sample.epoch)
        if log.failure is not None:
            return
        try:
            # encoded here and now: in Inspect's buffer one that cannot be encoded would spoil every later write
            log.recorded[attempt] = await _record(self.data[self._log_file_key(eval)], sample, log.summaries)
        except OSError as error:
            self._give_up(eval, error)
            raise
        except Exception as error:
            if attempt in log.stripped:
                self.news.unrecorded(attempt, f"it cannot be encoded ({_said(error)})")
                return
            log.stripped.add(attempt)
            raise inspect_private.SampleSerializationError(_said(error)) from error
        score = (sample.scores or {}).get("passed")
        if score is None or not score.metadata:  # Inspect left it out, for it could not be encoded
            self.news.unrecorded(attempt, "its record cannot be encoded")

    async def flush(self, eval: EvalSpec) -> None:
        log = self._logs[eval.eval_id]
        if log.failure is not None:
            return
        recorded = dict(log.recorded)
        if log.size and await self._journal(log, recorded) and not self._has_grown(eval):
            return
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(_TRIES), wait=wait_exponential(multiplier=0.2), sleep=anyio.sleep, reraise=True
            ):
                with attempt:
                    await super().flush(eval)
                    self._see_written(eval)
                    log.size, log.written = self._size(eval), time.monotonic()
        except Exception as error:
            self._give_up(eval, error)
            if recorded:  # an attempt's own write: Inspect then ends the attempts that it has in flight for this log
                raise
        else:
            self._written(log, recorded)
            log.journal.clear()

    async def _journal(self, log: _Log, attempts: Mapping[Key, Mapping[str, bytes]]) -> bool:
        """Write these attempts into the journal; False if that cannot be done, so that the log has to be written."""
        for attempt, members in attempts.items():
            try:
                await log.journal.add(*attempt, members)
            except Exception:  # the write of the log says what is the matter
                return False
            self._written(log, [attempt])
        return True

    def _has_grown(self, eval: EvalSpec) -> bool:
        """Whether so much is new that the log is worth writing."""
        log = self._logs[eval.eval_id]
        new = self._size(eval) - log.size
        slow = time.monotonic() - log.written > _SLOWLY
        return new >= log.size * (_GROWN_SLOWLY if slow else _GROWN)

    def _size(self, eval: EvalSpec) -> int:
        """Bytes of the members in Inspect's own copy of the log."""
        copy = self.data[self._log_file_key(eval)]
        assert copy._zip is not None
        return copy._zip.start_dir

    def _written(self, log: _Log, attempts: Collection[Key]) -> None:
        for attempt in attempts:
            log.recorded.pop(attempt, None)
        self.news.written(attempts)

    async def log_finish(self, eval: EvalSpec, *arguments: Any, **named: Any) -> EvalLog:
        log = self._logs.pop(eval.eval_id)
        if log.failure is None:
            self.data[self._log_file_key(eval)]._summaries = list(log.summaries.values())
            try:
                finished = await super().log_finish(eval, *arguments, **named)
            except Exception as error:
                self._logs[eval.eval_id] = log
                self._give_up(eval, error)
            else:
                self.news.written([*log.recorded])
                log.journal.clear()
                return finished
        with suppress(Exception):  # it closes Inspect's own copy, which may be what could not be written
            await self.log_discard(eval, keep_destination=True)
        why = inspect_private.EvalError(message=log.failure or "", traceback="", traceback_ansi="")
        return EvalLog(eval=eval, status="error", error=why, location=self._log_file_path(eval))

    def _see_written(self, eval: EvalSpec) -> None:
        """Inspect skips a write that is not permitted, without reporting it."""
        log = self.data[self._log_file_key(eval)]
        copy = os.fstat(log._temp_file.fileno())
        if log._fs.is_local() and copy.st_size != Path(inspect_private.local_path(log._file)).stat().st_size:
            raise PermissionError("it may not be replaced")

    def _give_up(self, eval: EvalSpec, error: Exception) -> None:
        log = self._logs[eval.eval_id]
        log.failure = f"the log {self._log_file_path(eval)} could not be written ({_said(error)})"
        self.news.unwritable(suite_in(eval.metadata), log.failure)


async def _record(
    copy: inspect_private.ZipLogFile, sample: EvalSample, summaries: dict[Key, EvalSampleSummary]
) -> dict[str, bytes]:
    """Write a sample and its summary into Inspect's copy of a log, as Inspect does; the members with their contents."""
    summary = sample.summary()
    encoded = [inspect_private.to_json_safe(each, indent=None) for each in (sample, [summary])]
    async with copy._lock:
        copy._summary_counter += 1
        summary_name = inspect_private.journal_summary_path(f"{copy._summary_counter}.json")
        names = (inspect_private.sample_filename(sample.id, sample.epoch), summary_name)
        members = dict(zip(names, encoded, strict=True))
        assert copy._zip is not None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Duplicate name:")  # the later one counts
            for name, content in members.items():
                # for a member of a few kilobytes zstd takes ten times as long, most of it to start its threads
                copy._zip.writestr(name, content, ZIP_DEFLATED if len(content) < _SMALL else None)
    summaries[str(sample.id), sample.epoch] = summary
    return members


def _said(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said or type(error).__name__
