from __future__ import annotations

from pathlib import Path

from inspect_ai.event import Event, ModelEvent, SandboxEvent, SpanBeginEvent, ToolEvent
from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, write_eval_log
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelOutput,
)
from inspect_ai.tool import ToolCall, ToolCallError

from pytest_agenteval.engine.logs.conversations import LogConversations, conversation_of
from pytest_agenteval.record.conversation import Text, cut_text

KEY = "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q"
ASKED = ChatMessageUser(id="u", content="Fix it.")
SYSTEM = ChatMessageSystem(id="s", content="Be good.")
CALL = ToolCall(id="c1", function="bash", arguments={"command": "ls"})
FIRST = ChatMessageAssistant(id="a1", content="Looking.", tool_calls=[CALL])
SEEN = ChatMessageTool(id="t1", content="calc.py", tool_call_id="c1", function="bash")
LAST = ChatMessageAssistant(id="a2", content="Done.")


def model(heard: list[ChatMessage], said: ChatMessageAssistant | None, **fields: object) -> ModelEvent:
    output = ModelOutput() if said is None else ModelOutput.from_message(said)
    about = {"model": "m", "input": heard, "tools": [], "tool_choice": "auto", "config": GenerateConfig()}
    return ModelEvent(**about, output=output, span_id="agent", **fields)


def span(identity: str, kind: str, name: str, parent: str | None = None) -> SpanBeginEvent:
    return SpanBeginEvent(id=identity, type=kind, name=name, parent_id=parent, span_id=identity)


def sample(*events: Event, **fields: object) -> EvalSample:
    return EvalSample(id="t.py::test_it", epoch=3, input="x", target="", events=list(events), **fields)


def ran(command: str, exit_code: int, output: str, where: str) -> SandboxEvent:
    return SandboxEvent(action="exec", cmd=command, result=exit_code, output=output, span_id=where)


WHOLE = (
    span("try1", "try", "try 1"),
    ran("setup", 0, "", "try1"),
    model([SYSTEM, ASKED], FIRST),
    span("tool1", "tool", "bash", "agent"),
    ToolEvent(id="c1", function="bash", arguments=CALL.arguments, result="calc.py", span_id="agent", working_time=0.5),
    ran("bash -c ls", 0, "calc.py", "tool1"),
    model([SYSTEM, ASKED, FIRST, SEEN], LAST),
    ran("python3 check.py", 1, "wrong", "try1"),
)  # fmt: skip


def test_everything_is_told_once_and_in_order() -> None:
    found = conversation_of(sample(*WHOLE)).messages
    assert [(m.role, m.text.head) for m in found] == [
        ("system", "Be good."), ("user", "Fix it."), ("assistant", "Looking."), ("assistant", "Done."), ("test", ""),
    ]  # fmt: skip


def test_a_call_has_its_arguments_result_exit_code_and_seconds() -> None:
    (call,) = conversation_of(sample(*WHOLE)).messages[2].calls
    assert (call.tool, call.arguments, call.result) == ("bash", Text('{"command": "ls"}'), Text("calc.py"))
    assert (call.exit_code, call.seconds, call.error) == (0, 0.5, None)


def test_what_the_test_ran_after_the_agent_is_told_and_its_setup_is_not() -> None:
    (check,) = conversation_of(sample(*WHOLE)).messages[4].calls
    assert (check.tool, check.arguments.head, check.exit_code) == ("sandbox.exec", "python3 check.py", 1)
    assert check.result == Text("wrong")


def test_a_failed_call_has_its_type_and_message() -> None:
    failed = ToolEvent(
        id="c1", function="bash", arguments={}, span_id="agent", error=ToolCallError(type="timeout", message="180 s")
    )
    (call,) = conversation_of(sample(model([ASKED], FIRST), failed)).messages[1].calls
    assert (call.error, call.message, call.result) == ("timeout", Text("180 s"), None)


def test_without_tool_events_results_come_from_the_messages() -> None:
    """So it is with an own agent, which runs its tools itself."""
    error = ToolCallError(type="permission", message="no")
    answered = SEEN.model_copy(update={"error": error})
    (call,) = conversation_of(sample(model([ASKED], FIRST), model([ASKED, FIRST, answered], LAST))).messages[1].calls
    assert (call.result, call.error, call.message) == (Text("calc.py"), "permission", Text("no"))


