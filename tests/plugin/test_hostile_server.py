"""Whatever a server answers, each attempt ends in its row of the table, and the attempts beside it do not notice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.hostile_server import (
    SUBMIT,
    WRITE,
    HostileServer,
    Wire,
    call,
    completion,
    error,
    page,
    raw,
    reset,
    silent,
    trickle,
)
from support.http_runs import AGENT, HttpRun, run_suite

from pytest_agenteval.records import AttemptRecord

DOWN, CONTEXT, REFUSED, FAILED, PASSED = (
    "environment_error/provider", "limit/context", "failed/refused", "failed", "passed",
)  # fmt: skip
TRIES, RETRIES = 2, 1
"""Tries of an environment error, and how often each asks again what may get an answer."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What the server answers, call by call, and what must come of it."""

    replies: tuple[Wire, ...]
    ended: str
    asked: int | None = None
    """How many requests the server gets; None where that says nothing."""
    says: str = ""
    """In the first line of the attempt's message."""


def _once(reply: Wire, ended: str, says: str = "", *, again: bool = False) -> Mode:
    """At the first call; `again`: where Inspect asks again."""
    asked = (TRIES if ended == DOWN else 1) * (1 + RETRIES if again else 1)
    return Mode((reply, completion(SUBMIT)), ended, asked, says)


def _later(reply: Wire, ended: str, says: str = "") -> Mode:
    """After an answered call: a conversation is under way."""
    return Mode(
        (completion(call("bash", '{"command": "seq 9"}')), reply), ended, 2 * (TRIES if ended == DOWN else 1), says
    )


def _turn(*calls: dict[str, object], ended: str = FAILED, content: object = None) -> Mode:
    """An answer that is strange, and not the provider's fault; the agent goes on."""
    return Mode((completion(*calls, content=content), completion(SUBMIT)), ended)


WINDOW = "This model's maximum context length is 1000 tokens. However, your request has 2203 input tokens."
TOO_LONG = "the request exceeds the available context size, try increasing it"
PAIRS = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
CREDIT = "Your credit balance is too low to access the Anthropic API."
USAGE_RULES = "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"

