"""Rules per scorer and key: an Inspect task has scores beside the one that decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

EVALS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, includes, mean, scorer
from inspect_ai.solver import generate

@scorer(metrics={"polite": [mean()], "right": [mean()]})
def tone():
    async def score(state, target):
        return Score(value={"polite": 1, "right": int(state.output.completion == target.text)})
    return score

@task
def question():
    return Task(dataset=[Sample(id="q", input="Is it?", target="yes")], solver=generate(), scorer=[includes(), tone()])
"""
SUITE = """
from pytest_agenteval import inspect_task

test_question = inspect_task("evals.py@question", scorer="includes", answer="yes")
"""


def test_a_score_that_doing_nothing_gets_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"evals.py": EVALS, "test_suite.py": SUITE, "pytest.ini": "[pytest]\n"}.items():
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert main(["check", ".", "--agent-sandbox=local", "--only=AE201", "--json=check.json"]) == 0
    [finding] = json.loads((tmp_path / "check.json").read_text("utf-8"))["findings"]
    assert (finding["rule"], finding["severity"]) == ("AE201", "warning")
    assert finding["message"] == "by the score tone/polite, null is as good as the solution (1)"
