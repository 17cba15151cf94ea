from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

SOLVED = """
import pytest
from pytest_agenteval import agent_task

@agent_task(solution="echo 42 > answer.txt")
async def test_good(agent, sandbox):
    await agent.run("Write 42 to answer.txt.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"
"""
OFFENDERS = (
    SOLVED
    + """
@pytest.mark.parametrize("text", ["one", "[two-three]"])
@agent_task(solution="echo one > answer.txt")
async def test_solved_once(agent, sandbox, text):
    await agent.run("Write it.")
    assert (await sandbox.read_file("answer.txt")).strip() == text, "wrong text"

@agent_task(answer="42")
async def test_null_passes(agent):
    await agent.run("How much is 6 * 7?")

async def test_no_solution(agent):
    assert (await agent.run("How much is 6 * 7?")).answer == "42"

@agent_task(answer="42")
async def test_broken(agent):
    raise RuntimeError("the test is wrong")

@pytest.fixture(scope="module")
def server():
    raise OSError("no server")

@agent_task(answer="42")
async def test_shared_fixture(agent, server):
    await agent.run("Do it.")

@pytest.mark.parametrize("agent_model", ["openai/gpt-5-mini"])
async def test_own_model(agent, agent_model):
    await agent.run("Do it.")

@pytest.mark.skip(reason="not today")
async def test_skipped(agent):
    pass

async def test_skips_itself(agent):
    pytest.skip("no such tool here")

@pytest.mark.xfail(reason="known")
@agent_task(answer="41")
async def test_expected_to_fail(agent):
    assert (await agent.run("How much is 6 * 7?")).answer == "42"

def test_ordinary():
    assert False
"""
)


def run(folder: Path, suite: str, *arguments: str, ini: str = "") -> int:
    (folder / "test_suite.py").write_text(dedent(suite), "utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}", "utf-8")
    return main(["check", "test_suite.py", "--agent-sandbox=local", *arguments])


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_it_names_every_offender_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, OFFENDERS) == 1
    *found, last = capsys.readouterr().out.splitlines()
    assert last == "11 tasks: 2 ok, 6 offenders, 3 skipped (ok: the oracle passed and the null failed)"
    told = [re.fullmatch(r"(AE\d+) error   (\S+): (.*)", line) for line in found if not line.startswith("skipped: ")]
    lines = {each[2]: each[3] for each in told if each is not None}
    assert {
        each[2].removeprefix("test_suite.py::test_"): (each[1], each[3].partition(":")[0]) for each in told if each
    } == {
        "solved_once[[two-three]]": ("AE102", "oracle failed"),
        "null_passes": ("AE201", "null passed"),
        "no_solution": ("AE101", "no solution declared"),
        "broken": ("AE102", "broken"),
        "shared_fixture": ("AE102", "could not be evaluated"),
        "own_model": ("AE102", "could not be evaluated"),
    }
    assert None not in told
    assert "wrong text" in lines["test_suite.py::test_solved_once[[two-three]]"]
    assert "the test is wrong" in lines["test_suite.py::test_broken"]
    assert "no server" in lines["test_suite.py::test_shared_fixture"]


def test_it_counts_and_lists_what_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, OFFENDERS, "--", "-k", "good or skip or expected") == 0
    assert capsys.readouterr().out.splitlines() == [
        "skipped: test_suite.py::test_skipped: not today",
        "skipped: test_suite.py::test_skips_itself: no such tool here",
        "skipped: test_suite.py::test_expected_to_fail: xfail known",
        "4 tasks: 1 ok, 3 skipped (ok: the oracle passed and the null failed)",
    ]


def test_what_the_project_asks_of_real_models_does_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ini = """\
addopts = --agent-model=openai/gpt-5-mini --k=3 --max-cost=1 --min-pass-k=1 -x --lf --junitxml=report.xml -n2 -p xdist
agent_models = openai/gpt-5
agent_model_args = service_tier=flex
agent_generate = temperature=0
agent_max_cost_per_attempt = 0.1
"""
    assert run(tmp_path, SOLVED, ini=ini) == 0
    assert capsys.readouterr().out == "1 task: 1 ok (ok: the oracle passed and the null failed)\n"
    assert not (tmp_path / "report.xml").exists()
    assert not list(tmp_path.glob(".pytest_cache/**/lastfailed"))


