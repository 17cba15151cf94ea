from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_records import CELL, OTHER, attempt, task, task_of

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.plugins import console_plugins
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.report.files import report_request, write_reports
from pytest_agenteval.report.github import output_file, outputs, workflow_commands


def judged(*records: TaskRecord, **thresholds: Any) -> Judgement:
    return judge_run(records, GateSettings(**thresholds))


def test_the_outputs_are_verdict_status_rates_and_cost() -> None:
    judgement = judged(task("pppp", "t::a", cost=0.25), task("pfpp", "t::b", cost=0.5), min_pass_k=0.5)
    assert outputs(judgement) == {
        "verdict": "PASS", "exit_status": "0", "pass_at_1": "0.875", "pass_hat_k": "0.5", "cost_usd": "3",
    }  # fmt: skip


def test_of_several_cells_the_lowest_rate_is_told_and_what_is_unknown_is_empty() -> None:
    told = outputs(judged(task("pppf", cell=CELL, cost=None), task("pp", cell=OTHER)))
    assert (told["pass_at_1"], told["pass_hat_k"], told["cost_usd"]) == ("0.75", "0", "")
    assert outputs(judged(task("pp", cell=CELL), task("e", cell=OTHER)))["pass_at_1"] == ""
    assert outputs(judged())["pass_hat_k"] == ""


