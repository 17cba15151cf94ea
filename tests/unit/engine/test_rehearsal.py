from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageUser, GenerateConfig, ModelOutput
from inspect_ai.tool import ToolInfo
from scipy.stats import binom

from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.engine.models.meter import CallMeter, metered
from pytest_agenteval.engine.models.rehearsal import Noise, RehearsalAPI, Step, confidence, script
from pytest_agenteval.money.budget import RunBudget
from pytest_agenteval.money.prices import BuiltInPrices
from pytest_agenteval.run.attempt import Attempt

OPTIONS = TaskOptions(solution=["one", "two", "three"], answer="42")
CLEAN = Noise(p_success=1, p_malformed=0, p_unknown_tool=0, p_wrong_command=0)
TOOLS = ("bash", "submit")
ATTEMPTS = 2000
probabilities = st.floats(0, 1)


def bash(command: str) -> Step:
    return Step("bash", json.dumps({"command": command}))


def submit(answer: str) -> Step:
    return Step("submit", json.dumps({"answer": answer}))


def noisy(noise: Noise, attempt: int, options: TaskOptions = OPTIONS) -> list[Step]:
    return script("noisy", options, noise, "t.py::test_it", attempt)


def solves(steps: Sequence[Step]) -> bool:
    """Whether the whole solution is played, in order, and its answer submitted."""
    return [step for step in steps if step in SOLUTION] == SOLUTION


SOLUTION = [bash("one"), bash("two"), bash("three"), submit("42")]


def test_the_oracle_plays_the_solution_and_submits_the_answer() -> None:
    assert script("oracle", OPTIONS, CLEAN, "t", 1) == SOLUTION


def test_the_null_submits_nothing() -> None:
    assert script("null", OPTIONS, CLEAN, "t", 1) == [submit("")]


@pytest.mark.parametrize("kind", ["oracle", "null", "noisy"])
def test_a_task_without_a_solution_is_only_submitted(kind: str) -> None:
    assert script(kind, TaskOptions(), CLEAN, "t", 1) == [submit("")]


OWN_TOOLS = TaskOptions(solution=[("cancel", {"order": 7}), ("credit", {"cents": 500})], answer="done")
CANCEL, CREDIT = Step("cancel", '{"order": 7}'), Step("credit", '{"cents": 500}')


def test_the_oracle_plays_calls_of_the_task_s_own_tools() -> None:
    mixed = TaskOptions(solution=["ls", ("cancel", {"order": 7})])
    assert script("oracle", OWN_TOOLS, CLEAN, "t", 1) == [CANCEL, CREDIT, submit("done")]
    assert script("oracle", mixed, CLEAN, "t", 1) == [bash("ls"), CANCEL, submit("")]


def test_the_faults_of_a_task_with_tools_of_its_own_are_calls_of_these() -> None:
    noise = Noise(p_success=1, p_malformed=1, p_unknown_tool=1, p_wrong_command=1)
    steps = noisy(noise, 1, OWN_TOOLS)
    assert sorted(step.tool for step in steps) == ["cancel", "cancel", "cancel", "credit", "search_the_web", "submit"]
    assert {'{"command": "ls', "{}"} < {step.arguments for step in steps if step.tool == "cancel"}
    assert [step for step in steps if step in (CANCEL, CREDIT)] == [CANCEL, CREDIT]


def test_noisy_without_noise_is_the_oracle() -> None:
    assert all(noisy(CLEAN, attempt) == SOLUTION for attempt in range(1, 50))


@given(st.builds(Noise, st.integers(), probabilities, probabilities, probabilities, probabilities), st.integers(1, 99))
def test_an_attempt_is_the_same_whenever_it_is_drawn(noise: Noise, attempt: int) -> None:
    first = noisy(noise, attempt)
    noisy(noise, attempt + 1)
    assert noisy(noise, attempt) == first
    assert [step.tool for step in first].count("submit") == 1
    assert first[-1].tool == "submit"


def test_tasks_attempts_and_seeds_are_drawn_apart() -> None:
    noise = Noise(p_success=0.5)
    draws = {
        tuple(solves(script("noisy", OPTIONS, Noise(seed, 0.5), task, n)) for n in range(1, 41))
        for seed in range(3)
        for task in ("t.py::test_it", "t.py::test_other")
    }
    assert len(draws) == 6
    assert len({tuple(noisy(noise, n)) for n in range(1, 41)}) > 10


@pytest.mark.parametrize("p", [0.0, 0.05, 0.5, 0.75, 1.0])
def test_how_often_it_succeeds(p: float) -> None:
    successes = sum(solves(noisy(Noise(p_success=p), n)) for n in range(1, ATTEMPTS + 1))
    least, most = binom.interval(0.999, ATTEMPTS, p)
    assert least <= successes <= most


FAULTS: dict[str, Any] = {
    "p_malformed": lambda step: step.tool == "bash" and not parses(step.arguments),
    "p_unknown_tool": lambda step: step.tool not in TOOLS,
    "p_wrong_command": lambda step: step.tool == "bash" and step not in SOLUTION and parses(step.arguments),
}


def parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("p_success", [0.0, 1.0])
def test_how_often_each_fault_is_made(name: str, p: float, p_success: float) -> None:
    noise = Noise(p_success=p_success, **{other: 0 for other in FAULTS if other != name} | {name: p})
    made = [sum(map(FAULTS[name], noisy(noise, n))) for n in range(1, ATTEMPTS + 1)]
    assert set(made) <= {0, 1}  # at most once an attempt
    least, most = binom.interval(0.999, ATTEMPTS, p)
    assert least <= sum(made) <= most


