"""Variants of a task: its prompt in other words, tools in another shape, other surroundings, the author's own."""

from __future__ import annotations

import importlib
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.suite_runs import Run

from pytest_agenteval.cli.main import main
from pytest_agenteval.collect.prompt_variants import prompt_digest

PROMPT = "Please write the word `yes` into the file done.txt, and nothing else."
FORMAL = "You are kindly requested to put `yes`, and nothing else, into the file done.txt"
ECHO = '''
import importlib
import json
import os
import tomllib
from pathlib import Path
from inspect_ai.model import ChatMessageTool, GenerateConfig, ModelAPI, ModelOutput, ModelUsage, modelapi

@modelapi(name="echo")
def echo():
    class Echo(ModelAPI):
        """Writes what it was told to a file; lists the files with the first tool, and submits."""
        def __init__(self, model_name, base_url=None, api_key=None, config=GenerateConfig(), **more):
            super().__init__(model_name, base_url, api_key, [], config)
        async def generate(self, input, tools, tool_choice, config):
            names = [tool.name for tool in tools]
            seen = [message.text for message in input if isinstance(message, ChatMessageTool)]
            told = {"prompt": next(m.text for m in input if m.role == "user"), "tools": names, "results": seen,
                    "arguments": [sorted(tool.parameters.properties) for tool in tools],
                    "called": [c.function for m in input for c in getattr(m, "tool_calls", None) or ()]}
            with Path("told.jsonl").open("a") as file:
                file.write(json.dumps(told) + "\\n")
            tool = next(tool for tool in tools if ("submit" if seen else "bash") in tool.name)
            argument = next(iter(tool.parameters.properties))
            command = "echo -n yes > done.txt; echo '{\\"file_name\\": 1}'"
            output = ModelOutput.for_tool_call(self.model_name, tool.name, {argument: "done" if seen else command})
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            return output
    return Echo
'''
SUITE = f"""
from pytest_agenteval import agent_task, rule

@agent_task(rules=[rule.must_not_call("bash", "done.txt", name="seen")], solution="echo -n yes > done.txt")
async def test_it(agent, sandbox):
    result = await agent.run({PROMPT!r})
    assert await sandbox.read_file("done.txt") == "yes"
    assert result.tool_calls[0].tool == "bash"
"""


def told() -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    Path("told.jsonl").unlink()
    return lines


def play(run: Run, perturbation: str, *more: str, source: str = SUITE, model: str = "echo/m") -> dict[str, Any]:
    result = run(source, "--agent-allow-local", f"--agent-perturb={perturbation}", "--agent-json=r.json",
                 "--min-pass-at-1=0", *more, conftest=ECHO, model=model)  # fmt: skip
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    report: dict[str, Any] = json.loads(Path("r.json").read_text())
    return report


def stored(**more: str) -> None:
    table = {"of": prompt_digest(PROMPT), "text": FORMAL, "reviewed": "ana, 2026-11-20"} | more
    Path("variants").mkdir(exist_ok=True)
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items() if value)
    Path("variants/test_it.toml").write_text(f"[formal]\n{lines}\n")


def test_a_stored_prompt_takes_the_place_of_the_base_s(run: Run) -> None:
    stored()
    report = play(run, "prompts", "--k=2")
    assert {each["prompt"] for each in told()} == {PROMPT, FORMAL}
    (row,) = report["cells"][0]["robustness"]
    assert (row["perturbation"], row["ratio"], row["met"], row["attempts"]) == ("prompts", 1, 2, 2)
    assert report["perturbed"][0]["task"] == "test_suite.py::test_it[prompt-formal]"
    assert report["perturbed"][0]["base"] == "test_suite.py::test_it"


@pytest.mark.parametrize("more", [{"of": "sha256:0000"}, {"text": "Write yes into a file of your choice, please do!"}])
def test_a_stored_prompt_that_does_not_fit_is_broken(run: Run, more: dict[str, str]) -> None:
    stored(**more)
    result = run(SUITE, "--agent-allow-local", "--agent-perturb=prompts", conftest=ECHO, model="echo/m")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*1 attempt is broken*"])
    assert "variant formal" in result.stdout.str()


def test_what_nobody_has_reviewed_does_not_run(run: Run) -> None:
    stored(reviewed="")
    result = run(SUITE, "--agent-allow-local", "--agent-perturb=prompts", conftest=ECHO, model="echo/m")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--agent-perturb=prompts finds nothing to run*variants make*"])
    report = play(run, "prompts", "--agent-unreviewed")
    assert report["cells"][0]["robustness"][0]["met"] == 1


def test_seeded_changes_of_the_prompt(run: Run) -> None:
    report = play(run, "lowercase", "--agent-perturb=whitespace+markdown")
    prompts = {each["prompt"] for each in told()}
    assert PROMPT.replace("Please", "please") in prompts
    (spaced,) = [prompt for prompt in prompts if prompt.startswith("## Task\n\nPlease  write  the  word")]
    assert spaced.split() == ["##", "Task", *PROMPT.split()]
    assert [row["ratio"] for row in report["cells"][0]["robustness"]] == [1, 1]


