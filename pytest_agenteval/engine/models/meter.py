"""The model calls of an attempt: paid from the run's budget before it is made, counted after."""

from __future__ import annotations

import asyncio
import contextvars
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

from inspect_ai.event import ModelEvent
from inspect_ai.hooks import BeforeModelGenerate
from inspect_ai.log import transcript
from inspect_ai.model import Model, ModelOutput, ModelRefusalError
from inspect_ai.util import LimitExceededError, suspend_working_limit

from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.collect.plays import Plays
from pytest_agenteval.engine.conduct.disturbance import Disturbance
from pytest_agenteval.engine.conduct.injector import Injector
from pytest_agenteval.engine.conduct.watch import Watch
from pytest_agenteval.engine.models.usage import Usage, model_call
from pytest_agenteval.engine.sandboxes.leftovers import Leftovers
from pytest_agenteval.money.budget import BudgetClosed, Reservation, RunBudget
from pytest_agenteval.money.estimate import estimate_tokens, max_output, worst_case
from pytest_agenteval.money.prices import PriceBook
from pytest_agenteval.money.tabs import Tab
from pytest_agenteval.record.confidence import ASKING
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import ModelCall
from pytest_agenteval.run.attempt import Attempt

__all__ = ["CallMeter", "current_meter", "metered"]

_NO_CONNECTION = re.compile(
    r"^\S*(?:ConnectError|ConnectTimeout|ClientConnectorError|ConnectionRefusedError|gaierror)\b", re.MULTILINE
)
"""In a traceback: what HTTP clients raise when they cannot connect."""
_MEDIA = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+")
"""Pictures are written into messages as data URLs, which are many characters and few tokens."""

_current: contextvars.ContextVar[CallMeter | None] = contextvars.ContextVar("agenteval_meter", default=None)


@dataclass(frozen=True, slots=True)
class _OpenCall:
    model: str
    reservation: Reservation
    since: float


