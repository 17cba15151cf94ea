"""One try of one attempt, from its fixtures to its teardown, and the outcome of that."""

from __future__ import annotations

import asyncio
import inspect
import math
import unittest
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import anyio
import pytest

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.record.outcome_table import Exit, Facts, Part, Raised, Unanswered, rule
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.run.fixtures import Caller, Resolver
from pytest_agenteval.run.threads import AttemptThread
from pytest_agenteval.run.whereabouts import where_in_suite

__all__ = ["TEARDOWN_SECONDS", "Attempt", "Course", "Ending", "Faults", "run_attempt"]

TEARDOWN_SECONDS = 30.0
"""How long the teardown of one attempt may take before the attempt counts as broken."""
_FREE_SECONDS = 1.0
"""How long a sync body that was stopped while waiting may take to return."""

T = TypeVar("T")


class Attempt:
    """What a test sees of its own attempt (the fixture `attempt`)."""

    def __init__(self, task: str, number: int, k: int, model: str, grading_time_limit: float) -> None:
        self.task, self.number, self.k, self.model = task, number, k, model
        self.agent_started = False
        """Whether the agent has begun. From here on an exception is the agent's failure, not the test's."""
        self.limit: Cause | None = None
        """The agent's own limit that it has reached."""
        self.stopped: Cause | None = None
        """Why the run stops this attempt (the run's budget is spent), or None."""
        self.miswired: str | None = None
        """Why a call of the agent could not be counted and was refused. The attempt then says nothing about the
        agent."""
        self.unmeasured: str | None = None
        """Why it cannot be checked that the agent keeps its limits (answers without usage), which stopped it."""
        self.timed_out_by: Cause | None = None
        """Who used up the time of an own agent."""
        self.unanswered: Unanswered | None = None
        """How the agent's last model call ended if it got no answer, no matter how the agent's code handled that."""
        self.on_agent_start: Callable[[], None] = lambda: None
        """Called once, when the agent begins."""
        self.on_agent_done: Callable[[], Awaitable[None]] = _nothing
        """Awaited when an own agent reports that it is done."""
        self._grading_time_limit = grading_time_limit
        self._deadline: asyncio.Timeout | None = None
        self._left: float | None = None
        """Seconds left on the grading time-out when its clock was stopped."""
        self._sync: _SyncCode | None = None

    def wait(self, awaitable: Awaitable[T]) -> T:
        """In a sync test or fixture: run a coroutine, for example `attempt.wait(agent.run("..."))`.

        Raises:
            RuntimeError: the test is `async def`: use `await`.
        """
        if self._sync is None:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("attempt.wait() is for sync tests; in an async test use await")
        return self._sync.wait(awaitable)

    async def agent_done(self) -> None:
        """Call this in a task with its own agent and `leftovers="stop"` when the agent is done and the checks begin.

        It stops the processes that the agent left running. The built-in agent and `SandboxAgent` call it themselves.
        """
        await self.on_agent_done()

    def agent_begins(self) -> None:
        """The agent takes over: its own limits apply from now on, not the grading time-out."""
        self._on_loop(self._begin)

    def _begin(self) -> None:
        first, self.agent_started, self._left = not self.agent_started, True, None
        if self._deadline is not None:
            self._deadline.reschedule(None)
        if first:
            self.on_agent_start()

    def out_of_time(self, cause: Cause) -> None:
        """The time of an own agent is up and its body ends here, because of its own TIME or a fault of the PROVIDER."""
        self.timed_out_by = cause
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def agent_ends(self) -> None:
        """The test takes over again and gets the grading time-out for its checks."""
        self._on_loop(self._end)

    def _end(self) -> None:
        self._left = None
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._grading_time_limit)

    @contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """Stop the clock of the grading time-out: a judge may have to wait for a share of the run's budget."""
        loop, when = asyncio.get_running_loop(), None if self._deadline is None else self._deadline.when()
        if self._deadline is None or when is None:
            yield
            return
        self._left = when - loop.time()
        self._deadline.reschedule(None)
        try:
            yield
        finally:
            # None if an agent has begun or ended meanwhile; the time-out then stays as that left it
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