def test_the_model_sees_tools_in_another_shape_and_nobody_else_does(run: Run) -> None:
    shapes = ("tool-order", "tool-names", "argument-names", "result-keys")
    report = play(run, shapes[0], *(f"--agent-perturb={shape}" for shape in shapes[1:]))
    rows = {row["perturbation"]: row for row in report["cells"][0]["robustness"]}
    assert {name: (row["ratio"], row["met"]) for name, row in rows.items()} == dict.fromkeys(shapes, (1, 1))
    calls = told()
    assert ["submit", "bash"] in [each["tools"] for each in calls]
    assert {"tools": ["bash_v2", "submit_v2"], "called": ["bash_v2"]} in [
        {"tools": each["tools"], "called": each["called"]} for each in calls
    ]
    assert [["command_value"], ["answer_value"]] in [each["arguments"] for each in calls]
    assert any('"data": {"fileName": 1}' in text for each in calls for text in each["results"])
    tools = {call["tool"] for each in report["perturbed"] for call in each["attempts"][0]["tool_calls"]}
    assert tools == {"bash", "submit"}
    assert all(each["attempts"][0]["rules"]["violations"] for each in report["perturbed"])


def test_other_surroundings_are_the_agent_s_only(run: Run) -> None:
    source = f"""
        from pytest_agenteval import agent_task
        @agent_task(solution="echo $TZ $LC_ALL > seen.txt")
        async def test_it(agent, sandbox, request):
            await agent.run({PROMPT!r})
            seen = (await sandbox.read_file("seen.txt")).split()
            own = (await sandbox.exec(["sh", "-c", "echo $TZ $LC_ALL"])).stdout.split()
            assert seen != own if "[" in request.node.name else seen == own
    """
    report = play(run, "timezone+locale", "--k=2", source=source, model="agenteval/oracle")
    (row,) = report["cells"][0]["robustness"]
    assert (row["base"], row["under"], row["met"]) == (1, 1, 2)


def test_the_author_varies_the_set_up(run: Run) -> None:
    source = """
        from pathlib import Path
        from pytest_agenteval import agent_task
        @agent_task(solution="true")
        async def test_it(agent, perturbation, attempt):
            if perturbation is not None:
                place = perturbation.pick("a", "b", "c")
                Path("picked").open("a").write(f"{perturbation.name} {attempt.number} {place}\\n")
            await agent.run("x")
        @agent_task(solution="true")
        async def test_does_not_vary(agent): await agent.run("x")
        """
    report = play(run, "author", "--k=6", source=source, model="agenteval/oracle")
    (row,) = report["cells"][0]["robustness"]
    assert (row["tasks"], row["met"]) == (1, 6)
    picked = sorted(Path("picked").read_text().splitlines())
    assert len(picked) == 6
    assert len({line.split()[2] for line in picked}) > 1
    play(run, "author", "--k=6", "--agent-log-dir=again", source=source, model="agenteval/oracle")
    assert sorted(set(Path("picked").read_text().splitlines())) == picked


def test_the_same_perturbation_twice_is_refused(run: Run) -> None:
    result = run(SUITE, "--agent-allow-local", "--agent-perturb=typos", "--agent-perturb=typos", conftest=ECHO,
                 model="echo/m")  # fmt: skip
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*typos is given twice*"])


WRITER = """
import importlib
import json
import os
import tomllib
from inspect_ai.model import GenerateConfig, ModelAPI, ModelOutput, modelapi

@modelapi(name="writer")
def writer():
    class Writer(ModelAPI):
        def __init__(self, model_name, base_url=None, api_key=None, config=GenerateConfig(), **more):
            super().__init__(model_name, base_url, api_key, [], config)
        async def generate(self, input, tools, tool_choice, config):
            assert "write the word `yes` into the file done.txt" in input[0].text
            texts = ["Put `yes` into the file done.txt, please, and do not write anything else.", "Write something.",
                     "Kindly see to it that the file done.txt holds the word yes and nothing besides it."]
            return ModelOutput.from_content(self.model_name, "Here: " + json.dumps(texts))
    return Writer
"""


def test_variants_are_made_by_a_model_and_reviewed_by_a_person(
    run: Run, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lacks a part of the prompt that carries meaning is not even written."""
    Path("writer_model.py").write_text(WRITER)
    Path("test_suite.py").write_text(SUITE)
    pytester.syspathinsert()
    importlib.import_module("writer_model")
    arguments = ["variants", "make", "test_suite.py", "--role=paraphrase=writer/m", "--n=3"]
    extra = ["--", "-p", "pytest_agenteval.plugin", "--agent-sandbox=local"]
    assert main([*arguments, *(extra if "PYTEST_DISABLE_PLUGIN_AUTOLOAD" in os.environ else ["--", extra[-1]])]) == 0
    said = capsys.readouterr().out
    assert "1 of 3 wordings written" in said
    assert "lacks '`yes`'" in said
    made = tomllib.loads(Path("variants/test_it.toml").read_text())
    assert made["base"] == PROMPT
    assert made["variant-1"] == {
        "of": prompt_digest(PROMPT),
        "text": "Put `yes` into the file done.txt, please, and do not write anything else.",
        "made_by": "writer/m",
    }
    report = play(run, "prompts", "--agent-unreviewed")
    assert report["cells"][0]["robustness"][0]["met"] == 1
