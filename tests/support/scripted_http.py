"""The wire of the scripted server: requests in, replies out, in the JSON and the event stream of OpenAI's chat API."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.scripted_policy import Step, Tokens

__all__ = ["Listener", "Reply", "Request", "completion", "error_reply"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `client_retry` is how often the OpenAI client says it has repeated this request by itself."""

    method: str
    path: str
    authorization: str | None
    client_retry: int
    body: dict[str, Any]
    client_gone: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply; a chat completion goes out as an event stream where the request asked for one."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def error_reply(status: int, kind: str, message: str, retry_after: float | None = None) -> Reply:
    """Return a refusal in the shape of OpenAI's errors; `retry_after` in seconds."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Reply(status, {"error": {"message": message, "type": kind, "code": kind}}, headers)


def completion(body: dict[str, Any], step: Step, call_id: str, tokens: Tokens) -> dict[str, Any]:
    """Return the chat completion that gives `step`: a call if the request offers the tool, else its text."""
    offered = {tool["function"]["name"] for tool in body.get("tools") or []}
    needed = "bash" if step.kind == "unknown_tool" else step.tool
    message: dict[str, Any] = {"role": "assistant", "content": step.text}
    if step.tool is not None and needed in offered:
        function = {"name": step.tool, "arguments": step.arguments}
        calls = [{"id": call_id, "type": "function", "function": function}]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    usage: Mapping[str, Any] = {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
    }
    if tokens.instead is not None:
        usage = tokens.instead
    return {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model"),
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
        ],
        **({"usage": usage} if usage else {}),
    }


class Listener(ThreadingHTTPServer):
    """Listens on a free loopback port and gives every request to `answer`, each connection in its own thread.

    `answer` returns None to close the connection without a reply. An exception from `answer` is kept in `errors` and
    the client gets status 400, which no client repeats.
    """

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Reply | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.errors: list[Exception] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="scripted-server", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Accept connections in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and wait for all threads."""
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                # The handler's thread may have closed it, or the client may have gone, a moment ago.
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, to be closed by `stop`."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what went wrong outside `answer`; a client that went away is nothing wrong."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    # Header and body are two writes: with Nagle's algorithm each reply on a kept connection would take 40 ms.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}"))

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _serve(self, body: dict[str, Any]) -> None:
        retry = int(self.headers.get("X-Stainless-Retry-Count", 0))
        authorization = self.headers.get("Authorization")
        request = Request(self.command, self.path, authorization, retry, body, self._client_gone)
        try:
            reply = self.server.answer(request)
        except Exception as error:
            self.server.errors.append(error)
            reply = error_reply(400, "server_bug", repr(error))
        if reply is None:
            self.close_connection = True
            return
        stream = bool(body.get("stream")) and reply.status == 200
        content = _event_stream(reply.body) if stream else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _client_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        if not readable:
            return False
        try:
            waiting: bytes = self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True
        return not waiting


def _event_stream(completion: dict[str, Any]) -> bytes:
    """Return a completion as one chunk with everything in it, one with the usage if any, and the end mark."""
    choice = completion["choices"][0]
    delta = dict(choice["message"])
    if calls := delta.get("tool_calls"):
        delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
    common = {key: completion[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    said = {"index": 0, "delta": delta, "finish_reason": choice["finish_reason"]}
    chunks = [common | {"choices": [said]}]
    if "usage" in completion:
        chunks.append(common | {"choices": [], "usage": completion["usage"]})
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"