def test_tries_are_numbered_and_a_failed_model_call_is_told() -> None:
    events = (
        span("try1", "try", "try 1"),
        model([ASKED], None, error="503 overloaded"),
        span("try2", "try", "try 2"),
        model([ASKED], LAST),
    )
    found = conversation_of(sample(*events)).messages
    assert [(m.role, m.try_number) for m in found] == [("user", 1), ("error", 1), ("user", 2), ("assistant", 2)]
    assert found[1].text.head == "503 overloaded"


def test_other_roles_are_named_and_thoughts_are_kept_apart() -> None:
    thinking = ChatMessageAssistant(id="g", content=[ContentReasoning(reasoning="hm"), ContentText(text="Yes.")])
    found = conversation_of(sample(model([ASKED], LAST), model([ASKED], thinking, role="judge"))).messages
    assert [(m.role, m.text.head) for m in found[2:]] == [("user", "Fix it."), ("assistant", "Yes.")]
    assert [m.speaker for m in found] == [None, None, "judge", "judge"]
    assert found[3].reasoning == Text("hm")


def test_texts_that_inspect_keeps_beside_the_events_are_found() -> None:
    asked = ChatMessageUser(id="u", content="attachment://abc")
    call = ToolCall(id="c1", function="bash", arguments={"command": "attachment://def"})
    said = ChatMessageAssistant(id="a", content="", tool_calls=[call])
    kept = {"abc": "a long prompt", "def": "a long command"}
    found = conversation_of(sample(model([asked], said), attachments=kept)).messages
    assert found[0].text.head == "a long prompt"
    assert found[1].calls[0].arguments.head == '{"command": "a long command"}'


def test_a_long_text_is_cut_in_its_middle_and_says_by_how_much() -> None:
    text = "".join(str(i % 10) for i in range(3_000_000))
    for length in (90, 100_000, 3_000_000):
        found = cut_text(text[:length], 30)
        assert len(found.head) == 20
        assert len(found.tail) == 10
        assert found.cut == length - 30
        assert text[:length].startswith(found.head)
        assert text[:length].endswith(found.tail)
    assert cut_text("short", 30) == Text("short")


def test_a_key_across_a_cut_does_not_leave_in_halves() -> None:
    text = "x" * 5_320 + f" {KEY} " + "y" * 9_000
    asked = ChatMessageUser(id="u", content=text)
    (message, _) = conversation_of(sample(model([asked], LAST))).messages
    assert "sk-proj" not in message.text.head + message.text.tail


def test_values_known_to_be_secret_are_redacted_too() -> None:
    asked = ChatMessageUser(id="u", content="my word is hunter2hunter2")
    found = conversation_of(sample(model([asked], LAST)), secrets=("hunter2hunter2",)).messages
    assert found[0].text.head == "my word is [redacted]"


def test_a_very_long_conversation_loses_its_middle_and_says_so() -> None:
    heard = [ChatMessageUser(id=f"u{i}", content=str(i)) for i in range(1_000)]
    found = conversation_of(sample(model(list(heard), LAST)))
    assert len(found.messages) + found.left_out == 1_001
    assert found.messages[found.left_out_after - 1].text.head == str(found.left_out_after - 1)
    assert found.messages[found.left_out_after].text.head == str(found.left_out_after + found.left_out)


def test_one_attempt_is_read_from_a_log_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    spec = EvalSpec(
        created="2026-01-01T00:00:00+00:00", task="t", dataset=EvalDataset(), model="m", config=EvalConfig()
    )
    log = str(tmp_path / "a.eval")
    write_eval_log(EvalLog(eval=spec, samples=[sample(*WHOLE)], status="success"), log)
    read = LogConversations()
    found = read("t.py::test_it", 3, log)
    assert found is not None
    assert [m.role for m in found.messages] == ["system", "user", "assistant", "assistant", "test"]
    assert read("t.py::test_it", 1, log) is None
    assert read("t.py::test_it", 3, str(tmp_path / "none.eval")) is None
    (tmp_path / "bad.eval").write_bytes(b"PK no zip")
    assert read("t.py::test_it", 3, str(tmp_path / "bad.eval")) is None