async def _nothing() -> None:
    pass


class _SyncCode:
    """Runs the sync code of an attempt in its own thread, or in a second one if a body does not return the first."""

    def __init__(self, name: str) -> None:
        self.stuck = False
        """Whether the body is still running although it was stopped."""
        self._name, self._thread = name, AttemptThread(name)

    async def __call__(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        return await self._thread(func, *args, **kwargs)

    def runs_here(self) -> bool:
        """Whether the caller is sync code of the attempt."""
        return self._thread.is_current()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Call this in the thread: make the event loop run `awaitable`."""

        async def run() -> tuple[list[T], BaseException | None]:
            try:
                return [await awaitable], None
            except (SystemExit, KeyboardInterrupt) as raised:  # outside a task it would end the event loop
                return [], raised

        values, error = self._thread.wait(run())
        if error is not None:
            raise error
        return values[0]

    async def come_free(self) -> None:
        """The body was stopped: give it some time to return before its fixtures are torn down."""
        with anyio.move_on_after(_FREE_SECONDS) as patience:
            await self._thread(bool)
        if patience.cancelled_caught:
            self.stuck = True
            self.close()
            self._thread = AttemptThread(self._name)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.close()


@dataclass(frozen=True, slots=True)
class Ending:
    """How one try ended."""

    outcome: Outcome
    cause: Cause | None = None
    error: BaseException | None = None
    """The live exception, for pytest's own report."""
    message: str = ""
    where: str | None = None
    excused: bool | None = None
    """As :attr:`pytest_agenteval.record.records.AttemptRecord.excused`."""

    @property
    def exception(self) -> str | None:
        """The name of the exception's type."""
        return type(self.error).__name__ if self.error is not None else None


@dataclass(frozen=True, slots=True)
class Course:
    """What happened in one try: the facts, and the live exceptions behind them."""

    item: AgentItem
    facts: Facts
    errors: Mapping[Part, BaseException]

    def ending(self) -> Ending:
        """The ending, by the table of outcomes."""
        ruling = rule(self.facts)
        error = None if ruling.blames is None else self.errors[ruling.blames]
        where = None if error is None else where_in_suite(error, self.item)
        excused = True if ruling.excused else None
        if excused is None and ruling.outcome in (Outcome.FAILED, Outcome.LIMIT) and not self.item.forgives(error):
            excused = False
        return Ending(ruling.outcome, ruling.cause, error, ruling.message, where, excused)


class Faults(Protocol):
    """Finds out, while an exception is live, whether something outside the agent and the test caused it."""

    def cause_of(self, error: BaseException) -> Cause | None:
        """SANDBOX or PROVIDER if the exception comes from there, a limit's cause if a limit raised it, else None."""

    def lacking(self, error: BaseException) -> BaseException | None:
        """If this machine lacks something (a package, a key), an error that says so in a sentence, else None."""

    def message_of(self, error: BaseException) -> str:
        """Its message, in one or a few lines."""


async def run_attempt(
    item: AgentItem,
    attempt: Attempt,
    shared: Mapping[str, Any],
    provided: Mapping[str, Callable[[], Any]],
    faults: Faults,
    limits: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
) -> Course:
    """Run fixtures, body and teardown once, and collect what happened.

    Args:
        item: the task.
        attempt: what the test sees of this attempt.
        shared: values of the wider-scoped fixtures, which pytest has set up.
        provided: for each of the plugin's own fixtures, a function that makes its value.
        faults: distinguishes exceptions of sandbox and provider from those of agent and test.
        limits: entered around the body. They are the limits of an own agent, which never calls `agent.run`.

    Raises:
        asyncio.CancelledError: the run is being stopped; the fixtures have been torn down.
        pytest.exit.Exception: the body asked pytest to stop.
    """
    exits = AsyncExitStack()
    # Outside the fixtures: those may keep scopes of their own (task groups) open until their teardown.
    scope = exits.enter_context(anyio.CancelScope())
    in_setup = True
    error: BaseException | None = None
    sync = None if item.asynchronous else _SyncCode(f"attempt {attempt.number} of {item.name}")
    attempt._sync = sync
    call: Caller = sync or _call_here
    cancelled_before = _cancellations()
    try:
        async with asyncio.timeout(item.options.grading_time_limit) as deadline:
            attempt._deadline = deadline
            resolver = Resolver(item, shared, {**provided, "attempt": lambda: attempt}, call, exits)
            arguments = await resolver.set_up()
            in_setup = False
            async with limits():
                result = await call(resolver.function, **arguments)
                if inspect.isawaitable(result):
                    result = await result
                if _cancellations() > cancelled_before:
                    await asyncio.sleep(0)  # the body's own cancellation is raised here, not in the teardown
                _refuse_value(item, result)
    except BaseException as raised:
        error = raised
    attempt._deadline = None
    timed_out = error is not None and deadline.expired()
    teardown_error = await _tear_down(exits, scope, sync if timed_out or _is_cancellation(error) else None)
    if sync is not None:
        sync.close()
        if sync.stuck:  # fixtures torn down while the body runs may raise anything, which means nothing
            teardown_error = None
    errors = {Part.BODY: error, Part.TEARDOWN: teardown_error}
    raised_by = {part: each for part, each in errors.items() if each is not None}
    for each in raised_by.values():
        if isinstance(each, pytest.exit.Exception) or (_is_cancellation(each) and _is_being_stopped()):
            raise each
    _forget_cancellations(cancelled_before)
    lacks = {part: lack for part, each in raised_by.items() if (lack := faults.lacking(each)) is not None}
    facts = Facts(
        body=None if error is None else _exit(error, faults),
        teardown=None if teardown_error is None else _exit(teardown_error, faults),
        in_setup=in_setup,
        agent_started=attempt.agent_started,
        wants_agent=item.plan.uses_ours("agent"),
        asynchronous=item.asynchronous,
        stopped=attempt.stopped,
        miswired=attempt.miswired,
        lacking=next(((part, str(lack)) for part, lack in lacks.items()), None),
        unmeasured=attempt.unmeasured,
        unanswered=attempt.unanswered,
        limit=attempt.limit,
        timed_out=timed_out,
        timed_out_by=attempt.timed_out_by,
        time_limit=item.options.time_limit,
        grading_time_limit=item.options.grading_time_limit,
    )
    return Course(item, facts, raised_by | lacks)


async def _call_here(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return func(*args, **kwargs)


def _refuse_value(item: AgentItem, result: object) -> None:
    """A test that returns a value has most likely forgotten `assert`: pytest warns, or fails it if filters say so.

    pytest shows the warning itself once per task, in its report.
    """
    if result is None:
        return
    item.returned = type(result)
    with warnings.catch_warnings(record=True):
        warnings.warn(item.return_warning, stacklevel=1)


def _is_cancellation(error: BaseException | None) -> bool:
    return isinstance(error, asyncio.CancelledError)


def _cancellations() -> int:
    """How many cancellations of the running task were requested."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _is_being_stopped() -> bool:
    """Whether the run is ending. Inspect cancels the scope around an attempt; a body can only cancel its own task."""
    return anyio.current_effective_deadline() == -math.inf


def _forget_cancellations(before: int) -> None:
    """Drop them: only the body requested them, and it has ended."""
    task = asyncio.current_task()
    while task is not None and task.cancelling() > before:
        task.uncancel()


def _exit(error: BaseException, faults: Faults) -> Exit:
    kind = Raised.ERROR
    if isinstance(error, pytest.skip.Exception | unittest.SkipTest):
        kind = Raised.SKIP
    elif isinstance(error, pytest.xfail.Exception):
        kind = Raised.XFAIL
    elif isinstance(error, pytest.PytestReturnNotNoneWarning):
        kind = Raised.RETURNED
    text = faults.message_of(error)
    if _is_cancellation(error):
        text = f"{text}: the test cancelled its own task, or awaited one that was cancelled; nobody stopped the run"
    return Exit(kind, faults.cause_of(error), text)


async def _tear_down(
    exits: AsyncExitStack, scope: anyio.CancelScope, stopped: _SyncCode | None
) -> BaseException | None:
    """Shielded, because Inspect cancels again at every await, which would cut a teardown short."""
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
