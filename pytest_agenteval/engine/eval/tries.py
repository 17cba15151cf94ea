"""One attempt from its first try to its record: a fresh sandbox per try, environment errors tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import anyio
from inspect_ai.log import transcript
from inspect_ai.solver import TaskState
from inspect_ai.util import sandbox, span, working_limit
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_exponential_jitter

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.collect.perturbation import FaultDraws
from pytest_agenteval.engine.agents.agent import REACT, Agent, Scaffold, own_agent_limits
from pytest_agenteval.engine.agents.scaffolds import OwnScaffold, ProgramScaffold
from pytest_agenteval.engine.conduct.disturbance import Disturbance
from pytest_agenteval.engine.conduct.faulty import faulty_sandbox
from pytest_agenteval.engine.conduct.injector import Injector
from pytest_agenteval.engine.conduct.watch import Watch
from pytest_agenteval.engine.inspect_private import sample_active
from pytest_agenteval.engine.logs.events import fingerprint, last_steps, tool_calls
from pytest_agenteval.engine.models.faults import InspectFaults
from pytest_agenteval.engine.models.meter import CallMeter, metered
from pytest_agenteval.engine.sandboxes.leftovers import Leftovers
from pytest_agenteval.engine.sandboxes.places import OpenSandbox, Sandboxes, SandboxFailed, SandboxSpec
from pytest_agenteval.estimate.task import known_sum
from pytest_agenteval.money.budget import RunBudget
from pytest_agenteval.money.prices import PriceBook
from pytest_agenteval.money.tabs import Tab
from pytest_agenteval.record.outcome_table import Loss
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, Retry
from pytest_agenteval.run.attempt import Attempt
from pytest_agenteval.run.dispatch import Key
from pytest_agenteval.run.engine import Finished
from pytest_agenteval.run.one_try import Ending, run_attempt
from pytest_agenteval.run.output import Capture, captured
from pytest_agenteval.sandbox.death import EndedBy
from pytest_agenteval.texts import encodable, map_texts

__all__ = ["Services", "Suite", "Trial", "suite_of"]


Suite = tuple[str, str, str]
"""A suite's path, a model's name and the name of a perturbation, empty for the base: one Inspect task, and one log."""

_WORTH_A_LOOK = (Outcome.FAILED, Outcome.LIMIT, Outcome.BROKEN)


def suite_of(item: AgentItem, model: str) -> Suite:
    """Where an attempt at this task belongs. Perturbed ones have logs of their own: the base's figures stay its own."""
    return item.nodeid.split("::")[0], model, "" if item.perturbation is None else item.perturbation.name


@dataclass(frozen=True, slots=True)
class Services:
    """What all attempts of a run share."""

    sandboxes: Sandboxes
    budget: RunBudget
    prices: PriceBook
    env_retries: int
    run: str = ""
    """The run's name, for its records."""
    keep_sandbox: bool = False
    """Whether the sandbox of an attempt that did not pass is left."""
    scaffolds: Mapping[str, Scaffold] = field(default_factory=dict)
    """By name."""
    ask_confidence: bool = False
    """Whether agents are asked how sure they are."""


