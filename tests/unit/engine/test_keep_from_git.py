"""Logs are not redacted: git does not see them, unless somebody has decided on that before."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_agenteval.engine.logs.files import keep_from_git, log_files


def seen_by_git(folder: Path) -> list[str]:
    subprocess.run(("git", "init", "--quiet", folder), check=True)
    command = ("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=all")
    status = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line[3:] for line in status.splitlines()]


@pytest.mark.parametrize("there", [(), ("logs",), ("logs/agenteval/check",)])
def test_a_new_or_empty_directory_is_ignored(tmp_path: Path, there: tuple[str, ...]) -> None:
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    place = tmp_path / "logs" / "agenteval"
    keep_from_git(str(place))
    (place / "a.eval").touch()
    assert seen_by_git(tmp_path) == []
    assert log_files(place) == [str(place / "a.eval")]


@pytest.mark.parametrize("there", ["theirs.txt", "old.eval", "check.py"])
def test_a_directory_with_files_is_left_as_it_is(tmp_path: Path, there: str) -> None:
    (tmp_path / there).touch()
    keep_from_git(str(tmp_path))
    assert seen_by_git(tmp_path) == [there]


def test_one_that_is_there_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("!*.eval\n")
    keep_from_git(str(tmp_path))
    assert (tmp_path / ".gitignore").read_text() == "!*.eval\n"


def test_where_it_cannot_be_written_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    keep_from_git(str(tmp_path / "file" / "logs"))
    keep_from_git("memory://logs")
    assert not Path("memory:").exists()
