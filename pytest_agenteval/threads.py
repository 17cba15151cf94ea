"""One thread for one attempt with a sync body: its fixtures, body and teardowns all run there."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["AttemptThread"]

T = TypeVar("T")


class AttemptThread:
    """A daemon thread that runs calls one after another. Daemon: a body that never returns must not hold the process."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def __call__(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Run `func` in the thread, in a copy of the caller's context. Cancelling the wait does not stop the call."""
        done: asyncio.Future[T] = self._loop.create_future()
        call = functools.partial(contextvars.copy_context().run, func, *args, **kwargs)

        def run() -> None:
            try:
                value = call()
            except StopIteration as stop:  # a future cannot carry one
                self._finish(done, error=RuntimeError(f"{func!r} raised StopIteration({stop.value!r})"))
            except BaseException as error:
                self._finish(done, error=error)
            else:
                self._finish(done, value=value)

        self._calls.put(run)
        return await done

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Called in the thread: run `awaitable` on the event loop, in this thread's context, and wait for its value."""
        context = contextvars.copy_context()
        started: queue.SimpleQueue[asyncio.Task[T]] = queue.SimpleQueue()

        async def run() -> T:
            return await awaitable

        self._loop.call_soon_threadsafe(
            lambda: started.put(self._loop.create_task(run(), context=context)), context=context
        )
        task = started.get()
        done = threading.Event()
        self._loop.call_soon_threadsafe(task.add_done_callback, lambda _: done.set())
        done.wait()
        return task.result()

    def close(self) -> None:
        """Let the thread end after the calls already given to it."""
        self._calls.put(None)

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
