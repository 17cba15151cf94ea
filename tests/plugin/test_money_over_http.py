from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.http_runs import AGENT, JUDGE, HttpRun, all_calls, run_suite
from support.scripted_policy import CommandPolicy, Faults, Policy, TextPolicy, Tokens
from support.scripted_server import Entry, ScriptedServer

C = 0.002
"""What a call of the agent costs: 1000 tokens at $1 and 100 at $10 per million."""
JUDGED = 0.05
"""What a call of the judge costs: 1000 tokens at $40 and 100 at $100 per million."""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}, JUDGE: {"input": 40.0, "output": 100.0}}

SUITE = """
import json
import pathlib
from inspect_ai.model import GenerateConfig, get_model
from pytest_agenteval import agent_task

SEEN = pathlib.Path(__file__).with_name("seen.jsonl")

def note(**seen):
    with SEEN.open("a") as file:
        print(json.dumps(seen), file=file)

async def done(sandbox):
    return (await sandbox.exec(["test", "-f", "out.txt"])).success

@agent_task(max_cost=0.005)
async def test_cost_between_calls(agent, sandbox):
    result = await agent.run("Do endless work.")
    note(task="between", limit=result.limit, cost=result.cost, turns=result.turns, tokens=result.tokens)
    assert await done(sandbox)

@agent_task(max_cost=0.004)
async def test_cost_on_a_call(agent, sandbox):
    await agent.run("Do endless work.")
    assert await done(sandbox)

@agent_task(max_cost=0.004)
async def test_cost_just_enough(agent, sandbox):
    result = await agent.run("Do short work.")
    assert result.limit is None and await done(sandbox)

@agent_task(max_cost=0.005)
async def test_passes_in_spite_of_a_limit(agent, sandbox):
    result = await agent.run("Do endless work.")
    assert result.limit == "cost"

@agent_task(token_limit=2500)
async def test_tokens(agent, sandbox):
    await agent.run("Do endless work.")
    assert await done(sandbox)

@agent_task(turn_limit=3)
async def test_turns(agent, sandbox):
    await agent.run("Do endless work.")
    assert await done(sandbox)

@agent_task(turn_limit=3)
async def test_turns_over_all_runs(agent, sandbox):
    results = [await agent.run("Do short work.") for _ in range(3)]
    note(task="runs", limits=[r.limit for r in results], turns=[r.turns for r in results])
    assert results[-1].limit is None

@agent_task(time_limit=10, turn_limit=None)
async def test_slow_agent(agent, sandbox):
    await agent.run("Do slow work.")
    assert await done(sandbox)

@agent_task(time_limit=6)
async def test_silent_provider(agent, sandbox):
    await agent.run("Do silent work.")
    assert await done(sandbox)

@agent_task(time_limit=7)
async def test_storm_of_refusals(agent, sandbox):
    await agent.run("Do stormy work.")
    assert await done(sandbox)

async def test_lost_answers(agent, sandbox):
    await agent.run("Do lost work.")
    assert await done(sandbox)

@agent_task(max_cost=0.004, token_limit=2500, turn_limit=2)
async def test_judged(agent, sandbox):
    await agent.run("Do short work.")
    judge = get_model("openai-api/scripted/judge", config=GenerateConfig(max_tokens=100))
    verdicts = [await judge.generate("Is it a verdict?") for _ in range(2)]
    assert verdicts[-1].completion == "good" and await done(sandbox)
"""

OWN = """
import asyncio
import pytest
from inspect_ai.model import get_model
from pytest_agenteval import agent_task

@pytest.fixture
def agent(agent_model):
    async def work(prompt, calls, pause=0.0):
        for _ in range(calls):
            await get_model().generate(prompt)
            await asyncio.sleep(pause)
    return work

@agent_task(max_cost=0.005)
async def test_own_cost(agent):
    await agent("Do endless work.", 10)
    assert False

@agent_task(turn_limit=2)
async def test_own_turns(agent):
    await agent("Do endless work.", 10)
    assert False

@agent_task(time_limit=10, turn_limit=None)
async def test_own_time(agent):
    await agent("Do endless work.", 10_000, pause=0.1)

@agent_task(time_limit=6)
async def test_own_silent_provider(agent):
    await agent("Do silent work.", 1)
"""

TOKENS = Tokens(prompt=1000, completion=100)


def _work(faults: Faults | None = None, *, latency: float = 0.0, steps: int = 0) -> CommandPolicy:
    return CommandPolicy(
        success=("touch out.txt",), extra_steps=steps, tokens=TOKENS, latency=latency, faults=faults or Faults()
    )


