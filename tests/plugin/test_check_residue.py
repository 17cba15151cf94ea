"""AE501: a session fixture that keeps what an attempt did, whichever file comes first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def done():
    return set()
"""
TASK = """
from pytest_agenteval import agent_task

@agent_task(answer="{answer}")
async def test_{name}(agent, done):
    result = await agent.run("Say the word {answer} and nothing else.")
    if result.answer == "{answer}":
        done.add("{kept}")
    assert {check}
"""


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_in_both_orders_of_the_files(
    names: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sticky, sound = names
    texts = {
        "conftest.py": CONFTEST,
        f"test_{sticky}.py": TASK.format(name="sticky", answer="lily", kept="lily", check='"lily" in done'),
        f"test_{sound}.py": TASK.format(name="sound", answer="rose", kept="rose", check='result.answer == "rose"'),
        "pytest.ini": "[pytest]\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    arguments = ["--level=deep", "--only=AE501", "--agent-sandbox=local", "--json=check.json"]
    assert main(["check", ".", *arguments]) == 1
    read = json.loads((tmp_path / "check.json").read_text("utf-8"))
    assert [(each["rule"], each["task"]) for each in read["findings"]] == [("AE501", f"test_{sticky}.py::test_sticky")]
    rules = {task["task"].rpartition("_")[2]: task["rules"]["AE501"] for task in read["tasks"]}
    assert {name: said for name, said in rules.items() if "[" not in name} == {"sticky": "finding", "sound": "ok"}
    capsys.readouterr()
    assert main(["check", ".", *arguments, f"--replay={read['findings'][0]['id']}"]) == 1  # stored: nothing is played
    shown = capsys.readouterr().out
    assert shown.startswith("AE501 ") and "play null-after: passed" in shown and "Say the word lily" in shown