@dataclass(slots=True)
class Trial:
    """One attempt at one task."""

    item: AgentItem
    number: int
    k: int
    model: str
    shared: dict[str, Any]
    sandbox: SandboxSpec | None
    services: Services
    _tries: list[Finished] = field(default_factory=list)
    _unexplained_deaths: int = 0
    _tab: Tab | None = None

    @property
    def key(self) -> Key:
        """What the dispatcher calls it."""
        return self.item.nodeid, self.number

    @property
    def suite(self) -> Suite:
        """The path of its suite, its model and its perturbation: it goes into their log."""
        return suite_of(self.item, self.model)

    async def run(self, state: TaskState) -> Finished:
        """Try until something other than an environment error comes out, or the retries are used up.

        Where the run is stopped, or the body asks pytest to stop, that is raised; :meth:`finished` gives the record.
        """
        budget, finished = self.services.budget, None
        self._tab = budget.open_tab(self.item.nodeid)
        try:
            await AsyncRetrying(
                stop=stop_after_attempt(1 + self.services.env_retries),
                wait=wait_exponential_jitter(initial=1, max=30),
                retry=retry_if_result(self._worth_another),
                retry_error_callback=_last,
                sleep=anyio.sleep,
            )(self._one_try, state)
            finished = self.finished(state)
        finally:
            budget.close_tab(self._tab, finished=finished is not None and finished.record.outcome.counts)
        return finished

    def finished(self, state: TaskState) -> Finished:
        """The record of the tries so far."""
        *earlier, last = self._tries
        record = replace(
            last.record,
            retries=tuple(_retry(done.record) for done in earlier),
            answer=state.output.completion if not state.output.empty else None,
            sandbox_wait_seconds=known_sum(done.record.sandbox_wait_seconds for done in self._tries),
            ended=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        return replace(last, record=map_texts(record, encodable))

    def _worth_another(self, done: Finished) -> bool:
        return done.record.outcome is Outcome.ENVIRONMENT_ERROR and not self.services.budget.exhausted

    async def _one_try(self, state: TaskState) -> Finished:
        number = len(self._tries) + 1
        if number > 1 and self._tab is not None:
            self._tab.try_again()
        attempt = Attempt(self.item.nodeid, self.number, self.k, self.model, self.item.options.grading_time_limit)
        meter = CallMeter(
            attempt,
            self.item.options,
            self.services.budget,
            self.services.prices,
            own_agent=not self.item.plan.uses_ours("agent"),
            tab=self._tab,
            plays=self.item.plays,
            ask_confidence=self.services.ask_confidence,
        )
        meter.disturbance = Disturbance(self.item.perturbation, self.item.base_name, self.number)
        if (perturbation := self.item.perturbation) is not None and perturbation.faults is not None:
            draws = FaultDraws(perturbation.faults, perturbation.seed, self.item.base_name, self.number)
            meter.injector = Injector(draws)
        first_event, start, capture = len(transcript().events), time.monotonic(), Capture()
        clock, active = working_limit(None), sample_active()
        ending = Ending(Outcome.NOT_RUN, Cause.CANCELLED, message="the run was stopped")
        places: list[OpenSandbox] = []
        try:
            async with span(f"try {number}", type="try"):
                with clock, captured(capture), metered(meter):
                    ending = await self._in_sandbox(attempt, meter, state, places)
        finally:
            meter.close()
            events = transcript().events[first_event:]
            place = places[0] if places else None
            record = AttemptRecord(
                number=self.number,
                outcome=ending.outcome,
                cause=ending.cause,
                message=ending.message,
                exception=type(ending.error).__name__ if ending.error is not None else None,
                where=ending.where,
                excused=ending.excused,
                model_calls=tuple(meter.calls),
                tool_calls=tool_calls(events),
                wall_seconds=time.monotonic() - start,
                working_seconds=clock.usage,
                log=active.log_location if active is not None else None,
                last_steps=last_steps(events),
                lost_calls=meter.lost_calls,
                lost_cost=meter.lost_cost,
                image=place.image if place is not None else None,
                sandbox_wait_seconds=place.waited if place is not None else None,
                fingerprint=fingerprint(events),
                sandbox_kept=place.kept if place is not None else None,
                run=self.services.run,
                confidence=attempt.said,
                asking=tuple(meter.asking),
                rules=meter.watch.results,
                faults=meter.injector.faults,
                met=meter.disturbance.met,
            )
            self._tries.append(Finished(record, ending.error, capture))
        return self._tries[-1]

    async def _in_sandbox(
        self, attempt: Attempt, meter: CallMeter, state: TaskState, places: list[OpenSandbox]
    ) -> Ending:
        """One try in a sandbox of its own, which is added to `places` when it is up."""
        async with AsyncExitStack() as opened:
            place: OpenSandbox | None = None
            if self.sandbox is not None and self.item.plan.uses_ours("agent", "sandbox"):
                try:
                    place = await opened.enter_async_context(self.services.sandboxes.open(self.sandbox))
                except SandboxFailed as error:
                    return Ending(Outcome.ENVIRONMENT_ERROR, Cause.SANDBOX, error, str(error))
                places.append(place)
                stop = self.item.options.leftovers == "stop"
                meter.leftovers = Leftovers(place.environment, place.ours, stop=stop)
            environment = None if place is None else place.environment
            meter.watch = Watch(
                self.item.rules, environment, contained=place is not None and place.container is not None
            )
            if environment is not None:
                meter.disturbance.surround(environment, meter.injector)
            if environment is not None and meter.injector.reaches("exec"):
                faulty_sandbox(environment, meter.injector)
            attempt.on_agent_done = meter.agent_ends
            # the built-in agent opens its limits itself, around its run alone
            limits = (lambda: own_agent_limits(meter)) if meter.own_agent else nullcontext
            course = await run_attempt(
                self.item, attempt, self.shared, self._provided(meter, state), InspectFaults(), limits
            )
            running = meter.leftovers.stop and not meter.leftovers.stopped
            if meter.injector.acting and meter.injector.touched("exec"):
                attempt.miswired = (
                    "faults of commands would reach the checks too: call `await attempt.agent_done()` where the agent "
                    "is done and the checks begin"
                )
                course = replace(course, facts=replace(course.facts, miswired=attempt.miswired))
            if attempt.agent_started and (why := meter.disturbance.unplayed()) is not None:
                course = replace(course, facts=replace(course.facts, miswired=attempt.miswired or why))
            facts = replace(course.facts, agent_unheard=meter.unheard, left_running=running)
            ending = replace(course, facts=facts).ending()
            if ending.outcome.counts:
                await meter.watch.judge(attempt.rules, calls_seen=self._calls_seen(meter))
                facts = replace(facts, rule_broken=meter.watch.why_failed)
                ending = replace(course, facts=facts).ending()
            meter.close()
            if (loss := await self._loss(ending, meter, place)) is not None:
                ending = replace(course, facts=replace(facts, loss=loss)).ending()
            if self.services.keep_sandbox and place is not None and ending.outcome in _WORTH_A_LOOK:
                await place.keep()
            return ending

    def _calls_seen(self, meter: CallMeter) -> bool:
        """Whether Inspect runs the agent's tools: calls of other agents are seen only where they show them."""
        program = self.services.scaffolds.get(self.item.scaffold or REACT)
        return not meter.own_agent and not isinstance(program, OwnScaffold | ProgramScaffold)

    def _provided(self, meter: CallMeter, state: TaskState) -> dict[str, Callable[[], Any]]:
        factory, scaffold = self.shared.get("tmp_path_factory"), self.item.scaffold or REACT
        return {
            "agent": lambda: Agent(self.model, scaffold, self.services.scaffolds[scaffold], meter, state),
            "agent_scaffold": lambda: scaffold,
            "agent_model": lambda: self.model,
            "perturbation": lambda: meter.disturbance.own,
            "rules": lambda: meter.attempt.rules,
            "sandbox": sandbox,
            "tmp_path": lambda: factory.mktemp(f"{self.item.originalname}-{self.number}-"),  # type: ignore[union-attr]
        }

    async def _loss(self, ending: Ending, meter: CallMeter, place: OpenSandbox | None) -> Loss | None:
        """Why the sandbox is gone, if it is. An agent cannot choose to be an environment error.

        Every failure is checked, because a sandbox that is lost during grading shows in many ways, for example as a
        command that fails. So is a pass, because the test may have passed by what it could not see.
        """
        if place is None or ending.outcome in (Outcome.NOT_RUN, Outcome.SKIPPED) or ending.cause is Cause.PROVIDER:
            return None
        lost = meter.sandbox_lost or ending.cause is Cause.SANDBOX
        passed = ending.outcome is Outcome.PASSED
        if not lost and not await (place.died_unseen() if passed else place.is_gone()):
            return None
        death = await place.examine()
        if not passed:
            ends = place.container is not None or place.foreign is not None or place.ours is not None
            self._unexplained_deaths += ends and death.by in (EndedBy.UNKNOWN, EndedBy.RUNNING)
        own = death.by in (EndedBy.EXHAUSTED, EndedBy.INSIDE) or (
            self._unexplained_deaths > 1 and death.by is not EndedBy.OUTSIDE
        )
        return Loss(own, death.by in (EndedBy.OUTSIDE, EndedBy.UNKNOWN), death.reason)


def _retry(done: AttemptRecord) -> Retry:
    """What is kept of a try after which there was another one."""
    return Retry(
        cause=done.cause or Cause.HARNESS,
        message=done.message,
        model_calls=done.model_calls,
        tool_calls=done.tool_calls,
        wall_seconds=done.wall_seconds,
        lost_calls=done.lost_calls,
        lost_cost=done.lost_cost,
        asking=done.asking,
    )


def _last(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()
