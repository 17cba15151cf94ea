"""One try of one attempt, from its fixtures to its teardown, and what its ending means."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, nullcontext
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
_FREE_SECONDS = 1.0
"""How long a sync body that was stopped while it waited may take to come back."""

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
        self.miswired: str | None = None
        """Why a call of the agent could not be counted and was refused: the attempt says nothing about the agent."""
        self.unmeasured: str | None = None
        """Why nobody can tell whether the agent keeps its limits (answers without usage): it was stopped for that."""
        self.timed_out_by: Cause | None = None
        """Whose doing it was that the time of an own agent was up."""
        self.on_agent_start: Callable[[], None] = lambda: None
        """Called once, when the agent begins."""
        self._grading_time_limit = grading_time_limit
        self._deadline: asyncio.Timeout | None = None
        self._left: float | None = None
        """Seconds of the grading time-out when its clock was stopped."""
        self._sync: _SyncCode | None = None

    def wait(self, awaitable: Awaitable[T]) -> T:
        """From a sync test or fixture: run a coroutine, for example `attempt.wait(agent.run("..."))`.

        Raises:
            RuntimeError: the test is `async def`: use `await`.
        """
        if self._sync is None:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("attempt.wait() is for sync tests; in an async test use await")
        return self._sync.wait(awaitable)

    def agent_begins(self) -> None:
        """The agent takes over: its own limits hold now, not the grading time-out."""
        self._on_loop(self._begin)

    def _begin(self) -> None:
        first, self.agent_started, self._left = not self.agent_started, True, None
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
        self._on_loop(self._end)

    def _end(self) -> None:
        self._left = None
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._grading_time_limit)

    @contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """While in here the grading time-out does not run: a judge may have to wait for a share of the run's budget."""
        loop, when = asyncio.get_running_loop(), None if self._deadline is None else self._deadline.when()
        if self._deadline is None or when is None:
            yield
            return
        self._left = when - loop.time()
        self._deadline.reschedule(None)
        try:
            yield
        finally:
            # None: an agent has begun or ended since, and the time-out is as that left it
            if self._left is not None and self._deadline is not None:
                self._deadline.reschedule(loop.time() + self._left)
            self._left = None

    def _on_loop(self, func: Callable[[], None]) -> None:
        async def run() -> None:
            func()

        if self._sync is not None and self._sync.runs_here():
            self._sync.wait(run())
        else:
            func()


class _SyncCode:
    """Runs the sync code of an attempt in a thread of its own; in a second one where a body does not give it back."""

    def __init__(self, name: str) -> None:
        self.stuck = False
        """Whether the body still runs though it was stopped."""
        self._name, self._thread = name, AttemptThread(name)

    async def __call__(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        return await self._thread(func, *args, **kwargs)

    def runs_here(self) -> bool:
        """Whether the caller is sync code of the attempt."""
        return self._thread.is_current()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Called in the thread: have the event loop run `awaitable`."""

        async def run() -> tuple[list[T], BaseException | None]:
            try:
                return [await awaitable], None
            except (SystemExit, KeyboardInterrupt) as raised:  # out of a task of its own it would end the event loop
                return [], raised

        values, error = self._thread.wait(run())
        if error is not None:
            raise error
        return values[0]

    async def come_free(self) -> None:
        """The body was stopped: let it come back before its fixtures are torn down, but not for ever."""
        with anyio.move_on_after(_FREE_SECONDS) as patience:
            await self._thread(bool)
        if patience.cancelled_caught:
            self.stuck = True
            self.close()
            self._thread = AttemptThread(self._name)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.close()


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
    limits: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
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
    # outside the fixtures: those may hold scopes of their own (task groups) open until their teardown
    scope = exits.enter_context(anyio.CancelScope())
    phase = Phase.SETUP
    error: BaseException | None = None
    sync = None if item.asynchronous else _SyncCode(f"attempt {attempt.number} of {item.name}")
    attempt._sync = sync
    call: Caller = sync or _call_here
    try:
        async with asyncio.timeout(item.options.grading_time_limit) as deadline:
            attempt._deadline = deadline
            resolver = Resolver(item, shared, {**provided, "attempt": lambda: attempt}, call, exits)
            arguments = await resolver.set_up()
            phase = Phase.BODY
            async with limits():
                result = await call(resolver.function, **arguments)
                if inspect.isawaitable(result):
                    await result
    except BaseException as raised:
        error = raised
    attempt._deadline = None
    timed_out = error is not None and deadline.expired()
    teardown_error = await _tear_down(exits, scope, sync if timed_out or _is_cancellation(error) else None)
    if sync is not None:
        sync.close()
        if sync.stuck:  # what its fixtures say, torn down under a running body, means nothing
            teardown_error = None
    for ended_by in (error, teardown_error):
        if isinstance(ended_by, pytest.exit.Exception) or (_is_cancellation(ended_by) and _is_being_cancelled()):
            assert ended_by is not None
            raise ended_by
    return _classified(item, attempt, phase, error, teardown_error, timed_out, faults)


async def _call_here(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return func(*args, **kwargs)


def _is_cancellation(error: BaseException | None) -> bool:
    return isinstance(error, asyncio.CancelledError)


def _is_being_cancelled() -> bool:
    """Whether somebody asked for it: else a `CancelledError` is the body's own, which awaited what it had cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _tear_down(
    exits: AsyncExitStack, scope: anyio.CancelScope, stopped: _SyncCode | None
) -> BaseException | None:
    """Shielded: Inspect cancels again at every await, which would cut a teardown short."""
    scope.shield = True
    if stopped is not None:
        await stopped.come_free()
    scope.deadline = anyio.current_time() + TEARDOWN_SECONDS
    try:
        await exits.aclose()
        if scope.cancelled_caught:
            raise TimeoutError(f"the teardown took longer than {TEARDOWN_SECONDS:g} s")
    except BaseException as raised:
        return raised
    return None


