"""The journal of a log: what is in it, to whom it shows, and what harm may come to it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from pytest_agenteval.engine.logs.journal import Journal, entries, entry_of

TASK = "t.py::test_a[größe/1]"


def journal(folder: Path) -> Journal:
    log = folder / "one.eval"
    log.touch()
    return Journal(str(log))


def add(to: Journal, number: int) -> None:
    asyncio.run(to.add(TASK, number, {"samples/a.json": json.dumps(number).encode()}))


def test_each_attempt_is_one_file_that_is_found_by_its_name(tmp_path: Path) -> None:
    written = journal(tmp_path)
    add(written, 1)
    add(written, 2)
    add(written, 2)  # Inspect logs a sample again whose content it has left out
    assert len(entries(written.log)) == 2
    with ZipFile(entry_of(written.log, TASK, 2)) as entry:
        assert entry.read("samples/a.json") == b"2"


def test_what_the_log_has_is_no_longer_in_it(tmp_path: Path) -> None:
    written = journal(tmp_path)
    add(written, 1)
    written.clear()
    assert entries(written.log) == []
    assert [path.name for path in tmp_path.iterdir()] == ["one.eval"]
    add(written, 2)
    assert len(entries(written.log)) == 1


def test_without_its_log_nothing_is_written(tmp_path: Path) -> None:
    """Nobody would look for it: the log has to be written."""
    written = journal(tmp_path)
    (tmp_path / "one.eval").unlink()
    with pytest.raises(FileNotFoundError):
        add(written, 1)
    assert list(tmp_path.iterdir()) == []


def test_half_a_file_is_not_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = journal(tmp_path)

    def full(self: Path, target: Path) -> Path:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        add(written, 1)
    assert entries(written.log) == []
    assert list((tmp_path / "one.journal").iterdir()) == []


def test_in_a_store_of_objects_it_is_the_same() -> None:
    written = Journal("memory://journals/one.eval")
    add(written, 1)
    add(written, 2)
    assert len(found := entries(written.log)) == 2
    assert all(entry.address.startswith("memory://") and entry.size > 0 for entry in found)
    written.clear()
    assert entries(written.log) == []
