"""Own agents of every kind on one suite, over HTTP: tokens, cost, tool-call failures and limits as computed by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Policy, Tokens
from support.scripted_server import Entry, ScriptedServer

from pytest_agenteval.records import AttemptRecord, TaskRecord, from_json

K = 1
TOKENS = Tokens(prompt=1000, completion=100, cached=200)
C = (800 * 1.0 + 200 * 0.1 + 100 * 10.0) / 1e6
"""What a call costs, by hand: fresh, cached and written tokens, in dollars per million."""
PRICES = {AGENT: {"input": 1.0, "output": 10.0, "cache_read": 0.1}}

KINDS = """
import json
import pydantic_ai
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from anthropic import Anthropic, AsyncAnthropic
from langchain_core.tools import tool as langchain_tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import ToolNode
from langgraph.graph import END, START, MessagesState, StateGraph
from openai import AsyncOpenAI, OpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

set_tracing_disabled(True)
BASH = {
    "type": "function",
    "function": {
        "name": "bash", "description": "Run a command.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}

async def shell(context, command):
    done = await context.sandbox.exec(["bash", "-c", command])
    if not done.success:
        raise RuntimeError(f"exit status {done.returncode}")
    return done.stdout or "done"

async def plain_async(task, context):
    client = AsyncOpenAI(**context.client_options)
    messages = [{"role": "user", "content": task}]
    while True:
        reply = await client.chat.completions.create(model=context.client_model, messages=messages, tools=[BASH])
        said = reply.choices[0].message
        if not said.tool_calls:
            return said.content
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            try:
                result = await shell(context, json.loads(call.function.arguments)["command"])
            except Exception as error:
                result = f"it went wrong: {error}"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

def plain_sync(task, context):
    client = OpenAI(**context.client_options)
    messages = [{"role": "user", "content": task}]

    @context.recorded_tool
    def bash(command):
        return context.wait(shell(context, command))

    while True:
        reply = client.chat.completions.create(model=context.client_model, messages=messages, tools=[BASH])
        said = reply.choices[0].message
        if not said.tool_calls:
            return said.content
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            try:
                result = bash(**json.loads(call.function.arguments))
            except Exception as error:
                result = f"it went wrong: {error}"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

ANTHROPIC = {"name": "bash", "description": "Run a command.", "input_schema": BASH["function"]["parameters"]}

async def anthropic_async(task, context):
    client = AsyncAnthropic(**context.client_options)
    messages = [{"role": "user", "content": task}]
    while True:
        reply = await client.messages.create(
            model=context.client_model, max_tokens=500, messages=messages, tools=[ANTHROPIC]
        )
        calls = [part for part in reply.content if part.type == "tool_use"]
        if not calls:
            return reply.content[0].text
        messages.append({"role": "assistant", "content": [part.model_dump() for part in reply.content]})
        results = []
        for call in calls:
            try:
                result, failed = await shell(context, call.input["command"]), False
            except Exception as error:
                result, failed = str(error), True
            results.append({"type": "tool_result", "tool_use_id": call.id, "content": result, "is_error": failed})
        messages.append({"role": "user", "content": results})

def anthropic_sync(task, context):
    client = Anthropic(**context.client_options)
    messages = [{"role": "user", "content": task}]
    while True:
        reply = client.messages.create(model=context.client_model, max_tokens=500, messages=messages, tools=[ANTHROPIC])
        calls = [part for part in reply.content if part.type == "tool_use"]
        if not calls:
            return reply.content[0].text
        messages.append({"role": "assistant", "content": [part.model_dump() for part in reply.content]})
        results = []
        for call in calls:
            try:
                result, failed = context.wait(shell(context, call.input["command"])), False
            except Exception as error:
                result, failed = str(error), True
            results.append({"type": "tool_result", "tool_use_id": call.id, "content": result, "is_error": failed})
        messages.append({"role": "user", "content": results})

async def agents_sdk(task, context):
    @function_tool
    async def bash(command: str) -> str:
        "Run a command."
        return await shell(context, command)

    client = AsyncOpenAI(**context.client_options)
    model = OpenAIChatCompletionsModel(model=context.client_model, openai_client=client)
    done = await Runner.run(Agent(name="worker", model=model, tools=[bash]), task, max_turns=1000)
    return done.final_output

async def langgraph(task, context):
    @langchain_tool
    async def bash(command: str) -> str:
        "Run a command."
        return await shell(context, command)

    model = ChatOpenAI(model=context.client_model, **context.client_options).bind_tools([bash])

    async def think(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([bash], handle_tool_errors=True))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    graph.add_edge("tools", "think")
    done = await graph.compile().ainvoke({"messages": [("user", task)]}, {"recursion_limit": 10_000})
    return done["messages"][-1].content

def langgraph_sync(task, context):
    @langchain_tool
    def bash(command: str) -> str:
        "Run a command."
        return context.wait(shell(context, command))

    model = ChatOpenAI(model=context.client_model, **context.client_options).bind_tools([bash])
    graph = StateGraph(MessagesState)
    graph.add_node("think", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([bash], handle_tool_errors=True))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    graph.add_edge("tools", "think")
    done = graph.compile().invoke({"messages": [("user", task)]}, {"recursion_limit": 10_000})
    return done["messages"][-1].content

def _pydantic_ai(context, run):
    model = OpenAIChatModel(
        context.client_model, provider=OpenAIProvider(openai_client=AsyncOpenAI(**context.client_options))
    )
    agent = pydantic_ai.Agent(model, retries=5)

    @agent.tool_plain
    async def bash(command: str) -> str:
        "Run a command."
        try:
            return await run(command)
        except RuntimeError as error:
            raise pydantic_ai.ModelRetry(str(error)) from error

    return agent, pydantic_ai.UsageLimits(request_limit=None)

async def pydantic_async(task, context):
    agent, limits = _pydantic_ai(context, lambda command: shell(context, command))
    return (await agent.run(task, usage_limits=limits)).output
"""

SUITE = """
import json, pathlib
from pytest_agenteval import agent_task

SEEN = pathlib.Path(__file__).with_name("seen.jsonl")

async def done(sandbox):
    return (await sandbox.exec(["test", "-f", "out.txt"])).success

async def test_work(agent, sandbox, attempt):
    result = await agent.run("Do the work.")
    with SEEN.open("a") as file:
        said = {"scaffold": agent.scaffold, "attempt": attempt.number, "answer": result.answer, "turns": result.turns}
        print(json.dumps({**said, "tokens": result.tokens, "cost": result.cost}), file=file)
    assert await done(sandbox)

@agent_task(max_cost=0.005)
async def test_cost(agent, sandbox):
    await agent.run("Do endless things.")
    assert await done(sandbox)

@agent_task(token_limit=2500)
async def test_tokens(agent, sandbox):
    await agent.run("Do endless things.")
    assert await done(sandbox)

@agent_task(turn_limit=3)
async def test_turns(agent, sandbox):
    await agent.run("Do endless things.")
    assert await done(sandbox)

@agent_task(time_limit=4, turn_limit=None)
async def test_time(agent, sandbox):
    await agent.run("Do slow things.")
    assert await done(sandbox)
"""

POLICIES: dict[str, Policy] = {
    "work": CommandPolicy(p_failing_command=1.0, success=("touch out.txt",), answer="it is done", tokens=TOKENS),
    "endless": CommandPolicy(extra_steps=400, tokens=TOKENS),
    "slow": CommandPolicy(extra_steps=400, tokens=TOKENS, latency=0.9),
}
KNOWN = {
    # a failing command, then one that works: how each is known, and what of it
    "react": [("inspect", None, True), ("inspect", None, True), ("inspect", None, True)],
    "plain_async": [("messages", None, False)] * 2,
    "plain_sync": [("recorded", "RuntimeError", True), ("recorded", None, True)],
    "anthropic_async": [("messages", "unknown", True), ("messages", None, False)],
    "anthropic_sync": [("messages", "unknown", True), ("messages", None, False)],
    "agents_sdk": [("messages", "unknown", True), ("messages", None, False)],
    "langgraph": [("messages", "unknown", True), ("messages", None, False)],
    "langgraph_sync": [("messages", "unknown", True), ("messages", None, False)],
    "pydantic_async": [("messages", "unknown", True), ("messages", None, False)],
}
"""(known_by, error, failure_known) of every tool call of test_work, kind by kind."""


@dataclass(frozen=True, slots=True)
class Kinds:
    run: HttpRun
    records: dict[tuple[str, str], TaskRecord]
    journal: tuple[Entry, ...]

    def attempts(self, task: str, kind: str) -> tuple[AttemptRecord, ...]:
        return self.records[task, kind].attempts


def run_kinds(folder: object, server: ScriptedServer, *arguments: str, kinds: tuple[str, ...], k: int) -> Kinds:
    names = [kind if kind == "react" else f"kinds:{kind}" for kind in kinds]
    run = run_suite(
        folder,  # type: ignore[arg-type]
        server,
        {"test_suite.py": SUITE, "kinds.py": KINDS},
        *(f"--agent-scaffold={name}" for name in names),
        *arguments,
        k=k,
        prices=PRICES,
    )
    lines = (run.folder / "records.jsonl").read_text("utf-8").splitlines()
    found = [from_json(json.loads(line)) for line in lines]
    by_kind = {(r.task.split("::")[1].split("[")[0], r.cell.scaffold.rpartition(":")[2]): r for r in found}
    return Kinds(run, by_kind, server.journal)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    with ScriptedServer(POLICIES) as server:
        yield run_kinds(tmp_path_factory.mktemp("kinds"), server, kinds=tuple(KNOWN), k=K)


@pytest.mark.parametrize("kind", KNOWN)
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


@pytest.mark.parametrize("kind", KNOWN)
def test_tool_calls_are_recorded_with_how_their_failures_are_known(kinds: Kinds, kind: str) -> None:
    for attempt in kinds.attempts("test_work", kind):
        assert [(c.known_by, c.error, c.failure_known) for c in attempt.tool_calls] == KNOWN[kind]
        commands = [json.loads(call.arguments)["command"] for call in attempt.tool_calls[:2]]
        assert commands == ["exit 3", "touch out.txt"]


@pytest.mark.parametrize("kind", KNOWN)
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
    assert answered - len(KNOWN) * K <= recorded <= answered
    assert [entry for entry in kinds.journal if entry.model != "agent-1" and entry.answered != "abandoned"] == []


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
    assert answered * C <= 0.05
    causes = Counter(a.cause for r in stopped.records.values() for a in r.attempts)
    assert causes["budget"] >= 4
    assert stopped.run.gate("--max-cost").startswith("UNDECIDED")
