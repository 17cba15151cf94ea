from __future__ import annotations

import json
import shlex

import pytest
from inspect_ai.event import ModelEvent, SandboxEvent
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

from pytest_agenteval.engine.logs.bridged_calls import BridgedCalls
from pytest_agenteval.record.records import ToolCall


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


def ran(*command: str, status: int = 0, stdin: str | None = None) -> SandboxEvent:
    return SandboxEvent(action="exec", cmd=shlex.join(command), input=stdin, result=status)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Exit code 2\nmake: *** [test] Error 2", 2),
        ("Exit code: 1\nWall time: 0.1 seconds\nOutput:\nno such file", 1),
        ("Exit code: 0\nWall time: 0.1 seconds\nOutput:\nExit code 5", 0),
        (
            "Chunk ID: 1a2b\nWall time: 0.0123 seconds\nProcess exited with code 1\nOriginal token count: 0\nOutput:\n",
            1,
        ),
        ("Wall time: 0.0123 seconds\nProcess exited with code 0\nOutput:\nhi", 0),
        ('{"output":"no\\n","metadata":{"exit_code":127,"duration_seconds":0.1}}', 127),
        ("<returncode>3</returncode>\n<output>\nno\n</output>", 3),
    ],
)
@pytest.mark.parametrize("flag", [None, ToolCallError("unknown", "it failed")])
def test_the_exit_status_in_a_harnesss_words_is_no_failure_of_the_call(
    text: str, status: int, flag: ToolCallError | None
) -> None:
    call = after(text, flag if status else None)
    assert (call.error, call.failure_known, call.exit_code, call.exit_known) == (None, True, status, True)


@pytest.mark.parametrize(
    "text",
    [
        "Wall time: 10.0 seconds\nProcess running with session ID 7\nOutput:\n",
        "my notes\nExit code 2\n",
        "Exit code: 1",
        "",
    ],
)
def test_other_words_tell_no_exit_status(text: str) -> None:
    call = after(text)
    assert (call.exit_code, call.exit_known, call.failure_known) == (None, False, False)


def test_a_time_out_in_a_harnesss_words_is_one_as_everywhere() -> None:
    call = after("Exit code: 124\nWall time: 10 seconds\nOutput:\ncommand timed out after 10000 milliseconds\n")
    assert (call.error, call.exit_code) == ("timeout", None)


def follow(*events: SandboxEvent, results: list[ChatMessageTool], calls: list[InspectCall]) -> list[ToolCall]:
    followed = BridgedCalls()
    followed.command_ended(ran("sh", "-c", "ls"))  # of an earlier turn
    followed.model_answered(asks(calls=calls))
    for event in events:
        followed.command_ended(event)
    followed.model_answered(asks(*results, calls=[]))
    return followed.calls


def exits(calls: list[ToolCall]) -> list[tuple[int | None, bool, bool]]:
    return [(call.exit_code, call.exit_known, call.failure_known) for call in calls]


def test_commands_in_the_sandbox_belong_to_the_calls_whose_arguments_they_are() -> None:
    seen = [ran("bash", "-lc", "pwd", status=2), ran("git", "status", status=9), ran("bash", "-lc", "ls", status=1)]
    calls = follow(*seen, calls=[bash(1, "ls"), bash(2, "pwd")], results=[result(1, "no"), result(2, "no")])
    assert exits(calls) == [(1, True, True), (2, True, True)]
    code = InspectCall(id="call-1", function="bash", arguments={"code": "print(1)"})
    assert exits(follow(ran("python3", "-", stdin="print(1)", status=4), calls=[code], results=[result(1, "")])) == [
        (4, True, True)
    ]
    words = InspectCall(id="call-1", function="bash", arguments={"command": ["bash", "-lc", "ls"]})
    assert exits(follow(ran("bash", "-lc", "ls", status=5), calls=[words], results=[result(1, "")])) == [
        (5, True, True)
    ]


def test_what_the_sandbox_saw_goes_before_what_a_text_says() -> None:
    (call,) = follow(
        ran("sh", "-c", "cat log", status=1), calls=[bash(1, "cat log")], results=[result(1, "Exit code 0\n")]
    )
    assert call.exit_code == 1


def test_what_ran_during_the_only_open_call_is_of_that_call_and_of_several_is_unknown() -> None:
    seen = [ran("git", "stash"), ran("pytest", "-q", status=1)]
    flag = ToolCallError("unknown", "exit status 1")
    (call,) = follow(*seen, calls=[bash(1, "run the tests")], results=[result(1, "no", flag)])
    assert (call.exit_code, call.error) == (1, None)
    (call,) = follow(ran("pytest", "-q"), calls=[bash(1, "run the tests")], results=[result(1, "no", flag)])
    assert (call.exit_code, call.error) == (0, "unknown")  # it failed for another reason
    both = follow(*seen, calls=[bash(1, "test"), bash(2, "put it away")], results=[result(1, ""), result(2, "")])
    assert exits(both) == [(None, False, False)] * 2
    assert exits(follow(calls=[bash(1)], results=[result(1, "")])) == [(None, False, False)]
    tools = ran("/opt/inspect-sandbox-tools", "exec")
    assert exits(follow(tools, calls=[bash(1)], results=[result(1, "")])) == [(None, False, False)]


def test_a_recorded_call_has_the_status_that_it_was_given_or_that_the_sandbox_saw() -> None:
    followed = BridgedCalls()
    followed.model_answered(asks(calls=[bash(1, "ls")]))
    followed.command_ended(ran("sh", "-c", "ls", status=3))
    followed.agent_recorded(
        ToolCall("bash", json.dumps({"command": "ls"}), error="RuntimeError", known_by="recorded", exit_known=False)
    )
    followed.agent_recorded(ToolCall("bash", "{}", error="TimeoutError", known_by="recorded", exit_code=1))
    followed.agent_recorded(ToolCall("look", "{}", error="KeyError", known_by="recorded", exit_known=False))
    assert [(c.error, c.exit_code, c.exit_known) for c in followed.calls] == [
        (None, 3, True),
        ("TimeoutError", 1, True),
        ("KeyError", None, False),
    ]
