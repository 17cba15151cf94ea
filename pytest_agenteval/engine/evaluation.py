"""One Inspect eval for a session: suite = Task, task = Sample, attempt = epoch, body = solver, outcome = score."""

from __future__ import annotations

import asyncio
import contextvars
import math
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

import pytest
from inspect_ai import Epochs, SampleSource, Task, TaskSource, enqueue_sample, enqueue_task, eval_async
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import Model
from inspect_ai.scorer import Score
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util._display import init_display_type

from pytest_agenteval.attempt import Ending
from pytest_agenteval.engine.models import max_retries
from pytest_agenteval.engine.sandboxes import SandboxSpec
from pytest_agenteval.engine.trial import Services, Trial
from pytest_agenteval.items import AgentItem
from pytest_agenteval.options import Settings
from pytest_agenteval.outcomes import Cause, Outcome
from pytest_agenteval.pump import Finished
from pytest_agenteval.records import AttemptRecord

__all__ = ["Evaluation"]

_Suite = tuple[str, str]
"""A suite's path and a model's name: one Inspect task each."""


class Evaluation:
    """Runs attempts through one `eval_async`, which starts with the first task and is fed while pytest goes on."""

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, Model],
        sandboxes: Mapping[str, SandboxSpec],
        services: Services,
        metadata: dict[str, Any],
    ) -> None:
        self.settings, self.services = settings, services
        self.stopped_by: BaseException | None = None
        self.passed = self.done = 0
        self.logs: list[EvalLog] = []
        self.sandboxes = sandboxes
        self._models, self._metadata = models, metadata
        self._queue: deque[Trial] = deque()
        self._in_flight: dict[tuple[str, int], Trial] = {}
        self._futures: dict[tuple[str, int], asyncio.Future[Finished]] = {}
        self._sources: dict[_Suite, _Source] = {}
        self._new_tasks: list[Task] = []
        self._eval: asyncio.Task[None] | None = None
        self._tasks: _Tasks | None = None
        self._cancelling = False

    # -- what the pump calls -----------------------------------------------------------------------

    def submit(self, item: AgentItem, shared: dict[str, Any]) -> list[asyncio.Future[Finished]]:
        """Queue the k attempts of a task, first in first out."""
        model, suite = item.model or "none", _suite(item)
        futures = []
        for number in range(1, self.settings.k + 1):
            trial = Trial(item, number, self.settings.k, model, shared, self.sandboxes[suite], self.services)
            future = self._futures[item.nodeid, number] = asyncio.get_running_loop().create_future()
            futures.append(future)
            self._queue.append(trial)
        self._feed()
        return futures

    async def close(self, *, cancel: bool) -> None:
        """End the eval: its logs are complete when this returns."""
        self._cancelling = cancel
        self._queue.clear()
        if self._eval is not None:
            if self._tasks is not None:
                self._tasks.close()
            for source in self._sources.values():
                source.close()
            if cancel:
                self._eval.cancel()
            await asyncio.wait({self._eval})
        await self.services.sandboxes.close()

    @property
    def sandboxes_up(self) -> int:
        """How many sandboxes are up."""
        return self.services.sandboxes.up

    @property
    def spent(self) -> float | None:
        """US dollars so far, or None where a call has no known price."""
        budget = self.services.budget
        return None if budget.unpriced else budget.spent

    # -- feeding -----------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Start attempts while there are places. Inspect itself does not keep an order, so it never gets a queue."""
        while self._queue and self.services.budget.exhausted:
            trial = self._queue.popleft()
            why = self.services.budget.stopped or "the run's budget was spent before it could start"
            self._finish(trial, _never_ran(trial, Cause.BUDGET, why))
        while self._queue and len(self._in_flight) < self.settings.concurrency and not self._cancelling:
            trial = self._queue.popleft()
            self._in_flight[trial.item.nodeid, trial.number] = trial
            self._source(trial).feed(Sample(id=trial.item.nodeid, input=_prompt(trial.item)), trial.number)

    def _source(self, trial: Trial) -> _Source:
        key = (_suite(trial.item), trial.model)
        if key not in self._sources:
            source = self._sources[key] = _Source(self)
            self._new_tasks.append(self._task(key, source))
            if self._eval is None:
                self._eval = asyncio.get_running_loop().create_task(self._run())
                self._eval.add_done_callback(self._ended)
            elif self._tasks is not None:
                self._tasks.wake(next((s.context for s in self._sources.values() if s.context), None))
        return self._sources[key]

    def _task(self, key: _Suite, source: _Source) -> Task:
        suite, model = key
        k = self.settings.k
        return Task(
            name=suite.removesuffix(".py").replace("/", "."),
            dataset=source,
            solver=_pytest_body(self),
            model=self._models.get(model),
            epochs=Epochs(k, ["mean"] + [f"pass_k_{k}"] * (k > 1)),
            metadata={**self._metadata, "suite": suite, "sandbox": self.sandboxes[suite].provider},
        )

    def take(self) -> list[Task]:
        """The suites that Inspect has not heard of yet."""
        tasks, self._new_tasks = self._new_tasks, []
        return tasks

    # -- inside the eval ---------------------------------------------------------------------------

    async def _run(self) -> None:
        init_display_type("none")
        hook = sys.excepthook
        self._tasks = _Tasks(self)
        places = self.settings.concurrency
        try:
            self.logs = await eval_async(
                self._tasks,
                model=next(iter(self._models.values()), None),
                log_dir=self.settings.log_dir,
                max_tasks=max(2, len(self.sandboxes) * max(1, len(self._models))),
                max_samples=places,
                max_subprocesses=max(8, places),
                fail_on_error=False,
                max_retries=max_retries(self.settings),  # of judges too: models that the test itself makes
                log_level="notset",  # Inspect's records reach the transcript, not the terminal
                ctl_server=False,
                log_header_only=True,
                score_display=False,
                log_realtime=False,
                log_buffer=1,  # an attempt is on disk when it has finished
            )
        finally:
            sys.excepthook = hook

    async def attempt(self, state: TaskState) -> None:
        """The solver: run the attempt, and leave its score."""
        trial = self._in_flight[str(state.sample_id), state.epoch]
        finished: Finished | None = None
        try:
            finished = await trial.run(state)
        except pytest.exit.Exception as error:
            self.stopped_by = error
            finished = trial.finished(state)
        finally:
            finished = finished or trial.finished(state)
            state.scores = {"passed": _score(finished.record)}
            self._finish(trial, finished)

    def complete(self, sample_id: str, epoch: int, sample: EvalSample | None) -> None:
        """Inspect has written an attempt, or given it up. Only then is its place free, and only errors are news."""
        trial = self._in_flight.pop((sample_id, epoch))
        if not self._futures[sample_id, epoch].done():
            message = sample.error.message if sample is not None and sample.error else "Inspect gave the attempt up"
            self._finish(trial, _never_ran(trial, Cause.HARNESS, message))
        self._feed()

    def _finish(self, trial: Trial, finished: Finished) -> None:
        self.done += 1
        self.passed += finished.record.outcome is Outcome.PASSED
        future = self._futures[trial.item.nodeid, trial.number]
        if not future.done():
            future.set_result(finished)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whoever waits for an attempt must not wait for an eval that is over."""
        error = None if task.cancelled() else task.exception()
        for trial in [*self._in_flight.values(), *self._queue]:
            if not self._futures[trial.item.nodeid, trial.number].done():
                cause = Cause.CANCELLED if self._cancelling else Cause.HARNESS
                text = "the run was stopped" if self._cancelling else f"the Inspect eval ended early: {error!r}"
                self._finish(trial, _never_ran(trial, cause, text))


class _Tasks(TaskSource):
    """Gives Inspect each suite when its first task is reached, so that no empty log is written for the others."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation, self._news, self._closed = evaluation, asyncio.Event(), False

    def initial_tasks(self) -> list[Task]:
        return self._evaluation.take()

    async def next_tasks(self) -> list[Task] | None:
        while not (tasks := self._evaluation.take()):
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        return tasks

    def wake(self, context: contextvars.Context | None) -> None:
        """A suite is new. Inspect asks for more only when nothing is running; until then it is told, in its context."""
        if context is not None and (tasks := self._evaluation.take()):
            context.run(enqueue_task, tasks)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()


