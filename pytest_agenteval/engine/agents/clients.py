"""The model clients of own agents (OpenAI's, Anthropic's, Google's): none of their calls passes Inspect by.

Inspect's `agent_bridge` takes over the async clients if the model's name begins with `inspect`. For the duration of an
attempt, this module adds synchronous clients and clients on another event loop, and it refuses calls that would not be
counted before they reach the network.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import re
import sys
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar

from pytest_agenteval.engine.conduct.faulty_clients import repetitions, unless_faulty
from pytest_agenteval.engine.models.meter import CallMeter

__all__ = [
    "CLIENT_MODEL", "ClientGate", "Unbridged", "clients_loaded", "current_gate", "gated", "is_installed",
    "watch_clients",
]  # fmt: skip

CLIENT_MODEL = "inspect"
"""What an agent's client asks for: the model under evaluation. `inspect/PROVIDER/MODEL` is any other one."""

_END_SECONDS = 10.0
"""How long calls that were cancelled may take to end."""
_LIBRARIES = ("openai", "anthropic", "google.genai")
_MODEL_CALLS = re.compile(r"^(?:/chat/completions|/responses|/v1/messages)(?:\?.*)?$")
_OLD_CALLS = re.compile(r"^(?:/completions|/v1/complete)$")
_GOOGLE_CALL = re.compile(r"models/(?P<model>.+?):(?P<verb>generateContent|streamGenerateContent)")

T = TypeVar("T")
P = ParamSpec("P")


class Unbridged(RuntimeError):
    """A client was about to make a call that Inspect would not see. Nothing has reached the network."""


