from __future__ import annotations

from pathlib import Path

from support.traps import spring


def test_a_body_that_calls_sys_exit(tmp_path: Path) -> None:
    suite = """
async def test_bystander(agent):
    await agent.run("go")

async def test_async(agent):
    await agent.run("go")
    sys.exit(0)

async def test_before(agent):
    sys.exit(0)

def test_sync(agent, attempt):
    attempt.wait(agent.run("go"))
    sys.exit(0)

def test_interrupt(agent, attempt):
    attempt.wait(agent.run("go"))
    raise KeyboardInterrupt

async def test_async_interrupt(agent):
    await agent.run("go")
    raise KeyboardInterrupt
"""
    trap = spring(tmp_path, suite)
    assert trap.status == 1
    assert trap.blames("test_bystander") == ["passed"] * 2
    assert trap.reported("test_bystander") == "PASSED"
    assert trap.blames("test_async") == ["failed"] * 2
    assert trap.blames("test_before") == ["broken"] * 2
    assert trap.blames("test_sync") == ["failed"] * 2
    assert trap.blames("test_interrupt") == ["failed"] * 2
    assert trap.blames("test_async_interrupt") == ["failed"] * 2
    assert "SystemExit" in trap.text


def test_an_own_agent_that_calls_sys_exit(tmp_path: Path) -> None:
    suite = """
from inspect_ai.model import get_model

@pytest.fixture
def agent(agent_model):
    async def run(prompt):
        await get_model(agent_model).generate(prompt)
        sys.exit(0)
    return run

async def test_exits(agent):
    await agent("go")
"""
    trap = spring(tmp_path, suite)
    assert (trap.status, trap.blames("test_exits")) == (1, ["failed"] * 2)


def test_sys_exit_in_a_task_of_the_agents_own(tmp_path: Path) -> None:
    suite = """
from inspect_ai.tool import ToolDef, tool

async def test_bystander(agent):
    await agent.run("go")

@tool
def leave():
    async def execute(command: str):
        '''Leave.

        Args:
            command: ignored.
        '''
        sys.exit(0)
    return execute

@agent_task(solution="leave")
async def test_tool(agent):
    await agent.run("go", tools=[ToolDef(leave(), name="bash")])

async def test_gather(agent):
    async def leaves():
        await agent.run("go")
        sys.exit(0)
    await asyncio.gather(leaves())

def test_sync(agent, attempt):
    async def leaves():
        await agent.run("go")
        sys.exit(0)
    attempt.wait(leaves())

def test_sync_interrupt(agent, attempt):
    async def leaves():
        await agent.run("go")
        raise KeyboardInterrupt
    attempt.wait(leaves())
"""
    trap = spring(tmp_path, suite)
    assert trap.status == 1
    assert trap.blames("test_bystander") == ["passed"] * 2
    assert trap.reported("test_bystander") == "PASSED"
    assert trap.blames("test_tool") == ["failed"] * 2
    assert trap.blames("test_gather") == ["failed"] * 2
    assert trap.blames("test_sync") == ["failed"] * 2
    assert trap.blames("test_sync_interrupt") == ["failed"] * 2


def test_a_cancellation_of_the_bodys_own(tmp_path: Path) -> None:
    suite = """
async def test_bystander(agent):
    await agent.run("go")

async def test_cancelled(agent):
    await agent.run("go")
    raise asyncio.CancelledError

async def test_awaits_what_it_cancelled(agent):
    await agent.run("go")
    forever = asyncio.create_task(asyncio.sleep(3600))
    forever.cancel()
    await forever

def test_sync(agent, attempt):
    attempt.wait(agent.run("go"))
    raise asyncio.CancelledError
"""
    trap = spring(tmp_path, suite)
    assert trap.status == 1
    assert trap.blames("test_bystander") == ["passed"] * 2
    assert trap.reported("test_bystander") == "PASSED"
    assert trap.blames("test_cancelled") == ["failed"] * 2
    assert trap.blames("test_awaits_what_it_cancelled") == ["failed"] * 2
    assert trap.blames("test_sync") == ["failed"] * 2
