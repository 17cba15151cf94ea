"""The Docker Engine's HTTP API, asynchronous, on httpx: the calls a sandbox makes while it works.

Runs on asyncio and on trio. No task outlives a call. The daemon's address is the docker command line's.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import httpcore
import httpx

from pytest_agenteval.sandbox.docker.address import Certificates, daemon_address
from pytest_agenteval.sandbox.exec.backend import EngineError, EngineGone

__all__ = ["Endpoint", "Engine", "EngineStream"]

_NEWEST = (1, 47)
"""The newest version of the API that this module was written for; an older daemon gets requests in its own version."""
_SECONDS = 120.0
"""How long the daemon may be silent in one call: a start takes seconds on an overloaded machine."""
_RECEIVE = 128 << 10
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, OSError)  # httpcore lets some of OpenSSL's errors through


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the daemon listens, as far as this module can reach it."""

    url: str
    """What requests are addressed to."""
    socket: str | None = None
    """The path of its unix socket."""
    certificates: Certificates | None = None
    """For TLS."""

    @classmethod
    def parse(cls, where: str, certificates: Certificates | None = None) -> Endpoint | None:
        """The endpoint of an address such as `unix:///var/run/docker.sock`; None for one of another kind (ssh, npipe).

        A `tcp` address is plain unless `certificates` are given.
        """
        scheme, _, rest = where.removeprefix("http+").partition("://")
        if scheme == "unix":
            return cls("http://docker", socket="/" + rest.lstrip("/"))
        if scheme in ("tcp", "http", "https"):
            secure = scheme == "https" or certificates is not None
            return cls(f"{'https' if secure else 'http'}://{rest.rstrip('/')}", certificates=certificates)
        return None

    @classmethod
    def current(cls) -> Endpoint | None:
        """The current daemon's endpoint; None if this module cannot reach it. Raises as `daemon_address` does."""
        found = daemon_address()
        return cls.parse(found.url, found.certificates)


class EngineStream:
    """A connection the daemon has handed over: bytes both ways until one side closes it."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._stream = response.extensions["network_stream"]
        raw = self._stream.get_extra_info("socket")
        # asyncio only: trio has its own socket type, and a TCP socket belongs to asyncio's transport.
        self._socket = raw if isinstance(raw, socket.socket) and raw.family == socket.AF_UNIX else None

    def send_now(self, data: bytes) -> int:
        """Send what can be sent at once, and return how many bytes that were; usually all of a short message.

        Nothing is awaited, so no cancellation can cut a message in two.
        """
        if self._socket is None:
            return 0
        try:
            return self._socket.send(data)
        except OSError:  # full, or broken: `send` will find out
            return 0

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it. Raises `EngineGone` when the connection is broken."""
        try:
            await self._stream.write(bytes(data))
        except _BROKEN as error:
            raise EngineGone("the connection to the container broke") from error

    def end(self) -> None:
        """Tell the other side that nothing more will be sent. Raises `EngineGone` when the connection is broken."""
        try:
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except OSError as error:
            raise EngineGone("the connection to the container broke") from error

    async def receive(self) -> bytes:
        """The next bytes, or none at the end or after the connection broke. A cancellation loses nothing."""
        try:
            data: bytes = await self._stream.read(_RECEIVE)
        except _BROKEN:
            return b""
        return data

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        with anyio.CancelScope(shield=True):
            await self._response.aclose()


class Engine:
    """The daemon. Belongs to the event loop it is first used in; may be used again after `close`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._client: httpx.AsyncClient | None = None
        self._version: str | None = None

    async def get(self, path: str, **params: str) -> Any:
        """GET an object. Raises `EngineError`."""
        return await self.call("GET", path, None, **params)

    async def post(self, path: str, body: Mapping[str, Any] | None = None, **params: str) -> Any:
        """POST an object and return the answer, None if there is none. Raises `EngineError`."""
        return await self.call("POST", path, body, **params)

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: str) -> Any:
        """Make a call and return the object in the answer, None if there is none. Raises `EngineError`."""
        url = await self._url(path)
        with _explained(self.endpoint):
            response = await self._connection().request(method, url, json=body, params=params or None)
            _check(response.status_code, response.content)
            return json.loads(response.content) if response.content.strip() else None

    async def now(self) -> float:
        """The daemon's own clock, in seconds since the epoch. Raises `EngineError`."""
        return datetime.fromisoformat((await self.get("/info"))["SystemTime"]).timestamp()

    async def hijack(self, path: str, body: Mapping[str, Any] | None = None, **params: str) -> EngineStream:
        """Make a call whose connection becomes a stream. Raises `EngineError`."""
        url = await self._url(path)
        with _explained(self.endpoint):
            client = self._connection()
            headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
            request = client.build_request("POST", url, json=body, params=params or None, headers=headers)
            response = await client.send(request, stream=True)
            if response.status_code != 101:
                try:
                    _check(response.status_code, await response.aread())
                finally:
                    await response.aclose()
                raise EngineError(response.status_code, "the daemon did not hand over the connection")
            return EngineStream(response)

    async def pull(self, image: str) -> None:
        """Make the daemon pull an image from its registry. Raises `EngineError`."""
        url = await self._url("/images/create")
        name, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
        params = {"fromImage": image} if "@" in image else {"fromImage": name, "tag": tag}
        with _explained(self.endpoint):
            async with self._connection().stream("POST", url, params=params) as response:
                if response.status_code >= 400:
                    _check(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    if line.strip() and (problem := json.loads(line).get("error")):
                        raise EngineError(500, str(problem))

    async def close(self) -> None:
        """Close all connections that are not handed over."""
        client, self._client = self._client, None
        if client is not None:
            with anyio.CancelScope(shield=True):
                await client.aclose()

    async def _url(self, path: str) -> str:
        if self._version is None:
            with _explained(self.endpoint):
                answer = await self._connection().get("/_ping")
                _check(answer.status_code, answer.content)
            newest = tuple(int(part) for part in answer.headers.get("Api-Version", "1.41").split("."))
            self._version = ".".join(map(str, min(newest, _NEWEST)))
        return f"/v{self._version}{path}"

    def _connection(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
            transport = httpx.AsyncHTTPTransport(
                uds=self.endpoint.socket, verify=_tls(self.endpoint), limits=limits, trust_env=False
            )
            self._client = httpx.AsyncClient(
                transport=transport, base_url=self.endpoint.url, timeout=_SECONDS, trust_env=False
            )
        return self._client


def _tls(endpoint: Endpoint) -> ssl.SSLContext | bool:
    if not endpoint.url.startswith("https://"):
        return False
    ours = endpoint.certificates
    if ours is None:
        return True
    context = ssl.create_default_context(cafile=ours.ca and str(ours.ca))
    if ours.pair is not None:
        context.load_cert_chain(*map(str, ours.pair))
    if not ours.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _check(status: int, content: bytes) -> None:
    """Raise the daemon's refusal."""
    if status < 400:
        return
    try:
        message = str(json.loads(content)["message"])
    except (ValueError, LookupError, TypeError):
        message = content.decode("utf-8", "replace").strip() or f"HTTP status {status}"
    raise EngineError(status, message)


@contextmanager
def _explained(endpoint: Endpoint) -> Iterator[None]:
    """Turn what httpx raises into `EngineGone`."""
    where = endpoint.socket or endpoint.url
    try:
        yield
    except httpx.TimeoutException as error:
        raise EngineGone(f"Docker's daemon at {where} did not answer within {_SECONDS:g} s") from error
    except (httpx.TransportError, OSError) as error:
        raise EngineGone(f"Docker's daemon at {where} does not answer ({error})") from error
