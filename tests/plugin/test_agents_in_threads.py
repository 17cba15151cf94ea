"""`context.sandbox` and `context.wait` in threads without context, two attempts at once: each in its own sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.http_runs import HttpRun, run_suite
from support.scripted_policy import Policy, TextPolicy
from support.scripted_server import ScriptedServer

POLICIES: dict[str, Policy] = {"Attempt": TextPolicy(answer="an answer")}

AGENTS = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
import anyio.to_thread
from openai import AsyncOpenAI, OpenAI

POOL = ThreadPoolExecutor(2)
STARTED = threading.Barrier(3)
for _ in range(2):
    POOL.submit(STARTED.wait)
STARTED.wait()  # its threads are there before any attempt
BOTH = {name: threading.Barrier(2) for name in ("raw", "pool", "to_thread", "anyio", "loop", "recorded", "context")}
FIRST = []

def write(way, task, context):
    BOTH[way].wait(30)  # the same line in both attempts at once
    number = task.split()[1]
    done = context.wait(context.sandbox.exec(["sh", "-c", f"echo {number} > {way}.txt; cat {way}.txt"]))
    assert done.stdout.strip() == number
    return number

def ask(task, context):
    OpenAI(**context.client_options).chat.completions.create(
        model=context.client_model, messages=[{"role": "user", "content": task}]
    )

def in_thread(function, *arguments):
    met = []
    def run():
        try:
            met.append(function(*arguments))
        except BaseException as error:
            met.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(met[0], BaseException):
        raise met[0]
    return met[0]

def raw(task, context):
    ask(task, context)
    return in_thread(write, "raw", task, context)

def pool(task, context):
    ask(task, context)
    return POOL.submit(write, "pool", task, context).result()

async def to_thread(task, context):
    await asyncio.to_thread(ask, task, context)
    return await asyncio.to_thread(write, "to_thread", task, context)

async def any_thread(task, context):
    await asyncio.to_thread(ask, task, context)
    return await anyio.to_thread.run_sync(write, "anyio", task, context)

def loop(task, context):
    ask(task, context)
    async def on_a_loop_of_its_own():
        return write("loop", task, context)
    return in_thread(asyncio.run, on_a_loop_of_its_own())

def recorded(task, context):
    ask(task, context)

    @context.recorded_tool
    def shell(command):
        BOTH["recorded"].wait(30)
        return context.wait(context.sandbox.exec(["sh", "-c", command])).stdout

    in_thread(shell, f"echo {task.split()[1]} > recorded.txt; exit 7")
    in_thread(context.record_tool, "look", {"at": 1})

def async_client(task, context):
    async def said():
        client = AsyncOpenAI(**context.client_options)
        messages = [{"role": "user", "content": task}]
        return await client.chat.completions.create(model=context.client_model, messages=messages)
    return in_thread(lambda: context.wait(said())).choices[0].message.content

def sync_client(task, context):
    ask(task, context)
    in_thread(ask, task, context)

def of_another(task, context):
    ask(task, context)
    FIRST.append(context)
    BOTH["context"].wait(30)
    try:
        FIRST[0].wait(FIRST[0].sandbox.exec(["true"]))
    except RuntimeError as error:
        return str(error)
    return "my own"
"""
SUITE = """
import threading

FILES = {"agents:any_thread": "anyio"}

async def test_work(agent, sandbox, attempt):
    result = await agent.run(f"Attempt {attempt.number}")
    way = FILES.get(agent.scaffold, agent.scaffold.partition(":")[2])
    if way in ("async_client", "sync_client", "of_another"):
        assert result.answer in ("an answer", "my own") or "belongs to another attempt" in result.answer
        return
    assert (await sandbox.read_file(f"{way}.txt")).split() == [str(attempt.number)]

def test_sync_body(agent, sandbox, attempt):
    attempt.wait(agent.run(f"Attempt {attempt.number}"))
    met = []
    thread = threading.Thread(target=lambda: met.append(attempt.wait(sandbox.exec(["echo", "hi"]))))
    thread.start()
    thread.join()
    assert met[0].stdout == "hi\\n"
"""
WAYS = ("raw", "pool", "to_thread", "any_thread", "loop", "recorded")
MORE = ("async_client", "sync_client", "of_another")


@pytest.fixture(scope="module")
def threads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES) as server:
        yield run_suite(
            tmp_path_factory.mktemp("threads"),
            server,
            {"test_suite.py": SUITE, "agents.py": AGENTS},
            *(f"--agent-scaffold=agents:{name}" for name in (*WAYS, *MORE)),
            "--deselect=test_suite.py::test_sync_body",
            k=2,
        )


def ended(run: HttpRun, name: str) -> list[tuple[str, str]]:
    (record,) = [record for record in run.task_records if record.cell.scaffold == f"agents:{name}"]
    return [(attempt.outcome.value, attempt.message) for attempt in record.attempts]


@pytest.mark.parametrize("way", WAYS)
def test_each_attempt_reaches_its_own_sandbox_from_any_thread(threads: HttpRun, way: str) -> None:
    assert ended(threads, way) == [("passed", "")] * 2


def test_what_is_recorded_in_such_a_thread_is_kept_with_the_attempt(threads: HttpRun) -> None:
    (record,) = [record for record in threads.task_records if record.cell.scaffold == "agents:recorded"]
    for attempt in record.attempts:
        assert [(c.tool, c.error, c.exit_code, c.exit_known) for c in attempt.tool_calls] == [
            ("shell", None, 7, True),
            ("look", None, None, False),
        ]


def test_an_async_client_works_there_and_a_sync_one_breaks_the_attempt_with_the_way_out(threads: HttpRun) -> None:
    assert ended(threads, "async_client") == [("passed", "")] * 2
    for outcome, message in ended(threads, "sync_client"):
        assert outcome == "broken"
        assert "context.wait(...)" in message


def test_the_context_of_another_attempt_is_refused(threads: HttpRun) -> None:
    (record,) = [record for record in threads.task_records if record.cell.scaffold == "agents:of_another"]
    answers = sorted(attempt.answer or "" for attempt in record.attempts)
    assert answers == [
        "my own",
        "this context belongs to another attempt: use the one that the agent is given each time",
    ]


def test_attempt_wait_works_in_a_thread_of_a_sync_test(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ScriptedServer(POLICIES) as server:
        folder = tmp_path_factory.mktemp("sync")
        run = run_suite(folder, server, SUITE, "-k", "test_sync_body", k=2)
    assert [attempt.message for attempt in run.attempts("test_sync_body")] == ["", ""]
