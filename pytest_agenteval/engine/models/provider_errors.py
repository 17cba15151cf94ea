"""What a provider said when it did not answer: read from the exceptions of clients and from answers that are none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pytest_agenteval.texts import beginning

__all__ = ["ConversationRefused", "ProviderFailed", "Said", "one_line", "said_by", "said_in"]

_LONGEST = 600
_CODES = ("code", "Code", "type", "error_type", "status", "reason")
_MESSAGES = ("message", "Message", "detail", "msg", "error_description", "title")
_GRPC = {
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "FAILED_PRECONDITION": HTTPStatus.BAD_REQUEST,
    "OUT_OF_RANGE": HTTPStatus.BAD_REQUEST,
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "RESOURCE_EXHAUSTED": HTTPStatus.TOO_MANY_REQUESTS,
    "INTERNAL": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a provider said instead of an answer."""

    status: int | None
    """The HTTP status, or None where nothing came, or nothing that is an answer."""
    code: str
    """The error's codes and types, joined by blanks."""
    message: str
    """In one line; of a page the title."""

    def __str__(self) -> str:
        return self.message if self.status is None else f"HTTP {self.status}: {self.message}"


class _Unanswered(Exception):
    """With the attributes by which Inspect's bridge tells a program in the sandbox what the provider said."""

    def __init__(self, said: Said, body: object = None) -> None:
        super().__init__(str(said))
        self.status_code = said.status
        self.provider_message = said.message
        self.body = said.message if body is None else body


class ProviderFailed(_Unanswered):
    """A call had no answer, which says nothing about the agent."""

    def __init__(self, said: Said, body: object = None, *, again: bool = False) -> None:
        super().__init__(said, body)
        self.again = again
        """An answer came that is none, and the provider may do better when it is asked again."""


class ConversationRefused(_Unanswered):
    """The provider rejects the conversation that the agent made; a repeated request would get the same reply."""


def said_by(error: BaseException) -> Said:
    """The message in the exception of a provider's client, whichever client that is."""
    codes, message = _read(_body(error))
    own, grpc = getattr(error, "code", None), _grpc(error)
    codes += [code for code in (grpc, own) if isinstance(code, str) and code]
    status = _status(error) or (_GRPC[grpc] if grpc else None)
    return Said(status, " ".join(codes), one_line(message or _own_words(error)))


def said_in(answer: object) -> Said | None:
    """What the body of an answer says that has status 200 and is an error all the same; None where it is none."""
    error = answer.get("error") if isinstance(answer, Mapping) else None
    if not error:
        return None
    codes, message = _read(answer)
    status = next((int(code) for code in codes if re.fullmatch(r"[45]\d\d", code)), None)
    return Said(status, " ".join(codes), one_line(message or json.dumps(error, default=str)))


def _body(error: BaseException) -> object:
    """The whole of what came; clients keep a part of it, and it is in their text that they hide it."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # boto's
        return response
    try:
        text = getattr(response, "text", None)
    except Exception:  # a stream that was never read
        text = None
    if isinstance(text, str) and text.strip():
        return text
    body = getattr(error, "body", None)
    return getattr(error, "details", None) if body is None else body


def _read(data: object) -> tuple[list[str], str | None]:
    """Codes and message, out of the shapes in which servers wrap them."""
    if isinstance(data, bytes):
        data = data.decode("utf-8", "replace")
    if isinstance(data, str):
        try:
            return _read(json.loads(data)) if data.lstrip()[:1] in ("{", "[") else ([], _text_of_page(data))
        except ValueError:
            return [], data
    if isinstance(data, list):
        found = [_read(each) for each in data]
        return [c for codes, _ in found for c in codes], "; ".join(text for _, text in found if text) or None
    if not isinstance(data, Mapping):
        return [], None
    codes = [str(data[key]) for key in _CODES if isinstance(data.get(key), str | int)]
    inner = data.get("error", data.get("Error"))
    own = next(_messages(data), None)
    if isinstance(inner, Mapping | list):
        more, text = _read(inner)
        return [*codes, *more], text or own
    if isinstance(inner, str):
        return codes, own or _read(inner)[1]
    for each in data.get("details") or () if isinstance(data.get("details"), list) else ():
        codes += _read(each)[0]
    raw = data["metadata"].get("raw") if isinstance(data.get("metadata"), Mapping) else None
    if raw:  # OpenRouter: what the provider behind it said
        more, text = _read(raw)
        return [*codes, *more], ": ".join(part for part in (own, text) if part)
    return codes, own


def _messages(data: Mapping[str, object]) -> Iterator[str]:
    for key in _MESSAGES:
        value = data.get(key)
        if isinstance(value, str) and value.strip():
            yield value
        elif isinstance(value, list | Mapping) and (text := _read(value)[1]):
            yield text


def _text_of_page(text: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return title[1] if title else re.sub(r"<[^>]*>", " ", text)


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        metadata = response.get("ResponseMetadata")
        status = metadata.get("HTTPStatusCode") if isinstance(metadata, Mapping) else None
        return status if isinstance(status, int) else None
    places: tuple[tuple[Any, str], ...] = (
        (error, "status_code"), (response, "status_code"), (error, "status"), (error, "code"),
    )  # fmt: skip
    found = (getattr(place, name, None) for place, name in places)
    return next((status for status in found if isinstance(status, int) and 400 <= status < 600), None)


def _grpc(error: BaseException) -> str | None:
    code = getattr(error, "code", None)
    try:
        name = getattr(code(), "name", None) if callable(code) else None
    except Exception:
        return None
    return name if name in _GRPC else None


def _own_words(error: BaseException) -> str:
    details = getattr(error, "details", None)
    said = str(details() if callable(details) else error) or type(error).__name__
    inner = error.__cause__
    return said if inner is None or str(inner) in said else f"{said} {type(inner).__name__}: {inner}"


def one_line(text: str) -> str:
    """A message as reports show it: one line of bounded length, and text."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return beginning(line, _LONGEST)
