from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.sandboxes import containers
from support.scripted_policy import CommandPolicy
from support.scripted_server import ScriptedServer

PROGRAM = Path(__file__).parent.parent / "support" / "inspect_eval.py"


def evaluated(*arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What `support.inspect_eval` saw; no container is left of it."""
    command, surroundings = (sys.executable, str(PROGRAM), *arguments), {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings)
    output, _ = process.communicate(timeout=120)
    assert not containers(process.pid)
    return dict(json.loads(output.splitlines()[-1]))


def test_inspects_tools_work_in_the_sandbox() -> None:
    seen = evaluated("tools")
    assert seen["status"] == "success", seen["problem"]
    assert (seen["setup"], seen["file"], seen["remote"]) == ("ready\n", "hello", ["a\n", "b\n", 4])
    assert "hello 7" in seen["session"]
    assert "line2" in seen["editor"]
    assert "agent\n" in seen["bash"]
    assert "42" in seen["python"]


def test_a_service_of_the_host_answers_the_sandbox() -> None:
    seen = evaluated("service")
    assert (seen["status"], seen["answer"]) == ("success", "{'pong': 7}\n")


def test_an_agent_program_in_a_sandbox_without_network_reaches_its_model() -> None:
    policy = CommandPolicy(success=("id -un; ls /proc/sys/net/ipv4/conf", "exit 3"), answer="I looked around.")
    with ScriptedServer({"Look": policy}) as server:
        seen = evaluated("bridge", environment=server.environment)
        assert [entry.answered for entry in server.journal] == [200, 200, 200]
    assert seen["status"] == "success", seen["problem"]
    assert seen["agent"] == ["I looked around.\n", "", 0]
    assert seen["talk"] == [
        ["user", "Look around."],
        ["assistant", ""],
        ["tool", "agent\nall\ndefault\nlo\n"],
        ["assistant", ""],
        ["tool", ""],
        ["assistant", "I looked around."],
    ]
    assert seen["proxy runs"] == [True, False]


def test_a_sandbox_that_dies_is_unavailable_and_not_a_commands_output() -> None:
    seen = evaluated("death")
    assert seen.get("output") is None
    assert seen["error"] == "SandboxUnavailableError"
