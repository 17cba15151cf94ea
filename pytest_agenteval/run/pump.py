"""Arm and pump: attempts of many tasks run at once, inside pytest's own protocol, in the main thread.

arm   When pytest reaches an agent task, the real set-up hooks are called for it and for each following agent task whose
      shared fixtures stay alive; their attempts are queued on one event loop.
pump  pytest then visits each task as ever; its call phase runs the loop until *that* task's attempts are done, while
      everybody else's go on.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import pytest

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.run.engine import Engine, Finished
from pytest_agenteval.run.output import routed
from pytest_agenteval.run.whereabouts import short_message

__all__ = ["Interrupted", "Pump"]

T = TypeVar("T")
_STOPS = (KeyboardInterrupt, pytest.exit.Exception)


class Interrupted(KeyboardInterrupt):
    """Raised in code that blocks the loop of a run that is to end."""


@dataclass(slots=True)
class _Job:
    item: AgentItem
    attempts: list[asyncio.Future[Finished]] = field(default_factory=list)


class Pump:
    """Owns the event loop of a session and submits tasks to the engine as pytest reaches them."""

    def __init__(self, session: pytest.Session, engine: Engine) -> None:
        self.engine = engine
        self._session = session
        self._runner = asyncio.Runner()
        self._jobs: dict[AgentItem, _Job] = {}
        self._open: list[_Job] = []
        """Tasks that pytest has not reported yet."""
        self._changed = asyncio.Event()
        """Set whenever an attempt has ended: who waits for many must not register with each of them."""
        self._awaited: asyncio.Task[Any] | None = None
        """What the loop runs for, while it runs."""
        self._interrupted = False
        self._reached: AgentItem | None = None
        self.skipped: set[AgentItem] = set()
        """Tasks that skipped in their set-up and that pytest has not reported yet."""
        self._listeners: list[Callable[[AgentItem, AttemptRecord], None]] = []
        self._watchers: list[Callable[[], Coroutine[Any, Any, None]]] = []
        option = session.config.option
        self._routes_streams = option.capture != "no"
        # xdist's workers run other items than session.items; with --pdb nothing may run in the background of the
        # debugger
        self._looks_ahead = not (hasattr(session.config, "workerinput") or option.usepdb or option.setuponly)

    def watch(self, watcher: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine (the live line) whenever the loop is pumped; it is cancelled when the pumping pauses."""
        self._watchers.append(watcher)

    def listen(self, listener: Callable[[AgentItem, AttemptRecord], None]) -> None:
        """Call `listener` once for every attempt, when it has ended."""
        self._listeners.append(listener)

    def reach(self, item: pytest.Item) -> None:
        """pytest has reached `item`: ordinary tests never overlap with attempts, agent tasks are armed."""
        if self._reached is not None and self._reached not in self._jobs:
            self.engine.withdraw(self._reached)
        self._reached = item if isinstance(item, AgentItem) else None
        if self._reached is not None and self._reached.armed:
            return
        self._wait(self._open)
        if self._reached is not None:
            self._arm(self._reached)

    def finished(self, item: AgentItem) -> list[Finished]:
        """Pump until all attempts of a task have ended, and return them in order.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            pytest.exit.Exception: an attempt asked for it.
        """
        job = self._jobs.get(item)
        if job is None:
            job = self._start(item)
            self._feed()
        self._wait([job])
        if job in self._open:
            self._open.remove(job)
        return [attempt.result() for attempt in job.attempts]

    def has_run(self, item: AgentItem) -> bool:
        """Whether an attempt of a submitted task has ended, whatever pytest reports about the task."""
        return item in self._jobs and any(attempt.done() for attempt in self._jobs[item].attempts)

    def so_far(self, item: AgentItem) -> list[Finished]:
        """The attempts of a task that have ended; if it never started, those of earlier invocations."""
        job = self._jobs.get(item)
        if job is None:
            return [Finished(record) for record in self.engine.kept(item)]
        return [attempt.result() for attempt in job.attempts if attempt.done() and not attempt.cancelled()]

    def host(self, func: Callable[..., Any], arguments: dict[str, Any]) -> Iterator[Any]:
        """A wider-scoped async fixture as a sync generator: one task on the loop runs its set-up and its teardown."""
        loop = self._runner.get_loop()
        ready: asyncio.Future[Any] = loop.create_future()
        stop = asyncio.Event()

        async def hosted() -> None:
            made = func(**arguments)
            steps = made if inspect.isasyncgen(made) else _one(made)
            async for value in steps:
                ready.set_result(value)
                await stop.wait()
                async for _ in steps:
                    await steps.aclose()
                    pytest.fail(f"fixture {func.__name__!r} yielded more than once", pytrace=False)
                return
            pytest.fail(f"fixture {func.__name__!r} did not yield a value", pytrace=False)

        task = loop.create_task(hosted())

        async def set_up() -> Any:
            try:
                await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:  # Ctrl-C: let the fixture clean up
                task.cancel()
                raise
            return await (ready if ready.done() else task)

        async def tear_down() -> None:
            await task

        yield self.run(set_up())
        stop.set()
        self.run(tear_down())

    def interrupt(self) -> bool:
        """From a signal handler: end what the loop runs for, as Ctrl-C does. False if the loop does not run.

        Raises:
            Interrupted: code in the loop has not let an earlier interruption through.
        """
        if self._awaited is None:
            return False
        if self._interrupted:
            raise Interrupted
        self._interrupted = True
        self._runner.get_loop().call_soon_threadsafe(self._awaited.cancel)
        return True

    def stop(self, *, cancel: bool) -> None:
        """End the evaluation. The loop stays, because shared async fixtures are torn down on it later."""
        self.run(self.engine.close(cancel=cancel))

    def close(self) -> None:
        """Close the loop."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # unclosed library streams must not warn inside a user's test
            self._runner.close()
            gc.collect()

    def _start(self, item: AgentItem) -> _Job:
        shared = {name: item.funcargs[name] for name in item.plan.shared}

        async def submit() -> list[asyncio.Future[Finished]]:
            return self.engine.submit(item, shared)

        def tell(attempt: asyncio.Future[Finished]) -> None:
            self._changed.set()
            for listener in self._listeners if not attempt.cancelled() else ():
                listener(item, attempt.result().record)

        job = self._jobs[item] = _Job(item, self.run(submit()))
        for attempt in job.attempts:
            attempt.add_done_callback(tell)
        self._open.append(job)
        return job

    def _feed(self) -> None:
        async def feed() -> None:
            self.engine.feed()

        self.run(feed())

    def _wait(self, jobs: Sequence[_Job]) -> None:
        """Until all attempts at these tasks have ended, or any attempt has stopped the session."""

        async def until_done() -> None:
            for attempt in _undone(jobs):
                while not attempt.done() and self.engine.stopped_by is None:
                    self._changed.clear()
                    await self._changed.wait()

        if _undone(jobs):
            self.run(until_done())
        if self.engine.stopped_by is not None:
            raise self.engine.stopped_by

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the session's loop, along with everything else that runs there."""

        async def watched() -> T:
            watchers = [asyncio.ensure_future(watcher()) for watcher in self._watchers]
            try:
                return await coroutine
            finally:
                for watcher in watchers:
                    watcher.cancel()

        main = self._runner.get_loop().create_task(watched())

        async def result() -> T:
            self._awaited = asyncio.current_task()
            return await main

        with routed(streams=self._routes_streams):
            while True:
                try:
                    value = self._runner.run(result())
                except (SystemExit, RuntimeError):
                    # asyncio raises SystemExit out of the loop, whatever task raised it; the task keeps it for
                    # whoever awaits it. Any code may also call the loop's stop(). The other tasks go on.
                    if main.done() or self._runner.get_loop().is_closed():
                        raise
                except asyncio.CancelledError:
                    if self._interrupted:
                        raise KeyboardInterrupt from None
                    raise
                else:
                    if self._interrupted:  # it came when all was done
                        raise KeyboardInterrupt
                    return value
                finally:
                    self._awaited, self._interrupted = None, False

    def _arm(self, item: AgentItem) -> None:
        batch = self._batch(item)
        for armed in batch:
            armed.armed = True  # only once: a task that skips in its set-up must not arm the rest again
        if len(batch) == 1:
            return
        for this, following in zip(batch, [*batch[1:], item], strict=True):
            try:
                this.ihook.pytest_runtest_setup(item=this)
            except _STOPS:
                raise
            except BaseException as error:
                self.engine.withdraw(this)  # raised again, and reported, when pytest reaches it
                if isinstance(error, pytest.skip.Exception):
                    self.skipped.add(this)
                    self.engine.set_aside(this, f"its setup ended with {short_message(error)}")
            else:
                self._start(this)
            finally:
                self._undo_setup(this, following)
        self._feed()

    @cached_property
    def _position(self) -> dict[pytest.Item, int]:
        """Where each item stands, once the first is reached: until then, items can be left out."""
        return {item: index for index, item in enumerate(self._session.items)}

    def _batch(self, item: AgentItem) -> list[AgentItem]:
        """`item` and the agent tasks right after it that can overlap with it."""
        batch, anchors, params = [item], item.anchors, item.plan.shared_params
        home = set(item.listchain())
        items = self._session.items
        for following in items[self._position[item] + 1 :] if self._looks_ahead and item in self._position else []:
            if not isinstance(following, AgentItem) or following in following.anchors:
                break
            # All shared collectors must be above both: the last teardown of the arming leaves only those of `item` set
            # up.
            if not (anchors | following.anchors) <= (home & set(following.listchain())):
                break
            if any(params.get(name, value) is not value for name, value in following.plan.shared_params.items()):
                break
            if following.warning_filters != item.warning_filters:  # filters apply to the whole process
                break
            batch.append(following)
            anchors, params = anchors | following.anchors, params | following.plan.shared_params
        return batch

    def _undo_setup(self, item: AgentItem, following: AgentItem) -> None:
        try:
            item.ihook.pytest_runtest_teardown(item=item, nextitem=following)
        except _STOPS:
            raise
        except Exception:
            # A plugin expects pytest_runtest_protocol around it: keep pytest's own state consistent without it.
            manager = item.config.pluginmanager
            others = [plugin for plugin in manager.get_plugins() if plugin is not manager.get_plugin("runner")]
            manager.subset_hook_caller("pytest_runtest_teardown", others)(item=item, nextitem=following)


def _undone(jobs: Iterable[_Job]) -> set[asyncio.Future[Finished]]:
    return {attempt for job in jobs for attempt in job.attempts if not attempt.done()}


async def _one(value: Awaitable[T]) -> AsyncGenerator[T, None]:
    yield await value
