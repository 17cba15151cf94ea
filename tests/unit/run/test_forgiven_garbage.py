"""What libraries leave unclosed is not held against whoever runs when it is collected."""

from __future__ import annotations

import gc
import sys
import warnings
from typing import Any

import anyio
import pytest

from pytest_agenteval.run.output import forgive_libraries


class Careless:
    """A user's own class, which says in its finalizer that it was not closed."""

    def __del__(self) -> None:
        warnings.warn("unclosed", ResourceWarning, stacklevel=1)


def drop(make: Any) -> None:
    kept: list[Any] = [make()]
    kept.append(kept)  # a cycle: only the collector ends it
    del kept
    gc.collect()


def test_a_librarys_unclosed_stream_is_forgiven_and_the_users_own_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(str(unraisable.object)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drop(lambda: anyio.create_memory_object_stream[int](1))
        assert any("MemoryObject" in what for what in told), "without the mend it is told"
        told.clear()
        undo = forgive_libraries()
        drop(lambda: anyio.create_memory_object_stream[int](1))
        assert told == []
        drop(Careless)
        assert len(told) == 1
        assert "Careless" in told[0]
        undo()
        drop(lambda: anyio.create_memory_object_stream[int](1))
        assert len(told) > 1
