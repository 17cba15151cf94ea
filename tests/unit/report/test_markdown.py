from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.github_page import tree as page
from support.made_records import CELL, OTHER, attempt, task, task_of, tool_call

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.tool_calls import ToolCallFailures, ToolCalls
from pytest_agenteval.report.markdown import COMMENT_LIMIT, MARKER, comment, markdown_report
from pytest_agenteval.report.markdown_text import code, fitting, html_code, preformatted, prose
from pytest_agenteval.report.run_facts import files_address


def judged(*records: TaskRecord, baseline: EarlierRun | None = None, **thresholds: Any) -> Judgement:
    return judge_run(records, GateSettings(**thresholds), baseline=baseline)


def rows(root: ElementTree.Element) -> Iterator[list[str]]:
    for row in root.iter("tr"):
        yield ["".join(_texts(field)) for field in row]


def _texts(element: ElementTree.Element) -> Iterator[str]:
    """The texts of a field; its lines are joined by a dot."""
    yield element.text or ""
    for each in element:
        yield " · " if each.tag == "br" else "".join(_texts(each))
        yield each.tail or ""


RECORDS = (
    task("pppp", "t.py::test_good", cost=0.25),
    task("pfpp", "t.py::test_bad", cost=0.5),
    task("ppee", "t.py::test_lost", cost=0.0),
    task("ssss", "t.py::test_skipped"),
)


def test_the_verdict_comes_first_then_what_failed_and_the_rest_is_folded() -> None:
    text = markdown_report(judged(*RECORDS, min_pass_k=0.9), ["shard 1/3: 4 of 9 tasks"])
    assert text.splitlines()[0] == "## FAIL: agent evaluation"
    assert "exit 1: FAILED: --min-pass-k" in text
    assert "- **FAIL** `--min-pass-k`: " in text
    assert text.index("**FAIL**") < text.index("**UNDECIDED**") < text.index("| task in") < text.index("<details>")
    assert "- note: shard 1/3: 4 of 9 tasks" in text
    assert list(rows(page(text))) == [
        ["task in t.py", "passed", "$/attempt"],
        ["test_bad", "3/4", "$0.500"],
        ["test_lost · 2 environment errors", "2/2 of 4", "$0"],
        ["task in t.py", "passed", "$/attempt"],
        ["test_good", "4/4", "$0.250"],
        ["skipped test_skipped", "-", "-"],
    ]
    assert "<summary>2 other tasks</summary>" in text
    assert "<summary>why: <code>t.py::test_bad</code></summary>" in text
    assert "pass@1 0.917 · pass^4 0.500" in text  # (1 + 3/4 + 1) / 3; pass^4 over the two tasks with n = 4
    assert "this suite, re-run (95%): pass@1 " in text


def test_the_worst_rows_are_first() -> None:
    text = markdown_report(judged(task("p", "t::a"), task("e", "t::b"), task("b", "t::c"), task("f", "t::d")))
    assert [row[0] for row in rows(page(text)) if not row[0].startswith("task")] == [
        "FAIL d", "BROKEN c", "UNDECIDED b · 1 environment error", "PASS a",
    ]  # fmt: skip


def test_with_several_cells_each_row_says_which_and_tasks_are_named_without_theirs() -> None:
    records = [task("pf", f"t.py::test_a[{cell.model}-3]", cell=cell, cost=None) for cell in (CELL, OTHER)]
    text = markdown_report(judged(*records))
    assert [row for row in rows(page(text)) if not row[0].startswith("task")] == [
        [f"FAIL test_a[3] · {CELL}", "1/2", "unpriced"], [f"FAIL test_a[3] · {OTHER}", "1/2", "unpriced"],
    ]  # fmt: skip
    assert "total cost unpriced" in text
    folds = ["".join(each.itertext()) for each in page(text).iter("summary")]
    assert f"why: t.py::test_a[{CELL.model}-3] ({CELL})" in folds


def test_what_few_tasks_have_stands_below_their_names() -> None:
    failed = attempt("p", 1, tool_calls=(tool_call("timeout"), tool_call()))
    (row,) = [
        row for row in rows(page(markdown_report(judged(task_of(failed, attempt("f", 2), attempt("p", 3), k=2)))))
        if not row[0].startswith("task")
    ]  # fmt: skip
    # C(2, 2) / C(3, 2): of the three pairs of attempts one passed as a whole
    assert row == ["FAIL test_it · pass^2 0.333 · 1 tool-call failure", "2/3", "$0"]


def before(name: str, passes: str, cost: float | None = 0.1, failures: int = 0) -> list[EarlierAttempt]:
    calls = ToolCalls(10, (ToolCallFailures("bash", "timeout", failures),) if failures else ())
    return [EarlierAttempt(CELL, name, letter == "p", cost, calls, None) for letter in passes]


