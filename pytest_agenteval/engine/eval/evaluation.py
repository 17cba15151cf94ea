"""One Inspect eval for a session: suite = Task, task = Sample, attempt = epoch, body = solver, outcome = score."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pytest
from inspect_ai import Epochs, Task, eval_async
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import Model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from pytest_agenteval.collect.inspect_task import SAMPLE
from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.eval.feed import Attempts, Suites
from pytest_agenteval.engine.eval.missing import never_ran, not_in_log
from pytest_agenteval.engine.eval.recording import telling
from pytest_agenteval.engine.eval.tries import Services, Trial
from pytest_agenteval.engine.eval.waiting import doing, pulse
from pytest_agenteval.engine.inspect_private import init_display_type
from pytest_agenteval.engine.inspect_tasks.attempt import InspectSample
from pytest_agenteval.engine.logs.files import roster
from pytest_agenteval.engine.logs.scorecard import score_of
from pytest_agenteval.engine.models.models import max_retries
from pytest_agenteval.engine.sandboxes.places import SandboxSpec
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.record.reuse import Reuse, Taken
from pytest_agenteval.record.stored import StoredTask
from pytest_agenteval.run.dispatch import Dispatcher, Key
from pytest_agenteval.run.pump import Finished

__all__ = ["Evaluation"]

_Suite = tuple[str, str]
"""A suite's path and a model's name: one Inspect task each."""


class Evaluation:
    """Runs attempts through one `eval_async`, which starts with the first task and gets more while pytest continues."""

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, Model],
        roles: Mapping[str, Model],
        sandboxes: Mapping[str, SandboxSpec | None],
        services: Services,
        metadata: dict[str, Any],
        dispatcher: Dispatcher,
    ) -> None:
        self.settings, self.services = settings, services
        self.stopped_by: BaseException | None = None
        self.problems: list[str] = []
        self.passed = self.done = 0
        self.logs: list[EvalLog] = []
        self.sandboxes = sandboxes
        self._models, self._roles, self._metadata = models, roles, metadata
        self._dispatcher = dispatcher
        self._waiting: dict[Key, Trial] = {}
        self._in_flight: dict[Key, Trial] = {}
        self._unwritten: dict[Key, Finished] = {}
        """Attempts in flight that have ended and are not in their log yet: nobody is notified of them."""
        self._over: dict[_Suite, str] = {}
        """Why Inspect runs no more attempts of these suites."""
        self._futures: dict[Key, asyncio.Future[Finished]] = {}
        self._suites = Suites(self._take, self._suite_over)
        self._sources: dict[_Suite, Attempts] = {}
        self._errors: dict[_Suite, list[str]] = {}
        """What is added to these lists before the end is in the logs: Inspect writes their metadata again then."""
        self._new_tasks: list[Task] = []
        self._eval: asyncio.Task[None] | None = None
        self._closing = self._cancelling = False
        self._tasks: Mapping[str, StoredTask] = {}
        self._reuse = Reuse({})

    # -- what the pump calls -----------------------------------------------------------------------

    def submit(self, item: AgentItem, shared: dict[str, Any]) -> list[asyncio.Future[Finished]]:
        """Take in the k attempts of a task: those of earlier invocations have ended, :meth:`feed` starts the others."""
        model, k = item.model or "none", self.settings.attempts.k
        kept = {record.number: record for record in self._taken(item).attempts}
        fresh = [number for number in range(1, k + 1) if number not in kept][: max(0, k - len(kept))]
        for number in (*kept, *fresh):
            self._futures[item.nodeid, number] = asyncio.get_running_loop().create_future()
        for number, record in kept.items():
            self._tell((item.nodeid, number), Finished(record, None, None))
        for number in fresh:
            self._waiting[item.nodeid, number] = Trial(
                item, number, k, model, shared, self.sandboxes[item.nodeid], self.services
            )
        self._dispatcher.arm(item.nodeid, fresh)
        return [self._futures[item.nodeid, number] for number in sorted((*kept, *fresh))]

    def take_over(self, tasks: Sequence[StoredTask], reuse: Reuse) -> None:
        """Describe the tasks for their logs, with what earlier invocations did of them; before the first submit."""
        self._tasks = {task.task: task for task in tasks}
        self._reuse = reuse
        for name, taken in reuse.taken.items():
            for record in taken.attempts:
                self._dispatcher.record((name, record.number), record.outcome is Outcome.PASSED)
                if cost := Cost.of_try(record).total:  # known, and not that of an attempt without calls
                    self.services.budget.learn(name, cost)

    def kept(self, item: AgentItem) -> Sequence[AttemptRecord]:
        """The attempts of earlier invocations that a task need not run again."""
        return self._taken(item).attempts

    def discarded(self, item: AgentItem) -> Sequence[AttemptRecord]:
        """What earlier invocations began at a task and did not bring to an end that counts."""
        return self._taken(item).discarded

    def _taken(self, item: AgentItem) -> Taken:
        return self._reuse.taken.get(item.nodeid, Taken())

    def withdraw(self, item: AgentItem) -> None:
        """pytest will not run the task: no verdict waits for it."""
        self._dispatcher.withdraw(item.nodeid)

    def note_error(self, item: AgentItem, text: str) -> None:
        """Keep an error that pytest met around the attempts at a task in the log of its suite."""
        self._errors.setdefault((_suite(item.nodeid), item.model or "none"), []).append(text)

    async def close(self, *, cancel: bool) -> None:
        """End the eval: its logs are complete when this returns."""
        self._closing, self._cancelling = True, cancel
        self._waiting.clear()
        if self._eval is not None:
            self._suites.close()
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
        """The most US dollars spent so far; None if a call has no known price."""
        budget = self.services.budget
        return None if budget.unpriced else budget.spent + budget.kept

    @property
    def pulse(self) -> object:
        """Another value whenever something has moved."""
        return self.done, list(self._in_flight), list(self._unwritten), pulse()

    def waits_for(self) -> list[str]:
        """What each attempt in flight is waiting for."""
        return [
            f"{task} attempt {number}: {'its log, to be written' if (task, number) in self._unwritten else what}"
            for (task, number), what in ((key, doing(key)) for key in self._in_flight)
        ]

    # -- feeding -----------------------------------------------------------------------------------

    def feed(self) -> None:
        """Start attempts while there are places. Inspect itself does not keep an order, so it never gets a queue."""
        budget = self.services.budget
        while not self._closing and self.stopped_by is None:
            decided, places = self._dispatcher.decided(), self.settings.attempts.concurrency - len(self._in_flight)
            keys = self._dispatcher.next(places)
            for key in decided:
                self._tell(
                    key, never_ran(self._waiting.pop(key).number, Cause.DECIDED, "every verdict was already fixed")
                )
            for key in keys:
                trial = self._waiting.pop(key)
                if budget.exhausted:
                    why = budget.stopped or "the run's budget could pay for no more calls before it could start"
                    self._end(trial, never_ran(trial.number, Cause.BUDGET, why))
                elif over := self._why_over(trial):
                    self._end(trial, never_ran(trial.number, Cause.HARNESS, over))
                else:
                    self._in_flight[key] = trial
                    self._source(trial).feed(_sample(trial.item), trial.number)
            if not decided and not keys:
                return

    def _why_over(self, trial: Trial) -> str | None:
        """Why an attempt can no longer start, or None."""
        if self._eval is not None and self._eval.done():
            return _why_ended(self._eval)
        return self._over.get(_suite_of(trial))

    def _source(self, trial: Trial) -> Attempts:
        key = _suite_of(trial)
        if key not in self._sources:
            source = self._sources[key] = Attempts(self._suites, self._complete)
            self._new_tasks.append(self._task(key, source))
            if self._eval is None:
                self._eval = asyncio.get_running_loop().create_task(self._run())
                self._eval.add_done_callback(self._ended)
            else:
                self._suites.wake(next((s.context for s in self._sources.values() if s.context), None))
        return self._sources[key]

    def _task(self, key: _Suite, source: Attempts) -> Task:
        suite, model = key
        k = self.settings.attempts.k
        return Task(
            name=suite.removesuffix(".py").replace("/", "."),
            dataset=source,
            solver=_pytest_body(self),
            model=self._models.get(model),
            epochs=Epochs(k, ["mean"] + [f"pass_k_{k}"] * (k > 1)),
            metadata={
                **self._metadata,
                "suite": suite,
                "model": model,
                "errors": self._errors.setdefault(key, []),
                "sandbox": self._providers(suite),
                "tasks": roster(
                    task for task in self._tasks.values() if (_suite(task.task), task.cell.model) == (suite, model)
                ),
            },
        )

    def _providers(self, suite: str) -> str:
        """The sandbox providers of a suite's tasks."""
        specs = (spec for nodeid, spec in self.sandboxes.items() if nodeid.split("::")[0] == suite)
        return ", ".join(sorted({spec.provider for spec in specs if spec is not None})) or "none"

    def _take(self) -> list[Task]:
        """The suites that Inspect has not heard of yet."""
        tasks, self._new_tasks = self._new_tasks, []
        return tasks

    # -- inside the eval ---------------------------------------------------------------------------

    async def _run(self) -> None:
        init_display_type("none")
        hook = sys.excepthook
        places = self.settings.attempts.concurrency
        suites = {nodeid.split("::")[0] for nodeid in self.sandboxes}
        try:
            with telling(self):
                self.logs = await eval_async(
                    self._suites,
                    model=next(iter(self._models.values()), None),
                    model_roles=dict(self._roles),
                    log_dir=self.settings.store.log_dir,
                    log_format="eval",  # whatever the environment says: nothing else is read again
                    max_tasks=max(2, len(suites) * max(1, len(self._models))),
                    max_samples=places,
                    max_subprocesses=max(8, places),
                    fail_on_error=False,
                    max_retries=max_retries(self.settings),  # of judges too: models that the test itself makes
                    log_level="notset",  # Inspect's records reach the transcript, not the terminal
                    ctl_server=False,
                    log_header_only=True,
                    score_display=False,
                    log_realtime=False,
                    log_buffer=1,  # each attempt is written when it has finished
                )
        finally:
            sys.excepthook = hook

    async def attempt(self, state: TaskState) -> None:
        """The solver: run the attempt, and leave its score. Its ending is reported when it is in its log."""
        key = (str(state.sample_id), state.epoch)
        trial = self._in_flight[key]
        finished: Finished | None = None
        try:
            finished = await trial.run(state)
        except pytest.exit.Exception as error:
            self.stopped_by = error
        finally:
            self._unwritten[key] = finished = finished or trial.finished(state)
            state.scores = {"passed": score_of(finished.record)}

    # -- the outcome of writing logs -----------------------------------------------------------------

    def written(self, attempts: Collection[Key]) -> None:
        """These attempts are in their log: they have ended as they ended."""
        for key in attempts:
            if (finished := self._unwritten.pop(key, None)) is not None:
                self._end(self._in_flight[key], finished)

    def unrecorded(self, attempt: Key, why: str) -> None:
        """The attempt will not be in its log, and so it does not count."""
        if attempt in self._unwritten:
            self._lose(attempt, self._in_flight[attempt], why)

    def unwritable(self, suite: str, model: str, why: str) -> None:
        """No attempt of this suite can be recorded any more: none begins, and Inspect ends those in flight."""
        self.problems.append(why)
        self._over[suite, model] = why
        self._sources[suite, model].give_up()

    def _complete(self, sample_id: str, epoch: int, sample: EvalSample | None) -> None:
        """Inspect has done with an attempt, so its place is free; news are those that were not written."""
        key = (sample_id, epoch)
        trial = self._in_flight.pop(key)
        message = sample.error.message if sample is not None and sample.error else "Inspect gave the attempt up"
        self._lose(key, trial, self._over.get(_suite_of(trial), message))
        self.feed()

    def _suite_over(self, log: EvalLog) -> None:
        """Inspect has ended a suite: none of its attempts is in flight any more, and none can start."""
        said = log.eval.metadata or {}
        suite = str(said.get("suite")), str(said.get("model"))
        if suite not in self._over:
            self._over[suite] = f"Inspect had ended the suite{f': {log.error.message}' if log.error else ''}"
            if log.error is not None:
                self.problems.append(f"Inspect ended {suite[0]} early: {log.error.message}")
        self._lose_all(lambda trial: _suite_of(trial) == suite, self._over[suite])

    def _lose_all(self, concerned: Callable[[Trial], bool], why: str) -> None:
        """Inspect has done with these attempts, whatever became of them; what can no longer start ends as well."""
        for key, trial in [*self._in_flight.items()]:
            if concerned(trial):
                del self._in_flight[key]
                self._lose(key, trial, self._over.get(_suite_of(trial), why))
        self.feed()

    def _lose(self, key: Key, trial: Trial, why: str) -> None:
        """An attempt is in no log: it is missing, unless it has been reported before."""
        finished = self._unwritten.pop(key, None)
        if self._futures[key].done():
            return
        if finished is not None:
            stopped = self._cancelling and finished.record.outcome is Outcome.NOT_RUN
            self._end(trial, finished if stopped else not_in_log(finished, why))
        elif self._cancelling:
            self._end(trial, never_ran(trial.number, Cause.CANCELLED, "the run was stopped"))
        else:
            self._end(trial, never_ran(trial.number, Cause.HARNESS, why))

    def _end(self, trial: Trial, finished: Finished) -> None:
        """An attempt that the dispatcher named has ended."""
        key, outcome = (trial.item.nodeid, trial.number), finished.record.outcome
        if outcome is Outcome.SKIPPED:
            self._dispatcher.skipped(key)
        else:
            self._dispatcher.record(key, outcome is Outcome.PASSED if outcome.counts else None)
        self._tell(key, finished)

    def _tell(self, key: Key, finished: Finished) -> None:
        self.done += 1
        self.passed += finished.record.outcome is Outcome.PASSED
        future = self._futures[key]
        if not future.done():
            future.set_result(finished)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whoever waits for an attempt must not wait for an eval that is over."""
        why = _why_ended(task)
        if not self._closing:
            self.problems.append(why)
        self._lose_all(lambda trial: True, why)


@solver
def _pytest_body(evaluation: Evaluation) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        await evaluation.attempt(state)
        return state

    return solve


def _why_ended(task: asyncio.Task[None]) -> str:
    error = None if task.cancelled() else task.exception()
    return f"the Inspect eval ended early: {error!r}" if error is not None else "the Inspect eval had ended"


def _suite_of(trial: Trial) -> _Suite:
    return _suite(trial.item.nodeid), trial.model


def _suite(task: str) -> str:
    return task.split("::")[0]


def _sample(item: AgentItem) -> Sample:
    given = item.plan.params.get(SAMPLE)
    if isinstance(given, InspectSample):
        return given.in_log(item.nodeid)
    return Sample(id=item.nodeid, input=(item.obj.__doc__ or "").strip() or item.name)
