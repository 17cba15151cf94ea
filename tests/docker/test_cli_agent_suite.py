from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from support.forked_pytest import forked_pytest
from support.http_runs import CONFTEST

from pytest_agenteval.records import from_json
from pytest_agenteval.sandbox.task_image import task_image_name

SUITE = Path(__file__).parents[2] / "example_suites" / "cli_agent"
TASKS = 4


def test_with_a_program_in_the_container_the_oracle_passes_every_task_and_the_null_none(tmp_path: Path) -> None:
    shutil.copytree(SUITE, tmp_path / "cli_agent", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")
    run = forked_pytest(
        tmp_path,
        ["-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "-q", "cli_agent", "--agent-log-dir=logs",
         "--agent-scaffold=cli_agents:shell", "--agent-model=agenteval/oracle", "--agent-model=agenteval/null"],
        {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        timeout=300,
    )  # fmt: skip
    image = task_image_name(tmp_path / "cli_agent" / "sandboxes" / "cli" / "Dockerfile")
    subprocess.run(("docker", "image", "rm", "--force", image), check=True, capture_output=True)
    records = [from_json(json.loads(line)) for line in (tmp_path / "records.jsonl").read_text("utf-8").splitlines()]
    outcomes = Counter((r.cell.model, r.cell.scaffold, a.outcome.value) for r in records for a in r.attempts)
    assert outcomes == {
        ("agenteval/oracle", "cli_agents:shell", "passed"): TASKS,
        ("agenteval/null", "cli_agents:shell", "failed"): TASKS,
    }
    assert all("exited with 0" in attempt.last_steps[-1] for record in records for attempt in record.attempts)
    assert run.ret == 1
