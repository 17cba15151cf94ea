"""An OpenAI-compatible server whose first answer is hostile in the way that the prompt names: `MODE=yaml_bomb`."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FAILED_CALLS", "MODES", "PASSES", "content_server"]


def _bomb(first: str, line: str) -> str:
    """Twelve lines of YAML, each nine times the one before."""
    names = "abcdefghijkl"
    return first + "".join(line.format(names[n], ",".join([f"*{names[n - 1]}"] * 9)) for n in range(1, 12))


MODES: Mapping[str, Mapping[str, Any]] = {
    "ok": {},
    "surrogate_text": {"content": "bad \ud800 text"},
    "surrogate_id": {"id": "x\ud800"},
    "nul_text": {"content": "a\0b"},
    "huge_text": {"content": "y " * 15_000_000},
    "ansi": {"content": "\x1b[2J\u202e\n::error::owned"},
    "surrogate_arguments": {"arguments": '{"command": "echo \\ud800"}'},
    "surrogate_key": {"arguments": '{"\\ud800": "x"}'},
    "surrogate_tool": {"name": "no\ud800tool"},
    "nul_arguments": {"arguments": '{"command": "echo \\u0000"}'},
    "deep_arguments": {"arguments": '{"command":' + "[" * 100_000 + "]" * 100_000 + "}"},
    "deep_yaml": {"arguments": "[" * 3_000 + "]" * 3_000},
    "yaml_bomb": {"arguments": _bomb("- &a [x,x,x,x,x,x,x,x,x]\n", "- &{0} [{1}]\n")},
    "yaml_merge_bomb": {"arguments": _bomb("? a\n: &a {x: 1}\n", "? {0}\n: &{0} {{<<: [{1}]}}\n")},
    "yaml_cycle": {"arguments": "&a [*a]"},
    "yaml_without_value": {"arguments": "2024-13-45"},
    "number_of_5000_digits": {"arguments": '{"command": ' + "1" * 5_000 + "}"},
    "bare_number_of_5000_digits": {"arguments": "1" * 5_000},
    "long_tool_name": {"name": "x" * 5_000 + "\n::error::owned"},
}
"""What the first answer has in place of text, or of an honest call of bash that does the work."""
PASSES = ("ok", "surrogate_text", "surrogate_id", "nul_text", "huge_text", "ansi")
"""Only their text is odd: the call does the work."""
FAILED_CALLS = frozenset({
    "surrogate_key", "surrogate_tool", "nul_arguments", "deep_arguments", "deep_yaml", "yaml_bomb", "yaml_merge_bomb",
    "yaml_cycle", "number_of_5000_digits", "long_tool_name",
})  # fmt: skip
"""Their call fails, which is the agent's affair. Of the others it runs, and does nothing."""


def _call(mode: Mapping[str, Any]) -> dict[str, Any]:
    arguments = mode.get("arguments", '{"command": "echo done > out.txt"}')
    function = {"name": mode.get("name", "bash"), "arguments": arguments}
    return {"type": "function", "id": mode.get("id", "c1"), "function": function}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing is written to the terminal."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = next(str(m["content"]) for m in asked["messages"] if m["role"] == "user")
        found = re.search(r"MODE=(\w+)", prompt)
        mode: Mapping[str, Any] = MODES[found[1] if found else "ok"]
        if any(message["role"] == "assistant" for message in asked["messages"]):
            mode = {"name": "submit", "arguments": '{"answer": "done"}', "id": "c2"}
        message = {"role": "assistant", "content": mode.get("content"), "tool_calls": [_call(mode)]}
        body = {
            "id": "r", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }  # fmt: skip
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def content_server() -> Iterator[str]:
    """The server's base URL, while it listens on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
