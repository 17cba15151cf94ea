"""Many small pytest sessions with agent tasks, one after the other in forked processes: a quarter of a second each.

Each is judged twice, live and by `pytest-agenteval report` on its logs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from support.forked_pytest import forked

__all__ = ["Played", "Session", "play"]


@dataclass(frozen=True, slots=True)
class Session:
    """One session to play."""

    source: str
    """Of its one suite."""
    arguments: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    """Arguments that `report` takes, too."""
    conftest: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    status: int
    report_status: int
    live: Any
    """The JSON report; None where there is none."""
    again: Any
    """The JSON report of `pytest-agenteval report`."""
    output: str
    report_output: str
    junit: str

    @property
    def lines(self) -> dict[str, str]:
        """By task's name the word of pytest's short summary; `PASSED` and our own words among them."""
        words = [line.split() for line in self.output.splitlines() if "::" in line and line.isupper() is False]
        named = {word.partition("::")[2]: first for first, *rest in words for word in rest if "::" in word}
        return {name: word for name, word in named.items() if word.isupper()}

    @property
    def marks(self) -> dict[str, str]:
        """By task's name the last column of the table."""
        return _marks(self.output)

    @property
    def marks_again(self) -> dict[str, str]:
        """The same of `report`."""
        return _marks(self.report_output)

    @property
    def elements(self) -> dict[str, str]:
        """By task's name what JUnit has of it: an element's name and type; "" for a pass."""
        cases = ElementTree.fromstring(self.junit)[0].iter("testcase")
        return {
            str(case.get("name")): " ".join(_element(each) for each in case if each.tag in _KINDS) for case in cases
        }


_AT_MOST = 12
"""Sessions of one process: each leaves something behind, and the later ones are slower."""
_SECONDS = 300.0
"""How long these may take."""
_KINDS = ("skipped", "failure", "error")


def _element(element: ElementTree.Element) -> str:
    return f"{element.tag} {element.get('type') or ''}".strip()


def _marks(output: str) -> dict[str, str]:
    rows = (line.split() for line in output.splitlines())
    return {row[0]: row[-1] for row in rows if len(row) == 8 and row[0].startswith("test_")}


def play(folder: Path, sessions: Sequence[Session]) -> list[Played]:
    """Play all of them, two processes at a time, each session in a folder of its own below `folder`.

    Raises:
        TimeoutError: some did not end in time.
    """
    homes = [folder / f"s{number}" for number in range(len(sessions))]
    for home, session in zip(homes, sessions, strict=True):
        home.mkdir()
        (home / f"test_{folder.name}_{home.name}.py").write_text(session.source, "utf-8")
        (home / "pytest.ini").write_text("[pytest]\n", "utf-8")
        if session.conftest:
            (home / "conftest.py").write_text(session.conftest, "utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "160"}
    jobs = list(zip(homes, sessions, strict=True))
    parts = [jobs[first : first + _AT_MOST] for first in range(0, len(jobs), _AT_MOST)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda part: forked(_play_all, part, environment, timeout=_SECONDS), parts))
    return [_read(home) for home in homes]


def _read(home: Path) -> Played:
    texts = {name: (home / name).read_text("utf-8") for name in ("live.txt", "report.txt", "status.txt")}
    live, again = (
        json.loads((home / name).read_text("utf-8")) if (home / name).exists() else None
        for name in ("live.json", "again.json")
    )
    junit = (home / "junit.xml").read_text("utf-8") if (home / "junit.xml").exists() else "<testsuites/>"
    status, report = map(int, texts["status.txt"].split())
    return Played(status, report, live, again, texts["live.txt"], texts["report.txt"], junit)


def _play_all(jobs: Sequence[tuple[Path, Session]], environment: dict[str, str]) -> None:
    import pytest

    from pytest_agenteval.cli.main import main

    os.environ.clear()
    os.environ.update(environment)
    path = list(sys.path)
    for home, session in jobs:
        os.chdir(home)
        fixed = (
            "-p",
            "pytest_agenteval.plugin",
            "-p",
            "no:cacheprovider",
            "--rootdir=.",
            "-rA",
            "--tb=short",
            "--no-fold-skipped",
        )
        wanted = ("--agent-model=agenteval/null", "--agent-sandbox=local", "--agent-log-dir=logs")
        files = ("--agent-json=live.json", "--junitxml=junit.xml")
        with _to_file(home / "live.txt"):
            status = pytest.main([*fixed, *wanted, *files, *session.gates, *session.arguments])
        report = io.StringIO()
        with contextlib.redirect_stdout(report), contextlib.redirect_stderr(report):
            try:
                again = main(["report", "logs", "--agent-json=again.json", *session.gates])
            except SystemExit as error:
                again = int(str(error.code))
        (home / "report.txt").write_text(report.getvalue(), "utf-8")
        (home / "status.txt").write_text(f"{int(status)} {again}", "utf-8")
        sys.path[:] = path


@contextlib.contextmanager
def _to_file(path: Path) -> Iterator[None]:
    """All that the process writes, for pytest writes to descriptors."""
    kept = os.dup(1), os.dup(2)
    sys.stdout.flush()
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
