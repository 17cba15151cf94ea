from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.made_records import CELL, OTHER, attempt, retry, task, task_of, tool_call

from pytest_agenteval.errors import NotReady
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record.conversation import Conversation, Message, Text, ToolUse
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.report.html import write_html
from pytest_agenteval.report.html.embedding import Room
from pytest_agenteval.report.html.text import embedded_json, shown

VOID = {"meta", "br", "path", "use", "rect", "circle"}
KEY = "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q"
HOSTILE = "<script>alert(1)</script></script></pre><!-- ]]> <img src=x onerror=alert(1)> "
HOSTILE += f"\x1b[31mred\x1b[0m \u202eevil\u2028\ud800 \x00 {KEY}"


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str, name: str | None = None) -> list[Element]:
        return [e for e in self.walk() if e.tag == tag and (name is None or name in (e["class"] or "").split())]

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def __getitem__(self, attribute: str) -> str | None:
        return self.attributes.get(attribute)

    @property
    def text(self) -> str:
        return " ".join("".join(c if isinstance(c, str) else f" {c.text} " for c in self.children).split())

    def section(self, name: str) -> Element:
        (found,) = [e for e in self.walk() if e["id"] == name]
        return found

    def rows(self) -> list[list[str]]:
        return [[cell.text for cell in row.walk() if cell.tag in ("th", "td")] for row in self.all("tr")]


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def page(
    folder: Path,
    *records: TaskRecord,
    gates: GateSettings | None = None,
    said: Conversation | None = None,
    notes: Sequence[str] = (),
    room: Room | None = None,
) -> Element:
    file = folder / "report.html"

    def reader(task: str, attempt_number: int, log: str) -> Conversation | None:
        return said

    write_html(file, judge_run(records, gates or GateSettings()), reader, notes, room=room or Room())
    tree = _Tree()
    tree.feed(file.read_text("utf-8"))
    assert tree.open == [tree.root]
    return tree.root


def square(found: Element) -> list[tuple[str, str]]:
    return [(e.text, str(e["title"])) for e in found.section("grid").all("a", "o")]


def test_verdicts_come_first_with_their_reasons_and_the_exit_status(tmp_path: Path) -> None:
    found = page(tmp_path, task("ppff"), gates=GateSettings(min_pass_at_1=0.9))
    assert "exit status 1" in found.all("header")[0].text
    assert "FAILED" in found.all("h1")[0].text
    (failed,) = [li.text for li in found.section("verdicts").all("li") if "min-pass-at-1" in li.text]
    assert failed.startswith("FAIL --min-pass-at-1")
    assert "0.5" in failed
    assert "0.9" in failed


def test_a_cells_numbers_are_those_that_a_hand_computes(tmp_path: Path) -> None:
    """c/n of 3/4 and 4/4: pass^1..4 of the first are 3/4, 1/2, 1/4, 0; means with 1 are .875, .75, .625, .5."""
    found = page(tmp_path, task("pppf", cost=0.01), task("pppp", "t.py::test_b", cost=0.03))
    head, row = found.section("cells").rows()
    said = dict(zip(head, row, strict=True))
    assert [said[word] for word in ("pass@1", "pass^k", "gap", "attempts", "$/attempt")] == [
        "0.875", "0.500", "0.375", "8", "$0.0200",
    ]  # fmt: skip
    curve = [row[:2] for row in found.section("reliability").rows()[1:]]
    assert curve == [["1", "0.875"], ["2", "0.750"], ["3", "0.625"], ["4", "0.500"]]
    assert dict(zip(*found.section("money").rows(), strict=True))["total"] == "$0.160"


def test_the_intervals_are_those_of_the_terminal(tmp_path: Path) -> None:
    records = [task("pppf"), task("pppp", "t.py::test_b"), task("pfff", "t.py::test_c")]
    estimates = judge_run(records, GateSettings()).run.cells[0].estimates
    rows = page(tmp_path, *records).section("reliability").rows()
    for row, intervals in ((rows[1], estimates.pass_at_1_intervals), (rows[4], estimates.pass_hat_k_intervals)):
        assert row[2:4] == [f"{each.low:.3f} to {each.high:.3f}" for each in intervals]


