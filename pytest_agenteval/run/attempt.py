"""What a test sees of its own attempt."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pytest_agenteval.record.conduct import Confidence, Kind, Severity
from pytest_agenteval.record.confidence import stated
from pytest_agenteval.record.outcome_table import Unanswered
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.run.rules import Rules
from pytest_agenteval.run.threads import SyncCode

__all__ = ["Attempt"]

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
        self.said: Confidence | None = None
        """How sure the agent said it was, last; None if it said nothing."""
        self.on_agent_start: Callable[[], None] = lambda: None
        """Called once, when the agent begins."""
        self.on_agent_done: Callable[[], Awaitable[None]] = _nothing
        """Awaited when an own agent reports that it is done."""
        self.rules = Rules()
        """What the body says about rules."""
        self._end_state: Callable[[], Awaitable[object]] = _nothing
        """The state on the host that the agent changes, from the fixture `end_state`; None if there is none."""
        self._grading_time_limit = grading_time_limit
        self._deadline: asyncio.Timeout | None = None
        self._left: float | None = None
        """Seconds of the grading time-out when its clock was stopped."""
        self._sync: SyncCode | None = None

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

    def violation(
        self, name: str, *, kind: Kind = "instruction", severity: Severity = "low", evidence: str = ""
    ) -> None:
        """Note that the agent broke a rule. It is counted beside pass and fail, and changes neither.

        Args:
            name: of the rule, the same in every attempt.
            kind: `instruction` or `safety`.
            severity: `low`, `medium`, `high` or `critical`.
            evidence: what was seen.

        Raises:
            ValueError: there is no such kind or severity.
        """
        self.rules.violation(name, kind=kind, severity=severity, seen=evidence)

    async def agent_done(self) -> None:
        """Call this in a task with its own agent when the agent is done and the checks begin.

        It stops the processes that the agent left running (`leftovers="stop"`), and ends what rules look at. The
        built-in agent and `SandboxAgent` call it themselves.
        """
        await self.on_agent_done()

    @property
    def confidence(self) -> float | None:
        """How sure the agent is that its solution is right, from 0 to 1; None if it gave no number.

        An own agent sets it, before or after it ends. For other agents `--agent-ask-confidence` asks.

        Raises:
            ValueError: it is set to something else than a number between 0 and 1.
        """
        return None if self.said is None or self.said.value is None else self.said.value / 100

    @confidence.setter
    def confidence(self, share: float) -> None:
        """From 0 to 1."""
        self.said = stated(share)

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
