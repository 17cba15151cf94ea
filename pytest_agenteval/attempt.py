"""One try of one attempt, from its fixtures to its teardown, and what its ending means."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, TypeVar

import anyio
import pytest

from pytest_agenteval.items import AgentItem
from pytest_agenteval.outcomes import Cause, Outcome
from pytest_agenteval.resolver import Caller, Resolver
from pytest_agenteval.threads import AttemptThread
from pytest_agenteval.whereabouts import short_message, where_in_suite

__all__ = ["TEARDOWN_SECONDS", "Attempt", "Ending", "Faults", "run_attempt"]

TEARDOWN_SECONDS = 30.0
"""How long the teardown of one attempt may take before it counts as broken."""

T = TypeVar("T")


class Attempt:
    """What a test sees of its own attempt (the fixture `attempt`)."""

    def __init__(self, task: str, number: int, k: int, model: str, grading_time_limit: float) -> None:
        self.task, self.number, self.k, self.model = task, number, k, model
        self.agent_started = False
        """Whether the agent has begun: from here on an exception is the agent's failure, not the test's."""
        self.limit: Cause | None = None
        """The agent's own limit that it has run into."""
        self.stopped: Cause | None = None
        """Why the run does not let this attempt go on (the run's budget is spent), or None."""
        self.timed_out_by: Cause | None = None
        """Whose doing it was that the time of an own agent was up."""
        self.on_agent_start: Callable[[], None] = lambda: None
        """Called once, when the agent begins."""
        self._grading_time_limit = grading_time_limit
        self._deadline: asyncio.Timeout | None = None
        self._thread: AttemptThread | None = None

    def wait(self, awaitable: Awaitable[T]) -> T:
        """From a sync test or fixture: run a coroutine, for example `attempt.wait(agent.run("..."))`.

        Raises:
            RuntimeError: the test is `async def`: use `await`.
        """
        if self._thread is None:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("attempt.wait() is for sync tests; in an async test use await")
        return self._thread.wait(awaitable)

    def agent_begins(self) -> None:
        """The agent takes over: its own limits hold now, not the grading time-out."""
        first, self.agent_started = not self.agent_started, True
        if self._deadline is not None:
            self._deadline.reschedule(None)
        if first:
            self.on_agent_start()

    def out_of_time(self, cause: Cause) -> None:
        """The time of an own agent is up and its body ends here: by its own TIME, or for a fault of the PROVIDER."""
        self.timed_out_by = cause
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def agent_ends(self) -> None:
        """The test takes over again and has the grading time-out for its checks."""
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._grading_time_limit)


class Phase(IntEnum):
    """Where an exception came from."""

    SETUP = 1
    BODY = 2
    TEARDOWN = 3


@dataclass(frozen=True, slots=True)
class Ending:
    """How one try ended."""

    outcome: Outcome
    cause: Cause | None = None
    error: BaseException | None = None
    """The live exception, for pytest's own report of it."""
    message: str = ""
    where: str | None = None

    @property
    def exception(self) -> str | None:
        """The name of the exception's type."""
        return type(self.error).__name__ if self.error is not None else None


class Faults(Protocol):
    """Tells, while an exception is live, whether something outside the agent and the test caused it."""

    def cause_of(self, error: BaseException) -> Cause | None:
        """SANDBOX or PROVIDER where the exception comes from there, a limit's cause where a limit does, else None."""


