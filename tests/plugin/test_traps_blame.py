from __future__ import annotations

from pathlib import Path

from support.traps import spring


def test_a_flaky_agent_is_not_reliable(tmp_path: Path) -> None:
    suite = """
@agent_task(solution="touch solved")
async def test_flaky(agent, sandbox):
    await agent.run("solve it")
    assert (await sandbox.exec(["test", "-e", "solved"])).success
"""
    trap = spring(tmp_path / "judged", suite, model="agenteval/noisy", k=8)
    assert trap.status == 1
    assert set(trap.blames("test_flaky")) == {"passed", "failed"}
    gated = spring(tmp_path / "gated", suite, "--min-pass-k=0.5", model="agenteval/noisy", k=8)
    assert gated.status == 1
    assert gated.blames("test_flaky") == trap.blames("test_flaky")


def test_an_async_test_that_fails(tmp_path: Path) -> None:
    suite = """
async def test_fails(agent):
    await agent.run("go")
    await asyncio.sleep(0)
    assert False
"""
    trap = spring(tmp_path, suite)
    assert (trap.status, trap.blames("test_fails")) == (1, ["failed", "failed"])


def test_the_line_between_the_test_and_the_agent_is_the_agents_start(tmp_path: Path) -> None:
    suite = """
@pytest.fixture
def wrong():
    raise OSError("no such data")

async def test_broken_by_a_fixture(wrong, agent):
    await agent.run("go")

async def test_broken_by_the_body(sandbox, agent):
    await sandbox.read_file("missing.txt")
    await agent.run("go")

async def test_broken_by_an_assertion(agent):
    assert 1 + 1 == 3
    await agent.run("go")

async def test_failed(agent):
    await agent.run("go")
    {}["answer"]

def test_sync_failed(sandbox, agent, attempt):
    attempt.wait(agent.run("go"))
    attempt.wait(sandbox.read_file("answer.txt"))

def test_sync_broken(sandbox, agent, attempt):
    attempt.wait(sandbox.read_file("missing.txt"))
    attempt.wait(agent.run("go"))
"""
    trap = spring(tmp_path, suite)
    assert trap.status == 1
    assert trap.blames("test_broken_by_a_fixture") == ["broken (setup)"] * 2
    assert trap.blames("test_broken_by_the_body") == ["broken"] * 2
    assert trap.blames("test_broken_by_an_assertion") == ["broken"] * 2
    assert trap.blames("test_failed") == ["failed"] * 2
    assert trap.blames("test_sync_failed") == ["failed"] * 2
    assert trap.blames("test_sync_broken") == ["broken"] * 2
    assert "looks like a bug in the test" in trap.text
    assert "8 attempts are broken" in trap.summary


def test_an_agent_that_nobody_awaited_is_no_pass(tmp_path: Path) -> None:
    suite = """
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

async def test_forgot_to_await(agent):
    agent.run("go")

def test_forgot_to_wait(agent):
    agent.run("go")
"""
    trap = spring(tmp_path, suite, "--min-pass-k=0")
    assert trap.status == 1
    assert trap.blames("test_forgot_to_await") == trap.blames("test_forgot_to_wait") == ["broken"] * 2
    assert "is an `await` missing before agent.run" in trap.text
    assert "is `attempt.wait(...)` missing around agent.run" in trap.text


def test_a_broken_attempt_is_never_green(tmp_path: Path) -> None:
    suite = """
async def test_broken(agent, attempt):
    assert attempt.number == 1
    await agent.run("go")
"""
    trap = spring(tmp_path, suite, "--min-pass-at-1=0.1")
    assert (trap.status, trap.blames("test_broken")) == (1, ["passed", "broken"])


def test_nothing_leaks_from_one_attempt_to_the_next(tmp_path: Path) -> None:
    suite = """
@pytest.fixture
def basket():
    return []

@pytest.fixture
async def async_basket():
    yield []

@pytest.fixture(autouse=True)
def counted(basket):
    basket.append("set up")

class TestLeak:
    seen = 0

    @agent_task(solution="echo x >> log.txt")
    async def test_fresh(self, agent, sandbox, basket, async_basket, tmp_path):
        self.seen += 1
        basket.append("body")
        async_basket.append("body")
        (tmp_path / "log.txt").open("a").write("x")
        await agent.run("go")
        assert (basket, async_basket, self.seen) == (["set up", "body"], ["body"], 1)
        assert (tmp_path / "log.txt").read_text() == "x"
        assert await sandbox.read_file("log.txt") == "x\\n"
"""
    trap = spring(tmp_path, suite, k=3)
    assert (trap.status, trap.blames("test_fresh")) == (0, ["passed"] * 3)


def test_a_fixture_that_would_leak_through_the_process_is_refused(tmp_path: Path) -> None:
    suite = """
@pytest.fixture
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere")

async def test_refused(home, agent):
    await agent.run("go")
"""
    trap = spring(tmp_path, suite)
    assert (trap.status, trap.attempts) == (1, {})
    assert "fixture 'monkeypatch' changes process-wide state" in trap.text


def test_skip_belongs_before_the_agent(tmp_path: Path) -> None:
    before = """
async def test_skips(agent):
    pytest.skip("not today")
    await agent.run("go")
"""
    after = """
async def test_skips(agent):
    await agent.run("go")
    pytest.skip("rather not say")
"""
    skipped = spring(tmp_path / "before", before)
    assert (skipped.status, skipped.blames("test_skips")) == (0, ["skipped"] * 2)
    assert "1 skipped" in skipped.text
    gated = spring(tmp_path / "gated", before, "--min-pass-at-1=0")
    assert gated.status == 10
    broken = spring(tmp_path / "after", after)
    assert (broken.status, broken.blames("test_skips")) == (1, ["broken"] * 2)


def test_xfail_expects_a_failure_and_nothing_else(tmp_path: Path) -> None:
    head = """
from inspect_ai.util import SandboxUnavailableError

@pytest.mark.xfail(reason="too hard")
"""
    failing = "async def test_hard(agent):\n    await agent.run('go')\n    assert False\n"
    broken = "async def test_hard(agent):\n    assert False\n"
    unavailable = "async def test_hard(agent):\n    await agent.run('go')\n    raise SandboxUnavailableError('gone')\n"
    passing = "async def test_hard(agent):\n    await agent.run('go')\n"
    trap = spring(tmp_path / "failing", head + failing)
    assert (trap.status, trap.blames("test_hard")) == (0, ["failed"] * 2)
    assert "1 xfailed" in trap.text
    trap = spring(tmp_path / "broken", head + broken)
    assert (trap.status, trap.blames("test_hard")) == (1, ["broken"] * 2)
    trap = spring(tmp_path / "unavailable", head + unavailable, "--agent-env-retries=0")
    assert (trap.status, trap.blames("test_hard")) == (10, ["environment_error (sandbox)"] * 2)
    trap = spring(tmp_path / "passing", head + passing, "-o", "xfail_strict=true")
    assert (trap.status, trap.blames("test_hard")) == (1, ["passed"] * 2)
