from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_agenteval.engine.agents.scaffolds import open_scaffolds
from pytest_agenteval.errors import NotReady

MODULE = """
from inspect_ai.agent import Agent, AgentState, agent, react
from pytest_agenteval import SandboxAgent

@agent
def registered(width: int = 1) -> Agent:
    async def execute(state: AgentState) -> AgentState:
        return state
    return execute

made = registered()

async def own(task, context, words: int = 1): ...

def own_sync(task, context): ...

async def no_context(task): ...

def no_context_sync(task): ...

async def no_task(context): ...

async def other_names(prompt, ctx): ...

async def turned(context, task): ...

def factory_with_a_task(task, depth=1):
    return own

def factory_with_a_default(task="sums"):
    return own

def factory(attempts: int = 1):
    return react(attempts=attempts)

def own_factory(depth: int):
    async def own(task, context):
        return str(depth)
    return own

def wrong_factory():
    return 3

def broken_factory():
    raise OSError("no configuration")

number = 3

program = SandboxAgent(command=["my-agent", "{task}"])

def program_factory(effort: str = "low"):
    return SandboxAgent(command=["my-agent", "--effort", effort, "{task}"])

def wrong_program():
    return SandboxAgent(command=["my-agent", "{tsk}"])
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_agents.py").write_text(MODULE, "utf-8")
    (tmp_path / "needs_package.py").write_text("import no_such_package.part\n", "utf-8")
    (tmp_path / "needs_part.py").write_text("import json.nothing\n", "utf-8")
    (tmp_path / "raises.py").write_text("raise RuntimeError('no')\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_agents", None)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("react", []),
        ("inspect_ai/react", [("truncation", "auto")]),
        ("deepagent", [("max_depth", 2)]),
        ("my_agents:registered", [("width", 3)]),
        ("my_agents:made", []),
        ("my_agents:own", [("words", 3)]),
        ("my_agents:own_sync", []),
        ("my_agents:factory_with_a_task", [("task", "sums")]),
        ("my_agents:factory_with_a_default", []),
        ("my_agents:factory", [("attempts", 3)]),
        ("my_agents:own_factory", [("depth", 3)]),
        ("my_agents:program", []),
        ("my_agents:program_factory", [("effort", "high")]),
    ],
)
def test_a_scaffold_by_its_name(name: str, arguments: list[tuple[str, object]]) -> None:
    assert list(open_scaffolds([name], arguments)) == [name]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("reakt", [], "did you mean react?"),
        (
            "react",
            [("attempts", 2)],
            "attempts cannot be used with react: between its attempts it would ask whether it is",
        ),
        ("reakt", [], "There are deepagent, human_cli,"),
        (
            "my_agent:own",
            [],
            f"module 'my_agent' cannot be imported: there is no my_agent in {Path.cwd()} or elsewhere",
        ),
        ("json.nothing:own", [], "there is no json.nothing in"),
        (
            "needs_package:own",
            [],
            "it imports no_such_package, which is not installed here: pip install no_such_package",
        ),
        ("needs_part:own", [], "it imports json.nothing, which the json that is installed here does not have"),
        ("raises:own", [], "module 'raises' cannot be imported: RuntimeError: no"),
        ("my_agents:no_context", [], "lacks context: the first two parameters of an agent are task and"),
        ("my_agents:no_context_sync", [], "lacks context: "),
        ("my_agents:no_task", [], "lacks task: "),
        ("my_agents:other_names", [], "lacks task and context: "),
        ("my_agents:turned", [], "takes (context, task): the first two parameters of an agent are task and context"),
        ("my_agents:owm", [], "has no 'owm'; did you mean own?"),
        ("my_agents:number", [], "is a int, not an agent: give `async def agent"),
        ("my_agents:wrong_factory", [], "made a int, not an agent"),
        ("my_agents:broken_factory", [], "cannot be made: OSError: no configuration"),
        ("my_agents:own_factory", [], "needs depth: add --agent-scaffold-arg=depth=VALUE"),
        ("my_agents:made", [("width", 1)], "is made already and takes no width"),
        ("my_agents:program", [("effort", 1)], "is made already and takes no effort: name a factory"),
        ("my_agents:program_factory", [("efort", 1)], "did you mean effort?"),
        ("my_agents:wrong_program", [], "a SandboxAgent has no {tsk}, only {task}, {instructions}, {model}"),
        ("my_agents:own", [("word", 1)], "scaffold my_agents:own has no such argument; did you mean words?"),
        ("react", [("atempts", 1)], "did you mean attempts?"),
        ("react", [("tools", [])], "the test gives them with agent.run"),
        ("react", [("model", "x/y")], "it is the model under evaluation"),
        ("react", [("deepagent:attempts", 1)], "no scaffold 'deepagent' runs; they are react"),
    ],
)
def test_what_cannot_run_is_refused_with_the_way_out(
    name: str, arguments: list[tuple[str, object]], message: str
) -> None:
    with pytest.raises(NotReady) as refused:
        open_scaffolds([name], arguments)
    assert message in str(refused.value)


def test_an_argument_for_one_of_several_scaffolds() -> None:
    open_scaffolds(["react", "my_agents:own"], [("my_agents:own:words", 2), ("react:truncation", "auto")])
    with pytest.raises(NotReady, match="scaffold react has no such argument"):
        open_scaffolds(["react", "my_agents:own"], [("words", 2)])