async def run_attempt(
    item: AgentItem,
    attempt: Attempt,
    shared: Mapping[str, Any],
    provided: Mapping[str, Callable[[], Any]],
    faults: Faults,
    limits: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Ending:
    """Run fixtures, body and teardown once and classify the ending.

    Args:
        item: the task.
        attempt: what the test sees of this attempt.
        shared: values of the wider-scoped fixtures, set up by pytest.
        provided: per name of the plugin's own fixtures how to make its value.
        faults: tells exceptions of sandbox and provider from those of agent and test.
        limits: entered around the body; the limits of an own agent, which never calls `agent.run`.

    Raises:
        asyncio.CancelledError: the run is being stopped; fixtures are torn down before.
        pytest.exit.Exception: the body asked pytest to stop.
    """
    exits = AsyncExitStack()
    phase = Phase.SETUP
    error: BaseException | None = None
    thread = None if item.asynchronous else AttemptThread(f"attempt {attempt.number} of {item.name}")
    attempt._thread = thread
    call: Caller = thread or _call_here
    timed_out = False
    try:
        async with asyncio.timeout(item.options.grading_time_limit) as attempt._deadline:
            resolver = Resolver(item, shared, {**provided, "attempt": lambda: attempt}, call, exits)
            arguments = await resolver.set_up()
            phase = Phase.BODY
            with limits():
                result = await call(resolver.function, **arguments)
                if inspect.isawaitable(result):
                    await result
    except TimeoutError as raised:
        timed_out = attempt._deadline is not None and attempt._deadline.expired()
        error = raised
    except BaseException as raised:
        error = raised
    teardown_error = await _tear_down(exits)
    if thread is not None:
        thread.close()
    for ended_by in (error, teardown_error):
        if isinstance(ended_by, asyncio.CancelledError | pytest.exit.Exception):
            raise ended_by
    if timed_out:
        return _timed_out(item, attempt, phase, error)
    return _classified(item, attempt, phase, error, teardown_error, faults)


async def _call_here(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return func(*args, **kwargs)


async def _tear_down(exits: AsyncExitStack) -> BaseException | None:
    """Shielded: Inspect cancels again at every await, which would cut a teardown short."""
    with anyio.CancelScope(shield=True):
        try:
            with anyio.fail_after(TEARDOWN_SECONDS):
                await exits.aclose()
        except BaseException as raised:
            return raised
    return None


def _timed_out(item: AgentItem, attempt: Attempt, phase: Phase, error: BaseException | None) -> Ending:
    seconds = item.options.grading_time_limit
    where = where_in_suite(error, item) if error is not None else None
    if phase is Phase.SETUP or not attempt.agent_started:
        return Ending(Outcome.BROKEN, Cause.SETUP, error, f"no agent had started after {seconds:g} s", where)
    if attempt.timed_out_by is not None:
        outcome = Outcome.LIMIT if attempt.timed_out_by is Cause.TIME else Outcome.ENVIRONMENT_ERROR
        return Ending(outcome, attempt.timed_out_by, error, f"the agent's {item.options.time_limit} s were up", where)
    message = f"the checks after the agent took longer than {seconds:g} s"
    return Ending(Outcome.FAILED, Cause.GRADING_TIME, error, message, where)


def _classified(
    item: AgentItem,
    attempt: Attempt,
    phase: Phase,
    error: BaseException | None,
    teardown_error: BaseException | None,
    faults: Faults,
) -> Ending:
    def ending(outcome: Outcome, cause: Cause | None, of: BaseException | None) -> Ending:
        if of is None:
            return Ending(outcome, cause)
        return Ending(outcome, cause, of, short_message(of), where_in_suite(of, item))

    if attempt.stopped is not None:
        return ending(Outcome.NOT_RUN, attempt.stopped, error)
    for raised in (error, teardown_error):
        if raised is not None and (cause := faults.cause_of(raised)) in (Cause.SANDBOX, Cause.PROVIDER):
            return ending(Outcome.ENVIRONMENT_ERROR, cause, raised)
    before_agent = phase is Phase.SETUP or not attempt.agent_started
    if error is not None and before_agent:
        if isinstance(error, pytest.skip.Exception):
            return ending(Outcome.SKIPPED, None, error)
        return ending(Outcome.BROKEN, Cause.SETUP if phase is Phase.SETUP else None, error)
    if teardown_error is not None:
        return ending(Outcome.BROKEN, Cause.TEARDOWN, teardown_error)
    if error is None:
        return Ending(Outcome.PASSED)
    if isinstance(error, pytest.skip.Exception):
        return ending(Outcome.BROKEN, None, error)
    limit = attempt.limit or faults.cause_of(error)
    if limit is not None:
        return ending(Outcome.LIMIT, limit, error)
    return ending(Outcome.FAILED, None, error)