MODES: Mapping[str, Mode] = {
    "honest": Mode((completion(WRITE), completion(SUBMIT)), PASSED, 2),
    # refusals of the first call
    **{
        f"status_{status}": _once(error(status, f"no {status}"), DOWN, f"HTTP {status}: no {status}")
        for status in (400, 401, 402, 403, 404, 405, 418, 422)
    },
    **{
        f"status_{status}": _once(error(status, f"no {status}"), DOWN, f"HTTP {status}: no {status}", again=True)
        for status in (408, 429, 500, 502, 503, 529)
    },
    "status_413": _once(error(413, "Request exceeds the maximum size"), CONTEXT, "HTTP 413: Request exceeds"),
    "status_429_for_long": _once(error(429, "slow", retry_after="100000"), DOWN, "HTTP 429: slow", again=True),
    "page_403": _once(page(403, "Just a moment..."), DOWN, "HTTP 403: Just a moment..."),
    "page_413": _once(page(413, "413 Request Entity Too Large"), CONTEXT, "HTTP 413: 413 Request Entity Too Large"),
    "page_502": _once(page(502, "502 Bad Gateway"), DOWN, "HTTP 502: 502 Bad Gateway", again=True),
    "redirect": Mode((raw(b"", 307, location="/v1/chat/completions"),), DOWN),
    # refusals of a conversation that is under way
    "context_openai": _later(error(400, WINDOW, "context_length_exceeded"), CONTEXT, WINDOW),
    "context_vllm": _later(raw(json.dumps({"object": "error", "message": WINDOW, "code": 400}).encode(), 400), CONTEXT,
                           f"HTTP 400: {WINDOW}"),
    "context_vllm_newer": _later(error(400, WINDOW, 400), CONTEXT, f"HTTP 400: {WINDOW}"),
    "context_llama_cpp": _later(error(400, TOO_LONG, 400), CONTEXT, f"HTTP 400: {TOO_LONG}"),
    "context_llama_cpp_500": _later(error(500, "Context size has been exceeded.", 500), CONTEXT, "HTTP 500: Context"),
    "context_tgi": _later(raw(b'{"error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",'
                              b' "error_type": "validation"}', 422), CONTEXT, "HTTP 422: Input validation error"),
    "context_in_an_answer": _later(raw(json.dumps({"error": {"message": WINDOW, "code": 400}}).encode()), CONTEXT,
                                   f"HTTP 400: {WINDOW}"),
    "content_azure": _later(error(400, "triggering Azure OpenAI's content management policy", "content_filter"), REFUSED,
                            "triggering Azure"),
    "content_grok": _later(raw(json.dumps({"code": "no permission", "error": USAGE_RULES}).encode(), 403), REFUSED,
                           f"HTTP 403: {USAGE_RULES}"),
    "content_withheld": _later(completion(finish="content_filter"), REFUSED, "the provider withheld the answer"),
    "pairs": _later(error(400, PAIRS), REFUSED, f"HTTP 400: {PAIRS}"),
    "unknown_400": _later(error(400, "tool schemas must not have defaults"), REFUSED, "HTTP 400: tool schemas"),
    "unknown_422": _later(raw(b'{"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}', 422), REFUSED,
                          "HTTP 422: Field required"),
    "credit_400": _later(error(400, CREDIT), DOWN, f"HTTP 400: {CREDIT}"),
    "forbidden_later": _later(error(403, "Country, region, or territory not supported"), DOWN, "HTTP 403: Country"),
    "rate_413": _later(error(413, "Request too large on tokens per minute (TPM)", "rate_limit_exceeded"), DOWN, "HTTP 413"),
    # answers that are none
    "garbage": _once(raw(b"not json at all {"), DOWN, "HTTP 200 with an answer that cannot be read", again=True),
    "page_200": _once(raw(b"<html>login</html>", content_type="text/html"), DOWN, "<html>login", again=True),
    "empty_body": _once(raw(b""), DOWN, again=True),
    "json_null": _once(raw(b"null"), DOWN, again=True),
    "json_text": _once(raw(b'"later"'), DOWN, again=True),
    "json_list": _once(raw(b"[]"), DOWN, again=True),
    "no_choices": _once(raw(b'{"id": "x"}'), DOWN, "HTTP 200 with an answer that cannot be read", again=True),
    "choices_null": _once(completion(choices=None), DOWN, "HTTP 200 with an answer that cannot be read: choices is null",
                          again=True),
    "choices_empty": _once(completion(choices=[]), DOWN, "HTTP 200 with an answer that cannot be read: choices is []",
                           again=True),
    "choices_text": _once(completion(choices="x"), DOWN, "HTTP 200 with an answer that cannot be read", again=True),
    "message_null": _once(completion(choices=[{"index": 0, "message": None, "finish_reason": "stop"}]), DOWN,
                          "HTTP 200 with an answer that cannot be read", again=True),
    "message_missing": _once(completion(choices=[{"index": 0, "finish_reason": "stop"}]), DOWN,
                             "HTTP 200 with an answer that cannot be read", again=True),
    "quota_in_an_answer": _once(raw(b'{"error": {"message": "quota", "code": 402}}'), DOWN, "HTTP 402: quota"),
    "deep_json": _once(raw(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), DOWN, again=True),
    # connections
    "breaks_off": _once(raw(b'{"id": "x", ', length=1000), DOWN, again=True),
    "reset": _once(reset, DOWN, again=True),
    "silent": _once(silent, DOWN, again=True),
    "trickle": Mode((trickle,), DOWN),
    # answers that the model must answer for
    "no_content": _turn(),
    "cut": Mode((completion(content="cut", finish="length"), completion(SUBMIT)), FAILED),
    "unknown_finish": Mode((completion(content="x", finish="martian"), completion(SUBMIT)), FAILED),
    "call_without_id": _turn(call("bash", WRITE["function"]["arguments"], id=None), ended=PASSED),
    "calls_with_one_id": _turn(WRITE, WRITE, ended=PASSED),
    "long_tool_name": _turn(call("x" * 5000 + "\n::error::", "{}")),
    "empty_tool_name": _turn(call("", "{}")),
    "arguments_null": _turn(call("bash", "null")),
    "arguments_list": _turn(call("bash", "[1, 2]")),
    "arguments_cut": _turn(call("bash", '{"command": "echo')),
    "arguments_deep": _turn(call("bash", '{"command":' + "[" * 100_000 + "]" * 100_000 + "}")),
    "big_body": _turn(WRITE, content="y" * 5_000_000, ended=PASSED),
}  # fmt: skip

BOMB = "- &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"- &{here} [{','.join([f'*{before}'] * 9)}]\n" for before, here in zip("abcdefgh", "bcdefghi", strict=True)
)
POISON: Mapping[str, Mode] = {
    "surrogate": _turn(WRITE, content="bad \ud800 text", ended=PASSED),
    "surrogate_in_arguments": _turn(call("bash", '{"command": "echo \\ud800"}')),
    "surrogate_as_tool": _turn(call("no\ud800tool", "{}")),
    "surrogate_in_a_refusal": _once(error(400, "no \ud800 400"), DOWN, "HTTP 400: no"),
    "nul_in_arguments": _turn(call("bash", '{"command": "echo \\u0000 > x"}')),
    "yaml_bomb": _turn(call("bash", BOMB)),
}
"""Content that today reaches other attempts. Set SWITCHED_ON["content"] when it no longer does."""

