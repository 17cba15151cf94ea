"""An agent that is root breaks its own machine: the checks go on by the engine, or fail, in the first try."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.sandboxes import on, opened
from support.traps import spring

from pytest_agenteval.sandbox.exec import fallback, running

PYTHON = "$(readlink -f $(command -v python3))"
BREAKAGES = {
    "no_python": ("rm -f /usr/bin/python3*", "passed"),
    "python_ends": (f"printf '#!/bin/sh\\nexit 0\\n' > /x; chmod +x /x; mv /x {PYTHON}", "passed"),
    "python_babbles": (f"printf '#!/bin/sh\\nyes\\n' > /x; chmod +x /x; mv /x {PYTHON}", "passed"),
    "python_not_executable": (f"chmod 644 {PYTHON}", "passed"),
    "no_modules": ("rm -rf /usr/lib/python3*", "passed"),
    "processes_killed": ("kill -9 -1", "passed"),
    "no_shell": ("rm -f /bin/sh /bin/bash /bin/dash /usr/bin/sh /usr/bin/bash /usr/bin/dash", "failed"),
    "no_users": ("rm -f /etc/passwd /etc/group", "failed"),
    "users_are_a_folder": ("rm /etc/passwd; mkdir /etc/passwd", "failed"),
    "no_libraries": ("rm -f /lib/*/libc.so.6 /usr/lib/*/libc.so.6", "failed"),
    "no_loader": ("rm -f /lib64/ld-* /lib/*/ld-* /usr/lib/*/ld-* /usr/lib64/ld-*", "failed"),
    "no_work_directory": ("rm -rf /home/agent", "failed"),
    "no_temporary_files": ("rm -rf /tmp /dev/shm/*; rm -f /dev/null /usr/bin/python3*", "failed"),
    "root_closed": ("chmod 000 /", "failed"),
    "no_disk": ("cat /dev/zero > /home/agent/x; rm -f /usr/bin/python3*", "failed"),
    "no_processes": ("for i in $(seq 1100); do sleep 600 & done 2>/dev/null; true", "failed"),
    "nothing": ("rm -rf --no-preserve-root / 2>/dev/null; true", "failed"),
}
"""What the agent does after its work, and what becomes of the attempt."""

SUITE = """
BREAKAGES = {breakages!r}

@pytest.mark.parametrize("name", [
    pytest.param(name, marks=agent_task(user="root", solution="echo made > made; " + command))
    for name, (command, _) in BREAKAGES.items()
])
async def test_it(agent, sandbox, name):
    if name == "no_disk":
        await sandbox.exec(["rm", "-rf", "/home/agent"], cwd="/")
        await sandbox.exec(["ln", "-s", "/dev/shm", "/home/agent"], cwd="/")  # small, and not the host's
    if name == "processes_killed":
        assert (await sandbox.exec(["true"], user="agent")).success
    await agent.run("go")
    if name == "no_disk":
        await sandbox.write_file("more", "more")
    check = await sandbox.exec(["sh", "-c", "cat made >/dev/null && cat made"], user="agent", timeout=30)
    assert check.stdout == "made\\n", (check.returncode, check.stdout, check.stderr)
    assert await sandbox.read_file("made") == "made\\n"
"""


def test_no_way_to_break_ones_own_machine_is_an_environment_error(tmp_path: Path) -> None:
    suite = SUITE.format(breakages=BREAKAGES)
    trap = spring(tmp_path, suite, sandbox="docker", k=1, timeout=240)
    seen = {task[len("test_it[") : -1]: attempts[1] for task, attempts in trap.attempts.items()}
    assert {name: (one.outcome, one.retries) for name, one in seen.items()} == {
        name: (outcome, 0) for name, (_, outcome) in BREAKAGES.items()
    }, {name: one.message for name, one in seen.items()}


def test_an_exec_server_that_is_stopped_is_not_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_ANSWER_SECONDS", 0.5)

    async def run() -> None:
        async with opened(user="root") as sandbox:
            await sandbox.exec(["true"], user="agent")
            await sandbox.exec(["sh", "-c", "kill -STOP -1"], timeout=1)
            assert (await sandbox.exec(["echo", "on"], user="agent")).stdout == "on\n"

    on("asyncio", run)


def test_what_should_limit_the_time_is_the_agents_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "GRACE_SECONDS", 0.5)

    async def run() -> None:
        async with opened(user="root") as sandbox:
            await sandbox.exec(
                ["sh", "-c", "rm -f /usr/bin/python3*; printf '#!/bin/sh\\nsleep 99' > /usr/bin/timeout"]
            )
            with pytest.raises(TimeoutError):
                await sandbox.exec(["true"], user="agent", timeout=1)
            closes = "exec >&- 2>&-; sleep 4; exit 3"  # longer than the engine takes to note an ordinary end
            assert (await sandbox.exec(["sh", "-c", closes], user="agent")).returncode == 3

    on("asyncio", run)
