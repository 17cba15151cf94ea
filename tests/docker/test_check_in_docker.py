"""One check in containers: plain `sh` reads the state of the default image, and nothing is found in an honest task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

SUITE = """
from pytest_agenteval import agent_task

@agent_task(solution=["git mv old.txt new.txt", "git commit -qm 'Rename'"])
async def test_renames(agent, sandbox):
    script = "git init -q && git config user.name A && git config user.email a@b && echo 17 lines > old.txt"
    made = await sandbox.exec(["bash", "-ec", f"{script} && git add . && git commit -qm Begin"])
    assert made.success, made.stderr
    await agent.run("Rename old.txt to new.txt in this repository, and commit that as `Rename`.")
    shown = await sandbox.exec(["git", "show", "--format=%s", "--name-status", "HEAD"])
    assert shown.stdout.split() == ["Rename", "R100", "old.txt", "new.txt"]
    assert await sandbox.read_file("new.txt") == "17 lines\\n"
"""


def test_an_honest_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    status = main(["check", "test_suite.py", "--level=standard", "--mutants=6", "--json=check.json"])
    written = json.loads((tmp_path / "check.json").read_text("utf-8"))
    [task] = written["tasks"]
    assert (status, written["findings"]) == (0, []), capsys.readouterr().out
    assert {task["rules"][rule] for rule in ("AE102", "AE103", "AE104", "AE201", "AE302", "AE402", "AE403")} == {"ok"}
    assert task["mutants"]["survived"] == 0 < task["mutants"]["killed"]
