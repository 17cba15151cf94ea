from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from support.forked_pytest import forked_pytest

from pytest_agenteval.record.records import TaskRecord, from_json

ROOT = Path(__file__).parents[2]
SUITES = {"customer_service": 14, "quickstart": 11, "repair": 6}
"""How many tasks each has."""
K = 2
P_SUCCESS = 0.7
PASSES = {"customer_service": 22, "quickstart": 16, "repair": 10}
"""Attempts, of K at each task, that Python's generator, seeded with `0/TASK/ATTEMPT`, draws below P_SUCCESS."""
NOTES = """
import json, pathlib

def pytest_runtest_logreport(report):
    if hasattr(report, "agenteval"):
        from pytest_agenteval.record.records import to_json

        with pathlib.Path(__file__).with_name("records.jsonl").open("a") as file:
            print(json.dumps(to_json(report.agenteval)), file=file)
"""


def played(folder: Path, *arguments: str) -> tuple[list[TaskRecord], pytest.RunResult]:
    """The records of all example suites, in containers."""
    for name in SUITES:
        shutil.copytree(ROOT / "example_suites" / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (folder / "conftest.py").write_text(NOTES, "utf-8")
    options = ["-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "-q", *arguments, *SUITES]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = forked_pytest(folder, options, environment, timeout=500)
    lines = (folder / "records.jsonl").read_text("utf-8").splitlines()
    return [from_json(json.loads(line)) for line in lines], run


def suite(record: TaskRecord) -> str:
    return record.task.split("/")[0]


def test_the_oracle_passes_every_task_and_the_null_none(tmp_path: Path) -> None:
    records, run = played(tmp_path, "--agent-model=agenteval/oracle", "--agent-model=agenteval/null")
    outcomes = Counter((suite(r), r.cell.model, a.outcome.value) for r in records for a in r.attempts)
    assert outcomes == Counter(
        {
            (name, model, outcome): tasks
            for name, tasks in SUITES.items()
            for model, outcome in (("agenteval/oracle", "passed"), ("agenteval/null", "failed"))
        }
    )
    assert run.ret == 1


def test_noisy_passes_what_its_seed_draws(tmp_path: Path) -> None:
    """Whatever part of a solution is left out, the task notices; and no fault of noisy beside that fails one."""
    records, _ = played(
        tmp_path, "--agent-model=agenteval/noisy", f"--agent-model-arg=p_success={P_SUCCESS}", f"--k={K}"
    )
    for record in records:
        drawn = [random.Random(f"0/{record.task}/{n}").random() < P_SUCCESS for n in range(1, K + 1)]
        assert [attempt.outcome.value == "passed" for attempt in record.attempts] == drawn, record.task
    passes = Counter(dict.fromkeys(SUITES, 0))
    for record in records:
        passes[suite(record)] += record.passes
    assert passes == PASSES
    images = {attempt.image for record in records for attempt in record.attempts}
    assert len(images) == 1 and re.match(r"sha256:[0-9a-f]{64}", str(images.pop()))
