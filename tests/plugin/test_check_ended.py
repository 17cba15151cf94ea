"""A check that is ended from outside: by its own time, by Ctrl-C and SIGTERM, and by kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SUITE = """
import os
from pathlib import Path
from pytest_agenteval import agent_task

@agent_task(solution="touch done")
async def test_quick(agent, sandbox):
    await agent.run("Make the empty file done.")
    await sandbox.read_file("done")

@agent_task(solution="sleep 3600")
async def test_slow(agent, sandbox):
    Path("pytest.pid").write_text(str(os.getpid()))
    try:
        await agent.run("Wait for an hour.")
        assert False
    finally:
        Path("torn_down").touch()
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    (tmp_path / "test_suite.py").write_text(SUITE, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    code = "import sys; from pytest_agenteval.cli.main import main; sys.exit(main(sys.argv[1:]))"

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, "check", ".", "--agent-sandbox=local", *arguments],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Whether a process runs, and is not only waiting to be reaped by whoever has it now."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 2), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_pytest_ends_in_order_with_the_check(
    number: int, status: int, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    check = start()
    wait_for(lambda: (tmp_path / "pytest.pid").exists() and (tmp_path / "pytest.pid").read_text() != "")
    pid = int((tmp_path / "pytest.pid").read_text())
    check.send_signal(number)
    out, err = check.communicate(timeout=120)
    assert (check.returncode, out) == (status, "")
    wait_for(lambda: not runs(pid))
    assert (tmp_path / "torn_down").exists()
    assert number == signal.SIGKILL or "nothing is judged" in err


def test_what_its_time_cuts_is_not_assessed_and_never_ok(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    check = start("--max-time=15s", "--json=check.json")
    out, err = check.communicate(timeout=240)
    if "its time (--max-time) was over before its tasks were known" in err:  # a machine under load
        assert check.returncode == 10
        return
    assert check.returncode == 10
    assert out.startswith("INCOMPLETE: ")
    assert "test_slow: ok" not in out
    import json

    read = json.loads((tmp_path / "check.json").read_text("utf-8"))
    rules = {task["task"].rpartition("_")[2]: task["rules"] for task in read["tasks"]}
    assert rules["slow"]["AE102"] == "not_assessed"
    assert read["unplayed"] >= 1
    assert (tmp_path / "torn_down").exists()
    assert "plays" in err or "solutions" in err  # progress
