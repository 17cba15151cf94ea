"""What plugins and our own reports exchange with the publisher: a request, files to write, sections to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_agenteval.judge.judgement import Judgement

__all__ = ["ReportRequest", "ReportSection", "Writer", "write_whole"]


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section below the report."""

    title: str
    lines: tuple[str, ...]
    """Plain text, one string per line."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What is to be reported."""

    judgement: Judgement
    """Without secrets."""
    notes: tuple[str, ...]
    """What a reader should know about the run as a whole, one sentence each, without secrets."""
    sections: tuple[ReportSection, ...]
    """What plugins add, without secrets."""
    destinations: Mapping[str, Path]
    """The files that the user asked for, by option: `json`, `comment`, `html`, `metrics`, and `junitxml` where pytest
    does not write it itself."""
    environment: Mapping[str, str]
    """The environment of the process; not redacted."""
    secrets: tuple[str, ...]
    """Values that must not be written anywhere."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A file to write."""

    what: str
    """Its name for a reader, for example `JSON report`."""
    path: Path
    write: Callable[[Path], None]
    """Writes it. An exception is reported as a warning."""
    announced: bool = True
    """Whether a line is printed that says where it is."""


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Write a file completely or not at all; its directory is made. What is no regular file is written to as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    special = path.exists() and not path.is_file()
    target = path if special else path.with_name(f".{path.name}.part")
    try:
        with target.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(pieces)
        if not special:
            target.replace(path)
    finally:
        if not special:
            target.unlink(missing_ok=True)
