"""The sync code of an attempt beside the event loop: its fixtures, body and teardowns all run in one thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

__all__ = ["AttemptThread", "SyncCode"]

_FREE_SECONDS = 1.0
"""How long a sync body that was stopped while it waited may take to come back."""

T = TypeVar("T")


class AttemptThread:
    """A daemon thread that runs calls one after another. A body that never returns must not keep the process alive.

    All calls share one context, so that a fixture can set a context variable for the body and reset it afterwards.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._seen = self._context.copy()
        self._waiting: set[concurrent.futures.Future[Any]] = set()
        self._cancelled = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def __call__(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Run `func` in the thread and return what it returns.

        Cancelling the wait cancels what `func` itself waits for with :meth:`wait`, but cannot stop its other code.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        here, call = contextvars.copy_context(), functools.partial(func, *args, **kwargs)
        self._cancelled = False

        def run() -> None:
            try:
                value = self._context.run(self._in_context, here, call)
            except StopIteration as stop:  # a future cannot hold one
                self._finish(done, error=RuntimeError(f"{func!r} raised StopIteration({stop.value!r})"))
            except BaseException as error:
                self._finish(done, error=error)
            else:
                self._finish(done, value=value)

        self._calls.put(run)
        try:
            return await done
        except asyncio.CancelledError:
            self._cancelled = True
            for waiting in list(self._waiting):
                waiting.cancel()
            raise

    def is_current(self) -> bool:
        """Whether the caller runs in this thread."""
        return threading.current_thread() is self._thread

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Run `awaitable` on the event loop, in this thread's context, and wait for its value.

        Called in this thread, or in another thread that its code has started and that may carry no context.

        Raises:
            asyncio.CancelledError: the attempt is being stopped.
        """

        async def run() -> T:
            if self._cancelled:
                raise asyncio.CancelledError
            return await awaitable

        context = contextvars.copy_context() if self.is_current() else self._context.copy()
        waiting = context.run(asyncio.run_coroutine_threadsafe, run(), self._loop)
        self._waiting.add(waiting)
        try:
            return waiting.result()
        except concurrent.futures.CancelledError:  # an ordinary Exception, which a body might swallow
            raise asyncio.CancelledError from None
        finally:
            self._waiting.discard(waiting)

    def close(self) -> None:
        """Let the thread end after the calls it has already been given."""
        self._calls.put(None)

    def _in_context(self, caller: contextvars.Context, call: Callable[[], T]) -> T:
        """Call after adopting what the caller's side (async fixtures, limits) has set since the last call."""
        for variable, value in caller.items():
            if variable not in self._seen or self._seen[variable] is not value:
                variable.set(value)
        self._seen = caller
        return call()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _finish(self, done: asyncio.Future[T], *, value: Any = None, error: BaseException | None = None) -> None:
        def finish() -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(value)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(finish)


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