@dataclass(slots=True)
class CallMeter:
    """Counts and pays the model calls of one try of one attempt."""

    attempt: Attempt
    options: TaskOptions
    budget: RunBudget
    prices: PriceBook
    own_agent: bool
    """Whether the agent is the user's: it has started with its first model call."""
    leftovers: Leftovers = field(default_factory=lambda: Leftovers(None, stop=False))
    """What the agent leaves running."""
    watch: Watch = field(default_factory=Watch)
    """What is seen of the agent, for the rules of its task."""
    injector: Injector = field(default_factory=Injector)
    """The faults that a perturbation puts in the agent's way."""
    disturbance: Disturbance = field(default_factory=Disturbance)
    """What else the perturbation does."""
    tab: Tab | None = None
    """The attempt's, at the budget; it goes over all its tries."""
    plays: Plays | None = None
    """What the built-in models play in place of the solution."""
    calls: list[ModelCall] = field(default_factory=list)
    """The answered calls of any model, each priced once, here."""
    asking: list[ModelCall] = field(default_factory=list)
    """The calls that asked how sure the agent was: they are not among the others."""
    ask_confidence: bool = False
    """Whether agents are asked."""
    used: Usage = field(default_factory=Usage)
    agent_running: bool = False
    """Whether calls count against the agent's limits (not a judge's, which are made while the test grades)."""
    called: bool = False
    """Whether the agent began a model call in this try."""
    unheard: bool = False
    """Whether the agent raised before its first model call: what went wrong is not the model's doing."""
    sandbox_lost: bool = False
    """A tool found the sandbox gone: the agent must not go on spending."""
    stopped_by: LimitExceededError | None = None
    """What was raised last to stop the agent; its own code may have swallowed it or made something else of it."""
    on_stop: Callable[[], None] = lambda: None
    """Called whenever the agent is told to stop."""
    lost_calls: int = 0
    lost_cost: float = 0.0
    answered_by: set[str] = field(default_factory=set)
    """The models that have answered the agent in this try."""
    _open: dict[asyncio.Task[object], _OpenCall] = field(default_factory=dict)
    _retries: Counter[str] = field(default_factory=Counter)
    """By model, how often its provider refused or failed since its last answer."""
    _posted: set[str] = field(default_factory=set)
    """The transcript's model events that are in `calls`."""
    _events_seen: int = field(default_factory=lambda: transcript().history.event_count)
    """The transcript goes over all tries of an attempt: what an earlier one met is not this one's."""

    @contextmanager
    def agent_speaks(self) -> Iterator[None]:
        """Around the agent's own program: note whether it raises before it has called a model."""
        try:
            yield
        except Exception:
            self.unheard = not self.called
            raise

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Around the question how sure the agent is: keep its call apart, and the attempt as it was, however that ends.

        If the budget cannot pay for it, the run stops; an agent that has ended is graded nevertheless.
        """
        attempt, since = self.attempt, len(self.calls)
        before = attempt.stopped, attempt.unanswered, self.stopped_by
        try:
            yield
        finally:
            attempt.stopped, attempt.unanswered, self.stopped_by = before
            made = self.calls[since:]  # a judge may have been called at the same time
            self.asking += [call for call in made if call.role == ASKING]
            self.calls[since:] = [call for call in made if call.role != ASKING]

    async def agent_begins(self) -> None:
        """The agent is about to begin. Raises `SandboxUnavailableError`."""
        await self.leftovers.agent_begins()
        await self.watch.agent_begins()
        self.injector.acting = True

    async def agent_ends(self) -> None:
        """The agent has ended, and the checks begin. Raises `LeftoversRemain`, or `SandboxUnavailableError`."""
        self.injector.acting = False
        try:
            await self.leftovers.agent_ends()
        finally:
            await self.watch.agent_ends()

    @asynccontextmanager
    async def agent_at_work(self) -> AsyncIterator[None]:
        """Around a run of an agent with a known end, even by an error."""
        await self.agent_begins()
        try:
            yield
        except Exception:
            await self.agent_ends()
            raise
        await self.agent_ends()

    async def agent_asks(self) -> None:
        """A model is about to be asked: an own agent begins with that. Raises `SandboxUnavailableError`."""
        if self.agent_running:
            self.called, self.unheard = True, False
        if self.own_agent and not self.attempt.agent_started:
            await self.agent_begins()
            self.attempt.agent_begins()

    async def before_call(self, call: BeforeModelGenerate) -> None:
        """Reserve the call's worst case, or stop the agent before it spends.

        Raises:
            LimitExceededError: of type `custom`, if the run (not the agent) is at its end; of type `cost`, `token` or
                `turn`, if the agent has used up its own limit, or if that cannot be determined.
        """
        self._look_for_lost_sandbox()
        if self.sandbox_lost:
            raise self._stopping("the agent's sandbox is gone")
        await self.agent_asks()
        self._hold_to_limits()
        worst = self._worst_case(call)
        if worst is None and self.budget.limit is not None:
            # The other attempts would reach the same call, and what they spend until then would be wasted.
            self.budget.stop(f"--max-cost cannot be held: the price of {call.model_name} is not known")
        task = _task()
        if lost := self._open.pop(task, None):  # its retry was not announced, so its result is unknown
            self._lose(lost)
        try:
            # waiting for a share of the budget is neither the agent's time nor the test's
            with suspend_working_limit(), self.attempt.clock_stopped():
                reservation = await self.budget.reserve(worst, self.tab)
        except BudgetClosed as error:
            self.attempt.stopped = Cause.BUDGET
            raise self._stopping(str(error)) from error
        self._open[task] = _OpenCall(call.model_name, reservation, time.monotonic())

    def answered(self, model: Model, output: ModelOutput, since: int) -> None:
        """The call of this task has its answer: settle and record it.

        `since` is how many events the transcript had before the call. Raises `LimitExceededError` of type `cost` or
        `token`, if the agent has now used more than its own limit; of type `custom`, if that cannot be determined.
        """
        event = next((event for event in self._completed(model, since) if _same(event.output, output)), None)
        if event is not None and event.cache == "read":  # Inspect's own cache answered: no provider was called or paid
            if opened := self._open.pop(_task(), None):
                opened.reservation.release()
            return
        if _task() not in self._open:  # the output says that the provider refused: it was given up already
            return
        self._post(model, output, event)
        if self.agent_running:
            self._hold_to_limits(spent=True)

    def broke_off(self, model: Model, error: BaseException, since: int) -> None:
        """The call of this task ended in an error: mostly without an answer, but a limit may have struck after it."""
        if not isinstance(error, LimitExceededError | ModelRefusalError | asyncio.CancelledError):
            self.gave_up(_status(error))
        elif _task() in self._open:
            event = next((event for event in self._completed(model, since) if event.cache != "read"), None)
            if event is None:
                self.gave_up(None)
            else:
                self._post(model, event.output, event)

    def _completed(self, model: Model, since: int) -> Iterator[ModelEvent]:
        """Answers of the model that are not recorded yet. There may be several, if its calls run concurrently."""
        for event in transcript().history.events_from(since):
            if not isinstance(event, ModelEvent) or event.pending or event.error or event.uuid in self._posted:
                continue
            if (event.model, event.role) == (str(model), model.role):
                yield event

    def _post(self, model: Model, output: ModelOutput, event: ModelEvent | None) -> None:
        opened = self._open.pop(_task(), None)
        retries = self._retries.pop(str(model), 0)
        if event is not None:
            self._posted.add(event.uuid or "")
            retries += event.retries or 0
        call = model_call(model, output, self.prices, retries)
        if opened is not None:
            opened.reservation.settle(call.cost)
            if call.cost is None:
                call = replace(call, cost_at_most=opened.reservation.worst_case)
        self.calls.append(call)
        if self.agent_running:
            self.used.add(call)

    def gave_up(self, status_code: int | None) -> None:
        """The call of this task has ended without an answer, with the provider's HTTP status if there was one."""
        if opened := self._open.pop(_task(), None):
            self._retries[opened.model] += 1
            if status_code is not None or _no_connection():
                opened.reservation.release()
            else:
                self._lose(opened)

    def _hold_to_limits(self, *, spent: bool = False) -> None:
        if not self.agent_running:
            return
        if (limits := self.used.untold(self.options)) is not None:
            raise self.not_to_be_held(limits)
        if (reached := self.used.reached(self.options, spent=spent)) is not None:
            self.attempt.limit, limit = reached
            raise self._stopping(limit)

    def not_to_be_held(self, limit: str) -> LimitExceededError:
        """What stops an agent whose limit nobody can tell the reaching of: it must not be silently off."""
        if self.used.uncounted is not None:
            message = self.attempt.unmeasured = (
                f"{limit} cannot be held: {self.used.uncounted} answered without saying how many tokens it took; use a "
                f"provider that does, or leave {limit} out and hold the agent with turn_limit and time_limit"
            )
        else:
            message = self.attempt.miswired = (
                f"max_cost cannot be held: the price of {self.used.unpriced} is not known; "
                "give it with --agent-prices=FILE"
            )
        return self._stopping(message)

    def close(self) -> None:
        """The try is over. Calls that are still open, in tasks that nobody waited for, have no answer."""
        for opened in self._open.values():
            self._lose(opened)
        self._open.clear()
        self._look_for_lost_sandbox()

    @property
    def calling(self) -> bool:
        """Whether the running task is inside a model call: what its provider's client sends is paid for."""
        return _task() in self._open

    @property
    def silent_for(self) -> float:
        """Seconds that the longest open call has gone without an answer; 0.0 if none is open."""
        return max((time.monotonic() - opened.since for opened in self._open.values()), default=0.0)

    def _lose(self, opened: _OpenCall) -> None:
        opened.reservation.keep()
        self.lost_calls += 1
        self.lost_cost += opened.reservation.worst_case or 0.0

    def _stopping(self, why: str | LimitExceededError) -> LimitExceededError:
        """What stops the agent: a limit of its own, or (a text) something else."""
        if isinstance(why, str):
            why = LimitExceededError("custom", value=1, limit=0, message=why)
        self.stopped_by = why
        self.attempt.unanswered = None  # it is not for that call that the agent ends
        self.on_stop()
        return why

    def _worst_case(self, call: BeforeModelGenerate) -> float | None:
        tokens = estimate_tokens(
            [_MEDIA.sub("x" * 6_000, part.model_dump_json()) for part in (*call.input, *call.tools)]
        )
        rates = self.prices.rates(call.model_name, tokens)
        if rates is None:
            return None
        limit = self.options.token_limit
        left = None if limit is None or self.used.tokens is None else max(0, limit - self.used.tokens)
        most = max_output(call.config.max_tokens, left)
        return worst_case(rates, input_tokens=tokens, max_output_tokens=most)

    def _look_for_lost_sandbox(self) -> None:
        history = transcript().history
        for event in history.events_from(self._events_seen):
            if event.event == "tool" and event.error is not None and event.error.type == "sandbox_unavailable":
                self.sandbox_lost = True
        self._events_seen = history.event_count


def current_meter() -> CallMeter | None:
    """The meter of the attempt that this code runs for."""
    return _current.get()


@contextmanager
def metered(meter: CallMeter) -> Iterator[CallMeter]:
    """Count every model call made in here, and in tasks started from here, with `meter`."""
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def _same(one: ModelOutput, other: ModelOutput) -> bool:
    """Whether they are the same answer: events hold copies, whose messages keep their ids."""
    ids = [[choice.message.id for choice in output.choices] for output in (one, other)]
    return ids[0] == ids[1] and one.time == other.time


def _no_connection() -> bool:
    """Whether the call that failed last never reached the provider: nothing was sent, so nothing can be billed."""
    failed = (event for event in reversed(transcript().events) if event.event == "model" and event.error)
    return any(_NO_CONNECTION.search(event.traceback or "") for event in islice(failed, 1))


def _task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _status(error: BaseException | None) -> int | None:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__ or error.__context__
    return None
