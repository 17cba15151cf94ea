"""Images that are built on this machine, pushed to a registry and pulled by the cluster."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import KUBECONFIG
from support.traps import spring

PROGRAM = shutil.which("docker-registry")
pytestmark = pytest.mark.skipif(
    PROGRAM is None or "AGENTEVAL_TEST_K8S_TOOLS" not in os.environ,
    reason="no registry can be started where the cluster's nodes would find it (docker-registry)",
)

SUITE = """
@agent_task(memory="64m", network="bridge", solution="echo made > made")
async def test_built_in(agent, sandbox):
    await agent.run("go")
    assert await sandbox.read_file("made") == "made\\n"

@agent_task(memory="64m", network="bridge", solution="cp /etc/mine mine", sandbox="mine.Dockerfile")
async def test_dockerfile(agent, sandbox):
    await agent.run("go")
    assert await sandbox.read_file("mine") == "mine\\n"
"""
DOCKERFILE = "ARG AGENTEVAL_DEFAULT\nFROM ${AGENTEVAL_DEFAULT}\nUSER root\nRUN echo mine > /etc/mine\nUSER agent\n"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/images}}}}\nhttp: {{addr: '{address}'}}\n",
        "utf-8",
    )
    with subprocess.Popen(
        [str(PROGRAM), "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        host, _, port = address.partition(":")
        latest = time.monotonic() + 30
        while True:
            with socket.socket() as caller:
                if caller.connect_ex((host, int(port))) == 0:
                    break
            assert time.monotonic() < latest
            time.sleep(0.05)
        yield f"{address}/agents"
        server.kill()


def test_what_is_built_here_runs_there(registry: str, tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/mine.Dockerfile").write_text(DOCKERFILE, "utf-8")
    trap = spring(
        tmp_path / "suite", SUITE, f"--agent-k8s-registry={registry}",
        sandbox="k8s", k=1, timeout=240, environment={"KUBECONFIG": KUBECONFIG},
    )  # fmt: skip
    assert trap.status == 0, trap.text
    assert trap.blames("test_built_in") == trap.blames("test_dockerfile") == ["passed"]
