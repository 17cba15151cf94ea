"""Events by which a test steers pytest: every row of the page `test-control`, live and judged again from the logs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from support.many_sessions import Played, Session, play

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "test-control.md"
HEAD = """
import asyncio, sys, unittest
import pytest
from pytest_agenteval import agent_task
"""


@dataclass(frozen=True)
class Row:
    """An event, as one task at k = 3, and what must come of it."""

    source: str
    line: str
    """pytest's word."""
    mark: str
    """In the table."""
    junit: str
    status: int
    arguments: tuple[str, ...] = ()
    conftest: str = ""
    said: str = ""
    """What the output must have."""
    stored: bool = True
    """Whether there are attempts that `report` could judge."""


NO_REPORT = 2

ROWS: dict[str, Row] = {
    "skip in every attempt": Row(
        "async def test_it(attempt): pytest.skip('no service')",
        "SKIPPED",
        "skipped",
        "skipped pytest.skip",
        0,
        said="no service",
    ),
    "unittest.SkipTest in every attempt": Row(
        "async def test_it(attempt): raise unittest.SkipTest('no service')",
        "SKIPPED",
        "skipped",
        "skipped pytest.skip",
        0,
        said="no service",
    ),
    "pytest.xfail before the agent, in every attempt": Row(
        "async def test_it(attempt): pytest.xfail('known')",
        "SKIPPED",
        "skipped",
        "skipped pytest.skip",
        0,
        said="known",
    ),
    "skip in some attempts only": Row(
        """
        async def test_it(attempt):
            if attempt.number == 3: pytest.skip("registry was slow")
            attempt.agent_begins()
            assert attempt.number < 0
        """,
        "FAILED",
        "BROKEN",
        "error",
        1,
        ("--min-pass-k=0",),
        said="registry was slow",
    ),
    "skip after the agent started": Row(
        "async def test_it(attempt): attempt.agent_begins(); raise unittest.SkipTest('gave up')",
        "FAILED",
        "BROKEN",
        "error",
        1,
        said="skipped after the agent had started: unittest.case.SkipTest: gave up",
    ),
    "mark skip or skipif": Row(
        """
        @pytest.mark.skipif(True, reason="not here")
        async def test_it(attempt): raise AssertionError
        """,
        "SKIPPED",
        "",
        "skipped pytest.skip",
        0,
        said="not here",
        stored=False,
    ),
    "mark xfail, and it fails": Row(
        """
        @pytest.mark.xfail(reason="issue 7")
        async def test_it(attempt): attempt.agent_begins(); assert attempt.number != 2
        """,
        "XFAIL",
        "xfail",
        "skipped pytest.xfail",
        0,
        said="issue 7",
    ),
    "mark xfail, and it passes": Row(
        """
        @pytest.mark.xfail(reason="issue 7")
        async def test_it(attempt): attempt.agent_begins()
        """,
        "XPASS",
        "xpass",
        "",
        0,
    ),
    "mark xfail(strict=True), and it passes": Row(
        """
        @pytest.mark.xfail(strict=True, reason="issue 7")
        async def test_it(attempt): attempt.agent_begins()
        """,
        "FAILED",
        "FAIL",
        "failure",
        1,
        ("--min-pass-k=0",),
        said="[XPASS(strict)] issue 7",
    ),
    "mark xfail(raises=...), and another exception": Row(
        """
        @pytest.mark.xfail(raises=KeyError)
        async def test_it(attempt):
            attempt.agent_begins()
            if attempt.number == 1: raise KeyError("x")
            assert attempt.number == 3
        """,
        "FAILED",
        "FAIL",
        "failure",
        1,
    ),
    "mark xfail(run=False)": Row(
        """
        @pytest.mark.xfail(run=False)
        async def test_it(attempt): raise AssertionError
        """,
        "XFAIL",
        "",
        "skipped pytest.xfail",
        0,
        stored=False,
    ),
    "mark xfail, and an attempt is broken": Row(
        """
        @pytest.mark.xfail
        async def test_it(attempt):
            if attempt.number == 2: raise KeyError("in the test")
            attempt.agent_begins()
            assert attempt.number < 0
        """,
        "FAILED",
        "BROKEN",
        "error",
        1,
    ),
    "mark xfail with --runxfail": Row(
        """
        @pytest.mark.xfail
        async def test_it(attempt): attempt.agent_begins(); assert attempt.number != 2
        """,
        "FAILED",
        "FAIL",
        "failure",
        1,
        ("--runxfail",),
    ),
    "mark xfail that comes during the run": Row(
        """
        async def test_it(request, attempt): request.applymarker(pytest.mark.xfail)
        """,
        "FAILED",
        "BROKEN",
        "error",
        1,
        said="put it on the test",
    ),
    "pytest.xfail in every attempt that fails": Row(
        """
        async def test_it(attempt):
            attempt.agent_begins()
            if attempt.number == 3: pytest.xfail("known")
        """,
        "XFAIL",
        "xfail",
        "skipped pytest.xfail",
        0,
        said="known",
    ),
    "pytest.xfail in one attempt, and another fails": Row(
        """
        async def test_it(attempt):
            attempt.agent_begins()
            if attempt.number == 1: pytest.xfail("known")
            assert attempt.number == 3, "real failure"
        """,
        "FAILED",
        "FAIL",
        "failure",
        1,
        said="real failure",
    ),
    "SystemExit": Row(
        "async def test_it(attempt): attempt.agent_begins(); sys.exit(0)",
        "FAILED",
        "FAIL",
        "failure",
        1,
        said="SystemExit: 0",
    ),
    "KeyboardInterrupt raised by the test": Row(
        "def test_it(attempt): attempt.agent_begins(); raise KeyboardInterrupt",
        "FAILED",
        "FAIL",
        "failure",
        1,
    ),
    "cancelling its own task": Row(
        """
        async def test_it(attempt):
            attempt.agent_begins()
            if attempt.number == 1:
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
            if attempt.number == 2: asyncio.current_task().cancel()  # strikes when the body has ended
        """,
        "FAILED",
        "FAIL",
        "failure",
        1,
        said="1 of 3 attempts passed",
    ),
    "return of a value": Row(
        "async def test_it(attempt): attempt.agent_begins(); return attempt.number == 9",
        "PASSED",
        "PASS",
        "",
        0,
        said="Did you mean to use `assert` instead of `return`?",
    ),
    "return of a value, under -W error": Row(
        "def test_it(attempt): attempt.agent_begins(); return attempt.number == 9",
        "FAILED",
        "BROKEN",
        "error",
        1,
        ("-W", "error::pytest.PytestReturnNotNoneWarning"),
    ),
    "generator": Row(
        "def test_it(attempt): yield",
        "ERROR",
        "",
        "error",
        2,
        said="'yield' keyword is allowed in fixtures",
        stored=False,
    ),
    "async generator": Row(
        """
        async def test_it(attempt):
            assert False
            yield
        """,
        "ERROR",
        "",
        "error",
        2,
        said="'yield' keyword is allowed in fixtures",
        stored=False,
    ),
    "a method of a unittest.TestCase": Row(
        """
        @agent_task()
        class TestIt(unittest.TestCase):
            def test_it(self): ...
        """,
        "ERROR",
        "",
        "error",
        2,
        said="is an agent task in a unittest.TestCase",
        stored=False,
    ),
    "subtests": Row(
        "async def test_it(attempt, subtests): ...",
        "ERROR",
        "",
        "error",
        1,
        said="so no attempt would fail by it",
        stored=False,
    ),
    "soft checks (pytest-check, pytest-assume)": Row(
        """
        from pytest_check import check
        class TestIt:
            async def test_it(self, attempt): attempt.agent_begins(); check.equal(1, 2)
        """,
        "ERROR",
        "",
        "error",
        1,
        ("-p", "pytest_check.plugin"),
        said="pytest-check keeps failed checks in one list for the whole process",
        stored=False,
    ),
    "pytest.exit": Row(
        "async def test_it(attempt): attempt.agent_begins(); pytest.exit('enough', returncode=9)",
        "",
        "",
        "",
        9,
        said="Exit: enough",
    ),
}