UNKNOWN_USAGE: Mapping[str, Mode] = {
    "usage_missing": Mode((completion(WRITE, usage=None), completion(SUBMIT, usage=None)), PASSED, 2),
    "usage_negative": Mode((completion(WRITE, usage={"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12}),
                            completion(SUBMIT)), PASSED, 2),
    "usage_of_texts": _once(completion(WRITE, usage={"prompt_tokens": "many", "completion_tokens": None}), DOWN, again=True),
}  # fmt: skip
"""What a call used is not known. Set SWITCHED_ON["usage"] when the rest of the run holds its limits then."""

SWITCHED_ON = {"content": False, "usage": False}
SERVED = {**MODES, **(POISON if SWITCHED_ON["content"] else {}), **(UNKNOWN_USAGE if SWITCHED_ON["usage"] else {})}

HONEST = """
import pytest
from pytest_agenteval import agent_task

async def work(mode, agent, sandbox):
    await agent.run(f"MODE={mode} Write done to out.txt.")
    assert (await sandbox.read_file("out.txt")).strip() == "done"

@pytest.mark.parametrize("number", range(3))
async def test_honest(number, agent, sandbox):
    await work("honest", agent, sandbox)

async def test_honest_and_wrong(agent, sandbox):
    await work("no_content", agent, sandbox)
"""
HOSTILE = """
@pytest.mark.parametrize("mode", MODES)
@agent_task(turn_limit=6)
async def test_hostile(mode, agent, sandbox):
    await work(mode, agent, sandbox)

@agent_task(time_limit=6)
async def test_slow(agent, sandbox):
    await work("trickle", agent, sandbox)
"""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}


def _run(folder: Path, server: HostileServer, suite: str) -> HttpRun:
    return run_suite(
        folder,
        server,
        suite,
        f"--agent-generate=max_retries={RETRIES}",
        f"--agent-env-retries={TRIES - 1}",
        "--agent-model-arg=client_timeout=3",
        "--agent-concurrency=24",
        f"--junitxml={folder}/junit.xml",
        f"--agent-json={folder}/report.json",
        f"--agent-html={folder}/report.html",
        f"--agent-comment={folder}/comment.md",
        prices=PRICES,
        k=1,
    )


@dataclass(frozen=True, slots=True)
class Beside:
    """The run with the hostile modes, and one of the honest tasks alone."""

    run: HttpRun
    alone: HttpRun
    asked: Mapping[str, int]

    def attempt(self, mode: str) -> AttemptRecord:
        """The one attempt at a mode."""
        name = "test_slow" if mode == "trickle" else f"test_hostile[{mode}]"
        (found,) = [record for record in self.run.task_records if record.task.endswith(f"::{name}")]
        (attempt,) = found.attempts
        return attempt


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Beside:
    names = [name for name in SERVED if name not in ("honest", "trickle")]
    with HostileServer({name: mode.replies for name, mode in SERVED.items()}) as server:
        alone = _run(tmp_path_factory.mktemp("alone"), server, HONEST)
        server.asked.clear()
        run = _run(tmp_path_factory.mktemp("beside"), server, f"MODES = {names}\n{HONEST}\n{HOSTILE}")
        return Beside(run, alone, dict(server.asked))


def test_there_are_forty_modes_at_least() -> None:
    assert len(MODES) >= 40


@pytest.mark.parametrize("name", [name for name in SERVED if name != "honest"])
def test_a_mode_ends_in_its_row(beside: Beside, name: str) -> None:
    mode, attempt = SERVED[name], beside.attempt(name)
    ended = attempt.outcome.value + (f"/{attempt.cause.value}" if attempt.cause else "")
    assert ended == mode.ended, attempt.message
    assert attempt.message.partition("\n")[0].startswith(mode.says) or mode.says in attempt.message.partition("\n")[0]
    assert "Request:" not in attempt.message
    if mode.asked is not None and name != "no_content":
        assert beside.asked[name] == mode.asked


def _figures(run: HttpRun) -> dict[str, object]:
    found: dict[str, object] = {}
    for record in run.task_records:
        if "::test_honest" in record.task:
            (attempt,) = record.attempts
            calls = [(c.input_tokens, c.output_tokens, c.cost, c.retries) for c in attempt.model_calls]
            tools = [(c.tool, c.arguments, c.error, c.exit_code) for c in attempt.tool_calls]
            found[record.task] = (attempt.outcome, attempt.cause, attempt.message, calls, tools, attempt.retries)
    return found


def test_the_honest_tasks_have_the_figures_of_a_run_without_the_others(beside: Beside) -> None:
    assert _figures(beside.run) == _figures(beside.alone)
    assert len(_figures(beside.run)) == 4
    assert [a.outcome.value for r in beside.alone.task_records for a in r.attempts].count("passed") == 3


def test_the_run_is_judged(beside: Beside) -> None:
    assert beside.run.code == 1  # the agents of some modes failed
    assert "INTERNALERROR" not in beside.run.text
    assert "looks like a bug in the test" not in beside.run.text
    costs = [a.cost for r in beside.run.task_records for a in r.attempts]
    assert all(cost is not None and math.isfinite(cost) for cost in costs)


@pytest.mark.parametrize("name", ["status_401", "credit_400", "unknown_400", "context_vllm", "content_grok"])
@pytest.mark.parametrize("file", ["stdout.txt", "junit.xml", "report.json", "report.html", "comment.md"])
def test_what_the_provider_said_stands_in_every_report(beside: Beside, name: str, file: str) -> None:
    text = (beside.run.folder / file).read_text("utf-8").replace("&#x27;", "'").replace("&apos;", "'")
    assert " ".join(SERVED[name].says.split()) in " ".join(text.split())
    assert "x-irid" not in text.lower()  # a header of every request