def earlier(*tasks: list[EarlierAttempt]) -> EarlierRun:
    return EarlierRun("the run of May", tuple(each for attempts in tasks for each in attempts))


def test_regressed_tasks_come_first_and_the_largest_fall_before_all_others() -> None:
    baseline = earlier(
        before("t::fell", "p" * 16 + "f" * 4, None), before("t::rose", "pfff"),
        before("t::fell_most", "p" * 8, 0.1, 1), before("t::gone", "pp"),
    )  # fmt: skip
    records = [
        task("f" * 20, "t::fell", cost=0.2), task("ppff", "t::rose"), task("ffffffff", "t::fell_most", cost=0.3),
        task("pppp", "t::new"),
    ]  # fmt: skip
    text = markdown_report(judged(*records, baseline=baseline))
    # t::fell_most fell furthest; t::fell is less probable: C(20, 16) / C(40, 16) against 1 / C(16, 8)
    assert list(rows(page(text)))[:3] == [
        ["task in t", "passed", "own cost per attempt, tool-call failures"],
        ["regressed fell_most", "8/8 → 0/8 · p = 7.8e-05", "$0.100 → $0.300 · 10.0% → -"],
        ["regressed fell", "16/20 → 0/20 · p = 7.7e-08", "unknown → $0.200 · 0.0% → -"],
    ]
    table = {row[0].partition(" · ")[0]: row for row in rows(page(text))}
    assert table["FAIL rose"][1] == "1/4 → 2/4"
    assert table["PASS new"][1] == "4/4"
    # over the three compared tasks: (0.8 + 0.25 + 1) / 3 before, (0 + 0.5 + 0) / 3 after
    assert "beside the run of May: pass@1 of 3 compared tasks 0.683 → 0.167 (-0.517); **2 tasks regressed**" in text
    assert "p is corrected for 3 tasks" in text
    assert "- gone, only in the baseline: `t::gone`" in text
    assert "- new, not in the baseline: `t::new`" in text
    assert text.index("regressed") < text.index("gone") < text.index("--agent-baseline`") < text.index("this suite")


def test_where_only_all_tasks_together_fell_those_that_did_are_named() -> None:
    names = [f"t::{letter}" for letter in "abcdef"]
    baseline = earlier(*(before(name, "p" * 8) for name in names))
    text = markdown_report(judged(*(task("ppppppff", name) for name in names), baseline=baseline))
    assert "no task fell beyond chance, but **all together did**; these fell" in text
    assert [row[0] for row in rows(page(text))][1:6] == list("abcde")


@pytest.mark.parametrize("letters", ["ppff", "pppp"])
def test_a_missing_shard_stands_before_every_number(letters: str) -> None:
    lost = "shard 3 of 3 is missing"
    text = markdown_report(judge_run([task(letters)], GateSettings(min_pass_k=1.0), incomplete=[lost]))
    assert text.count(lost) == 1
    assert text.index(lost) < text.index("pass^4")


def test_which_run_it_is_stands_below_the_verdict() -> None:
    identity = RunIdentity("github-7-2", True, "0123456789abcdef" * 2, "fix/@team", True, "https://ci.example/runs/7")
    ends = ("2026-05-01T12:30:00+00:00", "2026-05-01T16:31:00+02:00")
    attempts = [attempt("p", number, ended=end) for number, end in enumerate(ends, 1)]
    judgement = judge_run([task_of(*attempts)], GateSettings(), identity=identity)
    lines = comment(judgement, files="https://ci.example/runs/7#artifacts").splitlines()
    assert lines[5] == (
        "commit 0123456789ab with changes on fix/@\u200bteam · run github-7-2 · 2026-05-01 14:31 UTC · "
        "[the run](<https://ci.example/runs/7>) · [its files](<https://ci.example/runs/7#artifacts>)"
    )
    for address in ("javascript:alert(1)", "https://ci.example/a>b", "https://ci.example/a b"):
        text = comment(judge_run([task_of(*attempts)], GateSettings(), identity=replace(identity, address=address)))
        assert not list(page(text).iter("a"))


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7"},
         "https://github.com/o/r/actions/runs/7#artifacts"),
        ({"CI_JOB_URL": "https://gitlab.com/o/r/-/jobs/8"}, "https://gitlab.com/o/r/-/jobs/8/artifacts/browse"),
        ({"JENKINS_URL": "https://j/", "BUILD_URL": "https://j/job/a/9/"}, "https://j/job/a/9/artifact/"),
        ({"GITHUB_RUN_ID": "7", "CI_JOB_URL": ""}, None),
    ],
)  # fmt: skip
def test_each_ci_system_has_a_place_for_files(variables: dict[str, str], address: str | None) -> None:
    assert files_address(variables) == address


def test_nothing_to_report_is_a_report() -> None:
    assert markdown_report(judged()).splitlines()[0] == "## NOT JUDGED: agent evaluation"
    assert "1 task</summary>" in markdown_report(judged(task("p")))


