"""What happens to the pods of one run, by one watch for all of them; and what has to be done for them meanwhile.

A coroutine runs beside the calls, from `start` to `stop`: it follows the watch, renews the lease, and keeps idle
connections from being cut. It is handed to the event loop by a thread that waits for it, which works on asyncio and on
trio, and ties it to no task of a caller.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.abc import TaskGroup

from pytest_agenteval.sandbox.cluster.api import Api
from pytest_agenteval.sandbox.cluster.states import PodState
from pytest_agenteval.sandbox.exec.backend import EngineError

__all__ = ["Watch"]

_LOG = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0
_WATCH_SECONDS = 300
"""How long the API server may keep one watch open; it then gets a new one."""


class Watch:
    """The pods with one label."""

    def __init__(self, api: Api, path: str, selector: str) -> None:
        self.broken_at = -1e9
        """When the connection of the watch was last lost, by the event loop's clock."""
        self._api, self._path, self._selector = api, path, selector
        self._pods: dict[str, PodState] = {}
        self._news = anyio.Event()
        self._chores: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        self._scope: anyio.CancelScope | None = None
        self._began, self._ended = anyio.Event(), anyio.Event()
        self._group: TaskGroup | None = None

    def every(self, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
        """Also do this again and again; to be called before `start`. `EngineError`s of it are of no consequence."""
        self._chores.append((seconds, chore))

    def beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do this, too, beside all calls; at the latest `stop` ends it. It must not raise."""
        if self._group is not None:
            self._group.start_soon(work)

    async def start(self) -> None:
        """Begin."""
        self._scope, self._began, self._ended = anyio.CancelScope(), anyio.Event(), anyio.Event()
        token = anyio.lowlevel.current_token()

        def wait() -> None:
            with suppress(BaseException):  # the event loop may end before anybody calls `stop`
                anyio.from_thread.run(self._run, token=token)

        threading.Thread(target=wait, name="agenteval-watch", daemon=True).start()
        await self._began.wait()

    async def stop(self) -> None:
        """End, and return when nothing of it runs any more."""
        if self._scope is not None:
            self._scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._ended.wait()
            self._scope = None

    def state(self, name: str) -> PodState | None:
        """The last news of a pod; None if there was none yet."""
        return self._pods.get(name)

    def forget(self, name: str) -> None:
        """Keep nothing of a pod that nobody will ask for again."""
        self._pods.pop(name, None)

    async def until(self, name: str, holds: Callable[[PodState], bool], seconds: float) -> PodState | None:
        """Wait until what is known of a pod is so; returns the last news of it, at the latest after that time."""
        with anyio.move_on_after(seconds):
            while (state := self._pods.get(name)) is None or not holds(state):
                await self._news.wait()
        return self._pods.get(name)

    async def _run(self) -> None:
        assert self._scope is not None
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    self._group = group
                    self._began.set()
                    for seconds, chore in self._chores:
                        group.start_soon(_repeat, seconds, chore)
                    while True:
                        try:
                            await self._follow()
                        except EngineError:
                            pass
                        except Exception:  # an answer that no API server gives: look again
                            _LOG.exception("The pods of this run cannot be watched for a moment")
                        self.broken_at = anyio.current_time()
                        await anyio.sleep(_AGAIN_SECONDS)
        finally:
            self._group = None
            self._ended.set()

    async def _follow(self) -> None:
        """Take in all pods, and then their changes until the watch ends: it is then begun anew without a pause."""
        while True:
            found = await self._api.get(self._path, labelSelector=self._selector)
            there = {state.name: state for state in map(PodState.of, found.get("items") or ())}
            for name, state in list(self._pods.items()):
                if name not in there:
                    self._take(replace(state, deleted=True))
            for state in there.values():
                self._take(state)
            version = str(found["metadata"]["resourceVersion"])
            watched = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
            began = anyio.current_time()
            async with self._api.lines(self._path, labelSelector=self._selector, **watched) as lines:
                async for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":  # usually 410: what happened since is forgotten
                        break
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                        self._take(PodState.of(event["object"], deleted=event["type"] == "DELETED"))
            if anyio.current_time() - began < _WATCH_SECONDS - 1:  # not the end that was agreed
                return

    def _take(self, state: PodState) -> None:
        self._pods[state.name] = state
        self._news.set()
        self._news = anyio.Event()


async def _repeat(seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    while True:
        await anyio.sleep(seconds)
        with suppress(EngineError):
            await chore()
