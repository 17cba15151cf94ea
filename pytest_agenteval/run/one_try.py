"""One try of one attempt, from its fixtures to its teardown, and what its ending means."""

from __future__ import annotations

import asyncio
import inspect
import math
import unittest
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import anyio
import pytest

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.record.outcome_table import Exit, Facts, Part, Raised, rule
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.run.attempt import Attempt
from pytest_agenteval.run.fixtures import Caller, Resolver
from pytest_agenteval.run.pump import Interrupted
from pytest_agenteval.run.threads import SyncCode
from pytest_agenteval.run.whereabouts import where_in_suite

__all__ = ["TEARDOWN_SECONDS", "Course", "Ending", "Faults", "run_attempt", "warn_of_value"]

TEARDOWN_SECONDS = 30.0
"""How long the teardown of one attempt may take before it counts as broken."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one try ended."""

    outcome: Outcome
    cause: Cause | None = None
    error: BaseException | None = None
    """The live exception, for pytest's own report of it."""
    message: str = ""
    where: str | None = None
    excused: bool | None = None
    """As :attr:`pytest_agenteval.record.records.AttemptRecord.excused`."""


@dataclass(frozen=True, slots=True)
class Course:
    """What happened in one try: its facts, and the live exceptions behind them."""

    item: AgentItem
    facts: Facts
    errors: Mapping[Part, BaseException]

    def ending(self) -> Ending:
        """What it comes to by the table of outcomes."""
        ruling = rule(self.facts)
        error = None if ruling.blames is None else self.errors[ruling.blames]
        where = None if error is None else where_in_suite(error, self.item)
        excused = True if ruling.excused else None
        if excused is None and ruling.outcome in (Outcome.FAILED, Outcome.LIMIT) and not self.item.forgives(error):
            excused = False
        return Ending(ruling.outcome, ruling.cause, error, ruling.message, where, excused)


class Faults(Protocol):
    """Tells, while an exception is live, whether something outside the agent and the test caused it."""

    def cause_of(self, error: BaseException) -> Cause | None:
        """SANDBOX or PROVIDER where the exception comes from there, a limit's cause where a limit does, else None."""

    def lacking(self, error: BaseException) -> BaseException | None:
        """An error that says in a sentence what this machine lacks (a package, a key), where it comes from that."""

    def message_of(self, error: BaseException) -> str:
        """What it says, in one or a few lines."""


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
    in_setup = True
    error: BaseException | None = None
    sync = None if item.asynchronous else SyncCode(f"attempt {attempt.number} of {item.name}")
    attempt._sync = sync
    call: Caller = sync or _call_here
    cancelled_before = _cancellations()
    try:
        async with asyncio.timeout(item.options.grading_time_limit) as deadline:
            attempt._deadline = deadline
            resolver = Resolver(item, shared, {**provided, "attempt": lambda: attempt}, call, exits)
            arguments = await resolver.set_up()
            in_setup = False
            attempt._end_state = partial(_end_state, resolver)
            async with limits():
                result = await call(resolver.function, **arguments)
                if inspect.isawaitable(result):
                    result = await result
                if _cancellations() > cancelled_before:
                    await asyncio.sleep(0)  # the body's own cancellation strikes here, and not in the teardown
                _refuse_value(item, result)
    except Interrupted:
        try:
            await anyio.sleep_forever()  # the run is ending, and its cancellation comes now
        except BaseException as raised:
            error = raised
    except BaseException as raised:
        error = raised
    attempt._deadline = None
    timed_out = error is not None and deadline.expired()
    teardown_error = await _tear_down(exits, scope, sync if timed_out or _is_cancellation(error) else None)
    if sync is not None:
        sync.close()
        if sync.stuck:  # what its fixtures say, torn down under a running body, means nothing
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


async def _end_state(resolver: Resolver) -> object:
    """The fixture `end_state`, called if it can be; None if the task uses none, or it raises."""
    value = resolver.values.get(("end_state", -1))
    try:
        value = value() if callable(value) else value
        return await value if inspect.isawaitable(value) else value
    except Exception:  # whatever a fixture of the suite raises
        return None


async def _call_here(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return func(*args, **kwargs)


def _refuse_value(item: AgentItem, result: object) -> None:
    """A test that returns a value has most likely forgotten `assert`: pytest warns, or fails it where filters say so.

    The warning itself comes once per task, when pytest reports it.
    """
    if result is None:
        return
    item.returned = type(result)
    with warnings.catch_warnings(record=True):
        warn_of_value(item)


def warn_of_value(item: AgentItem) -> None:
    """pytest's own warning for a test that returns a value."""
    text = (
        f"Test functions should return None, but {item.nodeid} returned {item.returned!r}.\n"
        "Did you mean to use `assert` instead of `return`?\n"
        "See https://docs.pytest.org/en/stable/how-to/assert.html#return-not-none for more information."
    )
    warnings.warn(pytest.PytestReturnNotNoneWarning(text), stacklevel=2)


def _is_cancellation(error: BaseException | None) -> bool:
    return isinstance(error, asyncio.CancelledError)


def _cancellations() -> int:
    """How often somebody has asked the running task to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _is_being_stopped() -> bool:
    """Whether the run is at its end: Inspect cancels the scope around an attempt, a body only its own task."""
    return anyio.current_effective_deadline() == -math.inf


def _forget_cancellations(before: int) -> None:
    """Nobody but the body asked for them, and it has ended."""
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


async def _tear_down(exits: AsyncExitStack, scope: anyio.CancelScope, stopped: SyncCode | None) -> BaseException | None:
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
