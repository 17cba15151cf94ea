from __future__ import annotations

import subprocess
from pathlib import Path

from pytest_agenteval.check.states import STATE, differing, parse_state, parse_texts, texts_command, volatile


def printed(command: str, folder: Path) -> str:
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout


def state(folder: Path) -> dict[str, str]:
    read = parse_state(printed(STATE, folder))
    assert read is not None
    return read


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_every_change_shows_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a file.txt").write_text("one\n")
    (tmp_path / "run.sh").write_text("true\n")
    before = state(tmp_path)
    assert state(tmp_path) == before
    (tmp_path / "a file.txt").write_text("two\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "new").mkdir()
    (tmp_path / "link").symlink_to("run.sh")
    assert differing(before, state(tmp_path)) == {"./a file.txt", "./run.sh (executable)", "./new/", "./link (link)"}


def test_a_repository_is_its_history_branches_and_index(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Begin")
    before = state(tmp_path)
    git(tmp_path, "commit", "-q", "--amend", "--no-edit", "--date=2001-01-01T00:00:00")
    assert differing(before, state(tmp_path)) == set()  # hashes hold the time, trees and subjects do not
    git(tmp_path, "commit", "-q", "--amend", "-m", "Start")
    assert differing(before, state(tmp_path)) == {"./.git log"}


def test_texts_are_those_of_files_and_of_what_git_still_has(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Begin")
    (tmp_path / "key").write_text("the secret\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Hide it")
    git(tmp_path, "reset", "-q", "--hard", "HEAD~1")
    git(tmp_path, "reflog", "expire", "--expire=now", "--all")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    texts = parse_texts(printed(texts_command(environment=True), tmp_path))
    assert texts is not None
    assert texts["./a"] == "one\n"
    assert "./binary" not in texts
    assert "the secret\n" in texts.values()
    assert "PATH=" in texts["the environment"]


def test_what_is_cut_off_is_unknown() -> None:
    assert parse_state(None) is parse_state("") is parse_state("abc  ./a\n") is None
    assert parse_texts("> ./a\nb25l\n") is None


def test_what_differs_between_like_states_is_volatile() -> None:
    assert volatile([{"a": "1", "t": "1"}, {"a": "1", "t": "2"}, {"a": "1", "t": "2", "new": "3"}]) == {"t", "new"}
    assert volatile([{"a": "1"}]) == volatile([]) == set()
