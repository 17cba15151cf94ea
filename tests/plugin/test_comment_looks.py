"""The comment in a browser, rendered as GitHub does: nothing scrolls sideways, on a desktop and on a telephone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.chromium import Chromium
from support.github_page import comment_page
from support.made_records import CELL, OTHER, attempt, task, task_of, tool_call

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.tool_calls import ToolCallFailures, ToolCalls
from pytest_agenteval.report.markdown import comment

LONG = "tests/evaluation/test_command_line_tools.py::TestRepairs::test_restores_a_deleted_file"
NAMES = [
    "tests/test_a.py::test_b", LONG, f"{LONG}[a branch that was never merged-{'x' * 40}]",
    "benchmarks/customer_service/test_refunds.py::test_refunds_no_more_than_was_paid[gold, abroad]",
]  # fmt: skip
WHY = (
    "AssertionError: assert 'the refund of $1,234.56' in '" + "no such thing was said by the agent, " * 6 + "'\n"
    "  at /home/runner/work/shop/shop/benchmarks/customer_service/test_refunds.py:118 in " + "x" * 90
)


def before(name: str, passes: str) -> list[EarlierAttempt]:
    calls = ToolCalls(20, (ToolCallFailures("bash", "timeout", 1),))
    return [EarlierAttempt(CELL, name, letter == "p", 0.0123, calls, None) for letter in passes]


def commented() -> str:
    """All that a comment may hold, in the longest words."""
    failed = task_of(*(attempt("f", n, 0.4567, message=WHY, tool_calls=(tool_call("timeout"),)) for n in range(1, 9)),
                     name=NAMES[1])  # fmt: skip
    records = [
        task("pfpppppp", NAMES[0], cost=0.0123), failed, task("ffffffff", NAMES[2], cost=1234.5),
        task("pppppeen", NAMES[3], cost=None), task("bb", f"{LONG}[broken]", k=8), task("p" * 8, f"{LONG}[fine]"),
        task("s" * 8, f"{LONG}[skipped]"), task("pfpfpfpf", LONG, cell=OTHER), task("n" * 8, f"{LONG}[b]", cell=OTHER),
    ]  # fmt: skip
    attempts = [each for name in (*NAMES, f"{LONG}[gone]") for each in before(name, "p" * 8)]
    baseline = EarlierRun("the run of 2026-05-01 12:30 on main (11 logs)", tuple(attempts))
    gates = GateSettings(min_pass_k=0.5, min_pass_at_1=0.8, confidence=0.95)
    return comment(judge_run(records, gates, baseline=baseline), ["one note of many words " * 8])


@pytest.mark.parametrize("width", [900, 390])
def test_nothing_scrolls_sideways(chromium: Chromium, tmp_path: Path, width: int) -> None:
    page = tmp_path / "comment.html"
    page.write_text(comment_page(commented()), "utf-8")
    chromium.open(page, width=width)
    chromium.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    chromium.screenshot(tmp_path / "comment.png", whole=True)
    wide = "[...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth)"
    assert chromium.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 200))") == []
    assert chromium.evaluate("document.documentElement.scrollWidth") == width
    assert chromium.evaluate("document.querySelectorAll('table').length") == 3