def test_the_page_of_one_cell_names_its_model_and_its_scaffold(tmp_path: Path) -> None:
    found = page(tmp_path, task("pf"))
    assert [row[0] for row in found.section("cells").rows()] == ["cell", str(CELL)]
    assert found.section("reliability").all("h3")[0].text == str(CELL)


def test_the_verdict_of_a_cell_comes_before_its_numbers(tmp_path: Path) -> None:
    rows = page(tmp_path, task("pf"), task("pp", cell=OTHER)).section("cells").rows()
    assert [row[1] for row in rows] == ["verdict", "FAIL", "PASS"]


def test_an_attempt_of_another_run_says_its_number_in_its_log(tmp_path: Path) -> None:
    reused, fresh = attempt("f", 2, log="logs/a.eval").renumbered(1), attempt("f", 2, log="logs/b.eval")
    found = page(tmp_path, task_of(reused, fresh))
    logs = [fact.all("dd")[0].text for fact in found.all("div") if [dt.text for dt in fact.all("dt")] == ["log"]]
    assert logs == ["logs/a.eval (attempt 2 there)", "logs/b.eval"]


def test_an_unknown_price_is_unpriced_and_never_nothing(tmp_path: Path) -> None:
    found = page(
        tmp_path,
        task("pp", cost=None),
        task("pf", cell=OTHER, cost=0.02),
        task("pp", cell=Cell("x/y", "react"), cost=0.3),
    )
    rows = {row[0].split()[0]: row for row in found.section("money").rows()[1:]}
    assert rows["A"][1:6] == ["unpriced"] * 5
    assert rows["B"][1:5] == ["$0.0400", "$0.0200", "$0.0400", "-"]
    figure = found.section("cost").all("svg")[0]
    assert [e.text for e in figure.all("text") if e.text in "ABC"] == ["B", "C"]
    assert "Not in the figure: A openai/gpt-5-mini, unpriced." in found.section("cost").text
    assert "unpriced" in found.all("header")[0].text


def test_the_front_is_what_no_other_cell_beats(tmp_path: Path) -> None:
    """By cost and pass^2: cheap .5, dear 1, and one that costs more than the cheap one and passes less."""
    cells = [Cell(f"x/{name}", "react") for name in ("cheap", "dear", "beaten")]
    letters = (("pp", "pf"), ("pp", "pp"), ("pf", "pf"))
    records = [
        task(word, f"t.py::test_{i}", cell=cell, cost=cost)
        for cell, words, cost in zip(cells, letters, (0.01, 0.1, 0.02), strict=True)
        for i, word in enumerate(words)
    ]
    keys = [li.text for li in page(tmp_path, *records).section("cost").all("li")]
    assert [("on the front" in key) for key in keys] == [True, True, False]


def test_every_wanted_attempt_has_a_square_that_says_why(tmp_path: Path) -> None:
    failed = attempt("f", 2, message="assert 4 == 5\nmore", exception="AssertionError", where="t.py:9")
    record = task_of(attempt("p", 1), failed, attempt("e", 3), attempt("l", 4), attempt("b", 5), k=6)
    found = page(tmp_path, record)
    assert square(found) == [
        ("P", "1 · passed"), ("F", "2 · failed: assert 4 == 5"), ("E", "3 · environment error (sandbox)"),
        ("L", "4 · limit (turns)"), ("B", "5 · broken (setup)"), ("N", "6 · did not run, no record"),
    ]  # fmt: skip
    links = [str(e["href"])[1:] for e in found.section("grid").all("a", "o")]
    assert [found.section(link).tag for link in links] == ["details"] * 6
    (why,) = found.section(links[1]).all("div", "failing")
    assert why.text == "AssertionError at t.py:9 assert 4 == 5 more"


def test_a_task_has_one_row_for_all_cells_and_the_worst_come_first(tmp_path: Path) -> None:
    records = [
        task("pp", f"t.py::test_{name}[{cell.model}{more}]", cell=cell)
        for cell in (CELL, OTHER)
        for name, more in (("a", ""), ("b", "-3"))
    ]
    found = page(tmp_path, *records, task("pf", "t.py::test_c[anthropic/claude-haiku-4-5]", cell=OTHER))
    rows = [(row.all("th")[0].text, len(row.all("a", "o"))) for row in found.section("grid").all("tr")[1:]]
    assert rows == [("t.py::test_c", 2), ("t.py::test_a", 4), ("t.py::test_b[3]", 4)]


