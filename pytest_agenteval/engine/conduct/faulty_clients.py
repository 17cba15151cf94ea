"""Faults of the model's provider, where agents of one's own meet them: in their client, as its own exceptions.

A client asks again by itself. So a call fails only if it and all its repetitions are drawn; before that its client has
absorbed the fault, and the agent sees nothing of it. For a program in the container, whose client is in there, the
bridge answers with the HTTP status instead.
"""

from __future__ import annotations

from collections.abc import Coroutine
from importlib import import_module
from typing import Any, TypeVar

from pytest_agenteval.engine.conduct.injector import Injector, mark_injected

__all__ = ["HTTP_KINDS", "bridge_fault", "repetitions", "unless_faulty"]

HTTP_KINDS = ("429", "500")
"""What a program in the container can meet."""
_MESSAGES = {"429": "rate limit exceeded", "500": "internal server error"}
_ADDRESS = "http://bridge.invalid"

T = TypeVar("T")


async def unless_faulty(injector: Injector, library: str, again: int, target: str, call: Coroutine[Any, Any, T]) -> T:
    """The call's answer, or the client's own exception where it and its `again` repetitions all meet a fault."""
    met: list[tuple[int, str]] = []
    for _ in range(again + 1):
        number, kind = injector.next("model")
        if kind is None:
            break
        met.append((number, kind))
    fails = len(met) == again + 1
    for at, (number, kind) in enumerate(met):
        injector.note("model", kind, number, target, delivered=fails and at == again)
    if fails:
        call.close()
        raise mark_injected(_exception(library, met[-1][1]))
    return await call


def bridge_fault(injector: Injector, target: str) -> dict[str, Any] | None:
    """What the bridge answers to a program in place of its model, by Inspect's word for it; None for nothing."""
    number, kind = injector.next("model")
    if kind not in HTTP_KINDS:
        return None
    injector.note("model", kind, number, target, delivered=True)
    return {"status": int(kind), "message": _MESSAGES[kind]}


def repetitions(library: str, client: Any, options: Any) -> int:
    """How often this client asks again by itself."""
    if library == "google.genai":
        given = getattr(getattr(client, "_http_options", None), "retry_options", None)
        attempts = getattr(given, "attempts", None)
        return max(0, attempts - 1) if isinstance(attempts, int) else 0
    own = getattr(options, "max_retries", None)
    retries = own if isinstance(own, int) else getattr(client, "max_retries", 0)
    return max(0, retries) if isinstance(retries, int) else 0


def _exception(library: str, kind: str) -> BaseException:
    import httpx

    request = httpx.Request("POST", _ADDRESS)
    if library == "google.genai":
        errors = import_module("google.genai.errors")
        if kind == "drop":
            return httpx.ConnectError("connection reset by peer", request=request)
        if kind == "timeout":
            return httpx.ReadTimeout("the read operation timed out", request=request)
        body = {"error": {"code": int(kind), "message": _MESSAGES[kind], "status": _MESSAGES[kind]}}
        made: BaseException = (errors.ClientError if kind == "429" else errors.ServerError)(int(kind), body)
        return made
    client = import_module(library)
    if kind in ("drop", "timeout"):
        named: BaseException = (client.APIConnectionError if kind == "drop" else client.APITimeoutError)(
            request=request
        )
        return named
    headers = {"retry-after": "0"} if kind == "429" else {}
    response = httpx.Response(int(kind), headers=headers, request=request)
    refused = client.RateLimitError if kind == "429" else client.InternalServerError
    error: BaseException = refused(_MESSAGES[kind], response=response, body=None)
    return error