def _classified(
    item: AgentItem,
    attempt: Attempt,
    phase: Phase,
    error: BaseException | None,
    teardown_error: BaseException | None,
    timed_out: bool,
    faults: Faults,
) -> Ending:
    """The first row of the table of outcomes that applies.

    `timed_out`: the body was cut off, so its exception says nothing. The deadline was its own agent's or grading's.
    """

    def ending(outcome: Outcome, cause: Cause | None, of: BaseException | None, message: str | None = None) -> Ending:
        if of is None:
            return Ending(outcome, cause)
        return Ending(outcome, cause, of, message or short_message(of), where_in_suite(of, item))

    if attempt.stopped is not None:
        return ending(Outcome.NOT_RUN, attempt.stopped, error)
    if attempt.miswired is not None:
        where = where_in_suite(error, item) if error is not None else None
        return Ending(Outcome.BROKEN, None, error, attempt.miswired, where)
    if attempt.unmeasured is not None:
        return ending(Outcome.ENVIRONMENT_ERROR, Cause.PROVIDER, error, attempt.unmeasured)
    times_up = f"the agent's {item.options.time_limit} s were up"
    if timed_out and attempt.timed_out_by is Cause.PROVIDER:
        return ending(Outcome.ENVIRONMENT_ERROR, Cause.PROVIDER, error, times_up)
    for raised in (None if timed_out else error, teardown_error):
        if raised is not None and (cause := faults.cause_of(raised)) in (Cause.SANDBOX, Cause.PROVIDER):
            return ending(Outcome.ENVIRONMENT_ERROR, cause, raised)
    seconds = f"{item.options.grading_time_limit:g} s"
    if error is not None and (phase is Phase.SETUP or not attempt.agent_started):
        if timed_out:
            return ending(Outcome.BROKEN, Cause.SETUP, error, f"no agent had started after {seconds}")
        if isinstance(error, pytest.skip.Exception):
            return ending(Outcome.SKIPPED, None, error)
        return ending(Outcome.BROKEN, Cause.SETUP if phase is Phase.SETUP else None, error)
    if teardown_error is not None:
        return ending(Outcome.BROKEN, Cause.TEARDOWN, teardown_error)
    if error is None:
        if item.plan.uses_ours("agent") and not attempt.agent_started:
            # it would be a pass of an agent that nobody asked, and green
            call = "an `await` missing before" if item.asynchronous else "`attempt.wait(...)` missing around"
            return Ending(Outcome.BROKEN, message=f"the agent never ran: is {call} agent.run(...)?")
        return Ending(Outcome.PASSED)
    if isinstance(error, pytest.skip.Exception):
        return ending(Outcome.BROKEN, None, error)
    if timed_out and attempt.timed_out_by is not None:
        return ending(Outcome.LIMIT, attempt.timed_out_by, error, times_up)
    checks_hang = f"the checks after the agent took longer than {seconds}" if timed_out else None
    if attempt.limit is not None:
        return ending(Outcome.LIMIT, attempt.limit, error, checks_hang)
    if timed_out:
        return ending(Outcome.FAILED, Cause.GRADING_TIME, error, checks_hang)
    limit = faults.cause_of(error)
    return ending(Outcome.FAILED if limit is None else Outcome.LIMIT, limit, error)
