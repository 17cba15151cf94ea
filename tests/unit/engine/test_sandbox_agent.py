from __future__ import annotations

from typing import Any

import pytest

from pytest_agenteval import SandboxAgent
from pytest_agenteval.engine.agents.agent import AgentRequest
from pytest_agenteval.engine.agents.scaffolds import ProgramScaffold
from pytest_agenteval.engine.logs.exits import ProgramExit

VALUES = {
    "task": "Fix {model} in {{x}}.",
    "instructions": "",
    "model": "inspect",
    "base_url": "http://localhost:13131",
    "api_key": "unused",
}


def test_places_are_filled_in_once_and_clients_find_their_address() -> None:
    agent = SandboxAgent(
        command=["my-agent", "--model={model}", "{task}"],
        env={"AGENT_CONFIG": '{"url": "{base_url}/v1", "more": {"a": {}}}', "OPENAI_API_KEY": "sk-mine"},
        stdin="{instructions}{task}",
    )
    command, env, stdin = agent.filled(VALUES)
    assert command == ["my-agent", "--model=inspect", "Fix {model} in {{x}}."]  # no place inside of the task is one
    assert stdin == "Fix {model} in {{x}}."
    assert env == {
        "AGENT_CONFIG": '{"url": "http://localhost:13131/v1", "more": {"a": {}}}',
        "OPENAI_BASE_URL": "http://localhost:13131/v1",
        "OPENAI_API_KEY": "sk-mine",
        "ANTHROPIC_BASE_URL": "http://localhost:13131",
        "ANTHROPIC_API_KEY": "unused",
        "GOOGLE_GEMINI_BASE_URL": "http://localhost:13131",
        "GEMINI_API_KEY": "unused",
    }


def test_what_a_shell_reads_stays() -> None:
    agent = SandboxAgent(command=["sh", "-c", "my-agent ${HOME} $1 | awk '{{print}}'", "sh", "{task}"])
    assert agent.filled(VALUES)[0][2] == "my-agent ${HOME} $1 | awk '{print}'"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"command": "my-agent {task}"}, TypeError, "is a list of texts"),
        ({"command": ["my-agent", 3]}, TypeError, "is a list of texts"),
        ({"command": []}, ValueError, "is empty"),
        ({"command": ["a", "{prompt}"]}, ValueError, "has no {prompt}, only {task}, .*; {{prompt}} stands for itself"),
        ({"command": ["a"], "env": {"URL": "{url}"}}, ValueError, "has no {url}"),
        ({"command": ["a"], "stdin": "{input}"}, ValueError, "has no {input}"),
        ({"command": ["a"], "confidence": "sure: ("}, ValueError, "is not a pattern"),
        ({"command": ["a"], "confidence": "sure: .+"}, ValueError, "needs one group"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("{", r"\{")):
        SandboxAgent(**given)


def test_tools_and_instructions_without_a_place_are_refused() -> None:
    plain = ProgramScaffold("m:plain", SandboxAgent(command=["a", "{task}"]))
    told = ProgramScaffold("m:told", SandboxAgent(command=["a", "--system={instructions}", "{task}"]))
    with pytest.raises(TypeError, match=r"m:plain takes no instructions: put \{instructions\} into its command"):
        plain.refuse(AgentRequest("m", None, "Be quick.", True))
    with pytest.raises(TypeError, match="m:told is a program with its own tools"):
        told.refuse(AgentRequest("m", [], None, True))
    told.refuse(AgentRequest("m", None, "Be quick.", True))


def test_how_a_program_ended_in_a_line() -> None:
    assert str(ProgramExit("a b", 0, 1.26, "", "a warning")) == "a b exited with 0 after 1.3 s"
    assert str(ProgramExit("a b", 2, 1.26, "", "one\ntwo\n")) == "a b exited with 2 after 1.3 s: one two"
    assert str(ProgramExit("a b", None, 60.0, "", "")) == "a b was stopped after 60.0 s"
