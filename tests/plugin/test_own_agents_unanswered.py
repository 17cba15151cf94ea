"""The same table for own agents behind clients, whatever their code makes of what a provider says."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hostile_modes import MODES
from support.hostile_server import HostileServer
from support.http_runs import HttpRun, run_suite

AGENTS = """
import json
from anthropic import Anthropic
from openai import AsyncOpenAI

BASH = {"type": "function", "function": {"name": "bash", "description": "Run.", "parameters": {
    "type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}

async def plain(task, context):
    client = AsyncOpenAI(**context.client_options)
    messages = [{"role": "user", "content": task}]
    for _ in range(5):
        reply = await client.chat.completions.create(model=context.client_model, messages=messages, tools=[BASH])
        said = reply.choices[0].message
        if not said.tool_calls or said.tool_calls[0].function.name == "submit":
            return said.content
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            await context.sandbox.exec(["sh", "-c", json.loads(call.function.arguments)["command"]])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "done"})

async def swallowing(task, context):
    try:
        return await plain(task, context)
    except Exception as error:
        return "it went wrong"

async def wrapping(task, context):
    try:
        return await plain(task, context)
    except Exception as error:
        raise RuntimeError(f"the agent could not go on: {error}") from error

async def asking_again(task, context):
    try:
        return await plain(task, context)
    except Exception:
        return await plain(task.replace("MODE=", "MODE=honest, not "), context)

def anthropic(task, context):
    client, messages = Anthropic(**context.client_options), [{"role": "user", "content": task}]
    tool = {"name": "bash", "description": "Run.", "input_schema": BASH["function"]["parameters"]}
    for _ in range(5):
        reply = client.messages.create(model=context.client_model, max_tokens=99, messages=messages, tools=[tool])
        calls = [part for part in reply.content if part.type == "tool_use" and part.name == "bash"]
        if not calls:
            return "done"
        messages.append({"role": "assistant", "content": [part.model_dump() for part in reply.content]})
        for call in calls:
            context.wait(context.sandbox.exec(["sh", "-c", call.input["command"]]))
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "done"} for call in calls]
        messages.append({"role": "user", "content": results})
"""
KINDS = ("plain", "swallowing", "wrapping", "anthropic")
ASKED = ("honest", "context_vllm", "content_grok", "unknown_400", "pairs", "status_401", "status_500", "choices_null")
SUITE = f"""
import pytest

@pytest.mark.parametrize("mode", {ASKED})
async def test_mode(mode, agent, sandbox):
    result = await agent.run(f"MODE={{mode}} Write done to out.txt.")
    assert result.limit == ("context" if "context" in mode else None)
    assert (await sandbox.read_file("out.txt")).strip() == "done"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> HttpRun:
    scaffolds = [f"--agent-scaffold=kinds:{kind}" for kind in (*KINDS, "asking_again")]
    with HostileServer({name: MODES[name].replies for name in ASKED}) as server:
        return run_suite(
            tmp_path_factory.mktemp("own"),
            server,
            {"test_suite.py": SUITE, "kinds.py": AGENTS},
            "--agent-generate=max_retries=0",
            "--agent-env-retries=0",
            *scaffolds,
        )


def _ended(run: HttpRun, kind: str, mode: str) -> tuple[str, str]:
    wanted = [r for r in run.task_records if r.cell.scaffold == f"kinds:{kind}" and f"{mode}" in r.task]
    ((attempt,),) = [record.attempts for record in wanted]
    return attempt.outcome.value + (f"/{attempt.cause.value}" if attempt.cause else ""), attempt.message


@pytest.mark.parametrize("mode", ASKED)
@pytest.mark.parametrize("kind", KINDS)
def test_an_own_agent_ends_in_the_row_of_the_table_whatever_its_code_makes_of_it(
    run: HttpRun, kind: str, mode: str
) -> None:
    ended, message = _ended(run, kind, mode)
    assert ended == MODES[mode].ended, message
    assert message.startswith(MODES[mode].says)


@pytest.mark.parametrize("mode", [mode for mode in ASKED if MODES[mode].ended.startswith("environment")])
def test_an_answer_to_a_later_call_makes_up_for_it(run: HttpRun, mode: str) -> None:
    assert _ended(run, "asking_again", mode)[0] == "passed"


def test_an_agent_of_the_tests_own_ends_in_the_same_rows(tmp_path: Path) -> None:
    """Without `agent.run`: clients in the body."""
    suite = f"""
import pytest
from kinds import plain
from pytest_agenteval import agent_task

class Context:
    client_model, client_options = "inspect", {{"api_key": "unused", "base_url": "http://bridge.invalid"}}

    def __init__(self, sandbox):
        self.sandbox = sandbox

@pytest.mark.parametrize("mode", {ASKED})
@agent_task()
async def test_mode(mode, sandbox):
    await plain(f"MODE={{mode}} Write done to out.txt.", Context(sandbox))
    assert (await sandbox.read_file("out.txt")).strip() == "done"
"""
    files = {"test_suite.py": suite, "kinds.py": AGENTS}
    with HostileServer({name: MODES[name].replies for name in ASKED}) as server:
        run = run_suite(tmp_path, server, files, "--agent-generate=max_retries=0", "--agent-env-retries=0")
    for record in run.task_records:
        (attempt,) = record.attempts
        mode = record.task.split("[")[1].removesuffix("]")
        ended = attempt.outcome.value + (f"/{attempt.cause.value}" if attempt.cause else "")
        assert (mode, ended) == (mode, MODES[mode].ended), attempt.message
        assert attempt.message.startswith(MODES[mode].says)