class ClientGate:
    """What one attempt's clients pass."""

    def __init__(self, meter: CallMeter) -> None:
        self.meter = meter
        self.loop = asyncio.get_running_loop()
        self._closed = False
        self._open: set[concurrent.futures.Future[Any]] = set()
        self._coroutines: weakref.WeakSet[Coroutine[Any, Any, Any]] = weakref.WeakSet()
        self._context = contextvars.copy_context()
        self._context.run(_gate.set, self)

    def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call `function` as code of the attempt, also in a thread without context; another attempt may not."""
        if (current := _gate.get()) is self:
            return function(*arguments, **named)
        if current is not None:
            raise RuntimeError("this context belongs to another attempt: use the one that the agent is given each time")
        return self._context.copy().run(function, *arguments, **named)

    def here(self) -> bool:
        """Whether the caller runs on the attempt's event loop."""
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    def start(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run `coroutine` on the attempt's event loop, in the caller's context where that is the attempt's.

        Raises `RuntimeError` in another attempt, and `CancelledError` for what remains of an agent that is over.
        """
        if self._closed:
            coroutine.close()
            raise asyncio.CancelledError("the attempt is over")
        self._coroutines.add(coroutine)
        try:
            future = self.run(asyncio.run_coroutine_threadsafe, coroutine, self.loop)
        except RuntimeError:
            coroutine.close()
            raise
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """From sync code in a thread: run `coroutine` on the attempt's event loop and wait for its value.

        Raises `Unbridged` on that loop itself, and `CancelledError` where the attempt is being stopped.
        """
        if self.here():
            coroutine.close()
            raise self.refusal(
                "a synchronous client was called on the event loop, which would wait for itself: use the async client "
                "(AsyncOpenAI, AsyncAnthropic, client.aio), call through `await asyncio.to_thread(...)`, or write the "
                "agent or the test as a plain `def`"
            )
        try:
            return self.start(coroutine).result()
        except concurrent.futures.CancelledError:  # an ordinary Exception, which an agent might swallow
            raise asyncio.CancelledError from None

    async def go(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await `coroutine` on the attempt's event loop, from whatever loop this is."""
        if self.here():
            return await coroutine
        return await asyncio.wrap_future(self.start(coroutine))

    def refusal(self, message: str) -> Unbridged:
        """The error that says it, noted: whatever an agent makes of it, its attempt proves nothing about it."""
        self.meter.attempt.miswired = message
        return Unbridged(message)

    def close(self) -> None:
        """The attempt's agent is over: calls still under way are cancelled, later ones refused."""
        self._closed = True
        for future in list(self._open):
            future.cancel()

    async def closed(self) -> None:
        """Close, and wait for the end of what was under way: a test that grades meets no command that still runs."""
        self.close()
        await asyncio.sleep(0)  # what a thread has just handed over is not a task yet
        ending = [task for task in asyncio.all_tasks() if task.get_coro() in self._coroutines]
        if ending:
            await asyncio.wait(ending, timeout=_END_SECONDS)


_gate: contextvars.ContextVar[ClientGate | None] = contextvars.ContextVar("agenteval_gate", default=None)


def current_gate() -> ClientGate | None:
    """The gate of the attempt that this code runs for, where an own agent is at work in it."""
    return _gate.get()


@contextmanager
def gated(meter: CallMeter) -> Iterator[ClientGate]:
    """Let the clients of code in here, and of tasks and threads started from here, pass a gate."""
    gate = ClientGate(meter)
    token = _gate.set(gate)
    try:
        yield gate
    finally:
        gate.close()
        _gate.reset(token)


def clients_loaded() -> bool:
    """Whether some client library is loaded: else no code here can have a client in hand."""
    return any(name in sys.modules for name in _LIBRARIES)


def is_installed(library: str) -> bool:
    """Whether a module could be imported, also one in a namespace."""
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # not even the namespace
        return False


@functools.cache
def watch_clients() -> None:
    """Stand before the clients' one method that makes requests, once per process. After Inspect has done the same."""
    for library, asynchronous in (("openai", "AsyncOpenAI"), ("anthropic", "AsyncAnthropic")):
        if is_installed(library):
            _watch(import_module(f"{library}._base_client"), library, asynchronous)
    if is_installed("google.genai"):
        client = import_module("google.genai._api_client").BaseApiClient
        for name in ("request", "request_streamed"):  # no stream gets a gate: it is refused, or not ours
            _watch_google(client, name, f"async_{name}")


def _watch(base: Any, library: str, asynchronous: str) -> None:
    bridged, network = base.AsyncAPIClient.request, base.SyncAPIClient.request

    @functools.cache
    def twin() -> Any:
        """An async client that never sends anything: Inspect answers in its place."""
        address = "http://bridge.invalid"
        return getattr(import_module(library), asynchronous)(api_key="unused", base_url=address, max_retries=0)

    @functools.wraps(bridged)
    async def request(self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        gate = _stop(str(options.url), _model_of(options), stream=stream)
        call = bridged(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        return await (call if gate is None else gate.go(_agents(gate, library, self, options, call)))

    @functools.wraps(network)
    def sync_request(self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        gate = _stop(str(options.url), _model_of(options), stream=stream)
        if gate is None:
            return network(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        return gate.wait(_agents(gate, library, self, options, bridged(twin(), cast_to, options)))

    base.AsyncAPIClient.request, base.SyncAPIClient.request = request, sync_request


def _watch_google(client: Any, sync_name: str, async_name: str) -> None:
    bridged, network = getattr(client, async_name), getattr(client, sync_name)

    @functools.wraps(bridged)
    async def async_request(self: Any, http_method: str, path: str, *arguments: Any, **named: Any) -> Any:
        gate = _stop_google(path)
        call = bridged(self, http_method, path, *arguments, **named)
        return await (call if gate is None else gate.go(_agents(gate, "google.genai", self, None, call)))

    @functools.wraps(network)
    def request(self: Any, http_method: str, path: str, *arguments: Any, **named: Any) -> Any:
        gate = _stop_google(path)
        if gate is None:
            return network(self, http_method, path, *arguments, **named)
        call = bridged(self, http_method, path, *arguments, **named)
        return gate.wait(_agents(gate, "google.genai", self, None, call))

    setattr(client, async_name, async_request)
    setattr(client, sync_name, request)


async def _agents(gate: ClientGate, library: str, client: Any, options: Any, call: Coroutine[Any, Any, T]) -> T:
    """A call of the agent's client, which a perturbation may make fail."""
    injector = gate.meter.injector
    if not injector.reaches("model"):
        return await call
    await gate.meter.agent_asks()
    return await unless_faulty(injector, library, repetitions(library, client, options), library, call)


def _stop_google(path: str) -> ClientGate | None:
    found = _GOOGLE_CALL.search(path)
    return None if found is None else _judged(found["model"], stream=found["verb"] == "streamGenerateContent")


def _stop(url: str, model: str, *, stream: bool) -> ClientGate | None:
    gate = _gate.get()
    if gate is not None and _OLD_CALLS.match(url):
        raise gate.refusal(f"the agent called the old {url} of its client, which Inspect cannot see: use chat messages")
    return _judged(model, stream=stream) if _MODEL_CALLS.match(url) else None


def _judged(model: str, *, stream: bool) -> ClientGate | None:
    """The gate for the call, None if it is Inspect's own or outside any attempt. Raises `Unbridged`."""
    gate, ours = _gate.get(), re.match(rf"{CLIENT_MODEL}(?:/|$)", model) is not None
    if gate is None:
        if ours:
            raise Unbridged(
                f"the model {model!r} is there only inside an attempt, and this code runs outside of it: start threads "
                "with asyncio.to_thread(...) or contextvars.copy_context().run(...), or ask an async client there in "
                "context.wait(...); call models neither in set-up nor in teardown"
            )
        return None
    if not ours and gate.here() and gate.meter.calling:
        return None  # the provider behind Inspect's model, asked for this very attempt
    if not ours:
        raise gate.refusal(
            f"the agent asked its client for the model {model!r}, which would be paid past every limit and budget: "
            f"ask for {CLIENT_MODEL!r}, which is the model under evaluation, or for '{CLIENT_MODEL}/PROVIDER/MODEL'"
        )
    if stream:
        raise gate.refusal("the agent asked its client for a stream, which Inspect's bridge has not: ask without one")
    return gate


def _model_of(options: Any) -> str:
    body = options.json_data
    return str(body.get("model", "")) if isinstance(body, dict) else ""