def read_outputs(text: str) -> dict[str, str]:
    """As the runner reads the file: name<<DELIMITER, lines, DELIMITER."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        name, heredoc, delimiter = line.partition("<<")
        if heredoc:
            found[name] = "\n".join(iter(lambda: next(lines), delimiter))
    return found


@given(st.dictionaries(st.sampled_from("abc"), st.text(st.characters(exclude_characters="\r", codec="utf-8"))))
def test_no_value_ends_its_own_lines(values: dict[str, str]) -> None:
    assert read_outputs(output_file(values)) == values


def parsed(command: str) -> tuple[str, dict[str, str], str]:
    match = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", command)
    assert match is not None, command
    properties = dict(pair.split("=", 1) for pair in match[2].split(","))
    back = {"%0A": "\n", "%0D": "\r", "%3A": ":", "%2C": ",", "%25": "%"}

    def plain(text: str) -> str:
        return re.sub("%(0A|0D|3A|2C|25)", lambda found: back[found[0]], text)

    return match[1], {name: plain(value) for name, value in properties.items()}, plain(match[3])


def test_a_failed_task_is_annotated_where_it_failed() -> None:
    record = task_of(
        attempt("p", 1),
        attempt("f", 2, message="100%: no,\nnot so", where="d/t.py:12"),
        name="d/t.py::test_a[x,y:z]",
    )
    (command,) = workflow_commands(judged(record))
    assert "\n" not in command
    kind, properties, message = parsed(command)
    assert kind == "error"
    assert properties == {"file": "d/t.py", "line": "12", "title": "FAIL: test_a[x,y:z]"}
    assert message.endswith("\nattempt 2: 100%: no,\nnot so")
    (moved,) = workflow_commands(judged(record), folder="sub")
    assert parsed(moved)[1]["file"] == "sub/d/t.py"


def test_undecided_is_a_warning_and_failed_gates_are_errors() -> None:
    found = [parsed(each) for each in workflow_commands(judged(task("fn"), min_pass_k=0.5, min_pass_at_1=0.5))]
    assert [(kind, properties["title"]) for kind, properties, _ in found] == [
        ("error", "FAIL: --min-pass-k"),
        ("warning", "UNDECIDED: --min-pass-at-1"),
    ]
    (undecided,) = workflow_commands(judged(task("pn")))
    assert parsed(undecided)[:2] == ("warning", {"file": "t.py", "title": "UNDECIDED: test_it"})
    assert workflow_commands(judged(task("pp"))) == []


def test_a_broken_task_is_annotated_once() -> None:
    (command,) = workflow_commands(judged(task_of(attempt("b", message="no fixture"))))
    assert parsed(command) == ("error", {"file": "t.py", "title": "BROKEN: test_it"},
                               "the test is broken\nattempt 1: no fixture")  # fmt: skip


def test_the_worst_nine_are_shown_and_one_counts_the_rest() -> None:
    records = [task("n" if i % 2 else "f", f"t.py::test_{i}") for i in range(30)]
    found = [parsed(each) for each in workflow_commands(judged(*records))]
    assert len(found) == 10
    assert {kind for kind, _, _ in found} == {"error"}
    assert found[-1][2] == "21 more: see the summary of the job"
    few = [parsed(each) for each in workflow_commands(judged(task("f"), *records[1::2]))]
    assert [kind for kind, *_ in few] == ["error"] + ["warning"] * 9


def test_failures_that_another_plugin_tells_are_not_told_twice() -> None:
    judgement = judged(task("f", "t::a"), task("n", "t::b"), task("b", "t::c"))
    found = [parsed(each)[1]["title"] for each in workflow_commands(judgement, failures_told=True)]
    assert found == ["UNDECIDED: b"]


def published(
    asked: dict[str, Path | None],
    judgement: Judgement,
    notes: Sequence[str] = (),
    *,
    environment: dict[str, str],
    root: Path | None = None,
) -> list[str]:
    plugins = console_plugins()
    return write_reports(plugins, report_request(plugins, judgement, notes, asked, environment), root=root)


KEY = "sk-ant-api03-aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz"


def test_reports_go_where_they_are_asked_for_without_secrets(tmp_path: Any) -> None:
    summary, output = tmp_path / "summary.md", tmp_path / "output"
    summary.write_text("of an earlier command\n")
    environment = {
        "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output),
        "GITHUB_WORKSPACE": str(tmp_path), "MY_PASSWORD": "open-sesame",
    }  # fmt: skip
    asked = {"json": tmp_path / "new" / "r.json", "comment": tmp_path / "c.md", "html": None}
    record = task_of(attempt("f", message=f"saw {KEY} and open-sesame"))
    root = tmp_path / "suite"
    lines = published(asked, judged(record), ["open-sesame"], environment=environment, root=root)
    assert lines[:2] == [f"JSON report: {asked['json']}", f"comment: {asked['comment']}"]
    assert parsed(lines[2])[1]["file"] == "suite/t.py"
    assert len(lines) == 3
    texts = [asked["json"].read_text(), asked["comment"].read_text(), summary.read_text(), output.read_text(), *lines]
    assert not any(KEY in text or "open-sesame" in text for text in texts)
    assert texts[2].startswith("of an earlier command\n## FAIL")
    assert read_outputs(texts[3])["verdict"] == "FAIL"
    assert "[redacted] and [redacted]" in texts[0]
    assert sorted(path.name for path in tmp_path.rglob("*.part")) == []


def test_what_cannot_be_written_is_a_warning_and_all_else_is_written(tmp_path: Any) -> None:
    (tmp_path / "file").touch()
    full = tmp_path / "full.md"
    full.write_text("x" * 1024 * 1024)
    asked = {"json": tmp_path / "file" / "r.json", "comment": tmp_path / "c.md", "html": None}
    environment = {"GITHUB_STEP_SUMMARY": str(full), "GITHUB_OUTPUT": str(tmp_path)}
    lines = published(asked, judged(task("p")), environment=environment)
    assert [line.partition(" could not be written to ")[0] for line in lines] == [
        "warning: JSON report", f"comment: {asked['comment']}", "warning: job summary", "warning: step outputs",
    ]  # fmt: skip
    assert full.stat().st_size == 1024 * 1024


@pytest.mark.parametrize("actions", [{}, {"GITHUB_ACTIONS": "false"}])
def test_without_github_actions_nothing_is_annotated(actions: dict[str, str]) -> None:
    assert published({}, judged(task("f")), environment=actions) == []
