"""The folder of a suite and its `.new-suite`: every stage's file, in whole or not at all."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.digest import digest

__all__ = ["Journal", "Place", "write_whole"]

_VERSION = "1"
"""Of the stages. A new one makes every stage again."""


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one.

    Raises:
        NotReady: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        with fresh.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise NotReady(f"{path} cannot be written: {error.strerror or error}; choose another --out") from None


class Place:
    """Where a suite is built."""

    def __init__(self, suite: Path) -> None:
        self.suite = suite
        self.home = suite / ".new-suite"
        self.written: set[Path] = set()

    def stage(self, name: str, inputs: Any) -> str | None:
        """A stage's file as it is there, edited or not; None if it has to be made, because what it is made from is new.

        Args:
            name: of the file.
            inputs: everything it is made from, in JSON types.
        """
        file, mark = self.home / name, self.home / "marks" / name
        if not file.is_file() or not mark.is_file() or mark.read_text("utf-8") != _made_from(name, inputs):
            return None
        return file.read_text("utf-8")

    def keep_stage(self, name: str, inputs: Any, text: str) -> str:
        """Write a stage's file, and from what it was made. Returns the text."""
        write_whole(self.home / name, text)
        write_whole(self.home / "marks" / name, _made_from(name, inputs))
        return text

    def draft(self, id: str, version: int) -> Path:
        """The file of a version of a draft."""
        return self.home / "drafts" / id / f"v{version}.json"

    def json(self, *parts: str) -> Any:
        """The content of a JSON file below `.new-suite`; None if it is not there or cannot be read."""
        try:
            return json.loads(self.home.joinpath(*parts).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def keep_json(self, content: Any, *parts: str) -> None:
        """Write a JSON file below `.new-suite`."""
        write_whole(self.home.joinpath(*parts), json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def put(self, files: Mapping[str, str]) -> list[str]:
        """Make the suite's files these. What was written before and belongs there no more goes.

        A file that a person has edited since stays as it is. Returns these files' paths.
        """
        before: dict[str, str] = self.json("written.json") or {}
        edited = [path for path, mark in before.items() if self._mark(path) not in (mark, None)]
        for path in before.keys() - files.keys() - set(edited):
            (self.suite / path).unlink(missing_ok=True)
        for path, text in files.items():
            if path not in edited and self._mark(path) != digest(text):
                write_whole(self.suite / path, text)
        marks = {path: before[path] if path in edited else digest(text) for path, text in files.items()}
        self.keep_json({**marks, **{path: before[path] for path in edited}}, "written.json")
        return sorted(path for path in edited if path in files)

    def _mark(self, path: str) -> str | None:
        try:
            return digest((self.suite / path).read_bytes().decode("utf-8"))
        except (OSError, UnicodeDecodeError):
            return None


class Journal:
    """A file of appended JSON lines, each on disk before :meth:`add` returns. A torn last line is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        """All lines, torn ones too."""
        try:
            return self.path.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a line with the time. Raises `NotReady`."""
        text = json.dumps({"ts": round(time.time(), 3), **line}, ensure_ascii=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                if file.tell() and not _ended(file):
                    file.write(b"\n")
                file.write(f"{text}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotReady(f"{self.path} cannot be written: {error.strerror or error}") from None


def _made_from(name: str, inputs: Any) -> str:
    return digest(json.dumps([_VERSION, name, inputs], sort_keys=True))


def _ended(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")
