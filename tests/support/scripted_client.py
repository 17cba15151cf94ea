"""A small agent for tests of the scripted server, on the standard library alone."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from typing import Any

from support.scripted_policy import Expected
from support.scripted_server import ScriptedServer

__all__ = ["Client", "close_clients"]

TOOLS = ("bash", "submit")
_CONNECTIONS: list[http.client.HTTPConnection] = []


def close_clients() -> None:
    """Close the connections of all clients made so far."""
    while _CONNECTIONS:
        _CONNECTIONS.pop().close()


class Client:
    """One agent on one kept connection: counts what it meets, repeats what was refused."""

    def __init__(self, server: ScriptedServer, prompt: str, model: str = "agent-1") -> None:
        self.port = int(server.base_url.rsplit(":", 1)[1].split("/")[0])
        self.headers = {"Authorization": f"Bearer {server.environment['SCRIPTED_API_KEY']}"}
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        self.model = model
        self.met: Counter[str] = Counter()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        _CONNECTIONS.append(self.connection)

    def post(self, tools: tuple[str, ...] = TOOLS, **more: Any) -> tuple[int, dict[str, str], bytes]:
        """Ask once and return status, headers and content; status 0 where no answer came."""
        offered = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in tools]
        body = {"model": self.model, "messages": self.messages, "tools": offered, **more}
        try:
            self.connection.request("POST", "/v1/chat/completions", json.dumps(body), self.headers)
            reply = self.connection.getresponse()
            return reply.status, dict(reply.headers), reply.read()
        except (ConnectionError, http.client.IncompleteRead):
            self.connection.close()
            return 0, {}, b""

    def answer(self, tools: tuple[str, ...] = TOOLS) -> dict[str, Any]:
        """Ask until there is a completion and return it."""
        while True:
            status, _, content = self.post(tools)
            if status == 200:
                completion: dict[str, Any] = json.loads(content)
                return completion
            self.met[{0: "hangs", 429: "refused_429", 500: "refused_500"}[status]] += 1

    def converse(self) -> Expected:
        """Run one conversation to its submit and return the counts this client saw."""
        while True:
            completion = self.answer()
            usage = completion["usage"]
            self.met["calls"] += 1
            self.met["prompt_tokens"] += usage["prompt_tokens"]
            self.met["completion_tokens"] += usage["completion_tokens"]
            self.met["cached_tokens"] += usage["prompt_tokens_details"]["cached_tokens"]
            message = completion["choices"][0]["message"]
            [call] = message["tool_calls"]
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            if name == "submit":
                self.met["successes"] += json.loads(arguments)["answer"] == "fixed"
                self.connection.close()
                return Expected(conversations=1, **self.met)
            if name != "bash":
                self.met["unknown_tools"] += 1
            elif not arguments.endswith("}"):
                self.met["malformed_arguments"] += 1
            elif json.loads(arguments)["command"].startswith("exit "):
                self.met["failing_commands"] += 1
            self.messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": ""}]
