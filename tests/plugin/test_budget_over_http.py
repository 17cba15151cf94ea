from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.http_runs import AGENT, JUDGE, HttpRun, all_calls, run_suite
from support.scripted_policy import CommandPolicy, Faults, Policy, TextPolicy, Tokens
from support.scripted_server import Entry, ScriptedServer

SUITE = """
async def test_long(agent, sandbox):
    await agent.run("Do long work.")

async def test_longer(agent, sandbox):
    await agent.run("Do longer work.")
"""

JUDGED = """
from inspect_ai.model import GenerateConfig, get_model

async def test_judged(agent, sandbox):
    await agent.run("Do short work.")
    judge = get_model("openai-api/scripted/judge", config=GenerateConfig(max_tokens=100))
    assert (await judge.generate("Is it a verdict?")).completion == "good"
"""

PRICES = {AGENT: {"input": 1.0, "output": 10.0}}


@dataclass(frozen=True, slots=True)
class Spent:
    """A run with a budget, and its requests."""

    run: HttpRun
    journal: tuple[Entry, ...]

    @property
    def answered(self) -> int:
        """Requests that were answered, and so billed."""
        return sum(entry.answered == 200 for entry in self.journal)

    @property
    def recorded(self) -> list[float]:
        """The cost of every call in the records."""
        return [call.cost or 0.0 for key in self.run.records for call in all_calls(self.run.attempts(*key))]

    @property
    def endings(self) -> list[str]:
        """How all attempts ended."""
        return [ended for task, model in self.run.records for ended in self.run.ended(task, model)]

    def assert_stopped(self) -> None:
        """It stopped for lack of money: no request after that, none unrecorded, never green and never a failure."""
        assert max(entry.time for entry in self.journal) < min(self.run.exhausted_at)
        assert len(self.recorded) == self.answered
        assert self.run.code == 10
        assert "INCOMPLETE: the run's budget could not pay for" in self.run.status_line
        assert self.run.gate("--max-cost").startswith("UNDECIDED --max-cost: INCOMPLETE")


def _run(folder: Path, tokens: Tokens, budget: float, k: int, concurrency: int) -> Spent:
    policies: dict[str, Policy] = {
        "long work": CommandPolicy(extra_steps=2, tokens=tokens),
        "longer work": CommandPolicy(extra_steps=5, tokens=tokens),
    }
    with ScriptedServer(policies) as server:
        run = run_suite(
            folder,
            server,
            SUITE,
            f"--max-cost={budget}",
            f"--agent-concurrency={concurrency}",
            "--agent-generate=max_tokens=100",
            "--min-pass-at-1=0.01",
            k=k,
            prices=PRICES,
        )
        return Spent(run, server.journal)


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spent]:
    # 8 attempts of 4 calls and 8 of 7 would be 88 calls at $0.0015
    yield _run(tmp_path_factory.mktemp("budget"), Tokens(prompt=500, completion=100), 0.06, k=8, concurrency=4)


def test_a_budget_that_runs_out_is_never_overspent_where_calls_cost_less_than_reserved(spent: Spent) -> None:
    assert spent.answered * 0.0015 <= 0.06
    assert spent.answered > 20  # and most of it is used: what is left would not pay for the worst case of a call
    assert math.fsum(spent.recorded) == pytest.approx(spent.answered * 0.0015)
    spent.assert_stopped()


def test_attempts_without_money_are_listed_as_not_run(spent: Spent) -> None:
    left = spent.endings.count("not_run/budget")
    assert (len(spent.endings), set(spent.endings)) == (16, {"passed", "not_run/budget"})
    assert f"could not pay for {left} attempts" in spent.run.status_line
    block = spent.run.block("agent-1")
    listed = [ended for ended in ("test_long attempt", "test_longer attempt") if f"::{ended}" in block]
    assert listed
    assert "(not run: budget)" in block
    assert f"worst and best case over {left} attempts not measured" in block


def test_attempts_without_money_are_no_failures(spent: Spent) -> None:
    for task in ("test_long", "test_longer"):
        passed = spent.run.ended(task).count("passed")
        row = spent.run.rows("agent-1")[task]
        assert row[0] == f"{passed}/{passed}"
        assert row[2] == ("1.000" if passed == 8 else "-")  # n < k: no pass^k
    # the gate has its worst case, so it may be PASS; the run is never green
    assert spent.run.gate("--min-pass-at-1").startswith("PASS")


def test_the_logs_of_a_run_without_money_are_complete(spent: Spent) -> None:
    (log,) = spent.run.logs
    assert log.status == "success"
    outcomes = []
    for sample in log.samples or ():
        score = (sample.scores or {})["passed"]
        assert isinstance(score.value, float)
        outcomes.append((score.metadata or {})["outcome"])
        assert math.isnan(score.value) == (outcomes[-1] == "not_run")
    assert outcomes.count("passed") == spent.endings.count("passed")


def test_a_budget_is_overspent_by_no_more_than_the_calls_in_flight_were_underestimated(tmp_path: Path) -> None:
    # $0.051 a call, of which the text sent lets nobody foresee but a few thousandths
    underestimated = _run(tmp_path, Tokens(prompt=50_000, completion=100), 0.5, k=4, concurrency=3)
    assert 0.5 - 0.01 < underestimated.answered * 0.051 <= 0.5 + 3 * 0.051
    underestimated.assert_stopped()