def test_a_lost_sandbox_leaves_it_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = """
    from inspect_ai.util import SandboxUnavailableError
    from pytest_agenteval import agent_task

    @agent_task(answer="42")
    async def test_lost(agent):
        result = await agent.run("How much is 6 * 7?")
        raise SandboxUnavailableError("the daemon went away")
    """
    assert run(tmp_path, suite, "--", "--agent-env-retries=0") == 10
    out = capsys.readouterr().out
    assert out.startswith("undecided: test_suite.py::test_lost: could not be evaluated: ")
    assert "the daemon went away" in out


def test_no_agent_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "def test_ordinary():\n    assert False\n") == 5
    assert capsys.readouterr().out == "no agent task found\n"


@pytest.mark.parametrize(
    ("suite", "arguments", "status", "told"),
    [
        ("def test_it(:\n", [], 2, "SyntaxError"),
        (SOLVED, ["--", "--no-such-option"], 4, "unrecognized arguments: --no-such-option"),
        (SOLVED, ["--", "no_such_file.py"], 4, "no_such_file.py"),
    ],
)
def test_a_suite_that_cannot_be_run(
    suite: str, arguments: list[str], status: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, suite, *arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert f"the suite could not be run: pytest ended with {status}" in captured.err


def test_no_docker_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    (tmp_path / "test_suite.py").write_text(SOLVED, "utf-8")
    assert main(["check", "test_suite.py"]) == 10
    assert "/nonexistent/docker.sock" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["chek", "x"], ["check", "x", "--agent-sandbox=podman"]])
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2  # argparse's own
    assert "usage: pytest-agenteval" in capsys.readouterr().err


def test_without_a_path_it_checks_this_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_suite.py").write_text(SOLVED, "utf-8")
    assert main(["check", "--agent-sandbox=local"]) == 0
    assert capsys.readouterr().out.startswith("1 task: 1 ok")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out == f"pytest-agenteval {version('pytest-agenteval')}\n"


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, pytest_agenteval.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert not {"pytest", "inspect_ai", "numpy", "docker", "asyncio", "pydantic"} & set(done.stdout.split())


COUNTED = """
from pathlib import Path
import pytest
from pytest_agenteval import agent_task

async def work(agent, sandbox, name):
    with Path("played.txt").open("a") as file:
        print(name, file=file)
    await agent.run(f"Make the file {name}.")
    assert await sandbox.read_file(name)

@agent_task(solution="echo 1 > one")
async def test_one(agent, sandbox):
    await work(agent, sandbox, "one")

@pytest.mark.parametrize("number", range(4))
@agent_task(solution="echo 2 > two")
async def test_two(agent, sandbox, number):
    await work(agent, sandbox, "two")
"""


def test_an_unchanged_task_is_not_played_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def played() -> list[str]:
        file = tmp_path / "played.txt"
        names = sorted(file.read_text("utf-8").split()) if file.exists() else []
        file.unlink(missing_ok=True)
        return names

    assert run(tmp_path, COUNTED) == 0
    first = capsys.readouterr().out
    assert played() == ["one"] * 2 + ["two"] * 8
    assert run(tmp_path, COUNTED) == 0
    assert (played(), capsys.readouterr().out) == ([], first)
    broken = COUNTED.replace("echo 2 > two", "echo 2 > too")
    assert run(tmp_path, broken) == 1
    assert played() == ["two"] * 8  # each once more, though a task before them was left out
    found, *_ = re.findall(r"--replay=(\w+)", capsys.readouterr().out)
    assert run(tmp_path, broken, f"--replay={found}") == 1
    told = capsys.readouterr().out
    assert told.startswith("AE102 test_suite.py::test_two[0]: oracle failed")
    assert "echo 2 > too" in told and "Make the file two." in told
    assert played() == []


def test_a_rule_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--explain=AE201"]) == 0
    assert capsys.readouterr().out.startswith("AE201 doing nothing passes (error")
    assert main(["check", "--explain=AE21"]) == 2
    assert "did you mean AE201?" in capsys.readouterr().err
