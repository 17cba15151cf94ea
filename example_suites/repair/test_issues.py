from __future__ import annotations

import ast
import json
import secrets
from pathlib import Path

import pytest

from pytest_agenteval import Agent, Sandbox, agent_task

TASKS = Path(__file__).with_name("tasks")
PROMPT = """This directory is a git repository with a small Python package. Resolve the issue below by changing the
package; tests that you cannot see will check it, and that what worked before still works. `python3 -m unittest
discover tests` runs the tests that are there.

"""

# Runs in the sandbox, isolated: the repository comes last in the path, so that it cannot stand in for the test runner.
VERIFY = """
import contextlib, importlib.util, io, json, sys, unittest
repository, hidden = sys.argv[1:]
sys.path.append(repository)
spec = importlib.util.spec_from_file_location("hidden", hidden)
module = importlib.util.module_from_spec(spec)
with contextlib.redirect_stdout(io.StringIO()):
    spec.loader.exec_module(module)
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    name = lambda test: test.id().split(" ")[0].rpartition(".")[2]
    outcomes = {name(test): "passed" for group in suite for test in group}
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
outcomes |= {name(test): text for test, text in result.failures + result.errors}
print(json.dumps(outcomes))
"""


def patched(task: Path) -> str:
    """The command that applies the reference solution."""
    return f"git apply <<'END'\n{(task / 'fix.patch').read_text('utf-8')}END"


def hidden_tests(task: Path) -> list[str]:
    """The names of the hidden tests, read out here: what ran in the sandbox is not asked which it should have run."""
    module = ast.parse((task / "hidden.py").read_text("utf-8"))
    functions = (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef))
    return sorted(node.name for node in functions if node.name.startswith("test_"))


@pytest.fixture
async def repository(sandbox: Sandbox, task: Path) -> str:
    """The task's repository in the sandbox, with one commit. Returns where it is."""
    home = task / "repo"
    for file in sorted(path for path in home.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        await sandbox.write_file(file.relative_to(home).as_posix(), file.read_text("utf-8"))
    script = ["git init -q -b main", "git config user.name Ann", "git config user.email ann@example.org"]
    script += ["git config commit.gpgsign false", "git add .", "git commit -qm 'Begin'", "pwd"]
    made = await sandbox.exec(["bash", "-e"], input="\n".join(script), timeout=60)
    assert made.success, made.stderr
    return made.stdout.strip()


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, id=task.name, marks=agent_task(solution=patched(task), files=[f"tasks/{task.name}"]))
        for task in sorted(TASKS.iterdir())
    ],
)
async def test_resolves_the_issue(agent: Agent, sandbox: Sandbox, repository: str, task: Path) -> None:
    """Resolve an issue in a repository. The hidden tests enter the sandbox when the agent is done, under a new name."""
    await agent.run(PROMPT + (task / "issue.md").read_text("utf-8"))

    hidden = f"/tmp/verify-{secrets.token_hex(8)}.py"
    await sandbox.write_file(hidden, (task / "hidden.py").read_text("utf-8"))
    verified = await sandbox.exec(["python3", "-I", "-B", "-c", VERIFY, repository, hidden], timeout=60)
    assert verified.success, verified.stderr
    assert json.loads(verified.stdout) == dict.fromkeys(hidden_tests(task), "passed")
