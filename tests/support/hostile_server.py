"""A server of chat completions that answers in any way a server can, as a word in the prompt asks."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = [
    "SUBMIT", "WRITE", "HostileServer", "Wire", "call", "completion", "error", "page", "raw", "reset", "silent",
    "trickle",
]  # fmt: skip

Wire = Callable[["_Handler"], None]
"""Puts one reply on the wire."""

USAGE: Mapping[str, Any] = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


def call(name: object, arguments: object, **more: Any) -> dict[str, Any]:
    """A tool call; `more` replaces parts of it."""
    return {"id": "call-1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


WRITE = call("bash", '{"command": "echo done > out.txt"}')
SUBMIT = call("submit", '{"answer": "done"}', id="call-9")


def completion(*calls: dict[str, Any], content: object = None, finish: str | None = None, **more: Any) -> Wire:
    """Status 200 with a chat completion; `more` replaces parts of it."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = list(calls)
    choice = {"index": 0, "message": message, "finish_reason": finish or ("tool_calls" if calls else "stop")}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
    return raw(json.dumps(body | more).encode())


def error(status: int, message: str, code: str | int | None = None, **headers: str) -> Wire:
    """A refusal in the shape of OpenAI's."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return raw(json.dumps(body).encode(), status, **headers)


def page(status: int, title: str) -> Wire:
    """A web page, as gateways send them."""
    return raw(
        f"<html><head><title>{title}</title></head><body>x</body></html>".encode(), status, content_type="text/html"
    )


def raw(content: bytes, status: int = 200, length: int | None = None, **headers: str) -> Wire:
    """These bytes; a `length` other than theirs is a connection that breaks off."""

    def send(handler: _Handler) -> None:
        handler.send_response(status)
        named = {"content-type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
        for name, value in named.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)
        if length is not None:
            handler.close_connection = True

    return send


def reset(handler: _Handler) -> None:
    """No reply: the connection is torn down."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def silent(handler: _Handler) -> None:
    """No reply, and the connection stays open."""
    handler.server.over.wait(60)
    handler.close_connection = True


def trickle(handler: _Handler) -> None:
    """A blank every now and then, and never a body."""
    raw(b"", length=100_000)(handler)
    try:
        while not handler.server.over.wait(0.2):
            handler.wfile.write(b" ")
            handler.wfile.flush()
    except OSError:
        return


class HostileServer(ThreadingHTTPServer):
    """Answers the n-th call of a conversation that says `MODE=x` with the n-th reply of mode x, then with its last."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, modes: Mapping[str, tuple[Wire, ...]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.modes = modes
        self.asked: Counter[str] = Counter()
        """How many requests came, by mode."""
        self.over = threading.Event()
        self.environment = {
            "SCRIPTED_API_KEY": "k",
            "SCRIPTED_BASE_URL": f"http://127.0.0.1:{self.server_address[1]}/v1",
        }

    def __enter__(self) -> HostileServer:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing wrong."""


class _Handler(BaseHTTPRequestHandler):
    server: HostileServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        found = re.search(rb"MODE=(\w+)", content)
        assert found is not None
        mode = found[1].decode()
        self.server.asked[mode] += 1
        replies = self.server.modes[mode]
        turn = sum(message["role"] == "assistant" for message in json.loads(content)["messages"])
        replies[min(turn, len(replies) - 1)](self)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
