"""The reliability profile where readers see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from support.github_page import tree as page
from support.made_records import CELL, OTHER, attempt, task, task_of, tool_call

from pytest_agenteval.estimate.profile import profile_of
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.record.conduct import Confidence, RuleResults, Violation
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.report.html.profile_plot import profile_plot
from pytest_agenteval.report.json import json_report
from pytest_agenteval.report.markdown import markdown_report
from pytest_agenteval.report.profile import dimensions, profile_lines, side_by_side_lines
from pytest_agenteval.report.terminal import report_lines


def suite(cell: Cell = CELL, sure: float = 90.0) -> list[TaskRecord]:
    """Two tasks: one passes always and goes two ways, one passes half the time and breaks a rule where it fails."""

    def one(letter: str, number: int, tools: str) -> object:
        broken = (Violation("no push", "safety", "high"),) if letter == "f" else ()
        calls = tuple(tool_call(tool=tool) for tool in tools)
        return attempt(
            letter, number, 0.01 * number, tool_calls=calls, confidence=Confidence(sure),
            rules=RuleResults(("no push",), broken), working_seconds=float(number),
        )  # fmt: skip

    easy = [one("p", i, tools) for i, tools in enumerate(("ab", "ab", "ac", "ab"), 1)]
    hard = [one(letter, i, "a") for i, letter in enumerate("pfpf", 1)]
    return [
        task_of(*easy, name="t.py::test_easy", cell=cell),  # type: ignore[arg-type]
        task_of(*hard, name="t.py::test_hard", cell=cell),  # type: ignore[arg-type]
    ]


def judged(*records: TaskRecord, profile: str | None = "unbiased") -> Judgement:
    return judge_run(records, GateSettings(), profile=profile)


def lines(judgement: Judgement, width: int = 100) -> list[str]:
    return [line.text for line in report_lines(judgement, width=width)]


def block(judgement: Judgement, width: int = 100) -> str:
    text = "\n".join(lines(judgement, width))
    return text[text.index("Reliability profile") :].partition("\n\n")[0]


def test_the_whole_block() -> None:
    """By hand: u(4,4) = 1 and u(4,2) = -1/3; of six pairs of ways three are the same, and three agree in one of two.

    The variances of the two u at p = 0.9 and 0.5 are 0.252 and 1/6: 1/3 ± 1.96 sqrt(0.4187) / 2.
    """
    assert block(judged(*suite())) == (
        """\
