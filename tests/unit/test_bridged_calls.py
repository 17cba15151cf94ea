from __future__ import annotations

import json

import pytest
from inspect_ai.event import ModelEvent
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
)
from inspect_ai.tool import ToolCall as InspectCall
from inspect_ai.tool import ToolCallError, ToolInfo

from pytest_agenteval.engine.bridged_calls import BridgedCalls
from pytest_agenteval.records import ToolCall


def asks(*results: ChatMessageTool, calls: list[InspectCall]) -> ModelEvent:
    said = ChatMessageAssistant(content="", tool_calls=calls)
    return ModelEvent(
        model="some/model",
        requested_model="inspect",
        input=[ChatMessageUser(content="work"), *results],
        tools=[ToolInfo(name="bash", description="runs")],
        tool_choice="auto",
        config=GenerateConfig(),
        output=ModelOutput(model="some/model", choices=[ChatCompletionChoice(message=said)]),
    )


def bash(number: int, command: str = "ls", problem: str | None = None) -> InspectCall:
    return InspectCall(id=f"call-{number}", function="bash", arguments={"command": command}, parse_error=problem)


def result(number: int, text: str, error: ToolCallError | None = None) -> ChatMessageTool:
    return ChatMessageTool(content=text, tool_call_id=f"call-{number}", function="bash", error=error)


def after(text: str, error: ToolCallError | None = None) -> ToolCall:
    calls = BridgedCalls()
    calls.model_answered(asks(calls=[bash(1)]))
    calls.model_answered(asks(result(1, text, error), calls=[]))
    (found,) = calls.calls
    return found


@pytest.mark.parametrize(
    "text",
    [
        "An error occurred while running the tool. Please try again.",
        "Error: RuntimeError('x')\n Please fix your mistakes.",
        "Error executing tool 'bash' with kwargs {} with error:\n x\n Please fix the error and try again.",
        '{"error":"exit status 3"}',
        "exit status 3\n\nFix the errors and try again.",
    ],
)
def test_the_words_of_frameworks_tell_a_failure(text: str) -> None:
    assert (after(text).error, after(text).failure_known) == ("unknown", True)


@pytest.mark.parametrize("text", ["done", "", "Error: no such file", "0 errors. Fix the errors and try again. Or not."])
def test_a_result_without_a_flag_is_unknown_and_no_success(text: str) -> None:
    assert (after(text).error, after(text).failure_known) == (None, False)


def test_a_flag_tells_a_failure() -> None:
    call = after("gone", ToolCallError("permission", "not yours"))
    assert (call.error, call.message, call.failure_known, call.known_by) == (
        "permission",
        "not yours",
        True,
        "messages",
    )


def test_a_call_that_could_not_be_made_has_failed_and_one_without_a_result_is_unknown() -> None:
    calls = BridgedCalls()
    other = InspectCall(id="call-2", function="no_such_tool", arguments={})
    calls.model_answered(asks(calls=[bash(1, problem="no JSON"), other, bash(3)]))
    assert [(c.error, c.failure_known) for c in calls.calls] == [("parsing", True), ("parsing", True), (None, False)]


def test_a_recorded_call_takes_the_place_of_the_same_call_in_the_messages() -> None:
    calls = BridgedCalls()
    calls.model_answered(asks(calls=[bash(1, "ls"), bash(2, "pwd")]))
    second = ToolCall("bash", json.dumps({"command": "pwd"}), error="OSError", known_by="recorded")
    calls.agent_recorded(second)
    calls.agent_recorded(other := ToolCall("helper", "{}", known_by="recorded"))
    calls.model_answered(asks(result(1, "a"), result(2, '{"error":"x"}'), calls=[]))
    assert calls.calls[1:] == [second, other]
    assert (calls.calls[0].known_by, calls.calls[0].failure_known) == ("messages", False)


def test_calls_that_inspect_ran_are_not_counted_twice() -> None:
    calls = BridgedCalls({"call-1"})
    calls.model_answered(asks(calls=[bash(1), bash(2)]))
    assert len(calls.calls) == 1
