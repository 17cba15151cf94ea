"""One check with the rules that look beyond the task's own sandbox: scaffolds, the host, the holdout, its checker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

SCAFFOLD = '''
from inspect_ai.agent import AgentState, agent, react
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

EXAMPLE = "Write the names of the three largest moons of Jupiter to moons.txt, the largest one first, one a line."

@agent
def taught():
    """Shows an example before the task: a task of the suite."""
    async def execute(state: AgentState) -> AgentState:
        shown = [ChatMessageUser(content=EXAMPLE), ChatMessageAssistant(content="Done.")]
        state.messages[:0] = shown
        return await react()(state)
    return execute
'''
SUITE = """
import pytest
from pytest_agenteval import agent_task

@agent_task(solution="printf 'Ganymede\\nCallisto\\nIo\\n' > moons.txt")
async def test_moons(agent, sandbox):
    await agent.run(
        "Write the names of the three largest moons of Jupiter to moons.txt, the largest one first, one a line."
    )
    assert await sandbox.read_file("moons.txt") == "Ganymede\\nCallisto\\nIo\\n"

HONEST = "from tool import double\\n\\ndef test_double():\\n    assert double(4) == 8\\n"

async def repair(agent, sandbox, *, restore):
    await sandbox.write_file("tool.py", "def double(n):\\n    return n\\n")
    if not restore:
        await sandbox.write_file("checks/test_hidden.py", HONEST)
    await agent.run("`double` in tool.py returns its argument. Repair it.")
    await sandbox.write_file("checks/test_fresh.py" if restore else "notes", HONEST)
    name = "test_fresh" if restore else "test_hidden"
    script = f"import checks.{name} as t; [getattr(t, n)() for n in dir(t) if n.startswith('test')]"
    assert (await sandbox.exec(["python3", "-c", script])).success

@agent_task(solution="sed -i 's/return n/return 2 * n/' tool.py")
async def test_runs_a_file_of_the_agent(agent, sandbox):
    await repair(agent, sandbox, restore=False)

@agent_task(solution="sed -i 's/return n/return 2 * n/' tool.py")
async def test_brings_its_own(agent, sandbox):
    await sandbox.write_file("helper.py", "A = 1\\n")
    await repair(agent, sandbox, restore=True)

@agent_task(solution=["echo one > a.txt", "tar cf a.tar a.txt", "echo $$-$(date +%N) > canary.txt"])
async def test_equivalent(agent, sandbox):
    await agent.run("Write the word one to a.txt, a canary of your own to canary.txt, and a.tar with a.txt in it.")
    assert await sandbox.read_file("a.txt") == "one\\n"
    assert (await sandbox.exec(["sh", "-c", "tar xOf a.tar a.txt && grep -c . canary.txt"])).stdout == "one\\n1\\n"

class Shop:
    def __init__(self):
        self.rows, self.log = {1: "open"}, []
    def cancel(self, order):
        self.log.append(order)
        self.rows[order] = "cancelled"

@pytest.fixture
def shop():
    return Shop()

@pytest.fixture
def end_state(shop):
    return lambda: shop.rows

def tools(shop):
    from inspect_ai.tool import tool
    @tool
    def cancel():
        async def execute(order: int):
            '''Cancel an order.

            Args:
                order: its number.
            '''
            shop.cancel(order)
            return "done"
        return execute
    return [cancel()]

TWICE = [("cancel", {"order": 1}), ("cancel", {"order": 1})]

@agent_task(solution=TWICE)
async def test_state_on_the_host(agent, shop, end_state):
    await agent.run("Cancel the order 1.", tools=tools(shop))
    assert shop.rows == {1: "cancelled"}

@agent_task(solution=TWICE)
async def test_state_on_the_host_unseen(agent, shop):
    await agent.run("Please be so kind and see to it that order number 1 will never be sent.", tools=tools(shop))
    assert shop.rows == {1: "cancelled"}
"""
HELD = """
from pytest_agenteval import agent_task
from test_suite import repair

@agent_task(solution="touch done", holdout="domains")
async def test_domain(agent, sandbox):
    await agent.run("Make the empty file done.")
    await sandbox.read_file("done")

@agent_task(solution="sed -i 's/return n/return 2 * n/' tool.py", holdout="tasks")
async def test_copy(agent, sandbox):
    await sandbox.write_file("helper.py", "A = 1\\n")
    await repair(agent, sandbox, restore=True)
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("deep")
    (folder / "sub").mkdir()
    (folder / "taught.py").write_text(SCAFFOLD, "utf-8")
    (folder / "test_suite.py").write_text(SUITE, "utf-8")
    (folder / "sub" / "test_held.py").write_text(HELD, "utf-8")
    ini = "[pytest]\nagent_concurrency = 8\nagent_scaffolds = taught:taught\npythonpath = .\n"
    (folder / "pytest.ini").write_text(ini, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        main(["check", ".", "--agent-sandbox=local", "--level=standard", "--mutants=6", "--json=check.json"])
        one = ["test_suite.py::test_equivalent", "--only=AE302", "--mutants=all", "--json=one.json"]
        assert main(["check", *one, "--agent-sandbox=local"]) == 0
    read = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("check", "one")}
    return {**read["check"], "one": read["one"]}


def found(checked: Any, rule: str) -> dict[str, str]:
    return {
        str(each["task"]).rpartition("::test_")[2]: each["message"]
        for each in checked["findings"]
        if each["rule"] == rule
    }


def status(checked: Any, task: str, rule: str) -> str:
    [rules] = [each["rules"] for each in checked["tasks"] if each["task"].endswith(f"::test_{task}")]
    return str(rules[rule])


def test_everything_was_played(checked: Any) -> None:
    assert checked["unplayed"] == 0
    assert checked["plays"] > 50


def test_a_file_that_the_checker_runs_and_the_agent_can_rewrite(checked: Any) -> None:
    assert set(found(checked, "AE406")) == {"runs_a_file_of_the_agent"}
    assert "rewrite ./checks/test_hidden.py" in found(checked, "AE406")["runs_a_file_of_the_agent"]
    assert status(checked, "brings_its_own", "AE406") == "ok"  # helper.py was rewritten, too


def test_an_example_of_a_scaffold_that_is_a_task_of_the_suite(checked: Any) -> None:
    assert set(found(checked, "AE405")) == {"moons"}
    assert "the scaffold taught:taught shows 100% of the prompt" in found(checked, "AE405")["moons"]
    assert status(checked, "brings_its_own", "AE405") == "ok"


def test_a_state_on_the_host_makes_equivalent_mutants_known(checked: Any) -> None:
    """One of two calls is idempotent: a checker cannot tell, and where the state is shown nothing is found."""
    assert "state_on_the_host" not in found(checked, "AE302")
    assert "state_on_the_host_unseen" in found(checked, "AE302")


def test_equivalent_mutants_are_no_survivors(checked: Any) -> None:
    """Independent steps swapped, one line reversed, a canary, the time stamp in an archive."""
    assert checked["one"]["findings"] == []
    [mutants] = [each["mutants"] for each in checked["one"]["tasks"]]
    assert mutants["survived"] == 0 < mutants["killed"]
    assert mutants["equivalent"] + mutants["dropped"] > 0


def test_a_holdout_that_holds_less_than_it_claims(checked: Any) -> None:
    assert set(found(checked, "AE902")) == {"copy"}
    assert "nearly the same as an open task" in found(checked, "AE902")["copy"]
