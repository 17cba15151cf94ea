"""What the sandboxes of one event loop share in one namespace: the login, the lease, the watch, the images."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakSet

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from pytest_agenteval.sandbox.cluster import leases
from pytest_agenteval.sandbox.cluster.api import Api
from pytest_agenteval.sandbox.cluster.login import log_in
from pytest_agenteval.sandbox.cluster.looks import forbid_network, look_at, root_is_allowed
from pytest_agenteval.sandbox.cluster.pods import CONTAINER, PodConfig, holder, pod
from pytest_agenteval.sandbox.cluster.rights import require_rights
from pytest_agenteval.sandbox.cluster.room import Room
from pytest_agenteval.sandbox.cluster.running import RunningPod
from pytest_agenteval.sandbox.cluster.stream import PodStream
from pytest_agenteval.sandbox.cluster.watch import Watch
from pytest_agenteval.sandbox.docker.address import SandboxSetupError
from pytest_agenteval.sandbox.docker.containers import Image
from pytest_agenteval.sandbox.docker.reaper import LABEL, NAME_PREFIX, Owner
from pytest_agenteval.sandbox.exec import exec_server
from pytest_agenteval.sandbox.exec.backend import EngineError
from pytest_agenteval.sandbox.exec.channel import Channel, ChannelClosed
from pytest_agenteval.sandbox.exec.running import HELLO_SECONDS, RunningContainer, SandboxLost

__all__ = ["ClusterSession"]

_LOG = logging.getLogger(__name__)
_STAY_SECONDS = 30.0
"""How often idle streams are kept from being cut: load balancers cut them after a minute or more."""


class ClusterSession:
    """The sandboxes of one event loop in one namespace."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._images: dict[tuple[str, str | None], Image] = {}
        self._checked: set[str] = set()
        self._root = True
        self._pods: list[RunningPod] = []
        self._users = self._calling = 0
        self._turn = anyio.Lock()
        self._at_work: _AtWork | None = None
        _ALL.add(self)

    @classmethod
    async def current(cls, config: PodConfig) -> ClusterSession:
        """The session of this event loop for the configuration's namespace. Raises `SandboxSetupError`."""
        sessions = _CURRENT.get(None)
        if sessions is None:
            sessions = {}
            _CURRENT.set(sessions)
        key = config.context, config.namespace
        if key not in sessions:
            log = partial(log_in, *key)
            login = await anyio.to_thread.run_sync(log)
            sessions.setdefault(key, cls(Api(login, log)))  # another caller may have been quicker
        return sessions[key]

    @classmethod
    def room_wanted(cls) -> list[str]:
        """Why the pods of this process that have no place yet wait."""
        at_work = [each._at_work for each in _ALL if each._at_work is not None]
        return [why for each in at_work for why in each.room.waiting.values()]

    async def open(self) -> None:
        """Begin, if this is the first user: take a lease, watch. Raises `EngineError`."""
        async with self._turn:
            if self._at_work is None:
                lease = leases.Lease(self.api, NAME_PREFIX + uuid.uuid4().hex[:12])
                with anyio.CancelScope(shield=True):  # if nobody waited for it, it might appear later
                    await lease.take()
                path = f"/api/v1/namespaces/{self.api.login.namespace}/pods"
                watch = Watch(self.api, path, f"{leases.RUN}={lease.name}")
                watch.every(leases.RENEW_SECONDS, lease.renew)
                watch.every(_STAY_SECONDS, self._stay)
                await watch.start()
                self._at_work = _AtWork(lease, watch, Room(self.api, watch))
            self._users += 1

    async def close(self) -> None:
        """End with the last user: nothing of this driver is left in the cluster, but for pods that were kept."""
        with anyio.CancelScope(shield=True):
            async with self._turn:
                self._users = max(0, self._users - 1)
                if self._users == 0 and self._at_work is not None:
                    at_work, self._at_work = self._at_work, None
                    await at_work.watch.stop()
                    try:
                        await at_work.lease.give_up()
                    except EngineError as error:
                        _LOG.warning("The lease %s could not be removed (%s): it expires.", at_work.lease.name, error)
                    await self._rest()

    async def _rest(self) -> None:
        """Close the connections, if nobody uses them. They open again when somebody does."""
        if self._calling == 0 and self._at_work is None:
            await self.api.close()

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Api]:
        """The API, for a few calls."""
        self._calling += 1
        try:
            yield self.api
        finally:
            self._calling -= 1
            await self._rest()

    async def image(self, config: PodConfig) -> Image:
        """What the configuration's image is like: it has been looked at by `prepare`. Raises `SandboxSetupError`."""
        key = str(config.image), config.runtime
        if key not in self._images:
            await self.prepare(config)
            await self.close()
        return self._images[key]

    async def prepare(self, config: PodConfig) -> None:
        """Check what sandboxes of that configuration need, once: rights, the image, the network, the right to be root.

        From then on the driver has its lease and its watch, until as many calls of `close`. Raises `SandboxSetupError`,
        and then there is nothing to close.
        """
        if config.image is None:
            raise SandboxSetupError(
                "A sandbox in a cluster needs the name of an image: write for example image:python:3.12-slim."
            )
        closed = config.network == "none"
        try:
            async with self.used():
                await require_rights(self.api, policies=closed)
                await self.open()
            try:
                assert self._at_work is not None
                await self._reap()
                if closed:
                    await forbid_network(self.api)
                key, check = f"{config.runtime} {config.network}", closed and config.check_network
                if (config.image, config.runtime) not in self._images or (check and key not in self._checked):
                    describe = self._describe(self._at_work.lease, {})
                    self._root = await root_is_allowed(self.api, describe(config, "agenteval-dry", holder()))
                    look_here = check and key not in self._checked
                    image = await look_at(self.api, self._at_work.room, config, describe, check_network=look_here)
                    self._images[config.image, config.runtime] = image
                    self._checked |= {key} if check else set()
            except BaseException:
                await self.close()
                raise
        except EngineError as error:
            raise SandboxSetupError(
                f"A sandbox of the image {config.image} cannot be had in the cluster {self.api.login.where} "
                f"({_sentence(error)}): see `kubectl get events --namespace {self.api.login.namespace}`."
            ) from error

    async def start(self, config: PodConfig, labels: Mapping[str, str]) -> tuple[RunningContainer, float]:
        """Start a pod when there is room; returns it and the seconds waited for that. Raises `SandboxSetupError`."""
        started = None
        image = await self.image(config)
        try:
            async with self.used():
                await self.open()
            try:
                started, waited = await self._start(config, image, labels)
            finally:
                if started is None:
                    await self.close()
        except (EngineError, SandboxLost) as error:
            raise SandboxSetupError(
                f"A sandbox could not be started from the image {config.image} ({_sentence(error)}): see "
                f"`kubectl get events --namespace {self.api.login.namespace}`."
            ) from error
        return started, waited

    async def end(self, container: RunningContainer) -> None:
        """Remove a pod, unless it is kept. If the cluster does not remove it now, it ends with this process."""
        self._pods = [pod for pod in self._pods if pod.name != container.name]
        try:
            await container.close()
        except EngineError as error:
            _LOG.warning(
                "The sandbox %s could not be removed (%s): look for it by `kubectl get pods`.", container.name, error
            )
        finally:
            if self._at_work is not None:
                self._at_work.watch.forget(container.name)
            await self.close()

    async def remove(self, name: str | None) -> None:
        """Remove the sandbox of that name, or all of the namespace, of any driver. Raises `EngineError`."""
        async with self.used() as api:
            if name is None:
                await leases.remove_all(api)
            else:
                await leases.delete(api, f"/api/v1/namespaces/{api.login.namespace}/pods/{name}")

    async def _start(
        self, config: PodConfig, image: Image, labels: Mapping[str, str]
    ) -> tuple[RunningContainer, float]:
        assert self._at_work is not None
        at_work, describe = self._at_work, self._describe(self._at_work.lease, labels)
        user = (config.user if config.user is not None else image.user) or "root"
        as_root = self._root
        if not as_root and not str(config.user or "0").isdigit():
            raise EngineError(403, f"the namespace allows no root, and the user {config.user} is no number")

        def sandbox(name: str, avoid: Sequence[str]) -> dict[str, Any]:
            number = 0 if as_root else int(config.user) if config.user else None
            return describe(config, name, holder(), avoid=avoid, user=number)

        state, waited = await at_work.room.start(sandbox)
        path = f"/api/v1/namespaces/{self.api.login.namespace}/pods/{state.name}"
        streams: list[PodStream] = []
        try:
            held = await self.api.stream(f"{path}/attach", [("container", CONTAINER), ("stdin", "true")])
            streams.append(held)
            beside = at_work.watch.beside
            beside(held.write)
            found = RunningPod(self.api, state, held, user if as_root else None, streams, beside, self._suspect)
            main = Channel(await found.open_server(None, "python3"))
            try:
                await main.start(exec_server.program(), HELLO_SECONDS)
            except ChannelClosed as error:
                raise SandboxLost(str(error)) from error
        except BaseException as error:
            if isinstance(error, EngineError | SandboxLost) and state.node is not None:
                self._suspect(state.node)
            with anyio.CancelScope(shield=True):
                for stream in streams:
                    await stream.close()
                with suppress(EngineError):
                    await leases.delete(self.api, path)
            raise
        self._pods.append(found)
        digest = Image(image.name, image.id, state.image or image.digest, image.user, image.working_dir)
        return RunningContainer(found, config, digest, main), waited

    def _describe(self, lease: leases.Lease, labels: Mapping[str, str]) -> Callable[..., dict[str, Any]]:
        ours = {LABEL: "1", leases.RUN: lease.name}
        notes = {**Owner.this().labels(), **labels}
        return partial(pod, labels=ours, annotations=notes, owner=lease.owner)

    def _suspect(self, node: str) -> None:
        """Unless it was the way to the cluster that broke, and with it the watch."""
        if self._at_work is not None and anyio.current_time() - self._at_work.watch.broken_at > _STAY_SECONDS:
            self._at_work.room.suspect(node)

    async def _reap(self) -> None:
        try:
            await leases.reap(self.api)
        except EngineError as error:
            _LOG.warning("Sandboxes of dead drivers could not be looked for: %s", error)

    async def _stay(self) -> None:
        for each in self._pods:
            each.stay()


@dataclass(frozen=True, slots=True)
class _AtWork:
    """What there is while there are users."""

    lease: leases.Lease
    watch: Watch
    room: Room


_ALL: WeakSet[ClusterSession] = WeakSet()
_CURRENT: RunVar[dict[tuple[str | None, str | None], ClusterSession]] = RunVar("pytest_agenteval.sandbox.cluster")


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
