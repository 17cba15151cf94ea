"""A suite in the shape of tau-bench's airline domain: 50 tasks, judged by the end state that their own actions lead to.

Nineteen of them want no change and no word, so that doing nothing passes; one more passes whoever says everything.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

SUITE = """
import pytest
from inspect_ai.tool import tool
from pytest_agenteval import agent_task

NOTHING, SPAM, TASKS = range(19), 19, 50
CASES = []
for number in range(TASKS):
    actions = [] if number <= SPAM else [("book", {"flight": f"HAT{number:03}", "seats": number % 4 + 1})]
    said = "" if number not in (SPAM, 20, 21) else str(100 + number)
    solved = agent_task(solution=[("look", {"flight": "HAT001"}), *actions], answer=said or "It cannot be done.")
    CASES.append(pytest.param(number, actions, said, marks=solved, id=f"task{number}"))

@pytest.mark.parametrize(("number", "actions", "said"), CASES)
async def test_airline(agent, number, actions, said):
    booked = []

    @tool
    def book():
        async def execute(flight: str, seats: int) -> str:
            '''Book seats.

            Args:
                flight: its number.
                seats: how many.
            '''
            booked.append(("book", {"flight": flight, "seats": seats}))
            return "booked"
        return execute

    @tool
    def look():
        async def execute(flight: str) -> str:
            '''Look at a flight.

            Args:
                flight: its number.
            '''
            return "there are seats"
        return execute

    result = await agent.run(f"I am customer {number}, and want something done about my trip.", tools=[book(), look()])
    assert booked == actions  # the data base is what the actions of the task make of it
    assert said in result.answer  # and what was to be said is somewhere in it
"""


def test_null_passes_are_found_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    status = main(
        ["check", ".", "--agent-sandbox=local", "--level=standard", "--only=AE1", "--only=AE2", "--json=check.json"]
    )
    read = json.loads((tmp_path / "check.json").read_text("utf-8"))
    found = {
        rule: {each["task"].partition("[task")[2].rstrip("]") for each in read["findings"] if each["rule"] == rule}
        for rule in ("AE101", "AE102", "AE103", "AE104", "AE201", "AE204")
    }
    assert status == 1
    assert found.pop("AE201") == {str(number) for number in range(19)}
    assert found.pop("AE204") == {"19"}
    assert not any(found.values())
