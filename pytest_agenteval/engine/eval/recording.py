"""Inspect's recorder of `.eval` logs, made to say of every attempt whether it is in its log.

Inspect reports a sample when it has passed through the recorder, even if the write was skipped. If the write failed, it
ends the whole Inspect task, often silently. A run must count exactly what its logs hold, so the recorder itself reports
what was written, and a log that could not be written once is left as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from inspect_ai.log import EvalLog, EvalPlan, EvalSample, EvalSpec
from tenacity import AsyncRetrying, stop_after_attempt, wait_exponential

from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.eval.ledger import Ledger, suite_in
from pytest_agenteval.run.dispatch import Key

__all__ = ["telling"]

_TRIES = 3
"""Of each write: a disk or a store may fail for a moment."""


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

    recorded: set[Key] = field(default_factory=set)
    """Attempts in Inspect's own copy of the log, from which the next write makes the log."""
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
        self._logs[eval.eval_id] = _Log()
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
            await super().log_sample(eval, sample, write_through=True)
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
        log.recorded.add(attempt)

    async def flush(self, eval: EvalSpec) -> None:
        log = self._logs[eval.eval_id]
        if log.failure is not None:
            return
        recorded = set(log.recorded)
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(_TRIES), wait=wait_exponential(multiplier=0.2), sleep=anyio.sleep, reraise=True
            ):
                with attempt:
                    await super().flush(eval)
                    self._see_written(eval)
        except Exception as error:
            self._give_up(eval, error)
            if recorded:  # an attempt's own write: Inspect then ends the attempts that it has in flight for this log
                raise
        else:
            log.recorded -= recorded
            self.news.written(recorded)

    async def log_finish(self, eval: EvalSpec, *arguments: Any, **named: Any) -> EvalLog:
        log = self._logs.pop(eval.eval_id)
        if log.failure is None:
            try:
                finished = await super().log_finish(eval, *arguments, **named)
            except Exception as error:
                self._logs[eval.eval_id] = log
                self._give_up(eval, error)
            else:
                self.news.written(log.recorded)
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


def _said(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said or type(error).__name__