def test_a_failure_with_a_traceback_is_told_by_its_last_line(tmp_path: Path) -> None:
    message = (
        "AssertionError: Traceback (most recent call last):\n  File 'x'\n  TypeError: no price\nassert False\n + where"
    )
    found = page(tmp_path, task_of(attempt("f", message=message)))
    assert square(found) == [("F", "1 · failed: AssertionError: TypeError: no price")]


def test_tool_call_failures_are_told_by_tool_and_type(tmp_path: Path) -> None:
    calls = (tool_call("timeout"), tool_call("timeout"), tool_call("parsing", tool="python"), tool_call(exit_code=1))
    found = page(tmp_path, task_of(attempt("p", 1, tool_calls=calls), attempt("e", 2, tool_calls=calls)))
    table = found.section("failures").all("table")[0]
    assert table.rows()[1:] == [
        ["bash", "timeout", "2"], ["python", "parsing", "1"], ["all tools", "all failures", "3"],
        ["commands", "non-zero exits, often no failure", "1"], ["all tools", "calls", "4"],
    ]  # fmt: skip


def test_environment_errors_are_told_by_cause(tmp_path: Path) -> None:
    found = page(tmp_path, task_of(attempt("p", 1, retries=(retry(), retry())), attempt("e", 2, message="disk full")))
    table = found.section("failures").all("table")[1]
    assert table.rows()[1:] == [["sandbox", "2", "1", "the container is gone"]]


def test_nothing_that_anybody_wrote_becomes_markup_and_no_key_leaves(tmp_path: Path) -> None:
    use = ToolUse(HOSTILE, Text(HOSTILE), Text(HOSTILE, 7, HOSTILE), HOSTILE, Text(HOSTILE), 1, 0.5)
    said = Conversation((Message("assistant", Text(HOSTILE), (use,), HOSTILE, Text(HOSTILE)),))
    calls = (tool_call(HOSTILE, tool=HOSTILE),)
    hostile = {"message": HOSTILE, "exception": HOSTILE, "where": HOSTILE, "answer": HOSTILE, "log": HOSTILE}
    more = {"last_steps": (HOSTILE,), "image": HOSTILE, "sandbox_kept": HOSTILE}
    one = attempt("f", 1, tool_calls=calls, retries=(retry(),), **hostile, **more)
    other = attempt("f", 2, tool_calls=calls, message=HOSTILE, last_steps=(HOSTILE,))
    cell = Cell(HOSTILE, HOSTILE)
    record = task_of(one, other, name=f"t.py::test_{HOSTILE}", cell=cell, notes=(HOSTILE,))
    found = page(tmp_path, record, task("pp", cost=0.2), task("pp", cell=OTHER, cost=0.1), said=said, notes=[HOSTILE])

    scripts = found.all("script")
    ours = [script for script in scripts if script["type"] is None]
    data = [json.loads(script.text) for script in scripts if script["type"] == "application/json"]
    assert len(ours) == 1
    assert len(data) == 1
    assert data[0][0]["c"][0]["o"][1] == 7
    assert "<script>alert(1)</script>" in data[0][0]["x"]
    assert found.all("img") == []
    for element in found.walk():
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"]
        assert element.tag not in ("iframe", "object", "link", "base", "form")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert KEY not in text
    assert not re.search("[\x00\x1b\u202e\u2028\ud800]", text)
    assert "<script>alert(1)</script></script></pre><!-- ]]>" in found.section("grid").all("a")[0].text


def test_the_policy_allows_our_style_and_our_script_and_nothing_else(tmp_path: Path) -> None:
    found = page(tmp_path, task("pf"))
    (policy,) = [str(e["content"]) for e in found.all("meta") if e["http-equiv"] == "Content-Security-Policy"]
    (style,), (script,) = found.all("style"), found.all("script")
    hashes = []
    for element in (style, script):
        (text,) = element.children
        assert isinstance(text, str)
        hashes.append(base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"url\((?!#)|@import|https?://", style.text)


