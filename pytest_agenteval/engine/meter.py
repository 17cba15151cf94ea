"""Every model call of an attempt passes here: paid from the run's budget before it is made, counted after."""

from __future__ import annotations

import asyncio
import contextvars
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, NoReturn

from inspect_ai.hooks import BeforeModelGenerate, Hooks, ModelRetry, ModelUsageData, hooks
from inspect_ai.log import transcript
from inspect_ai.model import ModelUsage
from inspect_ai.util import LimitExceededError, suspend_working_limit

from pytest_agenteval.attempt import Attempt
from pytest_agenteval.engine.leftovers import Leftovers
from pytest_agenteval.money.budget import BudgetClosed, Reservation, RunBudget
from pytest_agenteval.money.estimate import estimate_tokens, max_output, worst_case
from pytest_agenteval.money.prices import PriceBook, TokenUsage
from pytest_agenteval.outcomes import Cause
from pytest_agenteval.tasks import TaskOptions

__all__ = ["CallMeter", "Usage", "current_meter", "metered", "tokens_of"]

_NO_CONNECTION = re.compile(
    r"^\S*(?:ConnectError|ConnectTimeout|ClientConnectorError|ConnectionRefusedError|gaierror)\b", re.MULTILINE
)
"""In a traceback: what HTTP clients raise when they cannot connect."""

_LimitKind = Literal["custom", "cost", "token", "turn"]

_current: contextvars.ContextVar[CallMeter | None] = contextvars.ContextVar("agenteval_meter", default=None)


@dataclass(slots=True)
class Usage:
    """What the agent has used so far of its limits, over all its runs in one try."""

    cost: float = 0.0
    tokens: int = 0
    turns: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _OpenCall:
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
    _events_seen: int = field(default_factory=lambda: transcript().history.event_count)
    """The transcript goes over all tries of an attempt: what an earlier one met is not this one's."""

    @contextmanager
    def agent_speaks(self) -> Iterator[None]:
        """Around the agent's own program: note where it raises before it has called a model."""
        try:
            yield
        except Exception:
            self.unheard = not self.called
            raise

    async def before_call(self, call: BeforeModelGenerate) -> None:
        """Reserve the call's worst case, or stop the agent before it spends.

        Raises:
            LimitExceededError: of type `custom`, where the run (not the agent) is at its end; of type `cost`,
                `token` or `turn`, where the agent has used up its own limit.
        """
        if self.agent_running:
            self.called, self.unheard = True, False
        self._look_for_lost_sandbox()
        if self.sandbox_lost:
            raise self._stopping("custom", 1, 0, "the agent's sandbox is gone")
        if self.own_agent and not self.attempt.agent_started:
            await self.leftovers.agent_begins()
            self.attempt.agent_begins()
        self._hold_to_limits()
        worst = self._worst_case(call)
        if worst is None and self.budget.limit is not None:
            # the other attempts would come to the same call: what they spend until then would be wasted
            self.budget.stop(f"--max-cost cannot be held: the price of {call.model_name} is not known")
        task = _task()
        if lost := self._open.pop(task, None):  # its retry was not announced: nobody knows what became of it
            self._lose(lost)
        try:
            with suspend_working_limit():  # waiting for a share of the budget is not the agent's time
                reservation = await self.budget.reserve(worst)
        except BudgetClosed as error:
            self._stop(str(error))
        self._open[task] = _OpenCall(reservation, time.monotonic())

    def refused(self, call: ModelRetry) -> None:
        """The provider will be asked again. An error it answered with was not billed; a lost answer may have been."""
        self.gave_up(call.status_code)

    def gave_up(self, status_code: int | None) -> None:
        """The call of this task has ended without an answer, with the provider's HTTP status where it gave one."""
        if opened := self._open.pop(_task(), None):
            if status_code is not None or _no_connection():
                opened.reservation.release()
            else:
                self._lose(opened)

    def answered(self, call: ModelUsageData) -> None:
        """Settle the call.

        Raises:
            LimitExceededError: of type `cost` or `token`, where the agent has now used more than its own limit.
        """
        usage = tokens_of(call.usage)
        cost = self.prices.price(call.model_name, usage)
        if opened := self._open.pop(_task(), None):
            opened.reservation.settle(cost)
        if self.agent_running:
            self.used.cost += cost or 0.0
            self.used.tokens += call.usage.total_tokens
            self.used.turns += 1
            self._hold_to_limits(spent=True)

    def _hold_to_limits(self, *, spent: bool = False) -> None:
        """The agent's cost, tokens and turns: before a call not used up, after one (`spent`) not exceeded.

        Tokens are held here and not by Inspect's `token_limit`, which raises before it says that a call was answered;
        turns because its `turn_limit` lets one call more be paid.
        """
        if not self.agent_running:
            return
        cost, tokens, turns = self.options.max_cost, self.options.token_limit, self.options.turn_limit
        if cost is not None and _reached(self.used.cost, cost, spent):
            self.attempt.limit = Cause.COST
            message = f"the agent has used up its ${cost:g} of max_cost"
            raise self._stopping("cost", self.used.cost, cost, message)
        if tokens is not None and _reached(self.used.tokens, tokens, spent):
            self.attempt.limit = Cause.TOKENS
            message = f"the agent has used up its {tokens} tokens of token_limit"
            raise self._stopping("token", self.used.tokens, tokens, message)
        if turns is not None and self.used.turns >= turns and not spent:
            self.attempt.limit = Cause.TURNS
            message = f"the agent has used up its {turns} calls of turn_limit"
            raise self._stopping("turn", self.used.turns, turns, message)

    def close(self, error: BaseException | None) -> None:
        """The try is over: calls still open ended without an answer."""
        refused = error is not None and (_status(error) is not None or _no_connection())
        for opened in self._open.values():
            if refused:
                opened.reservation.release()
            else:
                self._lose(opened)
        self._open.clear()
        self._look_for_lost_sandbox()

    @property
    def calling(self) -> bool:
        """Whether the running task is inside a model call: what its provider's client sends is paid for."""
        return _task() in self._open

    @property
    def silent_for(self) -> float:
        """Seconds that the longest open call has gone without an answer; 0.0 where none is open."""
        return max((time.monotonic() - opened.since for opened in self._open.values()), default=0.0)

    def _lose(self, opened: _OpenCall) -> None:
        opened.reservation.keep()
        self.lost_calls += 1
        self.lost_cost += opened.reservation.worst_case or 0.0

    def _stop(self, message: str) -> NoReturn:
        self.attempt.stopped = Cause.BUDGET
        raise self._stopping("custom", 1, 0, message)

    def _stopping(self, kind: _LimitKind, value: float, limit: float, message: str) -> LimitExceededError:
        self.stopped_by = LimitExceededError(kind, value=value, limit=limit, message=message)
        self.attempt.unanswered = None  # it is not for that call that the agent ends
        self.on_stop()
        return self.stopped_by

    def _worst_case(self, call: BeforeModelGenerate) -> float | None:
        texts = [_without_media(part.model_dump_json()) for part in (*call.input, *call.tools)]
        tokens = estimate_tokens(texts)
        rates = self.prices.rates(call.model_name, tokens)
        if rates is None:
            return None
        limit = self.options.token_limit
        most = max_output(call.config.max_tokens, None if limit is None else max(0, limit - self.used.tokens))
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


