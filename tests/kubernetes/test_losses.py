"""A node or the API server is lost in the middle of a run: a verdict all the same, and nobody is blamed for it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import IMAGE, KUBECONFIG, Cluster, persist

TOOLS = Path(os.environ.get("AGENTEVAL_TEST_K8S_TOOLS", "/nowhere"))
HOME = Path(os.environ.get("K8S_HOME", "/var/lib/agenteval-k8s"))
pytestmark = pytest.mark.skipif(
    not (TOOLS / "k8s-node").exists(), reason="nodes cannot be lost here (AGENTEVAL_TEST_K8S_TOOLS)"
)

SUITE = """
import pytest
from pathlib import Path
from pytest_agenteval import agent_task

@agent_task(memory="64m", solution="for i in $(seq 60); do sleep 0.1; done; echo made > made")
async def test_it(agent, sandbox, attempt):
    Path(__file__).with_name(f"began-{attempt.number}").touch()
    await agent.run("go")
    assert await sandbox.read_file("made") == "made\\n"
"""


def driver(folder: Path, k: int) -> subprocess.Popen[str]:
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (folder / "test_it.py").write_text(SUITE, "utf-8")
    return subprocess.Popen(
        ["pytest", "-p", "pytest_agenteval.plugin", "--agent-model=agenteval/oracle", f"--k={k}", "--agent-sandbox=k8s",
         f"--agent-sandbox-default=image:{IMAGE}", "--agent-allow-host-access", "--agent-concurrency=6",
         "--agent-max-env-error-rate=1", "--agent-json=report.json"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "KUBECONFIG": KUBECONFIG, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip


def began(folder: Path, count: int) -> None:
    latest = time.monotonic() + 90
    while len(list(folder.glob("began-*"))) < count:
        assert time.monotonic() < latest
        time.sleep(0.1)


def restart(pid: int) -> None:
    """End the API server the hard way, and start it again."""
    os.kill(pid, 9)
    while Path(f"/proc/{pid}").exists():  # else it would count as running
        time.sleep(0.05)
    persist([str(TOOLS / "k8s-up")])


@pytest.fixture
def second_node(there: Cluster) -> Iterator[str]:
    persist([str(TOOLS / "k8s-node"), "b"])
    yield "b"
    subprocess.run([TOOLS / "k8s-node", "b", "down"], check=True, capture_output=True, timeout=120)


def test_a_lost_node_costs_tries_and_no_verdict(there: Cluster, second_node: str, tmp_path: Path) -> None:
    with driver(tmp_path, k=12) as run:
        began(tmp_path, 6)
        lost = [pod["metadata"]["name"] for pod in there.pods() if pod["spec"].get("nodeName") == second_node]
        subprocess.run([TOOLS / "k8s-node", second_node, "kill"], check=True, capture_output=True)
        told, _ = run.communicate(timeout=150)
    assert run.returncode == 0, told
    assert "12/12" in told
    assert lost
    assert "environment errors 0 of" not in told
    assert not there.pods()


def test_a_restart_of_the_api_server_costs_tries_and_no_verdict(there: Cluster, tmp_path: Path) -> None:
    pid = int((HOME / "state/apiserver.pid").read_text())
    with driver(tmp_path, k=8) as run:
        began(tmp_path, 4)
        restart(pid)
        told, _ = run.communicate(timeout=150)
    assert run.returncode == 0, told
    assert "8/8" in told