POLICIES: dict[str, Policy] = {
    "short": _work(),
    "endless": _work(steps=400),
    "slow": _work(steps=400, latency=0.1),
    "silent": _work(Faults(p_hang=1.0, hang_seconds=3600)),
    "stormy": _work(Faults(p_429=1.0, most_per_call=12)),
    "lost": _work(Faults(p_hang=1.0, most_per_call=1)),
    "verdict": TextPolicy(answer="good", tokens=TOKENS),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The run of all limits, and the requests of it."""

    run: HttpRun
    journal: tuple[Entry, ...]

    def cost(self, task: str) -> float | None:
        """Of the one attempt at a task."""
        return self.run.attempts(task)[0].cost

    def calls(self, task: str) -> int:
        """Answered ones."""
        return len(all_calls(self.run.attempts(task)))


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limits]:
    with ScriptedServer(POLICIES) as server:
        run = run_suite(
            tmp_path_factory.mktemp("limits"),
            server,
            {"test_suite.py": SUITE, "test_own.py": OWN},
            "--agent-env-retries=0",
            "--agent-generate=max_retries=30",
            "--agent-generate=max_tokens=100",
            "--max-cost=10",
            prices=PRICES,
            environment={"SCRIPTED_RETRY_WAIT": "0.3"},
        )
        yield Limits(run, server.journal)


def test_max_cost_between_two_calls_is_overshot_by_one_call(limits: Limits) -> None:
    assert limits.run.ended("test_cost_between_calls") == ["limit/cost"]
    assert limits.cost("test_cost_between_calls") == pytest.approx(3 * C)
    seen = limits.run.seen("between")
    assert seen == {"limit": "cost", "cost": pytest.approx(3 * C), "turns": 3, "tokens": 3300}


def test_max_cost_that_is_used_up_is_not_overshot(limits: Limits) -> None:
    assert limits.run.ended("test_cost_on_a_call") == ["limit/cost"]
    assert limits.cost("test_cost_on_a_call") == pytest.approx(2 * C)


def test_max_cost_that_is_just_enough_lets_the_agent_end(limits: Limits) -> None:
    assert limits.run.ended("test_cost_just_enough") == ["passed"]
    assert limits.cost("test_cost_just_enough") == pytest.approx(2 * C)


def test_an_attempt_that_passes_in_spite_of_a_limit_is_passed(limits: Limits) -> None:
    assert limits.run.ended("test_passes_in_spite_of_a_limit") == ["passed"]


def test_limits_of_tokens_and_turns_end_the_agent_at_the_call_that_exceeds_them(limits: Limits) -> None:
    assert (limits.run.ended("test_tokens"), limits.calls("test_tokens")) == (["limit/tokens"], 3)
    assert (limits.run.ended("test_turns"), limits.calls("test_turns")) == (["limit/turns"], 3)


def test_limits_hold_over_all_runs_of_the_agent(limits: Limits) -> None:
    assert limits.run.seen("runs") == {"limits": [None, "turns", "turns"], "turns": [2, 1, 0]}
    assert limits.run.ended("test_turns_over_all_runs") == ["limit/turns"]


def test_an_agent_that_is_slow_by_its_own_runs_into_its_time_limit(limits: Limits) -> None:
    assert limits.run.ended("test_slow_agent") == ["limit/time"]
    assert limits.calls("test_slow_agent") > 2


def test_a_provider_that_leaves_a_call_unanswered_is_to_blame_for_the_time(limits: Limits) -> None:
    assert limits.run.ended("test_silent_provider") == ["environment_error/provider"]
    attempt = limits.run.attempts("test_silent_provider")[0]
    assert "had no answer" in attempt.message
    assert attempt.lost_calls == 1


def test_refusals_do_not_count_as_the_time_of_the_agent(limits: Limits) -> None:
    # 2 calls x 12 refusals x 0.3 s are 7.2 s of waits, more than its limit
    assert limits.run.ended("test_storm_of_refusals") == ["passed"]
    attempt = limits.run.attempts("test_storm_of_refusals")[0]
    assert attempt.wall_seconds > 7.2
    assert attempt.working_seconds is not None
    assert attempt.working_seconds < attempt.wall_seconds - 7.2 + 0.1
    assert [call.retries for call in attempt.model_calls] == [12, 12]
    assert attempt.lost_calls == 0


def test_a_lost_answer_keeps_its_reservation_and_is_reported(limits: Limits) -> None:
    attempt = limits.run.attempts("test_lost_answers")[0]
    assert (attempt.outcome.value, attempt.lost_calls) == ("passed", 2)
    # at most: all that the call may write, and a prompt that was at least the text sent
    assert attempt.lost_cost > 2 * 100 * 10 / 1e6
    assert attempt.cost == pytest.approx(2 * C)
    assert "≥" in limits.run.rows("agent-1")["test_lost_answers"]


def test_a_judge_is_paid_by_the_attempt_and_not_by_the_agents_limits(limits: Limits) -> None:
    assert limits.run.ended("test_judged") == ["passed"]
    assert limits.cost("test_judged") == pytest.approx(2 * C + 2 * JUDGED)
    calls = Counter(call.model for call in all_calls(limits.run.attempts("test_judged")))
    assert calls == {AGENT: 2, JUDGE: 2}


def test_an_own_agent_is_held_to_the_same_limits(limits: Limits) -> None:
    assert (limits.run.ended("test_own_cost"), limits.calls("test_own_cost")) == (["limit/cost"], 3)
    assert (limits.run.ended("test_own_turns"), limits.calls("test_own_turns")) == (["limit/turns"], 2)
    assert limits.run.ended("test_own_time") == ["limit/time"]
    assert limits.run.ended("test_own_silent_provider") == ["environment_error/provider"]


def test_the_run_cost_what_all_its_answered_calls_cost(limits: Limits) -> None:
    answered = Counter(entry.model for entry in limits.journal if entry.answered == 200)
    by_hand = answered["agent-1"] * C + answered["judge"] * JUDGED
    recorded = [call.cost or 0.0 for key in limits.run.records for call in all_calls(limits.run.attempts(*key))]
    # the last answer to an agent whose time is up may be on its way when it is stopped
    assert by_hand - 2 * C <= sum(recorded) + 1e-9
    assert sum(recorded) <= by_hand + 1e-9
    assert limits.run.gate("--max-cost").startswith(("PASS", "UNDECIDED"))
    assert "INTERNALERROR" not in limits.run.text