@hooks(name="pytest_agenteval_meter", description="pytest-agenteval: run budget and agent limits")
class MeterHooks(Hooks):
    """Inspect's documented place to stand before and after every model call, whatever model made it."""

    def enabled(self) -> bool:
        """Only inside an attempt; elsewhere (the banner at start, other evals) it is not there."""
        return _current.get() is not None

    async def on_before_model_generate(self, data: BeforeModelGenerate) -> None:
        """A call, or a retry of one, is about to be made."""
        if meter := _current.get():
            await meter.before_call(data)

    async def on_model_retry(self, data: ModelRetry) -> None:
        """A call failed and will be retried."""
        if meter := _current.get():
            meter.refused(data)

    async def on_model_usage(self, data: ModelUsageData) -> None:
        """A call was answered."""
        if meter := _current.get():
            meter.answered(data)


def tokens_of(usage: ModelUsage) -> TokenUsage:
    """Inspect's usage in the classes that are priced. A count below zero (a provider's bug) is none."""
    return TokenUsage(
        input=max(0, usage.input_tokens),
        output=max(0, usage.output_tokens),
        cache_read=max(0, usage.input_tokens_cache_read or 0),
        cache_write=max(0, usage.input_tokens_cache_write or 0),
    )


def _without_media(text: str) -> str:
    """Pictures are written into messages as data URLs, which are many characters and not so many tokens."""
    return re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+", "x" * 6_000, text)


def _no_connection() -> bool:
    """Whether the call that failed last never reached the provider: nothing was sent, so nothing can be billed."""
    failed = (event for event in reversed(transcript().events) if event.event == "model" and event.error)
    return any(_NO_CONNECTION.search(event.traceback or "") for event in islice(failed, 1))


def _reached(used: float, limit: float, spent: bool) -> bool:
    return used > limit or (used == limit and not spent)


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
