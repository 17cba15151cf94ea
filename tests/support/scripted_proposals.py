"""A model that proposes tasks over HTTP, with seeded faults. What it answers depends on the request alone."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from pytest_agenteval.builder.families.known import known_families
from support.scripted_http import Listener, Reply, Request, error_reply

__all__ = ["MODEL", "PRICES", "ProposingServer"]

MODEL = "openai-api/scripted/agent-1"
PRICES = f'[models."{MODEL}"]\ninput = 0.25\noutput = 2.0\n'
_INPUT, _OUTPUT = 0.25e-6, 2.0e-6
_FAMILIES = {"aggregate": ("tables", "logs"), "edit": ("configuration",), "mend": ("repair",)}
_SUBTASKS = [{"id": name, "about": f"tasks that {name}"} for name in (*_FAMILIES, "browse-the-web")]


class ProposingServer:
    """The server, running inside `with`."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        """How long an answer takes."""
        self.served = Counter[str]()
        """Answers by stage."""
        self.refused = 0
        self.usd = 0.0
        """By the server's own count of tokens."""
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self._refused: set[str] = set()
        self._listener = Listener(self._answer)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.stop()
        if self._listener.errors and error is None:
            raise ExceptionGroup("The server failed.", self._listener.errors)

    @property
    def environment(self) -> Mapping[str, str]:
        """In which Inspect's `openai-api/scripted/...` reaches it."""
        return {"SCRIPTED_API_KEY": "key", "SCRIPTED_BASE_URL": f"http://127.0.0.1:{self._listener.port}/v1"}

    @property
    def calls(self) -> int:
        """Answers that were given."""
        return sum(self.served.values())

    def _answer(self, request: Request) -> Reply | None:
        system, user = (message["content"] for message in request.body["messages"])
        asked = json.loads(re.fullmatch(r"<request>(.*)</request>", user, re.DOTALL)[1])  # type: ignore[index]
        if asked["stage"] == "draft" and asked["index"] == 0 and not asked["feedback"] and user not in self._refused:
            self._refused.add(user)
            self.refused += 1
            return error_reply(429, "rate_limit_exceeded", "slow down", 0)
        time.sleep(self.seconds)
        text = answer(asked)
        tokens = (len(system + user) // 4, len(text or "") // 4 + 1)
        self.requests.append(asked)
        self.keys.append(user)
        self.served[asked["stage"]] += 1
        self.usd += tokens[0] * _INPUT + tokens[1] * _OUTPUT
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "x", "object": "chat.completion", "created": 1, "model": request.body["model"]}
        return Reply(200, {**head, "choices": [choice], "usage": usage})


def answer(asked: Mapping[str, Any]) -> str | None:
    """What the model says to a request."""
    if asked["stage"] == "subtasks":
        bad = {each["id"] for each in asked.get("infeasible", [])}
        return json.dumps({"subtasks": [each for each in _SUBTASKS if each["id"] not in bad]})
    if asked["stage"] == "ground":
        web = asked["subtask"]["id"] == "browse-the-web"
        return json.dumps({"feasible": not web, "reason": "it needs the network" if web else "files are enough"})
    if asked["stage"] == "judge":
        return json.dumps({"aligned": True, "complete": True, "realistic": True, "reason": "fine"})
    return _draft(asked["subtask"]["id"], asked["index"], len(asked["feedback"]), asked["steps"])


def _draft(subtask: str, index: int, repairs: int, steps: int) -> str | None:
    steps = 2 if subtask == "mend" else steps  # the near-duplicate must be one whatever is asked for
    made = _proposal(subtask, index, steps)
    if (subtask, index, repairs) == ("aggregate", 0, 0):
        return json.dumps(made)[:400]
    if (subtask, index, repairs) == ("aggregate", 2, 0):
        return None
    if (subtask, index, repairs) == ("aggregate", 1, 0):
        made["checks"] = [{"kind": "python", "code": "import os; os.system('id')"}]
    if (subtask, index) == ("edit", 0):
        made["solution"] = ["true"]  # never mended: the draft is given up, and replaced
    if (subtask, index, repairs) == ("edit", 1, 0):
        made["files"]["solution.txt"] = "the way\n"
    if (subtask, index, repairs) == ("mend", 1, 0):
        made = _proposal(subtask, 0, steps)
    return f"Here it is:\n```json\n{json.dumps(made)}\n```"


def _proposal(subtask: str, index: int, steps: int) -> dict[str, Any]:
    names = _FAMILIES[subtask]
    made = dict(known_families()[names[index % len(names)]].draft(f"model/{subtask}/{index}", steps))
    del made["origin"]
    return {**made, "id": "a-task", "subtask": subtask}
