"""Paths of logs in reports: the same for attempts that this run made and for reused ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_agenteval.record.records import AttemptRecord

__all__ = ["log_place", "logged"]


def log_place(log: str) -> str:
    """The path of a log, relative to the working directory if it is below it; an address stays as it is."""
    if "://" in log or not (path := Path(log)).is_absolute():
        return log
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else log


def logged(attempts: Iterable[AttemptRecord]) -> list[str]:
    """The logs of attempts, each once, with the attempts' numbers there if these differ from the present ones."""
    told = list(attempts)
    by_log: dict[str, list[AttemptRecord]] = {}
    for attempt in told:
        if attempt.log:
            by_log.setdefault(log_place(attempt.log), []).append(attempt)
    return [f"{log}{_numbers_there(held, alone=len(told) == 1)}" for log, held in by_log.items()]


def _numbers_there(attempts: Sequence[AttemptRecord], *, alone: bool) -> str:
    if all(attempt.epoch == attempt.number for attempt in attempts):
        return ""
    there = ", ".join(str(attempt.epoch) for attempt in attempts)
    if alone:
        return f" (attempt {there} there)"
    here = ", ".join(str(attempt.number) for attempt in attempts)
    return f" (attempt {here} is {there} there)" if len(attempts) == 1 else f" (attempts {here} are {there} there)"
