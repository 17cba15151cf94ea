"""Stored logs made by hand: of one task a string with one letter an attempt, as in `made_records`."""

from __future__ import annotations

from typing import Any

from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.record.stored import StoredLog, StoredTask
from support.made_records import CELL, attempt

__all__ = ["IDENTITY", "log", "stored", "timed"]

IDENTITY = {"the test's body": "b0", "its image": "i0"}


def stored(name: str = "t.py::test_it", **fields: Any) -> StoredTask:
    return StoredTask(name, fields.pop("cell", CELL), **({"identity": IDENTITY} | fields))


def timed(letters: str, hour: int = 1, run: str = "run", cost: float = 0.01, first: int = 1) -> list[AttemptRecord]:
    """Attempts that ended a minute apart in that hour; a blank is an attempt that left no trace."""
    return [
        attempt(letter, number, cost, run=run, ended=f"2026-01-01T{hour:02}:{number:02}:00.000+00:00")
        for number, letter in enumerate(letters, first)
        if letter != " "
    ]


def log(
    tasks: dict[str, list[AttemptRecord]],
    *,
    run: str = "run",
    hour: int = 1,
    k: int = 4,
    ended: bool = True,
    stored_tasks: tuple[StoredTask, ...] | None = None,
    **fields: Any,
) -> StoredLog:
    attempts = tuple((name, record) for name, records in tasks.items() for record in records)
    return StoredLog(
        path=f"{run}-{hour}.eval",
        run=run,
        invocation=f"{run}-{hour}",
        created=f"2026-01-01T{hour:02}:00:00+00:00",
        k=k,
        ended=ended,
        tasks=stored_tasks or tuple(stored(name) for name in tasks),
        attempts=attempts,
        **fields,
    )
