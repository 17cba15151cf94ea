"""AE903 against a judge behind real HTTP: steady, wavering, swayed by the order of its prompt, and too dear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.scripted_policy import TextPolicy, Tokens
from support.scripted_server import ScriptedServer

from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

JUDGE = "openai-api/scripted/judge"
CALL = (100 * 1.0 + 10 * 10.0) / 1e6
"""What a judgement costs: 100 tokens at $1 and 10 at $10 per million."""
SUITE = """
from inspect_ai.model import get_model
from pytest_agenteval import agent_task

async def judged(agent, about):
    result = await agent.run("What is six times seven?")
    parts = f"## Criterion\\nIt is 42.\\n## Submission\\n{result.answer}"
    said = await get_model(role="judge").generate(f"You judge {about}.\\n{parts}")
    assert said.completion == "right"

@agent_task(answer="42")
async def test_steady(agent):
    await judged(agent, "steadily")

@agent_task(answer="42")
async def test_wavering(agent):
    await judged(agent, "by the weather")

@agent_task(answer="42")
async def test_swayed(agent):
    await judged(agent, "what comes last")

@agent_task(answer="42")
async def test_without_a_judge(agent):
    assert (await agent.run("What is six times seven?")).answer == "42"
"""
TOKENS = Tokens(prompt=100, completion=10)
POLICIES = {
    "judge steadily": TextPolicy(answer="right", tokens=TOKENS),
    "by the weather": TextPolicy(answer="right", wrong_answer="wrong", p_success=0.5, tokens=TOKENS),
    "comes last.\n## Criterion": TextPolicy(answer="right", tokens=TOKENS),
    "comes last.\n## Submission": TextPolicy(answer="wrong", tokens=TOKENS),
}


def check(folder: Path, server: ScriptedServer, *arguments: str) -> tuple[int, Any]:
    (folder / "test_suite.py").write_text(SUITE, "utf-8")
    (folder / "prices.toml").write_text(f'[models."{JUDGE}"]\ninput = 1.0\noutput = 10.0\n', "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nagent_prices = prices.toml\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        status = main(
            ["check", ".", "--agent-sandbox=local", "--only=AE903", "--level=quick", f"--judge-model={JUDGE}",
             "--json=check.json", *arguments]
        )  # fmt: skip
    return status, json.loads((folder / "check.json").read_text("utf-8"))


def test_a_judge_that_wavers_or_is_swayed_is_found_and_a_steady_one_is_not(tmp_path: Path) -> None:
    with ScriptedServer(POLICIES) as server:
        status, read = check(tmp_path, server, "--max-cost=1", "--strict")
        again, second = check(tmp_path, server, "--max-cost=1", "--strict")
    found = {each["task"].rpartition("_")[2]: each["message"] for each in read["findings"]}
    assert status == again == 1
    assert set(found) == {"wavering", "swayed"}
    assert "judgements of one transcript" in found["wavering"]
    assert "turns in 5 of 5 judgements" in found["swayed"]
    assert second["findings"] == read["findings"]  # judgements are stored, so that nothing is paid twice


def test_a_budget_that_is_too_small_is_kept_and_nothing_is_called_ok(tmp_path: Path) -> None:
    with ScriptedServer(POLICIES) as server:
        status, read = check(tmp_path, server, f"--max-cost={20 * CALL}")
    assert status == 10
    assert read["unplayed"] > 0
    assert read["rules"]["AE903"] in ("not_assessed", "finding")


def test_money_is_named_in_front(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path), f"--judge-model={JUDGE}"]) == 2
    assert "--judge-model and --max-cost belong together" in capsys.readouterr().err