def test_data_in_a_page_cannot_end_its_element() -> None:
    data = ["</script>", "<!--", "a & b", "\u2028\u2029"]
    text = embedded_json(data)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == data


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("a\u202eb\u2066c", "a⟨U+202E⟩b⟨U+2066⟩c"),
        ("half \ud83d pair", "half � pair"),
        ("one\r\ntwo\u2028three\x00", "one\ntwo\nthree␀"),
        (f"\x1b[32m{KEY[:9]}\x1b[0m{KEY[9:]}", "[redacted]"),
        ("tab\tand 日本 ü ‏", "tab\tand 日本 ü ‏"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_conversations_of_what_did_not_pass_have_the_room_and_the_rest_is_counted(tmp_path: Path) -> None:
    records = [
        task_of(*(attempt(letter, i, log="logs/a.eval") for i, letter in enumerate("ppfp", 1)), name=f"t.py::test_{n}")
        for n in range(3)
    ]
    said = Conversation((Message("user", Text("hello")),))
    found = page(tmp_path, *records, said=said, room=Room(conversations=4))
    with_data = [
        details["class"]
        for details in found.all("details", "attempt")
        if any(script["type"] == "application/json" for script in details.all("script"))
    ]
    assert sorted(map(str, with_data)) == ["attempt failed"] * 3 + ["attempt passed"]
    assert "conversations of 8 attempts (8 of them passed) are left out" in found.section("attempts").text
    assert "inspect view --log-dir logs" in found.section("attempts").text


def test_an_early_stopped_cell_has_no_curve_but_what_is_certain(tmp_path: Path) -> None:
    stopped = attempt("n", 3, cause=Cause.DECIDED)
    found = page(tmp_path, task_of(attempt("p", 1), attempt("f", 2), stopped, k=3))
    text = found.section("reliability").text
    assert "guaranteed" in text
    assert "not run (decided)" in square(found)[2][1]
    assert found.section("reliability").all("svg")


def test_a_run_without_a_task_has_a_page(tmp_path: Path) -> None:
    assert "No task was evaluated" in page(tmp_path).section("cells").text


def test_a_skipped_task_has_its_square(tmp_path: Path) -> None:
    assert square(page(tmp_path, task("ss"))) == [("S", "1 · skipped"), ("S", "2 · skipped")]


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        write_html(tmp_path / name, judge_run([task("pfp")], GateSettings()), lambda *_: None)
        texts.append((tmp_path / name).read_text("utf-8"))
    assert texts[0] == texts[1]


def test_figures_take_their_colours_from_the_page(tmp_path: Path) -> None:
    for element in page(tmp_path, task("pfp")).all("svg")[0].walk():
        for value in (element["fill"], element["stroke"]):
            assert value in (None, "none") or re.fullmatch(r"var\(--[a-z-]+\)", value)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jinja2" else there(name))
    with pytest.raises(NotReady, match=r"--agent-html needs jinja2: .*pip install 'pytest-agenteval\[html\]'"):
        page(tmp_path, task("p"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="file"):
        page(tmp_path / "file", task("p"))


CSS = (Path(__file__).parents[3] / "pytest_agenteval/report/html/templates/page.css").read_text("utf-8")
PAIRS = [
    ("ink", "page"),
    ("ink", "raised"),
    ("muted", "page"),
    ("muted", "raised"),
    ("accent", "page"),
    ("accent", "raised"),
]
PAIRS += [(f"{name}-text", ground) for name in ("pass", "fail", "undecided") for ground in ("page", "raised")]
PAIRS += [(f"{name}-ink", f"{name}-fill") for name in ("passed", "failed", "limit", "error", "broken", "idle")]
PAIRS += [("ink", "band"), ("ink", "wide-band")]


def palette(scheme: str) -> dict[str, str]:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)")[:2]
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light.split("* {")[0]))
    if scheme == "dark":
        found |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark.split("* {")[0]))
    return found


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_stands_out_as_wcag_aa_asks(ink: str, ground: str, scheme: str) -> None:
    colours = palette(scheme)
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("drawn", ["accent", "focus"])
def test_lines_and_the_focus_stand_out_as_wcag_aa_asks(drawn: str, scheme: str) -> None:
    colours = palette(scheme)
    assert contrast(colours[drawn], colours["page"]) >= 3.0
