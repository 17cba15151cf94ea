"""From the description of a pod to a pod that runs, in two parts: room in the cluster, and a start on a node.

A cluster that is full, or a quota that is used up, is no error: the pod waits, and that does not count as a try. A pod
that has got a node must run soon, or something is wrong with the node or the image.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio

from pytest_agenteval.sandbox.cluster.api import Api
from pytest_agenteval.sandbox.cluster.leases import delete
from pytest_agenteval.sandbox.cluster.states import PodState
from pytest_agenteval.sandbox.cluster.watch import Watch
from pytest_agenteval.sandbox.docker.reaper import NAME_PREFIX
from pytest_agenteval.sandbox.exec.backend import EngineError, EngineGone

__all__ = ["Room", "runs"]

ROOM_SECONDS = 900.0
"""How long no pod of this driver may get room before those that wait give up."""
TAKEN_SECONDS = 20.0
"""How long a node may take to begin with a pod: a dead node gets pods until the cluster has noticed."""
START_SECONDS = 300.0
"""How long a node may take to pull the image and start the container."""
SUSPECT_SECONDS = 90.0
"""How long a node that lost a pod gets no other; by then the cluster itself has noticed, if it is dead."""
_ELSEWHERE_SECONDS = 15.0
"""How long a pod waits for another node than a suspected one where none is known."""
_AWAY_SECONDS = 120.0
"""How long an API server may be away while a pod is asked for."""
_LOOK_SECONDS = 2.0


def runs(state: PodState) -> bool:
    """What most pods are started for."""
    return state.running


class Room:
    """Where the pods of a driver get their places."""

    def __init__(self, api: Api, watch: Watch) -> None:
        self.waiting: dict[str, str] = {}
        """Why the pods that have no place yet wait, by their names."""
        self._api, self._watch = api, watch
        self._path = f"/api/v1/namespaces/{api.login.namespace}/pods"
        self._suspects: dict[str, float] = {}
        self._nodes: set[str] = set()
        self._moved = 0.0

    def suspect(self, node: str) -> None:
        """A node has lost a pod: let no other be placed on it for a while."""
        self._suspects[node] = anyio.current_time()

    async def start(
        self, describe: Callable[[str, Sequence[str]], Mapping[str, Any]], until: Callable[[PodState], bool] = runs
    ) -> tuple[PodState, float]:
        """A new pod, in the state wished for; and the seconds that it waited for room.

        `describe` makes the call's body from the pod's name and the nodes to avoid. After an error or a cancellation
        nothing of it is left. Raises `EngineError`.
        """
        asked = anyio.current_time()
        while True:
            name, avoid = NAME_PREFIX + uuid.uuid4().hex[:12], self._to_avoid()
            try:
                self.waiting[name] = "the cluster has not said"
                await self._create(name, describe(name, avoid), asked)
                placed = await self._placed(name, avoid, asked)
                waited = anyio.current_time() - asked
                if placed is not None:
                    self.waiting.pop(name)
                    return await self._started(placed, until), waited
            except BaseException:
                await self._forget(name)
                raise
            finally:
                self.waiting.pop(name, None)
            await self._forget(name)  # and ask again: meanwhile it may go where it could not

    def _to_avoid(self) -> tuple[str, ...]:
        now = anyio.current_time()
        return tuple(sorted(node for node, since in self._suspects.items() if now - since < SUSPECT_SECONDS))

    async def _forget(self, name: str) -> None:
        with anyio.CancelScope(shield=True), suppress(EngineError):
            await delete(self._api, f"{self._path}/{name}")
        self._watch.forget(name)

    async def _create(self, name: str, body: Mapping[str, Any], asked: float) -> None:
        while True:
            try:
                # Not cut short: if nobody waited for its creation, a pod might appear after its removal.
                with anyio.CancelScope(shield=True):
                    await self._api.call("POST", self._path, body)
                return
            except EngineGone as error:  # an API server that starts again; the pod may be there already
                if anyio.current_time() - asked > _AWAY_SECONDS:
                    raise
                self._wait_on(name, str(error), asked)
            except EngineError as error:
                if error.status == 409:
                    return
                if not (error.status == 429 or (error.status == 403 and "exceeded quota" in str(error))):
                    raise
                self._wait_on(name, str(error), asked)
            await anyio.sleep(_LOOK_SECONDS)

    async def _placed(self, name: str, avoid: tuple[str, ...], asked: float) -> PodState | None:
        """The pod when it has a node; None where it waits although nodes that it avoids are trusted again."""
        while True:
            state = await self._watch.until(name, lambda one: one.node is not None or one.over, _LOOK_SECONDS)
            if state is not None and state.over:
                raise EngineError(0, state.why)
            if state is not None and state.node is not None:
                self._moved = anyio.current_time()
                self._nodes.add(state.node)
                return state
            if avoid and anyio.current_time() - asked > _ELSEWHERE_SECONDS and self._nodes <= set(avoid):
                self._suspects.clear()  # no other node is known: better the one than none
            if not set(avoid) <= set(self._to_avoid()):
                return None
            self._wait_on(name, state.no_room if state is not None else "", asked)

    def _wait_on(self, name: str, why: str, asked: float) -> None:
        self.waiting[name] = why or self.waiting[name]
        if anyio.current_time() - max(asked, self._moved) > ROOM_SECONDS:
            raise EngineError(
                0, f"there was no room in the cluster for {ROOM_SECONDS / 60:g} minutes: {self.waiting[name]}"
            )

    async def _started(self, placed: PodState, until: Callable[[PodState], bool]) -> PodState:
        name, node = placed.name, str(placed.node)
        state = await self._watch.until(name, lambda one: one.taken_on or until(one) or one.hopeless, TAKEN_SECONDS)
        if state is not None and (state.taken_on or until(state) or state.hopeless):
            state = await self._watch.until(name, lambda one: until(one) or one.hopeless, START_SECONDS)
        elif state is not None:
            self.suspect(node)
        if state is None or not until(state):
            raise EngineError(0, f"the pod did not start on the node {node}: {state.why if state else 'it is gone'}")
        return state