def test_what_the_tasks_have_to_say_is_noted_once() -> None:
    said = judged(task("p", "t::a", notes=("not isolated",)), task("p", "t::b", notes=("not isolated",)))
    assert markdown_report(said).count("- note: not isolated") == 1


def test_a_comment_begins_with_its_hidden_marker() -> None:
    assert comment(judged(*RECORDS)).startswith(f"{MARKER}\n## FAIL")
    assert MARKER == "<!-- pytest-agenteval -->"


EVIL = [
    "<script>alert(1)</script>",
    "</pre></details><img src=x onerror=alert(1)>",
    "a | b || c \\| d",
    "`a` ``b`` ```c",
    "@someone and @org/team, #12, GH-13, owner/repo#14",
    "[link](http://evil) ![image](http://evil/x.png) http://evil www.evil.com <http://evil>",
    "**bold** __bold__ _it_ ~~gone~~ $x^2$",
    "one\ntwo\r\nthree\u2028four\n\n# heading\n- item\n<!-- ",
    "\x1b[31mred\x07 \u202etfel",
    "&lt;b&gt; &amp; \\",
]


@pytest.mark.parametrize("text", EVIL)
def test_what_a_model_wrote_stays_text(text: str) -> None:
    record = task_of(attempt("f", message=text, last_steps=(text,), exception="E"), name=f"t::x[{text}]", notes=(text,))
    whole = markdown_report(judged(record), [text])
    root = page(whole)
    assert {each.tag for each in root.iter()} <= {
        "page", "h2", "p", "ul", "li", "code", "strong", "table", "thead", "tbody", "tr", "th", "td", "details",
        "summary", "pre", "div", "samp", "br", "wbr",
    }  # fmt: skip
    (bad,) = [row for row in rows(root) if not row[0].startswith("task")]
    assert len(bad) == 3
    assert "\x1b" not in whole and "\u202e" not in whole
    shown = " ".join("".join(root.itertext()).replace("\u200b", "").split())
    flat = " ".join(re.sub(r"[\x00-\x08\x0e-\x1f\u202e]", "", text).split())
    assert shown.count(flat) >= 3, shown


def test_names_do_not_mention_refer_or_link() -> None:
    for text in ("@someone", "(@someone)", "#12", "o/r#12", "GH-12", "http://evil", "www.evil.com", "a@b.c"):
        assert not re.search(r"@\w|#\d|://|www\.|GH-\d", prose(text)), text
    assert prose("pass@1 of test_it is 0.5") == "pass@1 of test_it is 0.5"
    assert code("plain_name") == "`plain_name`"
    assert code("a|b") == html_code("a|b") == "<code>a&#124;b</code>"
    assert preformatted(" a <b> & c\x1b[0m") == " a &lt;b&gt; &amp; c[0m"


def test_what_is_cut_is_counted() -> None:
    lines = ["x" * 9] * 10
    assert fitting(lines, 100) == lines
    assert fitting(lines, 99) == [*lines[:8], "- 2 more"]
    assert fitting(lines, 30) == [*lines[:2], "- 8 more"]
    assert fitting(lines, 9) == []


def test_a_long_report_keeps_the_limit_of_a_comment_and_says_what_is_cut() -> None:
    failing = [task("pf" * 4, f"tests/test_{'x' * 60}.py::test_{i}") for i in range(500)]
    passing = [task("p" * 8, f"tests/test_{'y' * 60}.py::test_{i}") for i in range(500)]
    text = comment(judged(*passing, *failing))
    assert 30_000 < len(text.encode()) <= COMMENT_LIMIT
    more = [int(number) for number in re.findall(r"\| (\d+) more \|", text)]
    shown = len(re.findall(r"^\| \S+ <code>test", text, re.MULTILINE))
    assert len(more) == 2
    assert shown + sum(more) == 1000
    assert all(len(row) == 3 for row in rows(page(text)))


def test_without_room_for_a_verdict_there_is_no_report() -> None:
    with pytest.raises(ValueError, match="100 bytes"):
        markdown_report(judged(), limit=100)


WORDS = st.text(st.one_of(st.characters(), st.sampled_from("|`<>@#_*\n\\[]$&")), max_size=400)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text("pfebns", min_size=1, max_size=4), WORDS, WORDS), max_size=12), st.integers(2000, 9000)
)
def test_the_limit_is_kept_and_the_page_is_well_formed_whatever_is_in_it(tasks: list[Any], limit: int) -> None:
    records = [
        task_of(
            *(attempt(x, n, message=message) for n, x in enumerate(letters, 1)), name=f"t{i}::{name}", notes=(message,)
        )
        for i, (letters, name, message) in enumerate(tasks)
    ]
    text = markdown_report(judged(*records), [message for *_, message in tasks], limit=limit)
    assert len(text.encode("utf-8", "strict")) <= limit
    assert all(len(row) == 3 for row in rows(page(text)))
