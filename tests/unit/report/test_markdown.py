from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.made_records import CELL, OTHER, attempt, task, task_of

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.report.markdown import COMMENT_LIMIT, MARKER, comment, markdown_report
from pytest_agenteval.report.markdown_text import code, fitting, html_code, preformatted, prose

RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def judged(*records: TaskRecord, baseline: EarlierRun | None = None, **thresholds: Any) -> Judgement:
    return judge_run(records, GateSettings(**thresholds), baseline=baseline)


def page(markdown: str) -> ElementTree.Element:
    """The rendered page; that it is well-formed shows that no text opened or closed an element."""
    return ElementTree.fromstring(f"<page>{RENDERER.render(markdown)}</page>")


def rows(root: ElementTree.Element) -> Iterator[list[str]]:
    for row in root.iter("tr"):
        yield ["".join(field.itertext()) for field in row]


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
    assert text.index("**FAIL**") < text.index("**UNDECIDED**") < text.index("| task |") < text.index("<details>")
    assert "- note: shard 1/3: 4 of 9 tasks" in text
    table = list(rows(page(text)))
    head = "task", "k", "c/n", "pass@1", "pass^k", "$/attempt", "tool failures", "env errors", "verdict"
    assert table[0] == list(head)
    assert table[1] == ["t.py::test_bad", "4", "3/4", "0.750", "0.000", "$0.500", "0", "0", "~"]
    assert table[2] == ["t.py::test_lost", "4", "2/2", "1.000", "-", "$0", "0", "2", "all"]
    assert table[3] == list(head)
    assert table[4] == ["t.py::test_good", "4", "4/4", "1.000", "1.000", "$0.250", "0", "0", "all"]
    assert table[5] == ["t.py::test_skipped", "4", *["-"] * 6, "skipped"]
    assert "<summary>2 other tasks</summary>" in text
    assert "<summary>why: <code>t.py::test_bad</code></summary>" in text
    assert "pass@1 0.917 · pass^4 0.500" in text  # (1 + 3/4 + 1) / 3; pass^4 over the two tasks with n = 4
    assert "this suite, re-run (95%): pass@1 " in text


def test_the_worst_rows_are_first() -> None:
    text = markdown_report(judged(task("p", "t::a"), task("e", "t::b"), task("b", "t::c"), task("f", "t::d")))
    assert [row[0] for row in rows(page(text)) if row[0] != "task"] == ["t::d", "t::c", "t::b", "t::a"]


def test_several_cells_have_a_column_of_their_own() -> None:
    text = markdown_report(judged(task("pf", cell=CELL, cost=None), task("pp", cell=OTHER)))
    table = list(rows(page(text)))
    assert table[0][:3] == ["task", "cell", "k"]
    assert table[1][1] == "openai/gpt-5-mini · react"
    assert table[1][6] == "unpriced"
    assert "total cost unpriced" in text


def test_beside_a_column_of_cells_tasks_are_named_without_theirs_and_the_failure_by_its_node_id() -> None:
    text = markdown_report(judged(*(task("pf", f"t.py::test_a[{cell.model}-3]", cell=cell) for cell in (CELL, OTHER))))
    assert [row[:2] for row in rows(page(text)) if row[0] != "task"] == [
        ["t.py::test_a[3]", str(CELL)], ["t.py::test_a[3]", str(OTHER)],
    ]  # fmt: skip
    folds = ["".join(each.itertext()) for each in page(text).iter("summary")]
    assert f"why: t.py::test_a[{CELL.model}-3] ({CELL})" in folds


def test_the_delta_to_the_baseline_is_shown() -> None:
    def before(name: str, passes: str) -> list[EarlierAttempt]:
        return [EarlierAttempt(CELL, name, letter == "p", 0.1, ToolCalls(), None) for letter in passes]

    baseline = EarlierRun("the run of May", tuple(before("t::a", "pppp") + before("t::b", "pfff")))
    judgement = judged(task("ppff", "t::a"), task("ppff", "t::b"), task("pppp", "t::new"), baseline=baseline)
    text = markdown_report(judgement)
    table = {row[0]: row for row in rows(page(text))}
    assert table["task"][4] == "Δ pass@1"
    assert [table[name][4] for name in ("t::a", "t::b", "t::new")] == ["-0.500", "+0.250", ""]
    # over the two compared tasks: (1 + 1/4) / 2 before, (1/2 + 1/2) / 2 after
    assert "beside the run of May: pass@1 0.625 to 0.500 (-0.125) over 2 tasks" in text
    assert "--agent-baseline" in text


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
        "summary", "pre",
    }  # fmt: skip
    (bad,) = [row for row in rows(root) if row[0] != "task"]
    assert len(bad) == 9
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
    shown = len(re.findall(r"^\| `tests", text, re.MULTILINE))
    assert len(more) == 2
    assert shown + sum(more) == 1000
    assert all(len(row) == 9 for row in rows(page(text)))


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
    assert all(len(row) == 9 for row in rows(page(text)))