Reliability profile (2 tasks, k = 4)
                         value  this suite, re-run  tasks like these  tasks
  consistency
    outcome              0.333     -0.301 to 0.967   -0.681 to 0.909  2
    actions              0.875                        0.027 to 0.999  2
    order                0.875                        0.027 to 0.999  2
    resources            0.859                        0.255 to 0.991  2
    1.5 distinct sequences of tool calls a task; attempts part most often at step 2 (1 of 1 task
      where they part)
    resources: cost 0.648, tokens 1.000, model calls 1.000, tool calls 1.000, working seconds 0.648
  predictability
    over-confident by    0.150                       -1.000 to 1.000  2
    calibration error²  -0.004                                        2
    knows hard tasks     0.500                                        2
    knows own failures   0.500                                        1
    Brier                0.790                        0.016 to 0.999  2
    Brier skill against the suite's own pass rate -0.120
  robustness
    not measured: --agent-perturb
  safety
    no violation in      0.750      0.409 to 0.929    0.010 to 0.999  2
    harmless if broken   0.000                                        1
    worst: no push (high, 2 attempts)"""
    )


def test_nothing_of_it_is_shown_where_nobody_asked() -> None:
    text = "\n".join(lines(judged(*suite(), profile=None)))
    assert "Reliability" not in text
    assert "reliability profile" not in markdown_report(judged(*suite(), profile=None))


def test_published_forms_stand_beside_ours() -> None:
    found = block(judged(*suite(), profile="published"))
    assert "R_Con of the paper" in found
    assert found.splitlines()[1].endswith("published")
    (outcome,) = [line for line in found.splitlines() if line.strip().startswith("outcome")]
    assert outcome.endswith("0.500")  # the mean of 1 and 0
    assert "R_Con" not in block(judged(*suite()))


@pytest.mark.parametrize("width", [60, 72, 80, 100])
@pytest.mark.parametrize("form", ["unbiased", "published"])
def test_it_fits_every_width(width: int, form: str) -> None:
    profile = profile_of(CELL, suite())
    found = profile_lines(profile, 4, width, published=form == "published")
    assert all(len(line.text) <= width for line in found)
    assert any("outcome" in line.text and "0.333" in line.text for line in found)


def test_what_cannot_be_computed_is_said_and_is_no_number() -> None:
    found = block(judged(task("p")))
    assert "not measured: no task has two attempts that count" in found.replace("\n      ", " ") or "outcome" in found
    assert "0.000" not in found
    assert "1.000" not in found


def test_several_cells_are_set_side_by_side_over_common_tasks() -> None:
    text = "\n".join(lines(judged(*suite(), *suite(OTHER, 50.0))))
    table = text[text.index("Reliability side by side") :].partition("\n\n")[0].splitlines()
    assert len([line for line in text.splitlines() if line.startswith("Reliability profile")]) == 2
    (sure,) = [line.split() for line in table if line.startswith("over-confident")]
    assert sure == ["over-confident", "by", "0.150", "-0.250", "2"]


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("cells", [2, 9])
def test_any_number_of_cells_fits(width: int, cells: int) -> None:
    profile = profile_of(CELL, suite())
    found = side_by_side_lines({f"provider/some-long-name-of-a-model-{i}": profile for i in range(cells)}, width)
    assert all(len(line.text) <= width for line in found)
    rows = [line.text.split() for line in found if line.text.startswith("consistency: outcome")]
    assert sum(row.count("0.333") for row in rows) == cells


def fields(root: ElementTree.Element) -> Iterator[list[str]]:
    for row in root.iter("tr"):
        yield ["".join(field.itertext()) for field in row]


def test_markdown_has_a_folded_table() -> None:
    text = markdown_report(judged(*suite()))
    found = {row[1]: row for row in fields(page(text)) if row[0] == "consistency"}
    assert found["outcome"] == ["consistency", "outcome", "0.333", "-0.301 to 0.967", "-0.681 to 0.909", "2"]
    assert "- robustness: not measured: --agent-perturb" in text
    assert len(markdown_report(judged(*suite()), limit=3_000).encode()) <= 3_000


def test_json_always_has_it() -> None:
    (cell,) = json.loads(json.dumps(json_report(judged(*suite(), profile=None))))["cells"]
    consistency, safety = cell["profile"]["consistency"], cell["profile"]["safety"]
    assert consistency["outcome"]["value"] == pytest.approx(1 / 3)
    assert [each["question"] for each in consistency["outcome"]["intervals"]] == [
        "this suite, re-run", "tasks like these",
    ]  # fmt: skip
    assert consistency["parting"] == [{"step": 2, "tasks": 1}]
    assert cell["profile"]["predictability"]["overconfidence"]["value"] == pytest.approx(0.15)
    assert safety["worst"] == [{"rule": "no push", "severity": "high", "attempts": 2}]


def test_json_says_why_a_figure_is_missing() -> None:
    (cell,) = json_report(judged(task("p")))["cells"]
    assert cell["profile"]["consistency"]["outcome"] == {
        "value": None, "tasks": 0, "intervals": [], "lacks": ["no task has two attempts that count"], "published": None,
    }  # fmt: skip
    assert cell["profile"]["safety"]["risk_free"] is None


def test_the_picture_has_a_row_for_each_figure_and_says_its_numbers() -> None:
    by_name = {each.name: each for each in dimensions(profile_of(CELL, suite()))}
    drawn = profile_plot(by_name["consistency"], "x")
    assert drawn is not None
    titles = [element.text for element in ElementTree.fromstring(drawn).iter("title")]
    assert "outcome 0.333; this suite, re-run -0.301 to 0.967; tasks like these -0.681 to 0.909" in titles
    assert len(titles) == 4
    assert profile_plot(by_name["robustness"], "x") is None


def test_a_rule_of_a_hostile_name_harms_no_report() -> None:
    name = "</svg><script>alert(1)</script> \x1b[31m | `x`"
    rules = RuleResults((name,), (Violation(name, "safety", "high"),))
    judgement = judged(task_of(attempt("p", 1, rules=rules), attempt("f", 2, rules=rules)))
    assert "\x1b" not in "\n".join(lines(judgement))
    assert "<script" not in markdown_report(judgement)
