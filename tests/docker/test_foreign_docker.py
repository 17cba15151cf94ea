"""Inspect's own provider `docker`, by name: the image that a task asks for, without a network."""

from __future__ import annotations

from support.suite_runs import Run, run

from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image

__all__ = ["run"]

SUITE = f"""
from pytest_agenteval import agent_task

@agent_task(sandbox="image:{DEFAULT_IMAGE}", solution="echo 42 > a.txt; ls /proc/sys/net/ipv4/conf > net.txt")
async def test_right(agent, sandbox):
    await agent.run("write")
    assert (await sandbox.read_file("a.txt")).strip() == "42"
    assert (await sandbox.read_file("net.txt")).split() == ["all", "default", "lo"]
"""


def test_a_task_runs_in_it(run: Run) -> None:
    ensure_default_image(print)
    result = run(SUITE, "--agent-sandbox=docker-inspect", "--agent-log-dir=logs", model="agenteval/oracle")
    assert result.ret == 0
    assert "sandbox: Inspect's provider docker, isolated as that does it, slower than ours" in result.stdout.str()