REPORTED_OTHERWISE = {"pytest.exit": 10}
"""pytest's own ends are of the session, and in no log: what is judged again is what there is."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    sessions = [
        Session(
            HEAD + dedent(row.source),
            ("--k=3", *(each for each in row.arguments if not each.startswith("--min"))),
            tuple(each for each in row.arguments if each.startswith("--min")),
            row.conftest,
        )
        for row in ROWS.values()
    ]
    done = play(tmp_path_factory.mktemp("events"), sessions)
    return dict(zip(ROWS, done, strict=True))


@pytest.mark.parametrize("event", ROWS)
def test_an_event_has_one_meaning_everywhere(event: str, played: dict[str, Played]) -> None:
    row, done = ROWS[event], played[event]
    assert done.status == row.status, done.output
    assert done.lines.get("test_it", "") == row.line or row.line in ("ERROR", ""), done.output
    assert row.line != "ERROR" or "ERROR" in done.output
    assert done.marks.get("test_it", "") == row.mark, done.output
    assert row.said in " ".join(done.output.split()), done.output
    assert set(done.elements.values()) - {""} == {row.junit} - {""}, done.junit
    if not row.stored:
        return
    assert done.report_status == REPORTED_OTHERWISE.get(event, row.status), done.report_output
    if event not in REPORTED_OTHERWISE:
        assert done.marks_again == done.marks
        assert done.again["tasks"] == done.live["tasks"]
        assert done.again["gates"] == done.live["gates"]
        assert done.again["run"]["verdict"] == done.live["run"]["verdict"]


def test_the_page_has_these_rows_and_no_others() -> None:
    rows = re.findall(r"^\| (?!event|---)([^|]+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [row.replace("`", "") for row in rows] == list(ROWS)
