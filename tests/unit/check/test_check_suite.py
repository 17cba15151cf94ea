from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

import pytest

from pytest_agenteval.check.alike import clusters, shingles
from pytest_agenteval.check.facts import Played, Task, Texts
from pytest_agenteval.check.findings import Finding, Status
from pytest_agenteval.check.history import item_rest, standings
from pytest_agenteval.check.pins import unpinned, unpinned_image
from pytest_agenteval.check.plays import Play, Role
from pytest_agenteval.check.suite import Store, judge_suite
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.record.outcomes import Outcome

TRIALS = "AGENTEVAL_TAU_AIRLINE"
"""The environment variable that names the table of the published trials: task_id, reward."""
PASSES = {0: 14, 1: 12, 2: 10, 3: 4, 4: 10}
"""Of 50 tasks of tau-bench's airline domain, how many gpt-4o passed so many times in four trials (59a200c, MIT)."""


def history() -> dict[str, dict[str, tuple[int, int]]]:
    passes = [count for count, tasks in PASSES.items() for _ in range(tasks)]
    return {f"t.py::test_{number}": {"gpt-4o": (4, count)} for number, count in enumerate(passes)}


def tasks(names: list[str], **more: object) -> list[Task]:
    return [Task(name, "t.py", 1 + at, **more) for at, name in enumerate(names)]  # type: ignore[arg-type]


def rules(findings: list[Finding]) -> list[str]:
    return sorted(finding.rule for finding in findings)


def test_the_counts_kept_here_are_those_of_the_trials() -> None:
    if TRIALS not in os.environ:
        pytest.skip(f"{TRIALS} does not name the trials")
    by_task: dict[str, int] = defaultdict(int)
    with Path(os.environ[TRIALS]).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_task[row["task_id"]] += int(float(row["reward"]))
    assert {count: list(by_task.values()).count(count) for count in PASSES} == PASSES


def test_tau_bench_has_ten_saturated_fourteen_never_passed_and_ten_in_the_band(tmp_path: Path) -> None:
    stored = history()
    found = standings(stored)
    assert (len(found.saturated), len(found.never), len(found.band), len(found.assessed)) == (10, 14, 10, 50)
    verdicts = judge_suite(tasks(list(stored)), tmp_path, Store(stored))
    assert rules(verdicts.findings) == ["AE801", *["AE802"] * 14, "AE803", "AE902"]
    assert {verdicts.assessed[rule] for rule in ("AE801", "AE802", "AE803")} == {Status.OK}
    assert "AE804" not in verdicts.assessed  # one cell says nothing about that


def test_few_attempts_say_nothing(tmp_path: Path) -> None:
    verdicts = judge_suite(tasks(["a"]), tmp_path, Store({"a": {"m": (3, 0)}}))
    assert verdicts.findings == [] and "AE802" not in verdicts.assessed


def test_a_task_that_better_agents_fail_is_found(tmp_path: Path) -> None:
    cells = [f"m{n}" for n in range(5)]
    stored = {
        name: {cell: (4, passes) for cell, passes in zip(cells, by_cell, strict=True)}
        for name, by_cell in {"a": [0, 1, 2, 3, 4], "b": [0, 1, 1, 3, 4], "odd": [4, 3, 2, 1, 0]}.items()
    }
    assert {name for name, r in item_rest(stored).items() if r < 0} == {"odd"}
    assert "AE804" in rules(judge_suite(tasks(["a", "b", "odd"]), tmp_path, Store(stored)).findings)
    assert item_rest({name: dict(list(by.items())[:4]) for name, by in stored.items()}) == {}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM python:3.12-slim\n", [1]),
        ("FROM python@sha256:abc\n", []),
        ("FROM a@sha256:abc AS build\nFROM build\nFROM scratch\n", []),
        ("ARG BASE\nFROM ${BASE}\n", []),
        ("FROM a@sha256:abc\n# pip install x\nRUN apt-get update && \\\n    pip install x==1 y\n", [3]),
        ("FROM a@sha256:abc\nRUN pip install -r requirements.txt && pip install . ./wheel.whl z==2\n", []),
        ("FROM a@sha256:abc\nRUN uv pip install --python /venv 'x>=1'\n", [2]),
    ],
)
def test_a_dockerfile_is_pinned_by_digest_and_version(text: str, lines: list[int]) -> None:
    assert [line for line, _ in unpinned(text, compose=False)] == lines


def test_a_compose_file_is_pinned_by_digest() -> None:
    text = "services:\n  web:\n    image: nginx\n  db:\n    image: 'postgres@sha256:abc'\n  x:\n    image: ${X}\n"
    assert list(unpinned(text, compose=True)) == [(3, "nginx is whatever is the latest")]
    assert unpinned_image("localhost:5000/a:1") == "localhost:5000/a:1 has no digest"


def test_a_finding_about_a_pin_stands_at_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("# ours\nFROM alpine:latest\n")
    made = tasks(["a", "b"], sandbox_file="Dockerfile")
    [finding] = judge_suite(made, tmp_path, Store()).findings
    assert (finding.rule, finding.file, finding.line) == ("AE601", "Dockerfile", 2)


def test_near_duplicates_are_clusters(tmp_path: Path) -> None:
    words = (
        "please sort the lines of the file names.txt by their second column and write the result to sorted.txt as {}"
    )
    texts = {name: words.format(name) for name in ("names", "places", "things")} | {"other": "count the lines of a log"}
    [(names, least)] = clusters(texts)
    assert names == ["names", "places", "things"]
    assert 0.6 < least < 1
    assert shingles("") == frozenset()
    played = {
        name: Played(Play("oracle-1", Role.ORACLE), Outcome.PASSED, prompt=text, texts=Texts({}, {}))
        for name, text in texts.items()
    }
    made = [Task(name, "t.py", 1, family=name, plays=(play,)) for name, play in played.items()]
    [finding] = judge_suite(made, tmp_path, Store()).findings
    assert finding.rule == "AE701" and "names, places and things" in finding.message


def test_a_gate_that_sees_little_is_blind(tmp_path: Path) -> None:
    made, gates = tasks([f"t{n}" for n in range(10)]), GateSettings(min_pass_at_1=0.5)
    stored = {task.name: {"m": (20, 18)} for task in made}
    verdicts = judge_suite(made, tmp_path, Store(stored), gates, k=4)
    assert [finding.rule for finding in verdicts.findings if finding.rule == "AE901"] == ["AE901"]  # .88 to below .5
    seeing = judge_suite(made, tmp_path, Store(stored), GateSettings(min_pass_at_1=0.85), k=20)
    assert seeing.assessed["AE901"] is Status.OK
    assert "AE901" not in rules(seeing.findings)
    assert "AE901" not in judge_suite(made, tmp_path, Store(stored)).assessed
