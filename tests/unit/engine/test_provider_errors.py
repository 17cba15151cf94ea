from __future__ import annotations

import json
from collections.abc import Mapping

import anthropic
import httpx
import openai
import pytest
from botocore.exceptions import ClientError
from google.genai import errors

from pytest_agenteval.engine.models.provider_errors import Said, said_by, said_in


def _openai(body: object, status: int = 400) -> BaseException:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = httpx.Response(status, content=content, request=httpx.Request("POST", "http://x"))
    return openai.OpenAI(api_key="x")._make_status_error_from_response(reply)


NESTED = {"error": {"message": "too long", "type": "invalid_request_error", "param": None, "code": "context"}}


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (NESTED, "context invalid_request_error", "too long"),
        ({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}, "400 BadRequestError",
         "too long"),  # vLLM
        ({"error": "too long", "error_type": "validation"}, "validation", "too long"),  # TGI
        ({"error": "too long"}, "", "too long"),  # Ollama
        ({"code": "no permission", "error": "too long"}, "no permission", "too long"),  # xAI
        ({"detail": "too long"}, "", "too long"),  # FastAPI
        ({"detail": [{"loc": ["body"], "msg": "too", "type": "a"}, {"msg": "long"}]}, "", "too; long"),
        ({"error": "Bad Request", "message": "too long"}, "", "too long"),
        ([{"error": {"code": 400, "message": "too long", "status": "INVALID_ARGUMENT"}}], "400 INVALID_ARGUMENT",
         "too long"),  # Google behind OpenAI's API
        ({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": json.dumps(NESTED)}}},
         "400 context invalid_request_error", "Provider returned error: too long"),  # OpenRouter
        (b"<html><head><title>502\n Bad Gateway</title></head></html>", "", "502 Bad Gateway"),
        (b"<html>closed</html>", "", "closed"),
        (b"plain words", "", "plain words"),
        (b"{ cut", "", "{ cut"),
    ],
)  # fmt: skip
def test_codes_and_message_are_found_in_the_shapes_of_all_servers(body: object, code: str, message: str) -> None:
    said = said_by(_openai(body))
    assert (said.status, said.message) == (400, message)
    assert set(code.split()) <= set(said.code.split())
    assert str(said) == f"HTTP 400: {message}"


def test_clients_of_other_kinds_say_the_same() -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
    reply = httpx.Response(400, json=body, request=httpx.Request("POST", "http://x"))
    assert (
        str(said_by(anthropic.Anthropic(api_key="x")._make_status_error_from_response(reply))) == "HTTP 400: too long"
    )
    google = {"error": {"code": 400, "message": "no", "status": "X", "details": [{"reason": "API_KEY_INVALID"}]}}
    said = said_by(errors.ClientError(400, google))
    assert (str(said), "API_KEY_INVALID" in said.code) == ("HTTP 400: no", True)
    response = {
        "Error": {"Code": "ThrottlingException", "Message": "slow"},
        "ResponseMetadata": {"HTTPStatusCode": 429},
    }
    said = said_by(ClientError(response, "Converse"))  # type: ignore[arg-type]
    assert said == Said(429, "ThrottlingException", "slow")


def test_an_error_without_a_reply_says_what_is_behind_it() -> None:
    try:
        raise openai.APIConnectionError(request=httpx.Request("POST", "http://x")) from OSError("refused")
    except openai.APIConnectionError as error:
        assert said_by(error) == Said(None, "", "Connection error. OSError: refused")
    assert said_by(ValueError()) == Said(None, "", "ValueError")


def test_a_message_is_one_line_of_bounded_length_without_what_is_no_text() -> None:
    said = said_by(_openai({"error": {"message": "a\n\x1b b\ud800" + "x" * 5000}}))
    assert "\n" not in said.message
    assert len(said.message) == 600
    said.message.encode()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": {"message": "quota", "code": 402}}, Said(402, "402", "quota")),
        ({"error": {"message": "busy"}}, Said(None, "", "busy")),
        ({"error": "busy"}, Said(None, "", "busy")),
        ({"error": {}}, None),
        ({"error": None, "choices": []}, None),
        ({"choices": []}, None),
    ],
)
def test_an_answer_may_be_an_error(answer: Mapping[str, object], said: Said | None) -> None:
    assert said_in(answer) == said
