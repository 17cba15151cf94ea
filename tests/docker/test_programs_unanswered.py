"""The same table for programs in the container, to which a provider's refusal is an HTTP error."""

from __future__ import annotations

import pytest
from support.hostile_modes import MODES
from support.hostile_server import HostileServer
from support.http_runs import HttpRun, run_suite

PROGRAMS = '''
from pytest_agenteval import SandboxAgent

PROGRAM = """
import json, os, subprocess, sys, urllib.error, urllib.request

status, task = int(sys.argv[1]), sys.argv[2]
said = [{"role": "user", "content": task}]
tool = {"type": "function", "function": {"name": "bash", "description": "Run.", "parameters": {
    "type": "object", "properties": {"command": {"type": "string"}}}}}
while True:
    body = json.dumps({"model": "m", "messages": said, "tools": [tool]}).encode()
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    try:
        reply = urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})).read()
    except urllib.error.HTTPError as error:
        print("HTTP", error.code, error.read().decode())
        sys.exit(status)
    message = json.loads(reply)["choices"][0]["message"]
    said.append(message)
    calls = [call for call in message.get("tool_calls") or [] if call["function"]["name"] == "bash"]
    if not calls:
        break
    for call in calls:
        subprocess.run(json.loads(call["function"]["arguments"])["command"], shell=True)
        said.append({"role": "tool", "tool_call_id": call["id"], "content": "done"})
"""
gives_up = SandboxAgent(command=["python3", "-c", PROGRAM, "2", "{task}"])
says_so = SandboxAgent(command=["python3", "-c", PROGRAM, "0", "{task}"])
'''
ASKED = ("context_vllm", "unknown_400", "status_500")
SUITE = f"""
import pytest

@pytest.mark.parametrize("mode", {ASKED})
async def test_mode(mode, agent, sandbox):
    result = await agent.run(f"MODE={{mode}} Write done to out.txt.")
    print(result.answer)
    assert (await sandbox.read_file("out.txt")).strip() == "done"
"""
KINDS = ("gives_up", "says_so")
"""Ends with status 2, or with status 0, when a call had no answer."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> HttpRun:
    with HostileServer({name: MODES[name].replies for name in ASKED}) as server:
        return run_suite(
            tmp_path_factory.mktemp("programs"),
            server,
            {"test_suite.py": SUITE, "kinds.py": PROGRAMS},
            "--agent-generate=max_retries=0",
            "--agent-env-retries=0",
            *(f"--agent-scaffold=kinds:{kind}" for kind in KINDS),
            sandbox="docker",
            timeout=300,
        )


@pytest.mark.parametrize("mode", ASKED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_program_ends_in_the_row_of_the_table_with_any_status(run: HttpRun, kind: str, mode: str) -> None:
    wanted = [r for r in run.task_records if r.cell.scaffold == f"kinds:{kind}" and mode in r.task]
    ((attempt,),) = [record.attempts for record in wanted]
    ended = attempt.outcome.value + (f"/{attempt.cause.value}" if attempt.cause else "")
    assert ended == MODES[mode].ended, attempt.message
    assert attempt.message.startswith(MODES[mode].says)
