"""What this machine lacks for a grader or an agent's program: refused before anything is spent, else broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_runs import HttpRun, run_suite
from support.scripted_policy import Policy, TextPolicy
from support.scripted_server import ScriptedServer

POLICIES: dict[str, Policy] = {"Say": TextPolicy(answer="hi")}

TASKS = """
from inspect_ai import Task, task
from inspect_ai.agent import agent
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, accuracy, model_graded_qa, scorer
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.solver import generate

@scorer(metrics=[accuracy()])
def without_a_key():
    async def score(state, target):
        await get_model("openai-api/judging/m", role="grader").generate("Was it good?")
    return score

@scorer(metrics=[accuracy()])
def without_a_package():
    async def score(state, target):
        import no_such_package.metrics
    return score

def made(*scorers):
    return Task(dataset=[Sample(id="one", input="Say hi.", target="hi")], solver=generate(), scorer=list(scorers))

@task
def key():
    return made(without_a_key())

@task
def package():
    return made(without_a_package())

@task
def named():
    return made(model_graded_qa(model="openai-api/judging/m"))

@agent
def unmakable():
    import no_such_framework
"""
AGENTS = """
from openai import AsyncOpenAI

async def late(task, context):
    client = AsyncOpenAI(**context.client_options)
    messages = [{"role": "user", "content": task}]
    await client.chat.completions.create(model=context.client_model, messages=messages)
    if "written" in task:  # by a model: its code is in no file
        exec("import no_such_module_of_the_model")
    import no_such_framework
"""
SUITE = """
import importlib
from inspect_ai.model import get_model
from pytest_agenteval import inspect_task

test_key = inspect_task("tasks.py@key")
test_package = inspect_task("tasks.py@package")

async def test_judge_in_the_body(agent):
    await agent.run("Say hi.", submit=False)
    try:
        get_model("openai-api/judging/m")
    except Exception as error:
        raise AssertionError("the judge did not judge") from error

async def test_file_of_the_agent(agent):
    await agent.run("Say hi.", submit=False)
    importlib.import_module("no_such_file_of_the_agent")
"""


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES) as server:
        folder = tmp_path_factory.mktemp("lacking")
        yield run_suite(folder, server, {"test_suite.py": SUITE, "tasks.py": TASKS})


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            "test_key",
            "Unable to initialise judging client: No JUDGING_API_KEY defined in the environment; set JUDGING_API_KEY",
        ),
        (
            "test_package",
            "the scorer without_a_package cannot run here: it imports no_such_package, which is not installed here: "
            "pip install no_such_package",
        ),
        (
            "test_judge_in_the_body",
            "Unable to initialise judging client: No JUDGING_API_KEY defined in the environment; set JUDGING_API_KEY",
        ),
    ],
)
def test_what_shows_only_after_the_agent_breaks_the_attempt_in_plain_words(
    lacking: HttpRun, task: str, message: str
) -> None:
    (attempt,) = lacking.attempts(task)
    assert (attempt.outcome.value, attempt.message) == ("broken", message)
    assert len(attempt.model_calls) == 1
    assert "[bold]" not in lacking.text
    assert lacking.code == 1


def test_a_file_that_the_agent_did_not_write_is_its_failure(lacking: HttpRun) -> None:
    assert lacking.ended("test_file_of_the_agent") == ["failed"]


def test_a_package_that_an_agents_program_lacks_breaks_it_and_code_of_a_model_does_not(tmp_path: Path) -> None:
    suite = """
async def test_program(agent):
    await agent.run("Say hi.")

async def test_code_of_a_model(agent):
    await agent.run("Say hi, as written.")
"""
    with ScriptedServer(POLICIES) as server:
        files = {"test_suite.py": suite, "agents.py": AGENTS}
        run = run_suite(tmp_path, server, files, "--agent-scaffold=agents:late")
    (program,) = run.attempts("test_program")
    assert (program.outcome.value, program.message) == (
        "broken",
        "scaffold agents:late cannot run here: it imports no_such_framework, which is not installed here: "
        "pip install no_such_framework",
    )
    assert run.ended("test_code_of_a_model") == ["failed"]


@pytest.mark.parametrize(
    ("suite", "arguments", "message"),
    [
        (
            'from pytest_agenteval import inspect_task\n\ntest_named = inspect_task("tasks.py@named")\n',
            (),
            "a scorer of test_suite.py::test_named[one] cannot judge: model openai-api/judging/m cannot be used: "
            "Unable to initialise judging client: No JUDGING_API_KEY defined in the environment; "
            "set JUDGING_API_KEY",
        ),
        (
            "async def test_it(agent):\n    await agent.run('Say hi.')\n",
            ("--agent-scaffold=tasks:unmakable",),
            "scaffold tasks:unmakable cannot be made: it imports no_such_framework, which is not installed here: "
            "pip install no_such_framework",
        ),
    ],
    ids=["grader", "scaffold"],
)
def test_what_can_be_seen_before_is_refused_before_anything_is_spent(
    suite: str, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with ScriptedServer(POLICIES) as server:
        files = {"test_suite.py": suite, "tasks.py": TASKS}
        run = run_suite(tmp_path, server, files, *arguments)
        assert (run.code, server.journal) == (4, ())
    assert [line for line in run.errors if line.strip()] == [f"ERROR: {message}"]
