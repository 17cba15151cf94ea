"""A program that runs one Inspect evaluation in sandboxes of the provider `agenteval` and prints what happened as JSON.

In a process of its own, because Inspect leaves warnings that this repository's tests would take for errors.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from inspect_ai import Task, eval
from inspect_ai.agent import sandbox_agent_bridge
from inspect_ai.dataset import Sample
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import bash, bash_session, python, text_editor
from inspect_ai.util import SandboxEnvironmentSpec, sandbox, sandbox_service

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.docker.containers import ContainerConfig

Seen = dict[str, Any]

CLIENT = """
import sys
sys.path.insert(0, "/var/tmp/sandbox-services/echo")
from echo import call_echo
print(call_echo("ping", x=7))
"""

AGENT = """
import json, socket, subprocess, sys, time, urllib.request

while True:  # Inspect does not wait until its server listens
    with socket.socket() as caller:
        if caller.connect_ex(("localhost", int(sys.argv[1]))) == 0:
            break
    time.sleep(0.05)
messages = [{"role": "user", "content": sys.argv[2]}]
command = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
tools = [{"type": "function", "function": {"name": "bash", "description": "Run a command.", "parameters": command}}]
while True:
    body = json.dumps({"model": "inspect", "messages": messages, "tools": tools}).encode()
    url = f"http://localhost:{sys.argv[1]}/v1/chat/completions"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", "Authorization": "Bearer none"})
    with urllib.request.urlopen(request) as response:
        message = json.load(response)["choices"][0]["message"]
    messages.append(message)
    if not message.get("tool_calls"):
        print(message["content"])
        break
    for call in message["tool_calls"]:
        command = json.loads(call["function"]["arguments"])["command"]
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": done.stdout + done.stderr})
"""
"""A command line agent: its arguments are the port of its model's server, and what to do."""


async def tools(seen: Seen) -> None:
    """Everything Inspect does with a sandbox by itself."""
    box = sandbox()
    seen["setup"] = (await box.exec(["cat", "setup.txt"])).stdout
    seen["file"] = await box.read_file("data/in.txt")
    remote = await box.exec_remote(["sh", "-c", "echo a; echo b >&2; exit 4"], stream=False)
    seen["remote"] = [remote.stdout, remote.stderr, remote.returncode]
    session = bash_session()
    await session(action="type_submit", input="export Q=7")
    seen["session"] = str(await session(action="type_submit", input="echo hello $Q"))
    editor = text_editor()
    await editor(command="create", path="/tmp/x.txt", file_text="line1\nline2\n")
    seen["editor"] = str(await editor(command="view", path="/tmp/x.txt"))
    seen["bash"] = str(await bash()("id -un; echo err >&2"))
    seen["python"] = str(await python()("print(6 * 7)"))


async def service(seen: Seen) -> None:
    """A method of the host, called from the sandbox."""
    finished, started = anyio.Event(), anyio.Event()

    async def ping(x: int) -> dict[str, int]:
        return {"pong": x}

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: sandbox_service("echo", {"ping": ping}, finished.is_set, sandbox(), started=started))
        await started.wait()
        seen["answer"] = (await sandbox().exec(["python3", "-c", CLIENT], timeout=60)).stdout
        finished.set()


async def bridge(seen: Seen) -> None:
    """A command line agent in the sandbox, which has no network, whose model is this evaluation's."""
    async with sandbox_agent_bridge(port=13132) as bridge:
        command = ["python3", "-c", AGENT, str(bridge.port), "Look around."]
        done = await sandbox().exec(command, timeout=60)
        proxies = [await sandbox().exec(["pgrep", "-f", "model_proxy"], user="root")]
    proxies.append(await sandbox().exec(["pgrep", "-f", "model_proxy"], user="root"))
    seen["agent"] = [done.stdout, done.stderr, done.returncode]
    seen["talk"] = [[message.role, message.text] for message in bridge.state.messages]
    seen["proxy runs"] = [found.success for found in proxies]


async def death(seen: Seen) -> None:
    """The container goes while the agent works."""
    box = sandbox().as_type(AgentevalSandbox)
    await anyio.run_process(["docker", "kill", box.container.id])
    try:
        seen["output"] = await bash()("echo hello")
    except Exception as error:
        seen["error"] = type(error).__name__


async def workload(seen: Seen) -> None:
    """What an attempt of an easy task does to its sandbox."""
    box = sandbox()
    for _ in range(20):
        assert (await box.exec(["true"])).success
    await box.write_file("/tmp/a.txt", "hi")
    assert await box.read_file("/tmp/a.txt") == "hi"


BODIES: dict[str, Callable[[Seen], Awaitable[None]]] = {
    each.__name__: each for each in (tools, service, bridge, death, workload)
}
MODELS = {"bridge": "openai-api/scripted/agent-1"}
"""Those that need one which answers."""


def main(name: str, user: str = "agent", epochs: str = "1", provider: str = "agenteval", compose: str = "") -> None:
    seen: Seen = {}

    @solver
    def body() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            await BODIES[name](seen)
            return state

        return solve

    config = ContainerConfig(user=user) if provider == "agenteval" else compose
    extra = {"setup": "echo ready > setup.txt", "files": {"data/in.txt": "hello"}} if name == "tools" else {}
    sample = Sample(input="x", **extra)  # type: ignore[arg-type]
    task = Task(dataset=[sample], solver=body(), sandbox=SandboxEnvironmentSpec(provider, config))
    with tempfile.TemporaryDirectory() as logs:
        if name == "workload":  # so that the modules Inspect loads with its first evaluation are not measured
            eval(Task(dataset=[Sample(input="x")]), model="mockllm/model", display="none", log_dir=logs)
        started = time.monotonic()
        log = eval(task, model=MODELS.get(name, "mockllm/model"), epochs=int(epochs), display="none", log_dir=logs)[0]
    seen |= {"status": log.status, "problem": log.error and log.error.message, "seconds": time.monotonic() - started}
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
