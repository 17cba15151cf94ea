"""An OpenAI-compatible chat server on loopback that plays seeded policies and refuses requests on purpose.

A task is known by its key, a part of the first user message (the longest key that fits; the key "" fits all).
Conversation n (from 0) of a model on a task plays the n-th plan of that pair (`scripted_policy`). Its number and step
travel in the tool-call ids, so a later request says itself where it belongs. A first request carries no id: it
continues a refused first request of the same pair if one is pending, else it starts the next conversation. Which client
continues which conversation is left open, but k clients that each get one first answer use exactly conversations
0..k-1: a new client that takes over a pending one leaves its owner to start the next.
"""

from __future__ import annotations

import heapq
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from pytest_agenteval.record.confidence import QUESTION
from support.scripted_http import Listener, Reply, Request, completion, error_reply
from support.scripted_policy import Expected, Plan, Policy, Refusal, Step, Tokens, make_plan, total

__all__ = ["Answered", "Entry", "ScriptedServer"]

Answered = Literal[200, 400, 401, 429, 500, "hang", "abandoned"]

_CALL_ID = re.compile(r"scripted-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One chat request in the journal.

    `time` is in seconds since the epoch, when the answer was decided. `conversation` and `step` count from 0, `refused`
    how often this step had been refused before; they are None where the request was not placed in a conversation.
    `client_retry` is how often the OpenAI client had repeated the request by itself. `abandoned` means that the client
    had gone, or the server was stopped, before the answer: that request is taken as not made.
    """

    time: float
    task: str | None
    model: str
    conversation: int | None
    step: int | None
    refused: int | None
    answered: Answered
    max_tokens: int | None
    client_retry: int


@dataclass(slots=True)
class _Pair:
    """The conversations of one model on one task: how many were started, and the pending refused ones."""

    started: int = 0
    pending: list[int] = field(default_factory=list)
    refused: Counter[tuple[int, int]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A request placed in its conversation."""

    plan: Plan
    conversation: int
    step: int
    refused: int
    refusal: Refusal | None


class ScriptedServer:
    """The server, running inside `with`. `policies` gives the policy of each task key.

    With `api_key` a request with another key gets status 401. `sure` gives, by task key, what the model says when it is
    asked how sure it is: a text, the status with which the question is refused, or `hang`: nothing until the server is
    stopped. Errors of the server itself are raised when the `with` block ends.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        *,
        seed: int = 0,
        api_key: str | None = None,
        models: tuple[str, ...] = ("agent-1",),
        sure: Mapping[str, str | int] | None = None,
    ) -> None:
        self.policies = dict(policies)
        self.seed = seed
        self.api_key = api_key
        self.models = models
        self.sure = dict(sure or {})
        self.questions: list[dict[str, Any]] = []
        """The bodies of the requests that asked how sure the model is."""
        self._lock = threading.Condition()
        self._pairs: defaultdict[tuple[str, str], _Pair] = defaultdict(_Pair)
        self._journal: list[Entry] = []
        self._admit: int | None = None
        self._held = 0
        self._stopped = threading.Event()
        self._listener: Listener | None = None

    def __enter__(self) -> Self:
        self._listener = Listener(self._answer)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        listener, self._listener = self._listener, None
        assert listener is not None
        self._stopped.set()
        self.release()
        listener.stop()
        if listener.errors and error is None:
            raise ExceptionGroup("The scripted server failed.", listener.errors)

    @property
    def base_url(self) -> str:
        """Where clients send requests, with `/v1` at the end."""
        if self._listener is None:
            raise RuntimeError("The scripted server is not running: use it in a `with` block.")
        return f"http://127.0.0.1:{self._listener.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Inspect's model `openai-api/scripted/agent-1` reaches this server."""
        return {"SCRIPTED_BASE_URL": self.base_url, "SCRIPTED_API_KEY": self.api_key or "unused"}

    @property
    def journal(self) -> tuple[Entry, ...]:
        """Every chat request decided so far, in the order of decision."""
        with self._lock:
            return tuple(self._journal)

    def started(self, task: str, *, model: str = "agent-1") -> int:
        """Return how many conversations `model` has started on `task`."""
        with self._lock:
            return self._pairs[model, task].started

    def expected(self, task: str, n: int, *, model: str = "agent-1") -> Expected:
        """Return what conversation `n` (from 0) of `model` on `task` does."""
        return make_plan(self.policies[task], self.seed, model, task, n).expected()

    def totals(self, task: str, k: int, *, model: str = "agent-1") -> Expected:
        """Return the sums over conversations 0..k-1."""
        return total(self.expected(task, n, model=model) for n in range(k))

    def hold(self, after: int = 0) -> None:
        """Let `after` more chat requests through, then freeze all others, unplaced, until `release`."""
        with self._lock:
            self._admit = after

    def wait_until_held(self, count: int = 1, timeout: float = 30.0) -> None:
        """Wait until `count` requests are frozen; raise TimeoutError after `timeout` seconds."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._held >= count, timeout):
                raise TimeoutError(f"{self._held} of {count} requests were held after {timeout:g} s.")

    def wait_for_journal(self, count: int = 1, timeout: float = 30.0) -> None:
        """Wait until the journal has `count` entries; raise TimeoutError after `timeout` seconds."""
        with self._lock:
            if not self._lock.wait_for(lambda: len(self._journal) >= count, timeout):
                raise TimeoutError(f"The journal had {len(self._journal)} of {count} entries after {timeout:g} s.")

    def release(self) -> None:
        """Let all frozen requests and all later ones through."""
        with self._lock:
            self._admit = None
            self._lock.notify_all()

    def _answer(self, request: Request) -> Reply | None:
        if self.api_key is not None and request.authorization != f"Bearer {self.api_key}":
            self._note(request, None, None, 401)
            return error_reply(401, "invalid_api_key", "The API key is wrong.")
        route = (request.method, request.path.partition("?")[0])
        if route == ("GET", "/v1/models"):
            return Reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})
        if route != ("POST", "/v1/chat/completions"):
            return error_reply(404, "not_found", f"There is no {request.method} {request.path}.")
        self._wait_for_admission()
        if self._stopped.is_set() or request.client_gone():
            self._note(request, None, None, "abandoned")
            return None
        task = self._task(request.body["messages"])
        if task is None:
            self._note(request, None, None, 400)
            return error_reply(400, "unknown_task", "No task key is part of the first user message.")
        if _text(request.body["messages"][-1].get("content") or "") == QUESTION:
            return self._say_how_sure(request, task)
        return self._play(request, task)

    def _say_how_sure(self, request: Request, task: str) -> Reply | None:
        said = self.sure[task]
        with self._lock:
            self.questions.append(request.body)
        if said == "hang":
            self._stopped.wait()
            return None
        if isinstance(said, int):
            return error_reply(said, "server_error", "Nobody knows.", 0.001)
        step = Step("final", None, "", said)
        return Reply(200, completion(request.body, step, f"scripted-sure-{len(self.questions)}", Tokens()))

    def _wait_for_admission(self) -> None:
        with self._lock:
            if self._admit == 0:
                self._held += 1
                self._lock.notify_all()
                self._lock.wait_for(lambda: self._admit is None)
                self._held -= 1
            elif self._admit is not None:
                self._admit -= 1

    def _play(self, request: Request, task: str) -> Reply | None:
        conversation, step = _place(request.body["messages"])
        policy = self.policies[task]
        if conversation is None and step > 0:
            # A text carries no id: a client that goes on after a text hears the same text again.
            said = [message for message in request.body["messages"] if message["role"] == "assistant"]
            self._note(request, task, None, 200)
            again = Step("final", None, "", str(said[-1].get("content") or ""))
            return Reply(200, completion(request.body, again, f"scripted-again-{step}", policy.tokens))
        turn = self._take(request, task, conversation, step)
        if turn.refusal is None:
            self._stopped.wait(policy.latency)
            if self._stopped.is_set() or request.client_gone():
                self._give_back(request, task, turn)
                return None
            self._note(request, task, turn, 200)
            call_id = f"scripted-{turn.conversation}-{step}"
            return Reply(200, completion(request.body, turn.plan.step(step), call_id, policy.tokens))
        if turn.refusal == "hang":
            self._stopped.wait(policy.faults.hang_seconds)
            return None
        kind = {429: "rate_limit_exceeded", 500: "server_error"}[turn.refusal]
        return error_reply(turn.refusal, kind, f"Injected {kind}.", policy.faults.retry_after)

    def _take(self, request: Request, task: str, conversation: int | None, step: int) -> _Turn:
        """Place a request; a refusal is noted, and a refused first request made pending, before the client knows."""
        model = str(request.body.get("model"))
        with self._lock:
            pair = self._pairs[model, task]
            if conversation is None:
                if pair.pending:
                    conversation = heapq.heappop(pair.pending)
                else:
                    conversation = pair.started
                    pair.started += 1
            plan = make_plan(self.policies[task], self.seed, model, task, conversation)
            refused = pair.refused[conversation, step]
            turn = _Turn(plan, conversation, step, refused, plan.refusal(step, refused))
            if turn.refusal is not None:
                pair.refused[conversation, step] += 1
                if step == 0:
                    heapq.heappush(pair.pending, conversation)
                self._note(request, task, turn, turn.refusal)
            return turn

    def _give_back(self, request: Request, task: str, turn: _Turn) -> None:
        with self._lock:
            if turn.step == 0:
                heapq.heappush(self._pairs[str(request.body.get("model")), task].pending, turn.conversation)
            self._note(request, task, turn, "abandoned")

    def _note(self, request: Request, task: str | None, turn: _Turn | None, answered: Answered) -> None:
        body = request.body
        entry = Entry(
            time=time.time(),
            task=task,
            model=str(body.get("model")),
            conversation=turn.conversation if turn else None,
            step=turn.step if turn else None,
            refused=turn.refused if turn else None,
            answered=answered,
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            client_retry=request.client_retry,
        )
        with self._lock:
            self._journal.append(entry)
            self._lock.notify_all()

    def _task(self, messages: list[dict[str, Any]]) -> str | None:
        first = next((_text(message["content"]) for message in messages if message["role"] == "user"), "")
        return max((key for key in self.policies if key in first), key=len, default=None)


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _place(messages: list[dict[str, Any]]) -> tuple[int | None, int]:
    """Return the conversation (None where no id says it) and the step that the next answer is."""
    conversation, step = None, 0
    for message in messages:
        if message["role"] != "assistant":
            continue
        step += 1
        for call in message.get("tool_calls") or []:
            if found := _CALL_ID.fullmatch(call["id"]):
                conversation, step = int(found[1]), int(found[2]) + 1
    return conversation, step
