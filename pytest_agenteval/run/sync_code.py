"""The sync code of an attempt, beside the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from pytest_agenteval.run.threads import AttemptThread

__all__ = ["SyncCode"]

_FREE_SECONDS = 1.0
"""How long a sync body that was stopped while it waited may take to come back."""

T = TypeVar("T")


class SyncCode:
    """Runs the sync code of an attempt in a thread of its own; in a second one where a body does not give it back."""

    def __init__(self, name: str) -> None:
        self.stuck = False
        """Whether the body still runs though it was stopped."""
        self._name, self._thread = name, AttemptThread(name)

    async def __call__(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Run `func` in the thread and return what it returns."""
        return await self._thread(func, *args, **kwargs)

    def runs_here(self) -> bool:
        """Whether the caller is sync code of the attempt."""
        return self._thread.is_current()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Called in the thread: have the event loop run `awaitable`."""

        async def run() -> tuple[list[T], BaseException | None]:
            try:
                return [await awaitable], None
            except (SystemExit, KeyboardInterrupt) as raised:  # out of a task of its own it would end the event loop
                return [], raised

        values, error = self._thread.wait(run())
        if error is not None:
            raise error
        return values[0]

    async def come_free(self) -> None:
        """The body was stopped: let it come back before its fixtures are torn down, but not for ever."""
        with anyio.move_on_after(_FREE_SECONDS) as patience:
            await self._thread(bool)
        if patience.cancelled_caught:
            self.stuck = True
            self.close()
            self._thread = AttemptThread(self._name)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.close()
