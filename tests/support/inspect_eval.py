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
from inspect_ai.dataset import Sample
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import bash, bash_session, python, text_editor
from inspect_ai.util import SandboxEnvironmentType, sandbox, sandbox_service

from pytest_agenteval.engine.provider import AgentevalSandbox
from pytest_agenteval.sandbox.containers import ContainerConfig

Seen = dict[str, Any]

CLIENT = """
import sys
sys.path.insert(0, "/var/tmp/sandbox-services/echo")
from echo import call_echo
print(call_echo("ping", x=7))
"""


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


async def death(seen: Seen) -> None:
    """The container goes while the agent works."""
    box = sandbox().as_type(AgentevalSandbox)
    await box._container._engine.post(f"/containers/{box.container_id}/kill")
    try:
        seen["output"] = await bash()("echo hello")
    except Exception as error:
        seen["error"] = type(error).__name__


async def long_work(seen: Seen) -> None:
    """Work that does not end, until the process is killed."""
    print("STARTED", flush=True)
    await sandbox().exec(["sleep", "600"])


BODIES: dict[str, Callable[[Seen], Awaitable[None]]] = {
    each.__name__: each for each in (tools, service, death, long_work)
}


def main(name: str, user: str = "agent", epochs: str = "1", provider: SandboxEnvironmentType = "agenteval") -> None:
    seen: Seen = {}

    @solver
    def body() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            await BODIES[name](seen)
            return state

        return solve

    where = ("agenteval", ContainerConfig(user=user)) if provider == "agenteval" else provider
    sample = Sample(input="x", setup="echo ready > setup.txt", files={"data/in.txt": "hello"})
    task = Task(dataset=[sample], solver=body(), sandbox=where)  # type: ignore[arg-type]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        log = eval(task, model="mockllm/model", epochs=int(epochs), display="none", log_dir=logs)[0]
    seen |= {"status": log.status, "problem": log.error and log.error.message, "seconds": time.monotonic() - started}
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
