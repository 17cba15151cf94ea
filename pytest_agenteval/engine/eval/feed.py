"""How a running eval is fed: suites as pytest reaches them, attempts as the dispatcher names them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

from inspect_ai import SampleSource, Task, TaskSource, enqueue_sample, enqueue_task
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, EvalSample

__all__ = ["Attempts", "Suites"]


class Suites(TaskSource):
    """Gives Inspect each suite when its first attempt starts, so that no empty log is written for the others."""

    def __init__(self, over: Callable[[EvalLog], None]) -> None:
        """`over` is told the log of each suite that Inspect has ended."""
        self._over, self._news, self._closed = over, asyncio.Event(), False
        self._new: list[Task] = []

    def add(self, suite: Task) -> None:
        """A suite that Inspect has not heard of yet; it starts the eval, or :meth:`wake` tells it."""
        self._new.append(suite)

    def _take(self) -> list[Task]:
        tasks, self._new = self._new, []
        return tasks

    def initial_tasks(self) -> list[Task]:
        """What is there when the eval starts."""
        return self._take()

    async def next_tasks(self) -> list[Task] | None:
        """What came since; None when no more will."""
        while not (tasks := self._take()):
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        return tasks

    async def task_complete(self, log: EvalLog) -> None:
        """Inspect has ended a suite, for whatever reason."""
        self._over(log)

    def wake(self, context: contextvars.Context | None) -> None:
        """A suite is new. Inspect asks for more only when nothing is running; until then it is told, in its context."""
        if context is not None and (tasks := self._take()):
            context.run(enqueue_task, tasks)
        self._news.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._news.set()


class Attempts(SampleSource):
    """The attempts of one suite with one model."""

    def __init__(self, suites: Suites, complete: Callable[[str, int, EvalSample | None], None]) -> None:
        """`suites` is told when this suite's context allows it to enqueue more of them; `complete` is told the id, the
        epoch and the sample (None where it was given up) of each that has ended."""
        self._suites, self._complete = suites, complete
        self._queue: list[tuple[Sample, int]] = []
        self._news, self._closed = asyncio.Event(), False
        self.context: contextvars.Context | None = None
        """Inspect's enqueue functions work only in the context of the running eval: this one."""

    def feed(self, sample: Sample, epoch: int) -> None:
        """Start an attempt."""
        self._queue.append((sample, epoch))
        if self.context is not None:
            self._drain()
        self._news.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._news.set()

    def give_up(self) -> None:
        """What has not been enqueued will not be, and no more will come."""
        self._queue.clear()
        self.close()

    async def next_samples(self) -> list[Sample] | None:
        """Always empty: attempts are enqueued, because only that accepts their number. None when no more will come."""
        self.context = self.context or contextvars.copy_context()
        self._suites.wake(self.context)
        while not self._queue:
            if self._closed:
                return None
            # enqueue_sample() does not end a blocked next_samples(): it has to return by itself
            self._news.clear()
            await self._news.wait()
            if not self._queue and not self._closed:
                return []
        self._drain()
        return []

    async def sample_complete(self, sample: EvalSample) -> None:
        """An attempt is written."""
        self._complete(str(sample.id), sample.epoch, sample)

    async def sample_abandoned(self, sample: Sample, epoch: int) -> None:
        """An attempt was given up."""
        self._complete(str(sample.id), epoch, None)

    def _drain(self) -> None:
        assert self.context is not None
        queue, self._queue = self._queue, []
        for sample, epoch in queue:
            self.context.run(enqueue_sample, sample, epoch=epoch)
