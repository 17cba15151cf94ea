from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.sandboxes import containers

PROGRAM = Path(__file__).parent.parent / "support" / "inspect_eval.py"


def evaluated(*arguments: str) -> dict[str, Any]:
    """What `support.inspect_eval` saw; no container is left of it."""
    process = subprocess.Popen((sys.executable, PROGRAM, *arguments), stdout=subprocess.PIPE, text=True)
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


def test_a_sandbox_that_dies_is_unavailable_and_not_a_commands_output() -> None:
    seen = evaluated("death")
    assert seen.get("output") is None
    assert seen["error"] == "SandboxUnavailableError"
