"""Faults of the provider for agents of one's own: as their client's exceptions, behind its own repetitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suite_runs import Run

MODEL = """
from inspect_ai.model import GenerateConfig, ModelAPI, ModelOutput, ModelUsage, modelapi

@modelapi(name="hello")
def hello():
    class Hello(ModelAPI):
        def __init__(self, model_name, base_url=None, api_key=None, config=GenerateConfig(), **more):
            super().__init__(model_name, base_url, api_key, [], config)
        async def generate(self, input, tools, tool_choice, config):
            output = ModelOutput.from_content(self.model_name, "hello")
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            return output
    return Hello
"""
AGENTS = """
import asyncio, openai, anthropic

def client(context, retries):
    return openai.AsyncOpenAI(max_retries=retries, **context.client_options)

async def ask(client, context):
    done = await client.chat.completions.create(
        model=context.client_model, messages=[{"role": "user", "content": "hi"}])
    return done.choices[0].message.content

async def patient(task, context):
    for _ in range(200):
        try:
            return await ask(client(context, 0), context)
        except (openai.APIStatusError, openai.APIConnectionError):
            pass

async def rash(task, context):
    return await ask(client(context, 0), context)

async def repeating(task, context):
    return await ask(client(context, 2), context)

async def swallowing(task, context):
    try:
        return await ask(client(context, 0), context)
    except openai.OpenAIError as error:
        raise RuntimeError("no luck")

def synchronous(task, context):
    made = openai.OpenAI(max_retries=0, **context.client_options)
    done = made.chat.completions.create(model=context.client_model, messages=[{"role": "user", "content": "hi"}])
    return done.choices[0].message.content

async def of_anthropic(task, context):
    made = anthropic.AsyncAnthropic(max_retries=0, **context.client_options)
    done = await made.messages.create(
        model=context.client_model, max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    return done.content[0].text
"""
SUITE = """
async def test_it(agent):
    assert (await agent.run("hi")).answer == "hello"
"""


def perturbed(run: Run, agent: str, spec: str, k: int = 8) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of the perturbation, and the perturbed attempts."""
    run(
        SUITE, "--agent-allow-local", f"--agent-scaffold=own_agents:{agent}", f"--agent-perturb=model-faults:{spec}",
        f"--k={k}", "--agent-json=r.json", "--min-pass-at-1=0", model="hello/m", conftest=MODEL,
        files={"own_agents.py": AGENTS},
    )  # fmt: skip
    report = json.loads(Path("r.json").read_text())
    (row,) = report["cells"][0]["robustness"]
    return row, report["perturbed"][0]["attempts"]


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("rash", "429"),
        ("rash", "drop"),
        ("swallowing", "500"),
        ("synchronous", "timeout"),
        ("of_anthropic", "429"),
        ("of_anthropic", "drop"),
    ],
)
def test_an_attempt_that_a_fault_ended_is_the_agents_failure_in_one_try(run: Run, agent: str, kind: str) -> None:
    row, attempts = perturbed(run, agent, f"rate=1,kinds={kind}", k=2)
    assert (row["base"], row["under"], row["met"]) == (1, 0, 2)
    assert [(each["outcome"], each["cause"], each["retries"]) for each in attempts] == [("failed", None, [])] * 2


def test_a_patient_agent_keeps_its_pass_rate(run: Run) -> None:
    row, _ = perturbed(run, "patient", "rate=0.6")
    assert (row["base"], row["under"], row["ratio"]) == (1, 1, 1)
    assert row["met"] > 2
    rash, _ = perturbed(run, "rash", "rate=0.6")
    assert rash["under"] < 1
    assert rash["met"] == 8 - 8 * rash["under"]


def test_what_the_client_repeats_by_itself_is_absorbed(run: Run) -> None:
    row, attempts = perturbed(run, "repeating", "at=1/2")
    assert (row["under"], row["met"]) == (1, 0)
    assert sum(each["absorbed"] for each in row["faults"]) == 16
    assert [each["delivered"] for each in attempts[0]["faults"]] == [False, False]
    row, attempts = perturbed(run, "repeating", "at=1/2/3")
    assert (row["under"], row["met"]) == (0, 8)
    assert [each["delivered"] for each in attempts[0]["faults"]] == [False, False, True]
