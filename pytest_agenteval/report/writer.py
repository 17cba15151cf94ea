"""What plugins and our own reports exchange with the publisher: a request, files to write, sections to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_agenteval.judge.judgement import Judgement

__all__ = ["ReportRequest", "ReportSection", "Writer"]


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
