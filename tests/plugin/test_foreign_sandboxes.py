"""Any provider that Inspect has registered, by its name: the outcome table holds as far as such a provider tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suite_runs import Run

PROVIDER = '''
import os, signal, subprocess, tempfile
from contextvars import ContextVar
from pathlib import Path
from inspect_ai.util import ExecResult, SandboxEnvironment, SandboxUnavailableError, sandboxenv

started = ContextVar("started")  # as Inspect's `docker` and others keep what they have made

@sandboxenv(name="cloud")
class Cloud(SandboxEnvironment):
    """A stranger: folders of this host, which a command `lose` ends."""

    @classmethod
    def config_files(cls): return ["cloud.yaml", "compose.yaml"]

    @classmethod
    async def task_init(cls, task_name, config):
        started.set([])
        note("configs", Path(config).name if config else None)
        if os.path.exists("no-quota"): raise ConnectionError("no quota left")

    @classmethod
    async def sample_init(cls, task_name, config, metadata):
        note("started", task_name)
        if os.path.exists("full"): raise ValueError("no machine is free")
        started.get().append(task_name)
        return {"default": cls()}

    def __init__(self):
        super().__init__()
        self.folder, self.lost = tempfile.TemporaryDirectory(), False

    async def exec(self, cmd, input=None, cwd=None, env=None, user=None, timeout=None, **_):
        if cmd == ["lose"]: self.lost = True
        if self.lost: raise SandboxUnavailableError("no such machine") if cmd != ["true"] else RuntimeError("404")
        done = subprocess.run(cmd, input=input, cwd=self.folder.name, capture_output=True, text=True)
        return ExecResult(done.returncode == 0, done.returncode, done.stdout, done.stderr)

    async def write_file(self, file, contents):
        Path(self.folder.name, file).write_text(contents)

    async def read_file(self, file, text=True):
        return Path(self.folder.name, file).read_text()

    @classmethod
    async def sample_cleanup(cls, task_name, config, environments, interrupted):
        if os.path.exists("sticky"): raise RuntimeError("403 on delete")

    @classmethod
    async def task_cleanup(cls, task_name, config, cleanup): note("closed", len(started.get()))

def note(name, text):
    with open(name, "a") as file: file.write(f"{text}\\n")
'''
SUITE = """
async def test_right(agent, sandbox):
    await agent.run("write")
    assert (await sandbox.exec(["cat", "a.txt"])).stdout.strip() == "42"
"""
ORACLE = "from pytest_agenteval import agent_task\n@agent_task(solution='echo 42 > a.txt'{})"
LOSES = """
import os
async def test_loses(attempt, sandbox):
    attempt.agent_begins()
    if not ONCE or not os.path.exists("lost"):
        open("lost", "w").close()
        await sandbox.exec(["lose"])
