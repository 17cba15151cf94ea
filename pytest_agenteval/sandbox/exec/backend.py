"""What an exec server needs of whoever runs its container: Docker's daemon, or a Kubernetes cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_agenteval.sandbox.death import Death
    from pytest_agenteval.sandbox.exec.calls import Command, Output

__all__ = ["Backend", "EngineError", "EngineGone", "Stream"]


class EngineError(Exception):
    """The daemon, or the cluster, refused a call; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, 0 if there was no answer."""


class EngineGone(EngineError):
    """The daemon, or the cluster, could not be reached, did not answer in time, or closed the connection."""

    def __init__(self, message: str) -> None:
        super().__init__(0, message)


class Stream(Protocol):
    """Bytes to and from a process in the container; what comes has Docker's header before every piece."""

    def send_now(self, data: bytes) -> int:
        """Send what can be sent at once, without awaiting anything, and return how many bytes that were."""

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it. Raises `EngineGone` when the connection is broken."""

    async def receive(self) -> bytes:
        """The next bytes, or none at the end or after the connection broke. A cancellation loses nothing."""

    async def close(self) -> None:
        """Close the connection; safe to repeat."""


class Backend(Protocol):
    """One container, as the one who runs it sees it."""

    id: str
    name: str

    @property
    def first_is_init(self) -> bool:
        """Whether the first exec server is the container's first process: then the container ends with it."""

    async def open_server(self, user: str | None, python: str) -> Stream:
        """Start one more exec server, as a user (None: the container's own). Raises `EngineError`."""

    async def exec(self, command: Command) -> Output:
        """Run a command without an exec server. Raises `EngineError`."""

    async def read(self, path: str, limit: int) -> bytes:
        """Read a file without an exec server. Raises `EngineError` and `ServerError`."""

    async def write(self, path: str, data: bytes) -> None:
        """Write a file without an exec server. Raises `EngineError` and `ServerError`."""

    async def is_running(self) -> bool:
        """Whether the container runs, is not paused, and can be reached."""

    async def agent_at_fault(self, error: EngineError) -> bool:
        """Whether it was the agent's doing that a program could not be started."""

    async def examine(self) -> Death:
        """Who ended the container, if anybody did."""

    def enter_command(self, user: str | None) -> str:
        """The shell command that opens a shell in the container."""

    async def keep(self, linger: Callable[[], Awaitable[None]] | None) -> None:
        """Let the container outlive this process. Raises `EngineError`, and what `linger` raises.

        `linger` tells the first exec server to stay when this process is gone; None if there is no such server.
        """

    async def remove(self) -> None:
        """Remove the container. Raises `EngineError`."""

    async def disconnect(self) -> None:
        """Close the connection that the container lives by; safe to repeat."""
