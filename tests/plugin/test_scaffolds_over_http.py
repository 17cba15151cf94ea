"""Scaffolds over HTTP: a matrix of models and scaffolds, and clients whose calls nobody would count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Policy, TextPolicy, Tokens
from support.scripted_server import Entry, ScriptedServer

from pytest_agenteval.record.records import TaskRecord, from_json

OTHER = "openai-api/scripted/agent-2"
C = {"agent-1": 0.002, "agent-2": 0.0005}
"""What a call costs: 1000 tokens at $1 and 100 at $10 per million; a quarter of both."""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}, OTHER: {"input": 0.25, "output": 2.5}}
POLICIES: dict[str, Policy] = {
    "work": CommandPolicy(success=("touch out.txt",), extra_steps=2, tokens=Tokens(prompt=1000, completion=100)),
    "question": TextPolicy(answer="an answer", tokens=Tokens(prompt=1000, completion=100)),
}

MINE = """
from inspect_ai.agent import AgentState, agent, react
from inspect_ai.model import ChatMessageUser, get_model
from inspect_ai.tool import bash
from openai import AsyncOpenAI

@agent
def twice(times: int = 2):
    "Asks again, and then works."
    async def execute(state: AgentState) -> AgentState:
        for _ in range(times):
            await get_model().generate([ChatMessageUser(content="A question.")])
        return await react(tools=[bash()])(state)
    return execute

async def one_question(task, context, words: int = 1):
    client = AsyncOpenAI(**context.client_options)
    messages = [{"role": "user", "content": "A question."}] * words
    await client.chat.completions.create(model=context.client_model, messages=messages)
    await context.sandbox.exec(["touch", "out.txt"])
    return f"asked with {words}"
"""

MATRIX = """
import pytest
from openai import AsyncOpenAI
from pytest_agenteval import agent_task

async def test_work(agent, sandbox, agent_scaffold, agent_model):
    assert (agent.scaffold, agent.model) == (agent_scaffold, agent_model)
    await agent.run("Do the work.")
    assert (await sandbox.exec(["test", "-f", "out.txt"])).success

class TestOwn:
    @pytest.fixture
    def agent(self, agent_model):
        return AsyncOpenAI(api_key="unused", base_url="http://bridge.invalid")

    async def test_own(self, agent):
        messages = [{"role": "user", "content": "A question."}]
        said = await agent.chat.completions.create(model="inspect", messages=messages)
        assert said.choices[0].message.content == "an answer"
"""


def records_of(run: HttpRun) -> dict[tuple[str, str, str], TaskRecord]:
    lines = (run.folder / "records.jsonl").read_text("utf-8").splitlines()
    found = [from_json(json.loads(line)) for line in lines]
    return {(r.task.split("::")[-1].split("[")[0], r.cell.model.split("/")[-1], r.cell.scaffold): r for r in found}


@dataclass(frozen=True, slots=True)
class Matrix:
    run: HttpRun
    records: dict[tuple[str, str, str], TaskRecord]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with ScriptedServer(POLICIES, models=("agent-1", "agent-2")) as server:
        run = run_suite(
            tmp_path_factory.mktemp("matrix"),
            server,
            {"test_suite.py": MATRIX, "mine.py": MINE},
            "--agent-scaffold=react",
            "--agent-scaffold=mine:twice",
            "--agent-scaffold=mine:one_question",
            "--agent-scaffold-arg=mine:twice:times=3",
            "--agent-scaffold-arg=mine:one_question:words=2",
            "--max-cost=1",
            models=(AGENT, OTHER),
            prices=PRICES,
            k=2,
        )
        yield Matrix(run, records_of(run))


CALLS = {"react": 4, "mine:twice": 7, "mine:one_question": 1}
"""Three commands and a submission; three questions before that; one question alone."""


@pytest.mark.parametrize("model", C)
@pytest.mark.parametrize("scaffold", CALLS)
def test_every_cell_of_the_matrix_costs_what_it_costs_by_hand(matrix: Matrix, model: str, scaffold: str) -> None:
    record = matrix.records["test_work", model, scaffold]
    assert [attempt.outcome.value for attempt in record.attempts] == ["passed"] * 2
    assert [len(attempt.model_calls) for attempt in record.attempts] == [CALLS[scaffold]] * 2
    assert record.cost == pytest.approx(2 * CALLS[scaffold] * C[model])
    assert record.task.endswith(f"::test_work[openai-api/scripted/{model}-{scaffold}]")


def test_arguments_reach_the_scaffold_they_name(matrix: Matrix) -> None:
    assert matrix.records["test_work", "agent-1", "mine:one_question"].attempts[0].answer == "asked with 2"


@pytest.mark.parametrize("model", C)
def test_an_own_agent_of_a_fixture_is_a_cell_of_its_own_once_per_model(matrix: Matrix, model: str) -> None:
    record = matrix.records["test_own", model, "own agent"]
    assert [attempt.outcome.value for attempt in record.attempts] == ["passed"] * 2
    assert record.cost == pytest.approx(2 * C[model])
    assert len(matrix.records) == 8


WRONG = """
import asyncio, contextvars, threading
import pytest
from openai import AsyncOpenAI, OpenAI
from pytest_agenteval import agent_task, record_tool

AWAY = dict(api_key="unused", max_retries=0)
Q = [{"role": "user", "content": "A question."}]

@pytest.fixture
def agent(agent_model): ...

async def test_sync_on_the_loop(agent):
    with pytest.raises(RuntimeError):
        OpenAI(**AWAY).chat.completions.create(model="inspect", messages=Q)