"""
CLOUD = ("--agent-sandbox=cloud", "--agent-json=report.json", "--agent-log-dir=logs")
ANY_RATE = "--agent-max-env-error-rate=1"


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    return pytester.path


def tasks(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))["tasks"]


def test_attempts_run_in_it_and_the_report_names_it(run: Run, folder: Path) -> None:
    (folder / "cloud.yaml").write_text("size: small\n")
    result = run(ORACLE.format("") + SUITE, *CLOUD, "--k=3", model="agenteval/oracle", conftest=PROVIDER)
    assert result.ret == 0
    (task,) = tasks(folder)
    assert [attempt["outcome"] for attempt in task["attempts"]] == ["passed"] * 3
    assert "sandbox: Inspect's provider cloud, isolated as that does it, slower than ours" in result.stdout.str()
    assert (folder / "configs").read_text().split() == ["cloud.yaml"]
    assert (folder / "closed").read_text().split() == ["3"]


def test_what_lies_in_the_folder_or_is_named_is_its_configuration(run: Run, folder: Path) -> None:
    (folder / "big.yaml").write_text("size: big\n")
    for asked, config in {"'big.yaml'": "big.yaml", "'image:python:3'": "compose.yaml"}.items():
        source = ORACLE.format(f", sandbox={asked}") + SUITE
        assert run(source, *CLOUD, model="agenteval/oracle", conftest=PROVIDER).ret == 0
        assert (folder / "configs").read_text().split()[-1] == config


@pytest.mark.parametrize(("once", "outcome", "status"), [(True, "passed", 0), (False, "failed", 1)])
def test_a_loss_is_an_environment_error_once_and_the_agents_the_second_time(
    run: Run, folder: Path, once: bool, outcome: str, status: int
) -> None:
    assert run(LOSES.replace("ONCE", str(once)), *CLOUD, ANY_RATE, conftest=PROVIDER).ret == status
    (task,) = tasks(folder)
    (attempt,) = task["attempts"]
    assert (attempt["outcome"], len(attempt["retries"])) == (outcome, 1)


def test_a_machine_that_dies_unseen_is_asked(run: Run, folder: Path) -> None:
    """The test saw only a command that failed, as some providers answer when their machine is gone."""
    source = """
    import os
    async def test_fails(attempt, sandbox):
        attempt.agent_begins()
        if not os.path.exists("lost"):
            open("lost", "w").close()
            getattr(sandbox, "_sandbox", sandbox).lost = True
            assert False
    """
    assert run(source, *CLOUD, ANY_RATE, conftest=PROVIDER).ret == 0
    (task,) = tasks(folder)
    assert "does not say why" in task["attempts"][0]["retries"][0]["message"]


def test_what_does_not_start_is_an_environment_error(run: Run, folder: Path) -> None:
    (folder / "full").touch()
    asked = ("--agent-env-retries=0",)
    result = run("async def test_a(attempt, sandbox): ...", *CLOUD, *asked, conftest=PROVIDER)
    assert result.ret == 10
    assert "the sandbox did not start: no machine is free" in result.stdout.str()


def test_a_provider_that_cannot_be_prepared_spends_nothing(run: Run, folder: Path) -> None:
    (folder / "no-quota").touch()
    result = run("async def test_a(attempt, sandbox): ...", *CLOUD, conftest=PROVIDER)
    assert result.ret == 10
    assert "sandbox cloud (None): no quota left" in " ".join(result.outlines + result.errlines)
    assert not (folder / "started").exists()


def test_what_cannot_be_removed_is_noted_and_takes_no_attempt_with_it(run: Run, folder: Path) -> None:
    (folder / "sticky").touch()
    asked = ("--k=2",)
    result = run("async def test_a(attempt, sandbox): attempt.agent_begins()", *CLOUD, *asked, conftest=PROVIDER)
    assert result.ret == 0
    assert result.stdout.str().count("the provider cloud may have left sandboxes: 403 on delete") == 1


@pytest.mark.parametrize(
    ("mark", "arguments", "words"),
    [
        ("network='bridge'", (), "asks for network, of which the provider cloud cannot be told"),
        ("leftovers='stop'", (), "asks for leftovers='stop', of which the provider cloud cannot be told"),
        ("sandbox='python'", (), "asks for the built-in image 'python', which the provider cloud does not have"),
        ("", ("--agent-keep-sandbox",), "cannot keep a sandbox of the provider cloud"),
        ("", ("--agent-sandbox=agenteval",), "--agent-sandbox=agenteval is --agent-sandbox=docker: write that"),
        ("", ("--agent-sandbox=local-inspect",), "is --agent-sandbox=local: write that"),
        ("", ("--agent-sandbox=daytona",), "--agent-sandbox=daytona is not installed: install the 'inspect-sandboxes'"),
        ("", ("--agent-sandbox=k8s-inspect",), "is not installed: install the 'inspect-k8s-sandbox'"),
        ("", ("--agent-sandbox=clout",), "=clout: there is docker, k8s, local, cloud and docker-inspect"),
    ],
)
def test_what_it_cannot_give_is_refused_before_it_is_asked(
    run: Run, folder: Path, mark: str, arguments: tuple[str, ...], words: str
) -> None:
    source = f"from pytest_agenteval import agent_task\n@agent_task({mark})\nasync def test_a(attempt, sandbox): ...\n"
    result = run(source, *CLOUD, *arguments, conftest=PROVIDER)
    assert result.ret == 4
    assert words in " ".join(result.outlines + result.errlines)
    assert not (folder / "configs").exists()
