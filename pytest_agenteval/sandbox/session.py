"""What the sandboxes of one event loop share: the daemon, the places to start in, and what is known of images."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from pytest_agenteval.sandbox.docker.address import SandboxSetupError, address
from pytest_agenteval.sandbox.docker.containers import ContainerConfig, Image
from pytest_agenteval.sandbox.docker.engine_api import Endpoint, Engine
from pytest_agenteval.sandbox.docker.reaper import Owner, list_sandboxes, reap, remove
from pytest_agenteval.sandbox.docker.running import start
from pytest_agenteval.sandbox.exec.backend import EngineError
from pytest_agenteval.sandbox.exec.running import NoExecServer, RunningContainer, SandboxLost
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, IMAGES, ensure_image

__all__ = ["Session"]

_LOG = logging.getLogger(__name__)
_MEMORY_PER_START = 256 << 20
"""The estimated memory of a starting container and the daemon's processes around it, in bytes."""


class Session:
    """The sandboxes of one event loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._images: dict[str, Image] = {}
        self._servers: dict[str, bool] = {}
        self._places: anyio.CapacityLimiter | None = None
        self._looking_up = anyio.Lock()
        self._users = 0

    @classmethod
    def current(cls) -> Session:
        """The session of this event loop. Raises `SandboxSetupError` where the daemon's address is not supported."""
        found = _CURRENT.get(None)
        if found is None:
            endpoint = Endpoint.current()
            if endpoint is None:
                raise SandboxSetupError(
                    f"Docker's daemon at {address()} is not at a unix:// or tcp:// address, as this provider needs: "
                    "forward its socket and name it in DOCKER_HOST, or use Inspect's provider `docker`."
                )
            found = cls(Engine(endpoint))
            _CURRENT.set(found)
        return found

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Engine]:
        """The daemon; its connections are closed with the last use."""
        self._users += 1
        try:
            yield self.engine
        finally:
            await self._release()

    async def image(self, config: ContainerConfig, *, fresh: bool = False) -> Image:
        """The configuration's image, looked up once (again if `fresh`), so that all attempts use the same.

        This package's own images are built and any others pulled if the daemon lacks them. Raises `SandboxSetupError`.
        """
        name = config.image or DEFAULT_IMAGE
        async with self._looking_up:  # so that nothing is built or pulled twice
            if fresh or name not in self._images:
                try:
                    self._images[name] = await self._look_up(name)
                except EngineError as error:
                    raise SandboxSetupError(f"The image {name} cannot be looked up: {_sentence(error)}.") from error
            return self._images[name]

    async def check(self, config: ContainerConfig) -> None:
        """Raise `SandboxSetupError` if the daemon has not the requested network: it would silently give none."""
        if config.network != "bridge":
            return
        async with self.used() as engine:
            try:
                await engine.get("/networks/bridge")
            except EngineError as error:
                if error.status != 404:
                    raise SandboxSetupError(f"The network `bridge` cannot be looked up: {_sentence(error)}.") from error
                raise SandboxSetupError(
                    f"Docker's daemon at {address()} has no network `bridge`, which a sandbox asks for: start it "
                    "without `--bridge=none`, or leave network='bridge' out."
                ) from None

    async def start(self, config: ContainerConfig, labels: dict[str, str]) -> tuple[RunningContainer, float]:
        """Start a container when there is a free place; returns it and the seconds waited for the place.

        Raises `SandboxSetupError`.
        """
        self._users += 1
        started = None
        try:
            image = await self.image(config)
            asked = anyio.current_time()
            async with await self._limiter():
                waited = anyio.current_time() - asked
                started = await self._start(config, image, {**Owner.this().labels(), **labels})
            return started, waited
        except (EngineError, SandboxLost) as error:
            name = config.image or DEFAULT_IMAGE
            raise SandboxSetupError(
                f"A sandbox could not be started from the image {name} ({_sentence(error)}): see `docker info`."
            ) from error
        finally:
            if started is None:
                await self._release()

    async def end(self, container: RunningContainer) -> None:
        """Remove a container, unless it is kept. If the daemon does not remove it now, it ends with this process."""
        try:
            await container.close()
        except EngineError as error:
            _LOG.warning("The sandbox %s could not be removed (%s): look for it by `docker ps`.", container.name, error)
        finally:
            await self._release()

    async def reap(self) -> None:
        """Remove what dead processes of this machine have left. A refusal is logged, not raised."""
        async with self.used() as engine:
            try:
                await reap(engine)
            except EngineError as error:
                _LOG.warning("Sandboxes of dead processes could not be looked for: %s", error)

    async def remove_all(self, container: str | None) -> None:
        """Remove the sandbox with that id or name, or all of them, of any owner. Raises `EngineError`."""
        async with self.used() as engine:
            for each in await list_sandboxes(engine):
                names = [name.lstrip("/") for name in each.get("Names") or ()]
                if container is None or each["Id"].startswith(container) or container in names:
                    await remove(engine, each["Id"])

    async def _release(self) -> None:
        self._users -= 1
        if self._users == 0:
            await self.engine.close()

    async def _limiter(self) -> anyio.CapacityLimiter:
        if self._places is None:
            info = await self.engine.get("/info")
            places = min(2 * int(info["NCPU"]), int(info["MemTotal"]) // _MEMORY_PER_START)
            self._places = self._places or anyio.CapacityLimiter(max(1, places))
        return self._places

    async def _start(self, config: ContainerConfig, image: Image, labels: dict[str, str]) -> RunningContainer:
        if self._servers.get(image.id, True):
            try:
                container = await start(self.engine, config, image, labels)
                self._servers[image.id] = True
                return container
            except NoExecServer as error:
                reason = _sentence(error)
        container = await start(self.engine, config, image, labels, with_server=False)
        if self._servers.get(image.id, True):
            self._servers[image.id] = False
            what = "The image %s has no python3 of 3.8 or later, so commands in it take the engine's slow way (%s)."
            _LOG.warning(what, image.name, reason)
        return container

    async def _look_up(self, name: str) -> Image:
        async with self.used() as engine:
            try:
                found = await engine.get(f"/images/{name}/json")
            except EngineError as error:
                if error.status != 404:
                    raise
                built_in = next((short for short, full in IMAGES.items() if full == name), None)
                if built_in is not None:
                    await anyio.to_thread.run_sync(ensure_image, built_in, _LOG.info)
                else:
                    await self._pull(name)
                found = await engine.get(f"/images/{name}/json")
        config = found.get("Config") or {}
        digests = found.get("RepoDigests") or [found["Id"]]
        return Image(name, found["Id"], digests[0], config.get("User") or "", config.get("WorkingDir") or "")

    async def _pull(self, name: str) -> None:
        try:
            await self.engine.pull(name)
        except EngineError as error:
            raise SandboxSetupError(
                f"The image {name} is not on Docker's daemon and could not be pulled ({_sentence(error)}): "
                f"build it, or try `docker pull {name}`."
            ) from error


_CURRENT: RunVar[Session | None] = RunVar("pytest_agenteval.sandbox.session")


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
