"""Own agents of every kind on one suite, over HTTP: tokens, cost, tool-call failures and limits as computed by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_runs import AGENT, run_suite
from support.own_agents import CLIENTS, POLICIES, PRICES, SUITE, C, Kinds, run_kinds
from support.scripted_server import ScriptedServer

K = 1
KNOWN_BY = {
    "react": "inspect",
    "plain_async": "messages",
    "plain_sync": "recorded",
    "anthropic_async": "messages",
    "anthropic_sync": "messages",
    "agents_sdk": "messages",
    "langgraph": "messages",
    "langgraph_sync": "messages",
    "pydantic_async": "messages",
}
"""Kind by kind, how the tool calls are known of test_work: a command that exits with 3, then one that works."""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    with ScriptedServer(POLICIES) as server:
        yield run_kinds(tmp_path_factory.mktemp("kinds"), server, kinds=tuple(KNOWN_BY), k=K)


@pytest.mark.parametrize("kind", KNOWN_BY)
def test_a_kind_of_agent_is_counted_and_paid_like_any_other(kinds: Kinds, kind: str) -> None:
    attempts = kinds.attempts("test_work", kind)
    assert [(a.outcome.value, a.message) for a in attempts] == [("passed", "")] * K
    for attempt in attempts:
        assert len(attempt.model_calls) == 3
        assert {(c.input_tokens, c.cache_read_tokens, c.output_tokens) for c in attempt.model_calls} == {
            (800, 200, 100)
        }
        assert attempt.cost == pytest.approx(3 * C)
        assert attempt.answer == "it is done"
    seen = [json.loads(line) for line in (kinds.run.folder / "seen.jsonl").read_text("utf-8").splitlines()]
    mine = [each for each in seen if each["scaffold"].rpartition(":")[2] == kind]
    assert [(s["answer"], s["turns"], s["tokens"]) for s in mine] == [("it is done", 3, 3300)] * K
    assert [s["cost"] for s in mine] == [pytest.approx(3 * C)] * K


@pytest.mark.parametrize("kind", KNOWN_BY)
def test_a_nonzero_exit_is_one_in_every_kind_and_no_failure_of_the_call(kinds: Kinds, kind: str) -> None:
    for attempt in kinds.attempts("test_work", kind):
        calls = attempt.tool_calls[:2]
        assert [(c.known_by, c.error, c.failure_known) for c in calls] == [(KNOWN_BY[kind], None, True)] * 2
        assert [(c.exit_code, c.exit_known) for c in calls] == [(3, True), (0, True)]
        commands = [json.loads(call.arguments)["command"] for call in attempt.tool_calls[:2]]
        assert commands == ["exit 3", "touch out.txt"]


@pytest.mark.parametrize("kind", KNOWN_BY)
def test_limits_end_every_kind_of_agent_at_the_call_that_exceeds_them(kinds: Kinds, kind: str) -> None:
    for task, cause, calls in (("test_cost", "cost", 3), ("test_tokens", "tokens", 3), ("test_turns", "turns", 3)):
        for attempt in kinds.attempts(task, kind):
            assert (attempt.outcome.value, attempt.cause) == ("limit", cause), attempt.message
            assert len(attempt.model_calls) == calls
            assert attempt.cost == pytest.approx(calls * C)
    for attempt in kinds.attempts("test_time", kind):
        assert (attempt.outcome.value, attempt.cause) == ("limit", "time"), attempt.message


def test_nothing_was_asked_of_the_provider_that_is_not_recorded(kinds: Kinds) -> None:
    answered = sum(entry.answered == 200 for entry in kinds.journal)
    recorded = sum(len(attempt.model_calls) for record in kinds.records.values() for attempt in record.attempts)
    # the answer to an agent whose time is up may be on its way when it is stopped
    assert answered - len(KNOWN_BY) * K <= recorded <= answered
    assert [entry for entry in kinds.journal if entry.model != "agent-1" and entry.answered != "abandoned"] == []


def test_a_program_in_the_sandbox_is_refused_on_this_host_before_anything_is_spent(tmp_path: Path) -> None:
    with ScriptedServer(POLICIES) as server:
        suite = {"test_suite.py": SUITE, "kinds.py": CLIENTS}
        scaffolds = ("--agent-scaffold=kinds:cli", "--agent-scaffold=react")
        run = run_suite(tmp_path, server, suite, *scaffolds, prices=PRICES)
        assert (run.code, server.journal) == (4, ())
    message = "scaffold kinds:cli is a program in the sandbox, and needs a container: leave out --agent-sandbox=local"
    assert [line for line in run.errors if line.strip()] == [f"ERROR: {message}"]


def test_the_cells_have_readable_names(kinds: Kinds) -> None:
    assert "test_suite.py::test_work[kinds:plain_sync]" in {record.task for record in kinds.records.values()}
    assert {str(r.cell) for r in kinds.records.values()} >= {f"{AGENT} · react", f"{AGENT} · kinds:agents_sdk"}


@pytest.mark.parametrize("kind", ["plain_async", "plain_sync", "agents_sdk"])
def test_the_runs_budget_stops_every_kind_of_agent(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with ScriptedServer(POLICIES) as server:
        stopped = run_kinds(
            tmp_path_factory.mktemp("budget"),
            server,
            "--max-cost=0.05",
            "--agent-generate=max_tokens=100",
            "-k",
            "test_turns or test_cost or test_tokens or test_work",
            "--agent-concurrency=3",
            kinds=(kind,),
            k=4,
        )
    answered = sum(entry.answered == 200 for entry in stopped.journal)
    recorded = [call for r in stopped.records.values() for a in r.attempts for call in a.model_calls]
    assert answered == len(recorded)
    # the server bills more tokens than the prompts have: the budget knows that only when a call has been answered
    assert answered * C <= 0.05 + 3 * C
    causes = Counter(a.cause for r in stopped.records.values() for a in r.attempts)
    assert causes["budget"] >= 4
    assert stopped.run.gate("--max-cost").startswith("UNDECIDED")