def test_lost_answers_use_up_the_budget_though_nothing_is_known_to_be_spent(tmp_path: Path) -> None:
    policy = CommandPolicy(faults=Faults(p_hang=1.0, hang_seconds=0.01, most_per_call=10_000))
    with ScriptedServer({"work": policy}) as server:
        run = run_suite(
            tmp_path,
            server,
            SUITE,
            "--max-cost=0.02",
            "--agent-concurrency=1",
            "--agent-generate=max_tokens=100",
            "--agent-generate=max_retries=10000",
            prices=PRICES,
        )
        requests = len(server.journal)
    first = run.attempts("test_long")[0]
    assert (run.code, run.ended("test_long"), run.ended("test_longer")) == (10, ["not_run/budget"], ["not_run/budget"])
    assert first.lost_calls == requests
    assert 0.02 - first.lost_cost / requests < first.lost_cost <= 0.02
    assert "is held for calls of unknown cost" in first.message
    assert f"total cost ≥ $0 ({requests} calls without an answer, perhaps billed)" in run.block("agent-1")


def test_the_calls_of_a_judge_are_paid_from_the_budget_of_the_run(tmp_path: Path) -> None:
    policies: dict[str, Policy] = {"short work": CommandPolicy(), "verdict": TextPolicy(answer="good")}
    prices = {**PRICES, JUDGE: {"input": 0.0, "output": 0.0, "per_call": 0.4}}
    with ScriptedServer(policies) as server:
        run = run_suite(
            tmp_path,
            server,
            JUDGED,
            "--max-cost=1",
            "--agent-concurrency=1",
            "--agent-generate=max_tokens=100",
            k=4,
            prices=prices,
        )
        judged = Spent(run, server.journal)
    assert judged.endings == ["passed", "passed", "not_run/budget", "not_run/budget"]
    assert [entry.model for entry in judged.journal].count("judge") == 2
    assert math.fsum(judged.recorded) == pytest.approx(2 * 0.4 + 6 * 0.002)
    judged.assert_stopped()


def test_a_judge_without_a_price_is_never_asked_in_a_run_with_a_budget(tmp_path: Path) -> None:
    policies: dict[str, Policy] = {"short work": CommandPolicy(), "verdict": TextPolicy(answer="good")}
    with ScriptedServer(policies) as server:
        run = run_suite(tmp_path, server, JUDGED, "--max-cost=1", "--agent-concurrency=1", k=3, prices=PRICES)
        asked = [entry.model for entry in server.journal]
    assert "judge" not in asked
    assert (run.code, set(run.ended("test_judged"))) == (10, {"not_run/budget"})
    assert f"the price of {JUDGE} is not known" in run.attempts("test_judged")[0].message
    assert len(asked) == 2  # the other attempts would end in the same way: nothing is spent on them


MANY = """
import pytest

@pytest.mark.parametrize("number", range(6))
async def test_many(agent, sandbox, number):
    await agent.run("Do short work.")
"""


def test_the_last_of_a_budget_finishes_attempts_instead_of_beginning_others(tmp_path: Path) -> None:
    """24 attempts of two calls at $0.0015, 16 at once: all 16 used to make a first call, and few a second one."""
    arguments = ("--agent-concurrency=16", "--agent-generate=max_tokens=100")
    with ScriptedServer({"short work": CommandPolicy(tokens=Tokens(prompt=500, completion=100))}) as server:

        def passed_with(budget: float, *more: str) -> int:
            run = run_suite(tmp_path, server, MANY, f"--max-cost={budget}", *arguments, *more, k=4, prices=PRICES)
            ended = [a.outcome.value for record in run.task_records for a in record.attempts]
            assert set(ended) <= {"passed", "not_run"}
            assert (run.code, len(ended)) == (10 if "not_run" in ended else 0, 24)
            return ended.count("passed")

        first = passed_with(12 * 0.003)
        assert 11 <= first <= 12
        second = passed_with(6 * 0.003, "--agent-resume")
        assert first + 5 <= second <= first + 6
        assert passed_with(1, "--agent-resume") == 24
        # what attempts had made that ran out of money: two at most, of one call each
        assert sum(entry.answered == 200 for entry in server.journal) <= 24 * 2 + 2


WAITING = """
import asyncio
from inspect_ai.model import GenerateConfig, get_model
from pytest_agenteval import agent_task

BEGUN = asyncio.Event()

@agent_task(grading_time_limit=2)
async def test_waiting(agent, sandbox, attempt):
    judge = get_model("openai-api/scripted/judge", config=GenerateConfig(max_tokens=100))
    if attempt.number == 1:
        await judge.generate("Is it a verdict?")
        BEGUN.set()
        await agent.run("Do slow work.")
    else:
        await BEGUN.wait()
        await agent.run("Do short work.")
        await judge.generate("Is it a verdict?")
"""


def test_a_judge_that_waits_for_money_does_not_run_into_the_grading_time_out(tmp_path: Path) -> None:
    policies: dict[str, Policy] = {
        "slow work": CommandPolicy(extra_steps=3, latency=1.0, tokens=Tokens(prompt=500, completion=100)),
        "short work": CommandPolicy(tokens=Tokens(prompt=500, completion=100)),
        "verdict": TextPolicy(answer="good", tokens=Tokens(prompt=500, completion=100)),
    }
    with ScriptedServer(policies) as server:
        run = run_suite(
            tmp_path,
            server,
            WAITING,
            "--max-cost=0.1",
            "--agent-generate=max_tokens=100",
            k=2,
            prices={**PRICES, JUDGE: {"input": 1.0, "output": 10.0, "per_call": 0.03}},
        )
        assert run.ended("test_waiting") == ["passed", "passed"], run.text
        # attempt 2 was held back until attempt 1 had finished, and so was known to leave enough
        assert server.journal[-1].model == "judge"