@given(probabilities, probabilities, st.integers(1, 99))
def test_faults_do_not_change_who_succeeds(p_success: float, p_fault: float, attempt: int) -> None:
    calm, wild = Noise(0, p_success, 0, 0, 0), Noise(0, p_success, p_fault, p_fault, p_fault)
    assert solves(noisy(calm, attempt)) == solves(noisy(wild, attempt))


@given(probabilities, probabilities, st.integers(1, 99))
def test_a_better_agent_solves_what_a_worse_one_solves(one: float, other: float, attempt: int) -> None:
    worse, better = sorted((one, other))
    assert solves(noisy(Noise(p_success=better), attempt)) >= solves(noisy(Noise(p_success=worse), attempt))


def test_the_wrong_command_does_go_wrong() -> None:
    noise = Noise(p_success=1, p_malformed=0, p_unknown_tool=0, p_wrong_command=1)
    (wrong,) = (step for step in noisy(noise, 1) if FAULTS["p_wrong_command"](step))
    command = json.loads(wrong.arguments)["command"]
    assert subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("name", ["p_success", *FAULTS])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "half", None, True])
def test_a_probability_that_is_none(name: str, value: Any) -> None:
    with pytest.raises(PrerequisiteError, match=f"{name}={value} must be a number between 0 and 1"):
        Noise(**{name: value})


@pytest.mark.parametrize("seed", [1.5, "one", None, True])
def test_a_seed_that_is_none(seed: Any) -> None:
    with pytest.raises(PrerequisiteError, match=f"seed={seed} must be a whole number"):
        Noise(seed=seed)


def generate(
    kind: str, tools: Sequence[str] = TOOLS, options: TaskOptions = OPTIONS, turn: int = 0, **arguments: Any
) -> ModelOutput:
    messages: list[ChatMessage] = [ChatMessageUser(content="x" * 400)]
    messages += [ChatMessageAssistant(content="") for _ in range(turn)]
    infos = [ToolInfo(name=name, description=name) for name in tools]

    async def call() -> ModelOutput:
        attempt = Attempt("t.py::test_it", 1, 1, f"agenteval/{kind}", 60)
        with metered(CallMeter(attempt, options, RunBudget(None), BuiltInPrices(), own_agent=False)):
            return await RehearsalAPI(kind, **arguments).generate(messages, infos, "auto", GenerateConfig())

    return asyncio.run(call())


def test_each_turn_is_the_next_step() -> None:
    calls = [generate("oracle", turn=turn).message.tool_calls for turn in range(5)]
    played = [(call[0].function, call[0].arguments) for call in calls if call]
    expected = [(step.tool, json.loads(step.arguments)) for step in SOLUTION]
    assert played == [*expected, expected[-1]]  # whoever asks again gets the submission again


def test_calls_have_ids_of_their_own() -> None:
    ids = [calls[0].id for turn in range(4) if (calls := generate("oracle", turn=turn).message.tool_calls)]
    assert len(set(ids)) == 4


def test_malformed_arguments_arrive_as_inspect_reports_them() -> None:
    arguments = {"p_success": 0, "p_malformed": 1, "p_unknown_tool": 0, "p_wrong_command": 0}
    output = generate("noisy", options=TaskOptions(), **arguments)
    assert output.message.tool_calls is not None
    (call,) = output.message.tool_calls
    assert call.function == "bash"
    assert call.parse_error is not None


def test_without_the_tool_it_says_it_as_text() -> None:
    output = generate("oracle", tools=("bash",), turn=3)
    assert (output.message.text, output.message.tool_calls, output.stop_reason) == ("42", None, "stop")


def test_tokens_are_counted() -> None:
    usage = generate("oracle").usage
    assert usage is not None
    assert usage.input_tokens == 100  # a quarter of the 400 characters
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_outside_of_an_attempt_there_is_nothing_to_play() -> None:
    with pytest.raises(PrerequisiteError, match="play the tasks of pytest-agenteval"):
        asyncio.run(RehearsalAPI("oracle").generate([], [], "auto", GenerateConfig()))


@pytest.mark.parametrize("kind", ["oracle", "null"])
def test_only_noisy_takes_arguments(kind: str) -> None:
    with pytest.raises(PrerequisiteError, match="no argument 'seed'"):
        RehearsalAPI(kind, seed=1)
    assert RehearsalAPI("noisy", seed=1).noise == Noise(seed=1)


def test_how_sure_rehearsed_agents_are() -> None:
    assert {confidence("oracle", CLEAN, "t", i) for i in range(1, 9)} == {100}
    assert {confidence("null", CLEAN, "t", i) for i in range(1, 9)} == {0}
    drawn = [confidence("noisy", Noise(), "t", i) for i in range(1, 201)]
    assert drawn == [confidence("noisy", Noise(), "t", i) for i in range(1, 201)]
    assert len(set(drawn)) > 20
    assert drawn != [confidence("noisy", Noise(seed=1), "t", i) for i in range(1, 201)]
    assert all(0 <= each <= 100 for each in drawn)


def test_the_noisy_agent_is_surer_where_it_solves_the_task() -> None:
    noise = Noise(p_success=0.5)
    solved = [solves(noisy(noise, i)) for i in range(1, 401)]
    said = [confidence("noisy", noise, "t.py::test_it", i) for i in range(1, 401)]
    mean = [sum(s for s, right in zip(said, solved, strict=True) if right is which) / solved.count(which)
            for which in (True, False)]  # fmt: skip
    assert mean[0] > mean[1] + 10
