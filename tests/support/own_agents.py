"""Own agents of every kind and a suite for them: what each does follows from the scripted server's policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_agenteval.record.records import AttemptRecord, TaskRecord
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Policy, Tokens
from support.scripted_server import Entry, ScriptedServer

__all__ = ["CLIENTS", "KINDS", "POLICIES", "PRICES", "SUITE", "TOKENS", "C", "Kinds", "run_kinds"]

TOKENS = Tokens(prompt=1000, completion=100, cached=200)
C = (800 * 1.0 + 200 * 0.1 + 100 * 10.0) / 1e6
"""What a call costs, by hand: fresh, cached and written tokens, in dollars per million."""
PRICES = {AGENT: {"input": 1.0, "output": 10.0, "cache_read": 0.1}}

CLIENTS = """
import json
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI
from pytest_agenteval import SandboxAgent

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

cli = SandboxAgent(command=["shell-agent", "--model", "{model}", "{task}"])
"""
"""Agents of plain clients, of one framework, and a program in the sandbox."""

FRAMEWORKS = """
import pydantic_ai
from langchain_core.tools import tool as langchain_tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import ToolNode
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

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
"""Agents of other frameworks, whose import takes seconds."""

KINDS = CLIENTS + FRAMEWORKS

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


@dataclass(frozen=True, slots=True)
class Kinds:
    """A run of the suite that is over."""

    run: HttpRun
    records: dict[tuple[str, str], TaskRecord]
    journal: tuple[Entry, ...]

    def attempts(self, task: str, kind: str) -> tuple[AttemptRecord, ...]:
        """The attempts of a kind at the test of this name."""
        return self.records[task, kind].attempts


def run_kinds(
    folder: Path,
    server: ScriptedServer,
    *arguments: str,
    kinds: tuple[str, ...],
    k: int,
    sandbox: str = "local",
    files: Mapping[str, str] | None = None,
) -> Kinds:
    """Run the suite, and other files beside it, in a cell for each kind: `react`, or a name of KINDS."""
    names = [kind if kind == "react" else f"kinds:{kind}" for kind in kinds]
    run = run_suite(
        folder,
        server,
        {"test_suite.py": SUITE, "kinds.py": KINDS, **(files or {})},
        *(f"--agent-scaffold={name}" for name in names),
        *arguments,
        k=k,
        prices=PRICES,
        sandbox=sandbox,
        timeout=300,
    )
    found = run.task_records
    by_kind = {(r.task.split("::")[1].split("[")[0], r.cell.scaffold.rpartition(":")[2]): r for r in found}
    return Kinds(run, by_kind, server.journal)
