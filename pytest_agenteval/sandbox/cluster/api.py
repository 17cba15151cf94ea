"""The Kubernetes API, asynchronous, on httpx: objects, watches, and the streams of pods.

Runs on asyncio and on trio. No task outlives a call.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import anyio.to_thread
import httpx

from pytest_agenteval.sandbox.cluster.login import Login
from pytest_agenteval.sandbox.cluster.stream import PROTOCOLS, PodStream
from pytest_agenteval.sandbox.exec.backend import EngineError, EngineGone

__all__ = ["Api"]

_SECONDS = 60.0
"""How long the API server may be silent in one call."""
_DENIED = 401


class Api:
    """The API server. Belongs to the event loop it is first used in."""

    def __init__(self, login: Login, again: Callable[[], Login]) -> None:
        """`again` logs in anew, when credentials have expired; it may block."""
        self.login = login
        self.clock = 0.0
        """The API server's own time at its last answer, in seconds since the epoch."""
        self._again = again
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str, **params: str) -> Any:
        """GET an object. Raises `EngineError`."""
        return await self.call("GET", path, None, **params)

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: str) -> Any:
        """Make a call and return the object in the answer. A PATCH is a merge patch. Raises `EngineError`."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body)
        with self._explained():
            response = await self._sent(
                lambda client: client.build_request(
                    method, path, content=content, params=params or None, headers={"Content-Type": kind}
                )
            )
            try:
                answer = await response.aread()
            finally:
                await response.aclose()
        if "date" in response.headers:
            self.clock = parsedate_to_datetime(response.headers["date"]).timestamp()
        _check(response.status_code, answer)
        return json.loads(answer) if answer.strip() else None

    @asynccontextmanager
    async def lines(self, path: str, **params: str) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of an answer that goes on, as a watch is one. Raises `EngineError`, also from the lines."""
        with self._explained():
            response = await self._sent(
                lambda client: client.build_request(
                    "GET", path, params=params, timeout=httpx.Timeout(_SECONDS, read=None)
                )
            )
            try:
                if response.status_code != 200:
                    _check(response.status_code, await response.aread())
                yield response.aiter_lines()
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    async def stream(self, path: str, params: Sequence[tuple[str, str]]) -> PodStream:
        """Open a websocket. Raises `EngineError`."""
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Protocol": PROTOCOLS,
        }
        with self._explained():
            response = await self._sent(
                lambda client: client.build_request("GET", path, params=list(params), headers=headers)
            )
            if response.status_code != 101:
                try:
                    _check(response.status_code, await response.aread())
                finally:
                    await response.aclose()
                raise EngineError(response.status_code, "the API server did not open a stream")
        return PodStream(response)

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            with anyio.CancelScope(shield=True):
                await client.aclose()

    async def _sent(self, build: Callable[[httpx.AsyncClient], httpx.Request]) -> httpx.Response:
        client = self._connection()
        response = await client.send(self._addressed(build(client)), stream=True)
        if response.status_code != _DENIED:
            return response
        await response.aclose()
        self.login = await anyio.to_thread.run_sync(self._again)
        # connections in use go on; only what is asked from now on carries the new credentials
        return await client.send(self._addressed(build(client)), stream=True)

    def _addressed(self, request: httpx.Request) -> httpx.Request:
        if self.login.token is not None:
            request.headers["Authorization"] = f"Bearer {self.login.token}"
        if self.login.server_name is not None:
            request.extensions = {**request.extensions, "sni_hostname": self.login.server_name}
        return request

    def _connection(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self.login.server,
                verify=self.login.tls,
                proxy=self.login.proxy,
                timeout=_SECONDS,
                trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            )
        return self._client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what httpx raises into `EngineGone`."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise EngineGone(f"the API server {self.login.where} did not answer within {_SECONDS:g} s") from error
        except (httpx.TransportError, OSError) as error:
            raise EngineGone(f"the API server {self.login.where} does not answer ({error})") from error


def _check(status: int, content: bytes) -> None:
    """Raise the API server's refusal."""
    if status < 400:
        return
    try:
        message = str(json.loads(content)["message"])
    except (ValueError, LookupError, TypeError):
        message = content.decode("utf-8", "replace").strip()[:500] or f"HTTP status {status}"
    raise EngineError(status, message)
