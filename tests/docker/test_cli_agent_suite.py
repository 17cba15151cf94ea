from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.forked_pytest import forked_pytest
from support.http_runs import CONFTEST

from pytest_agenteval.record.records import TaskRecord, from_json
from pytest_agenteval.sandbox.images.task_image import task_image_name

SUITE = Path(__file__).parents[2] / "example_suites" / "cli_agent"
TASKS = 4
K = 3
P_SUCCESS = 0.4
PASSES = 9
"""Attempts, of K at each task, that Python's generator, seeded with `0/TASK/ATTEMPT`, draws below P_SUCCESS."""

Played = Callable[..., tuple[list[TaskRecord], int]]


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    """Runs the suite with its program in the container: the records, and the exit status."""
    shutil.copytree(SUITE, tmp_path / "cli_agent", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")

    def play(*arguments: str) -> tuple[list[TaskRecord], int]:
        options = ["-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "-q", "cli_agent"]
        options += ["--agent-log-dir=logs", "--agent-scaffold=cli_agents:shell", *arguments]
        run = forked_pytest(tmp_path, options, {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, timeout=300)
        lines = (tmp_path / "records.jsonl").read_text("utf-8").splitlines()
        return [from_json(json.loads(line)) for line in lines], int(run.ret)

    yield play
    image = task_image_name(tmp_path / "cli_agent" / "sandboxes" / "cli" / "Dockerfile")
    subprocess.run(("docker", "image", "rm", "--force", image), check=True, capture_output=True)


def test_with_a_program_in_the_container_the_oracle_passes_every_task_and_the_null_none(played: Played) -> None:
    records, status = played("--agent-model=agenteval/oracle", "--agent-model=agenteval/null")
    outcomes = Counter((r.cell.model, r.cell.scaffold, a.outcome.value) for r in records for a in r.attempts)
    assert outcomes == {
        ("agenteval/oracle", "cli_agents:shell", "passed"): TASKS,
        ("agenteval/null", "cli_agents:shell", "failed"): TASKS,
    }
    assert all("exited with 0" in attempt.last_steps[-1] for record in records for attempt in record.attempts)
    assert status == 1


def test_with_a_program_in_the_container_noisy_passes_what_its_seed_draws(played: Played) -> None:
    records, _ = played("--agent-model=agenteval/noisy", f"--agent-model-arg=p_success={P_SUCCESS}", f"--k={K}")
    for record in records:
        drawn = [random.Random(f"0/{record.task}/{n}").random() < P_SUCCESS for n in range(1, K + 1)]
        assert [attempt.outcome.value == "passed" for attempt in record.attempts] == drawn, record.task
    assert (len(records), sum(record.passes for record in records)) == (TASKS, PASSES)