async def test_other_model(agent):
    await AsyncOpenAI(**AWAY).chat.completions.create(model="gpt-5", messages=Q)

def test_other_model_sync(agent):
    OpenAI(**AWAY).chat.completions.create(model="gpt-5", messages=Q)

async def test_stream(agent):
    await AsyncOpenAI(**AWAY).chat.completions.create(model="inspect", messages=Q, stream=True)

async def test_thread_without_the_attempt(agent, attempt):
    attempt.agent_begins()
    met = []
    def ask():
        try:
            OpenAI(**AWAY).chat.completions.create(model="inspect", messages=Q)
        except RuntimeError as error:
            met.append(str(error))
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert "outside of it" in met[0] and "asyncio.to_thread" in met[0]

async def test_thread_of_the_attempt(agent):
    said = await asyncio.to_thread(OpenAI(**AWAY).chat.completions.create, model="inspect", messages=Q)
    assert said.choices[0].message.content == "an answer"

async def test_loop_of_a_thread(agent):
    async def ask():
        async with AsyncOpenAI(**AWAY) as client:
            return await client.chat.completions.create(model="inspect", messages=Q)
    said = await asyncio.to_thread(lambda: asyncio.run(ask()))
    assert said.choices[0].message.content == "an answer"

def test_sync_body(agent):
    said = OpenAI(**AWAY).with_options(timeout=5).chat.completions.with_raw_response.create(model="inspect", messages=Q)
    assert said.parse().choices[0].message.content == "an answer"

async def test_another_model_by_inspects_name(agent):
    said = await AsyncOpenAI(**AWAY).chat.completions.create(model="inspect/openai-api/scripted/agent-2", messages=Q)
    record_tool("look", {"at": 1}, error=ValueError("nothing there"), seconds=0.5)
    record_tool("look", {"at": 2})

def test_google_sync(agent):
    from google import genai
    said = genai.Client(api_key="unused").models.generate_content(model="inspect", contents="A question.")
    assert said.text == "an answer"

async def test_google_async(agent):
    from google import genai
    said = await genai.Client(api_key="unused").aio.models.generate_content(model="inspect", contents="A question.")
    assert said.text == "an answer"

def test_google_other_model(agent):
    from google import genai
    genai.Client(api_key="unused").models.generate_content(model="gemini-9", contents="A question.")

@agent_task(max_cost=0.005)
def test_sync_body_with_a_limit(agent):
    for _ in range(9):
        OpenAI(**AWAY).chat.completions.create(model="inspect", messages=Q)
"""


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HttpRun, tuple[Entry, ...]]]:
    with ScriptedServer(POLICIES, models=("agent-1", "agent-2")) as server:
        run = run_suite(
            tmp_path_factory.mktemp("wrong"),
            server,
            WRONG,
            prices=PRICES,
            environment={"OPENAI_BASE_URL": server.base_url},
        )
        yield run, server.journal


@pytest.mark.parametrize(
    ("task", "way_out"),
    [
        ("test_sync_on_the_loop", "use the async client"),
        ("test_other_model", "ask for 'inspect'"),
        ("test_other_model_sync", "ask for 'inspect'"),
        ("test_stream", "ask without one"),
        ("test_google_other_model", "ask for 'inspect'"),
    ],
)
def test_a_call_that_nobody_would_count_breaks_the_attempt_with_the_way_out(
    wrong: tuple[HttpRun, tuple[Entry, ...]], task: str, way_out: str
) -> None:
    attempt = wrong[0].attempts(task)[0]
    assert attempt.outcome.value == "broken"
    assert way_out in attempt.message
    assert attempt.model_calls == ()


def test_refused_calls_do_not_reach_the_network(wrong: tuple[HttpRun, tuple[Entry, ...]]) -> None:
    run, journal = wrong
    # the address of the clients was the server's own: what had slipped through would be in its journal
    assert Counter(entry.model for entry in journal) == {"agent-1": 8, "agent-2": 1}
    recorded = [c for r in run.records.values() for a in r.attempts for c in a.model_calls]
    assert Counter(call.model.split("/")[-1] for call in recorded) == {"agent-1": 8, "agent-2": 1}


def test_clients_in_threads_and_sync_bodies_are_bridged(wrong: tuple[HttpRun, tuple[Entry, ...]]) -> None:
    run, _ = wrong
    bridged = ("test_thread_of_the_attempt", "test_loop_of_a_thread", "test_sync_body")
    for task in (*bridged, "test_google_sync", "test_google_async"):
        assert (run.ended(task), run.attempts(task)[0].cost) == (["passed"], pytest.approx(C["agent-1"]))
    assert run.ended("test_thread_without_the_attempt") == ["passed"]
    assert run.ended("test_sync_body_with_a_limit") == ["limit/cost"]
    assert len(run.attempts("test_sync_body_with_a_limit")[0].model_calls) == 3


def test_another_model_is_paid_at_its_own_price_and_tools_may_be_recorded(
    wrong: tuple[HttpRun, tuple[Entry, ...]],
) -> None:
    attempt = wrong[0].attempts("test_another_model_by_inspects_name")[0]
    assert attempt.cost == pytest.approx(C["agent-2"])
    assert [(c.tool, c.arguments, c.error, c.message, c.seconds, c.known_by) for c in attempt.tool_calls] == [
        ("look", '{"at": 1}', "ValueError", "nothing there", 0.5, "recorded"),
        ("look", '{"at": 2}', None, None, None, "recorded"),
    ]
