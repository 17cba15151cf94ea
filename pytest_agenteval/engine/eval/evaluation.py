"""One Inspect eval for a session: suite = Task, task = Sample, attempt = epoch, body = solver, outcome = score."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
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
from pytest_agenteval.engine.eval.ledger import Ledger, doing, never_ran, pulse
from pytest_agenteval.engine.eval.recording import telling
from pytest_agenteval.engine.eval.tries import Services, Suite, Trial, suite_of
from pytest_agenteval.engine.inspect_private import init_display_type
from pytest_agenteval.engine.inspect_tasks.attempt import InspectSample
from pytest_agenteval.engine.logs.files import keep_from_git, roster
from pytest_agenteval.engine.logs.scorecard import score_of
from pytest_agenteval.engine.models.models import max_retries
from pytest_agenteval.engine.sandboxes.places import SandboxSpec
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.record.reuse import Reuse, Taken
from pytest_agenteval.record.stored import StoredTask
from pytest_agenteval.run.dispatch import Dispatcher, Key
from pytest_agenteval.run.engine import Finished

__all__ = ["Evaluation"]

_FROZEN_BY_PYTHON = 10_000
"""More objects than Python itself has frozen when it starts: none, or some hundreds (3.12)."""


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
        self.logs: list[EvalLog] = []
        self.sandboxes = sandboxes
        self._models, self._roles, self._metadata = models, roles, metadata
        self._dispatcher = dispatcher
        self._waiting: dict[Key, Trial] = {}
        self._ledger = Ledger(dispatcher, lambda suite: self._sources[suite].give_up())
        self._suites = Suites(self._suite_over)
        self._sources: dict[Suite, Attempts] = {}
        self._errors: defaultdict[Suite, list[str]] = defaultdict(list)
        self._aside: defaultdict[Suite, dict[str, str]] = defaultdict(dict)
        """What is added to these before the end is in the logs: Inspect writes their metadata again then."""
        self._eval: asyncio.Task[None] | None = None
        self._closing = False
        self._frozen: bool | None = None
        """Whether the collector has been told to leave what was there alone; None before the first attempt's end."""
        self._tasks: Mapping[str, StoredTask] = {}
        self._reuse = Reuse({})

    # -- what the pump calls -----------------------------------------------------------------------

    def submit(self, item: AgentItem, shared: dict[str, Any]) -> list[asyncio.Future[Finished]]:
        """Take in the k attempts of a task: those of earlier invocations have ended, :meth:`feed` starts the others."""
        model, k = item.model or "none", item.k
        kept = {record.number: record for record in self.kept(item)}
        fresh = [number for number in range(1, k + 1) if number not in kept][: max(0, k - len(kept))]
        futures = [self._ledger.expect((item.nodeid, number)) for number in sorted((*kept, *fresh))]
        for number, record in kept.items():
            self._ledger.tell((item.nodeid, number), Finished(record))
        for number in fresh:
            trial = Trial(item, number, k, model, shared, self.sandboxes[item.nodeid], self.services)
            self._waiting[trial.key] = trial
        self._dispatcher.arm(item.nodeid, fresh)
        return futures

    def take_over(self, tasks: Sequence[StoredTask], reuse: Reuse) -> None:
        """Describe the tasks for their logs, with what earlier invocations did of them; before the first submit."""
        self._tasks = {task.task: task for task in tasks}
        self._reuse = reuse
        for name, taken in reuse.taken.items():
            for record in taken.attempts:
                self._dispatcher.record((name, record.number), record.outcome is Outcome.PASSED)
                if cost := Cost.of_try(record).total:  # known, and not that of an attempt without calls
                    self.services.budget.learn(name, cost)

    def identity(self, item: AgentItem) -> StoredTask | None:
        """The task as it is now, by what defines it; None if pytest skips it."""
        return self._tasks.get(item.nodeid)

    def network(self, item: AgentItem) -> str | None:
        """The network of its sandbox, `none` or `bridge`; None if unknown, or it has no container."""
        spec = self.sandboxes.get(item.nodeid)
        return None if spec is None else getattr(spec.config, "network", None)

    def kept(self, item: AgentItem) -> Sequence[AttemptRecord]:
        """The attempts of earlier invocations that a task need not run again."""
        return self._reuse.taken.get(item.nodeid, Taken()).attempts

    def discarded(self, item: AgentItem) -> Sequence[AttemptRecord]:
        """What earlier invocations began at a task and did not bring to an end that counts."""
        return self._reuse.taken.get(item.nodeid, Taken()).discarded

    def withdraw(self, item: AgentItem) -> None:
        """pytest will not run the task: no verdict waits for it."""
        self._dispatcher.withdraw(item.nodeid)

    def note_error(self, item: AgentItem, text: str) -> None:
        """Keep an error that pytest met around the attempts at a task in the log of its suite."""
        self._errors[_suite_of(item)].append(text)

    def set_aside(self, item: AgentItem, why: str) -> None:
        """Keep in the log of its suite why pytest did not come to run the task."""
        self._aside[_suite_of(item)][item.nodeid] = why

    async def close(self, *, cancel: bool) -> None:
        """End the eval: its logs are complete when this returns."""
        if not cancel:
            for task in self._tasks.values():  # where no attempt began, the log says so: the invocation has ended
                self._source(_home(task))
        self._closing, self._ledger.cancelling = True, cancel
        self._waiting.clear()
        if self._eval is not None:
            self._suites.close()
            for source in self._sources.values():
                source.close()
            if cancel:
                self._eval.cancel()
            await asyncio.wait({self._eval})
        await self.services.sandboxes.close()
        if self._frozen:
            gc.unfreeze()
            self._frozen = False

    @property
    def done(self) -> int:
        """How many attempts have ended."""
        return self._ledger.done

    @property
    def passed(self) -> int:
        """How many of them passed."""
        return self._ledger.passed

    @property
    def problems(self) -> Sequence[str]:
        """What went wrong with the evaluation itself, a sentence each."""
        return self._ledger.problems

    @property
    def notes(self) -> Sequence[str]:
        """What was left behind, a sentence each."""
        return self.services.sandboxes.left

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
        return self.done, list(self._ledger.in_flight), list(self._ledger.unwritten), pulse()

    def _waits_for(self, key: Key) -> str:
        return "its log, to be written" if key in self._ledger.unwritten else doing(key)

    def waits_for(self) -> list[str]:
        """What is waited for: room for sandboxes, and what each attempt in flight is at."""
        rooms = Counter(self.services.sandboxes.waiting_for_room())
        return [
            *(f"room in the cluster for {plural(count, 'pod')} ({why})" for why, count in rooms.items()),
            *(f"{key[0]} attempt {key[1]}: {self._waits_for(key)}" for key in self._ledger.in_flight),
        ]

    def feed(self) -> None:
        """Start attempts while there are places. Inspect itself does not keep an order, so it never gets a queue."""
        budget = self.services.budget
        while not self._closing and self.stopped_by is None:
            decided = self._dispatcher.decided()
            keys = self._dispatcher.next(self.settings.attempts.concurrency - len(self._ledger.in_flight))
            for key in decided:
                number = self._waiting.pop(key).number
                self._ledger.tell(key, never_ran(number, Cause.DECIDED, "every verdict was already fixed"))
            for key in keys:
                trial = self._waiting.pop(key)
                if budget.exhausted:
                    why = budget.stopped or "the run's budget could pay for no more calls before it could start"
                    self._ledger.end(trial, never_ran(trial.number, Cause.BUDGET, why))
                elif over := self._why_over(trial):
                    self._ledger.end(trial, never_ran(trial.number, Cause.HARNESS, over))
                else:
                    self._ledger.in_flight[key] = trial
                    self._source(trial.suite).feed(_sample(trial.item), trial.number)
            if not decided and not keys:
                return

    def _why_over(self, trial: Trial) -> str | None:
        """Why an attempt can no longer start, or None."""
        if self._eval is not None and self._eval.done():
            return _why_ended(self._eval)
        return self._ledger.over.get(trial.suite)

    def _source(self, key: Suite) -> Attempts:
        if key not in self._sources:
            source = self._sources[key] = Attempts(self._suites, self._complete)
            self._suites.add(self._task(key, source))
            if self._eval is None:
                self._eval = asyncio.create_task(self._run())
                self._eval.add_done_callback(self._ended)
            else:
                self._suites.wake(next((s.context for s in self._sources.values() if s.context), None))
        return self._sources[key]

    def _task(self, key: Suite, source: Attempts) -> Task:
        suite, model, perturbation = key
        k = self.settings.attempts.k
        specs = (spec for nodeid, spec in self.sandboxes.items() if _suite(nodeid) == suite)
        tasks = (task for task in self._tasks.values() if _home(task) == key)
        name = suite.removesuffix(".py").replace("/", ".")
        return Task(
            name=f"{name}.{perturbation}" if perturbation else name,
            dataset=source,
            solver=_pytest_body(self),
            model=self._models.get(model),
            epochs=Epochs(k, ["mean"] + [f"pass_k_{k}"] * (k > 1)),
            metadata={
                **self._metadata,
                "suite": suite,
                "model": model,
                **({"perturbation": perturbation} if perturbation else {}),
                "errors": self._errors[key],
                "aside": self._aside[key],
                "sandbox": ", ".join(sorted({spec.provider for spec in specs if spec is not None})) or "none",
                "tasks": roster(tasks),
            },
        )

    # -- inside the eval ---------------------------------------------------------------------------

    async def _run(self) -> None:
        init_display_type("none")
        hook = sys.excepthook
        places = self.settings.attempts.concurrency
        suites = {(item.task.split("::")[0], item.perturbed and item.perturbed.name) for item in self._tasks.values()}
        keep_from_git(self.settings.store.log_dir)
        try:
            with telling(self._ledger):
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
        trial = self._ledger.in_flight[key]
        finished: Finished | None = None
        try:
            finished = await trial.run(state)
        except pytest.exit.Exception as error:
            self.stopped_by = error
        finally:
            self._ledger.unwritten[key] = finished = finished or trial.finished(state)
            state.scores = {"passed": score_of(finished.record)}

    def _complete(self, sample_id: str, epoch: int, sample: EvalSample | None) -> None:
        if self._frozen is None:
            # A process that has frozen its imports itself keeps them so: `unfreeze` knows no difference.
            self._frozen = gc.get_freeze_count() < _FROZEN_BY_PYTHON
            if self._frozen:
                gc.freeze()  # what was imported for the first attempt: the collector would look through it ever again
        self._ledger.complete((sample_id, epoch), sample)
        self.feed()

    def _suite_over(self, log: EvalLog) -> None:
        self._ledger.suite_over(log)
        self.feed()

    def _ended(self, task: asyncio.Task[None]) -> None:
        why = _why_ended(task)
        if not self._closing:
            self._ledger.problems.append(why)
        self._ledger.all_over(why)
        self.feed()


@solver
def _pytest_body(evaluation: Evaluation) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        await evaluation.attempt(state)
        return state

    return solve


def _why_ended(task: asyncio.Task[None]) -> str:
    error = None if task.cancelled() else task.exception()
    return f"the Inspect eval ended early: {error!r}" if error is not None else "the Inspect eval had ended"


def _suite(task: str) -> str:
    return task.split("::")[0]


def _home(task: StoredTask) -> Suite:
    return _suite(task.task), task.cell.model, "" if task.perturbed is None else task.perturbed.name


def _suite_of(item: AgentItem) -> Suite:
    return suite_of(item, item.model or "none")


def _sample(item: AgentItem) -> Sample:
    given = item.plan.params.get(SAMPLE)
    if isinstance(given, InspectSample):
        return given.in_log(item.nodeid)
    return Sample(id=item.nodeid, input=(item.obj.__doc__ or "").strip() or item.name)