class _Source(SampleSource):
    """The attempts of one suite with one model."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._queue: list[tuple[Sample, int]] = []
        self._news, self._closed = asyncio.Event(), False
        self.context: contextvars.Context | None = None
        """Inspect's enqueue functions work only in the context of the running eval: this one."""

    def feed(self, sample: Sample, epoch: int) -> None:
        self._queue.append((sample, epoch))
        if self.context is not None:
            self._drain()
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def next_samples(self) -> list[Sample] | None:
        self.context = self.context or contextvars.copy_context()
        if self._evaluation._tasks is not None:
            self._evaluation._tasks.wake(self.context)
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
        self._evaluation.complete(str(sample.id), sample.epoch, sample)

    async def sample_abandoned(self, sample: Sample, epoch: int) -> None:
        self._evaluation.complete(str(sample.id), epoch, None)

    def _drain(self) -> None:
        assert self.context is not None
        queue, self._queue = self._queue, []
        for sample, epoch in queue:
            self.context.run(enqueue_sample, sample, epoch=epoch)


@solver
def _pytest_body(evaluation: Evaluation) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        await evaluation.attempt(state)
        return state

    return solve


def _score(record: AttemptRecord) -> Score:
    value = float(record.outcome is Outcome.PASSED) if record.outcome.counts else math.nan
    return Score(
        value=value,
        answer=record.answer,
        explanation=record.message or None,
        metadata={
            "outcome": record.outcome.value,
            "cause": record.cause.value if record.cause else None,
            "cost": record.cost,
            "retries": len(record.retries),
            "exception": record.exception,
            "where": record.where,
        },
    )


def _never_ran(trial: Trial, cause: Cause, message: str) -> Finished:
    outcome = Outcome.ENVIRONMENT_ERROR if cause is Cause.HARNESS else Outcome.NOT_RUN
    return Finished(AttemptRecord(trial.number, outcome, cause, message), Ending(outcome, cause, message=message), None)


def _suite(item: AgentItem) -> str:
    return item.nodeid.split("::")[0]


def _prompt(item: AgentItem) -> str:
    return (item.obj.__doc__ or "").strip() or item.name
