from __future__ import annotations

from pathlib import Path

from support.traps import spring

QUICK_TEARDOWN = "import pytest_agenteval.run.one_try as one_try\none_try.TEARDOWN_SECONDS = 0.2\n"


def test_teardowns_that_raise_or_hang(tmp_path: Path) -> None:
    suite = """
import threading

@pytest.fixture
def raises():
    yield
    raise OSError("the disk is full")

@pytest.fixture
async def async_raises():
    yield
    sys.exit(0)

@pytest.fixture
async def hangs():
    yield
    await asyncio.sleep(3600)

@pytest.fixture
def thread_hangs():
    yield
    threading.Event().wait()

async def test_raises(raises, agent):
    await agent.run("go")

def test_sync_raises(raises, agent, attempt):
    attempt.wait(agent.run("go"))

async def test_exits(async_raises, agent):
    await agent.run("go")

async def test_fails_and_raises(raises, agent):
    await agent.run("go")
    assert False

async def test_hangs(hangs, agent):
    await agent.run("go")

def test_sync_hangs(thread_hangs, agent, attempt):
    attempt.wait(agent.run("go"))
"""
    trap = spring(tmp_path, suite, conftest_py=QUICK_TEARDOWN)
    assert trap.status == 1
    assert {task: trap.blames(task) for task in trap.attempts} == {
        task: ["broken (teardown)"] * 2
        for task in (
            "test_raises", "test_sync_raises", "test_exits", "test_fails_and_raises", "test_hangs", "test_sync_hangs"
        )
    }  # fmt: skip
    assert "the teardown took longer than 0.2 s" in trap.attempts["test_hangs"][1].message


def test_checks_that_hang(tmp_path: Path) -> None:
    suite = """
import threading
pytestmark = agent_task(grading_time_limit=0.3)

@pytest.fixture
def place(attempt):
    yield
    Path(f"torn-down-{attempt.task.split('::')[-1]}-{attempt.number}").touch()

async def test_async(place, agent):
    await agent.run("go")
    await asyncio.sleep(3600)

def test_sync(place, agent, attempt):
    attempt.wait(agent.run("go"))
    threading.Event().wait()

def test_sync_waits(place, agent, attempt):
    attempt.wait(agent.run("go"))
    attempt.wait(asyncio.sleep(3600))

async def test_swallows(place, agent):
    await agent.run("go")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            break
    assert False

async def test_before_the_agent(place, agent):
    await asyncio.sleep(3600)

@agent_task(turn_limit=1)
async def test_after_a_limit(place, agent):
    await agent.run("go")
    await asyncio.sleep(3600)

test_after_a_limit = agent_task(solution=["true"])(test_after_a_limit)
"""
    trap = spring(tmp_path, suite)
    assert trap.status == 1
    assert trap.blames("test_async") == ["failed (grading_time)"] * 2
    assert trap.blames("test_sync") == ["failed (grading_time)"] * 2
    assert trap.blames("test_sync_waits") == ["failed (grading_time)"] * 2
    assert trap.blames("test_swallows") == ["failed (grading_time)"] * 2
    assert trap.blames("test_before_the_agent") == ["broken (setup)"] * 2
    assert trap.blames("test_after_a_limit") == ["limit (turns)"] * 2
    assert len(list(tmp_path.glob("torn-down-*"))) == 6 * 2


def test_the_agents_limits(tmp_path: Path) -> None:
    suite = """
@agent_task(time_limit=0.5, solution="sleep 3600")
async def test_time(agent):
    assert (await agent.run("go")).limit == "time"
    assert False

@agent_task(time_limit=0.5, solution="sleep 3600")
async def test_time_and_passed(agent):
    assert (await agent.run("go")).limit == "time"

@agent_task(turn_limit=2, solution=["true"] * 5)
async def test_turns(agent):
    result = await agent.run("go")
    assert (result.limit, result.turns) == ("turns", 2)
    pytest.fail("not done")

@agent_task(turn_limit=2, solution=["touch done"] * 5)
def test_turns_and_passed(agent, sandbox, attempt):
    assert attempt.wait(agent.run("go")).limit == "turns"
    assert attempt.wait(sandbox.exec(["test", "-e", "done"])).success

@agent_task(token_limit=100, solution=["echo " + "word " * 200] * 5)
async def test_tokens(agent):
    assert (await agent.run("go")).limit == "tokens"
    raise ValueError("nothing to parse")

@agent_task(token_limit=100, solution=["echo " + "word " * 200] * 5)
async def test_tokens_and_passed(agent):
    assert (await agent.run("go")).limit == "tokens"
"""
    trap = spring(tmp_path, suite)
    assert trap.status == 1
    for what in ("time", "turns", "tokens"):
        assert trap.blames(f"test_{what}") == [f"limit ({what})"] * 2
        assert trap.blames(f"test_{what}_and_passed") == ["passed"] * 2


def test_the_limits_of_an_own_agent(tmp_path: Path) -> None:
    suite = """
from inspect_ai.model import ChatMessageUser, get_model
from inspect_ai.tool import bash
from inspect_ai.util import LimitExceededError

@pytest.fixture
def agent(agent_model, sandbox):
    async def run(turns, swallow=False):
        messages = [ChatMessageUser(content="go")]
        try:
            for _ in range(turns):
                output = await get_model(agent_model).generate(messages, tools=[bash()])
                messages.append(output.message)
        except LimitExceededError:
            if not swallow:
                raise
    return run

@agent_task(turn_limit=2, solution=["true"] * 9)
async def test_turns(agent):
    await agent(5)

@agent_task(turn_limit=2, solution=["true"] * 9)
async def test_turns_swallowed(agent):
    await agent(5, swallow=True)
    assert False

@agent_task(turn_limit=2, solution=["true"] * 9)
async def test_turns_swallowed_and_passed(agent):
    await agent(5, swallow=True)

@agent_task(turn_limit=2, solution=["true"] * 9)
async def test_failed_within_its_limits(agent):
    await agent(2)
    assert False

@agent_task(turn_limit=2, solution=["true"] * 9)
def test_turns_of_a_sync_body(agent, attempt):
    attempt.wait(agent(5))

@agent_task(token_limit=3, solution=["true"] * 9)
async def test_tokens(agent):
    await agent(5)

@agent_task(time_limit=0.3)
async def test_time(agent):
    await agent(1)
    await asyncio.sleep(3600)

@agent_task(time_limit=0.3)
def test_time_of_a_sync_body(agent, attempt):
    attempt.wait(agent(1))
    attempt.wait(asyncio.sleep(3600))

@agent_task(time_limit=0.3)
async def test_before_it_starts_its_time_does_not_run(agent):
    await asyncio.sleep(0.6)
    await agent(1)
"""
    trap = spring(tmp_path, suite)
    assert trap.status == 1
    assert trap.blames("test_turns") == ["limit (turns)"] * 2
    assert trap.blames("test_turns_swallowed") == ["limit (turns)"] * 2
    assert trap.blames("test_turns_swallowed_and_passed") == ["passed"] * 2
    assert trap.blames("test_failed_within_its_limits") == ["failed"] * 2
    assert trap.blames("test_turns_of_a_sync_body") == ["limit (turns)"] * 2
    assert trap.blames("test_tokens") == ["limit (tokens)"] * 2
    assert trap.blames("test_time") == ["limit (time)"] * 2
    assert trap.blames("test_time_of_a_sync_body") == ["limit (time)"] * 2
    assert trap.blames("test_before_it_starts_its_time_does_not_run") == ["passed"] * 2
