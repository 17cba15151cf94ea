"""The ways in which the hostile server answers, and what must come of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from support.hostile_server import (
    SUBMIT,
    WRITE,
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

__all__ = ["MODES", "POISON", "RETRIES", "TRIES", "UNKNOWN_USAGE", "Mode"]

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


def _later(reply: Wire, ended: str, says: str = "", *, asked: int = 2) -> Mode:
    """After an answered call: a conversation is under way."""
    replies = (completion(call("bash", '{"command": "seq 9"}')), reply)
    return Mode(replies, ended, asked * (TRIES if ended == DOWN else 1), says)


def _turn(*calls: dict[str, object], ended: str = FAILED, content: object = None) -> Mode:
    """An answer that is strange, and not the provider's fault; the agent goes on."""
    return Mode((completion(*calls, content=content), completion(SUBMIT)), ended)


WINDOW = "This model's maximum context length is 1000 tokens. However, your request has 2203 input tokens."
TOO_LONG = "the request exceeds the available context size, try increasing it"
PAIRS = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
CREDIT = "Your credit balance is too low to access the Anthropic API."
AZURE = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
TGI = "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000"
RATE = "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 7000"
UNREADABLE = "HTTP 200 with an answer that cannot be read"
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
    "context_openai": _later(error(400, WINDOW, "context_length_exceeded", x_request_id="1"), CONTEXT,
                             f"HTTP 400: {WINDOW}"),
    "context_openai_without_id": _later(error(400, WINDOW, "context_length_exceeded"), CONTEXT, WINDOW),
    "context_vllm": _later(raw(json.dumps({"object": "error", "message": WINDOW, "code": 400}).encode(), 400), CONTEXT,
                           f"HTTP 400: {WINDOW}"),
    "context_vllm_newer": _later(error(400, WINDOW, 400), CONTEXT, f"HTTP 400: {WINDOW}"),
    "context_llama_cpp": _later(error(400, TOO_LONG, 400), CONTEXT, f"HTTP 400: {TOO_LONG}"),
    "context_llama_cpp_500": _later(error(500, "Context size has been exceeded.", 500), CONTEXT, "HTTP 500: Context"),
    "context_tgi": _later(raw(json.dumps({"error": TGI, "error_type": "validation"}).encode(), 422), CONTEXT,
                          f"HTTP 422: {TGI}"),
    "context_in_an_answer": _later(raw(json.dumps({"error": {"message": WINDOW, "code": 400}}).encode()), CONTEXT,
                                   f"HTTP 400: {WINDOW}"),
    "content_azure": _later(error(400, AZURE, "content_filter"), REFUSED, AZURE, asked=4),
    "content_grok": _later(raw(json.dumps({"code": "no permission", "error": USAGE_RULES}).encode(), 403), REFUSED,
                           f"HTTP 403: {USAGE_RULES}", asked=4),
    "content_withheld": _later(completion(finish="content_filter"), REFUSED, "the provider withheld the answer",
                               asked=4),
    "pairs": _later(error(400, PAIRS), REFUSED, f"HTTP 400: {PAIRS}"),
    "unknown_400": _later(error(400, "tool schemas must not have defaults"), REFUSED, "HTTP 400: tool schemas"),
    "unknown_422": _later(raw(b'{"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}', 422), REFUSED,
                          "HTTP 422: Field required"),
    "credit_400": _later(error(400, CREDIT), DOWN, f"HTTP 400: {CREDIT}"),
    "forbidden_later": _later(error(403, "Country, region, or territory not supported"), DOWN, "HTTP 403: Country"),
    "rate_413": _later(error(413, RATE, "rate_limit_exceeded"), DOWN, f"HTTP 413: {RATE}"),
    # answers that are none
    "garbage": _once(raw(b"not json at all {"), DOWN, UNREADABLE, again=True),
    "page_200": _once(raw(b"<html>login</html>", content_type="text/html"), DOWN, "<html>login", again=True),
    "empty_body": _once(raw(b""), DOWN, UNREADABLE, again=True),
    "json_null": _once(raw(b"null"), DOWN, again=True),
    "json_text": _once(raw(b'"later"'), DOWN, again=True),
    "json_list": _once(raw(b"[]"), DOWN, again=True),
    "no_choices": _once(raw(b'{"id": "x"}'), DOWN, UNREADABLE, again=True),
    "choices_null": _once(completion(choices=None), DOWN, f"{UNREADABLE}: choices is null",
                          again=True),
    "choices_empty": _once(completion(choices=[]), DOWN, f"{UNREADABLE}: choices is []",
                           again=True),
    "choices_text": _once(completion(choices="x"), DOWN, UNREADABLE, again=True),
    "message_null": _once(completion(choices=[{"index": 0, "message": None, "finish_reason": "stop"}]), DOWN,
                          UNREADABLE, again=True),
    "message_missing": _once(completion(choices=[{"index": 0, "finish_reason": "stop"}]), DOWN,
                             UNREADABLE, again=True),
    "overload_in_an_answer": _once(raw(b'{"error": {"message": "busy", "code": 503}}'), DOWN, "HTTP 503: busy",
                                   again=True),
    "quota_in_an_answer": _once(raw(b'{"error": {"message": "quota", "code": 402}}'), DOWN, "HTTP 402: quota"),
    "deep_json": _once(raw(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), DOWN, UNREADABLE, again=True),
    # connections
    "breaks_off": _once(raw(b'{"id": "x", ', length=1000), DOWN, again=True),
    "reset": _once(reset, DOWN, again=True),
    "silent": _once(silent, DOWN, again=True),
    "trickle": Mode((trickle,), DOWN),
    # answers that the model must answer for
    "no_content": _turn(),
    "cut": Mode((completion(content="cut", finish="length"), completion(SUBMIT)), FAILED),
    "unknown_finish": Mode((completion(content="x", finish="martian"), completion(SUBMIT)), FAILED),
    "call_without_id": _once(completion(call("bash", "{}", id=None)), DOWN, UNREADABLE, again=True),
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
"""Content that would reach other attempts without our guards."""

NEGATIVE = {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12}
UNKNOWN_USAGE: Mapping[str, Mode] = {
    "usage_missing": Mode((completion(WRITE, usage=None), completion(SUBMIT, usage=None)), PASSED, 2),
    "usage_without_a_total": _once(completion(WRITE, usage={"prompt_tokens": -5, "completion_tokens": -7}), DOWN,
                                   UNREADABLE, again=True),
    "usage_negative": Mode((completion(WRITE, usage=NEGATIVE), completion(SUBMIT)), PASSED, 2),
    "usage_of_texts": _once(completion(WRITE, usage={"prompt_tokens": "many", "completion_tokens": None}), DOWN,
                            UNREADABLE, again=True),
}  # fmt: skip
"""What a call used is not known."""
