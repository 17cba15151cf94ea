"""The table of outcomes: the facts about one try go in, its outcome comes out. The first row that applies decides.

Code that learns something about a try adds a fact. What the fact means is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_agenteval.record.outcomes import Cause, Outcome

__all__ = ["TABLE", "Exit", "Facts", "Loss", "Part", "Raised", "Row", "Ruling", "Unanswered", "rule"]


class Raised(StrEnum):
    """What kind of exception ended a part of a try."""

    SKIP = "skip"
    """`pytest.skip` or `unittest.SkipTest`."""
    XFAIL = "xfail"
    """`pytest.xfail`."""
    RETURNED = "returned"
    """There was no exception, but the test returned a value, which the warning filters turn into an error."""
    ERROR = "error"
    """Any other exception."""


class Part(StrEnum):
    """A part of a try whose exception is kept."""

    BODY = "body"
    """The fixtures' set-up and the test function."""
    TEARDOWN = "teardown"


@dataclass(frozen=True, slots=True)
class Exit:
    """The exception that ended a part of a try."""

    kind: Raised = Raised.ERROR
    fault: Cause | None = None
    """SANDBOX or PROVIDER if one of them caused it, the limit that was exceeded, or None."""
    text: str = ""
    """Its text."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a sandbox is gone."""

    own: bool
    """Whether the agent is responsible: its container's limits or a command ended it, or it was lost twice."""
    taken: bool
    """Whether something outside took it away, as far as anyone can tell."""
    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """How the agent's last model call ended, if it got no answer."""

    cause: Cause
    """PROVIDER; CONTEXT if the conversation has outgrown the model; REFUSED if the provider does not accept it."""
    message: str
    """What the provider said."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known about a try when it has ended."""

    body: Exit | None = None
    """What ended the set-up of its fixtures or the test function; None if the function returned."""
    teardown: Exit | None = None
    in_setup: bool = False
    """Whether `body` was raised by a fixture."""
    agent_started: bool = False
    agent_unheard: bool = False
    """Whether the agent raised before its first model call."""
    wants_agent: bool = False
    """Whether the task uses the plugin's own fixture `agent`."""
    asynchronous: bool = True
    stopped: Cause | None = None
    """Why the run stopped it."""
    miswired: str | None = None
    """Why a call of the agent could not be counted and so was refused."""
    lacking: tuple[Part, str] | None = None
    """The part in which this machine lacked something (a package, a key), and the sentence that says so."""
    unmeasured: str | None = None
    """Why nobody can check that the agent keeps its limits (answers without usage); the agent was stopped for it."""
    unanswered: Unanswered | None = None
    """How the agent's last model call ended if it got no answer, no matter how the agent's code handled that."""
    limit: Cause | None = None
    """The agent's own limit that it reached."""
    timed_out: bool = False
    """Whether the body was cut off. Its exception then means nothing."""
    timed_out_by: Cause | None = None
    """Who used up the time of an own agent; None if the grading time-out cut the body off."""
    time_limit: float | None = None
    """Seconds for the agent."""
    grading_time_limit: float = 0.0
    """Seconds for set-up and checks."""
    left_running: bool = False
    """Whether the processes that the agent left running should have been stopped before the checks, and were not."""
    rule_broken: str | None = None
    """The sentence about a rule that must hold and was broken."""
    loss: Loss | None = None
    """None if the sandbox is still there, or nobody has looked."""

    @property
    def first(self) -> Part | None:
        """The part that raised first."""
        return Part.BODY if self.body is not None else Part.TEARDOWN if self.teardown is not None else None

    @property
    def failing(self) -> Part | None:
        """The first part whose exception comes from the sandbox or the provider."""
        for part, ended in ((Part.BODY, None if self.timed_out else self.body), (Part.TEARDOWN, self.teardown)):
            if ended is not None and ended.fault in (Cause.SANDBOX, Cause.PROVIDER):
                return part
        return None

    @property
    def lost_by_agent(self) -> bool:
        """Whether the agent itself ended its sandbox."""
        return self.loss is not None and self.loss.own and self.agent_started

    @property
    def passes(self) -> bool:
        """Whether fixtures, body and teardown finished, and an agent was asked."""
        return self.body is None and self.teardown is None and (self.agent_started or not self.wants_agent)

    @property
    def reached_limit(self) -> Cause | None:
        """The agent's limit that explains why the body did not pass."""
        if self.timed_out and self.timed_out_by is not None:
            return self.timed_out_by
        if self.limit is not None or self.timed_out or self.body is None:
            return self.limit
        return self.body.fault

    def raised(self, *kinds: Raised) -> bool:
        """Whether the body itself ended in one of these ways."""
        return self.body is not None and not self.timed_out and self.body.kind in kinds

    @property
    def silence(self) -> Cause | None:
        """Why the agent's last model call got no answer, if the body did not pass."""
        return self.unanswered.cause if self.unanswered is not None and self.body is not None else None

    def ended(self, part: Part | None) -> Exit | None:
        """The exception of a part."""
        return self.body if part is Part.BODY else self.teardown if part is Part.TEARDOWN else None


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome of a try, and the row of the table that gave it."""

    row: str
    outcome: Outcome
    cause: Cause | None
    blames: Part | None
    """The part with the exception to show."""
    message: str
    excused: bool = False
    """Whether the test itself declared the failure expected (`pytest.xfail`)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: when it applies, and the outcome it gives."""

    name: str
    applies: Callable[[Facts], object]
    outcome: Outcome
    cause: Cause | Callable[[Facts], Cause | None] | None = None
    message: Callable[[Facts], str | None] = lambda facts: None
    """If it returns None or an empty text, the message is that of the blamed exception."""
    blames: Callable[[Facts], Part | None] = lambda facts: Part.BODY if facts.body is not None else None


def rule(facts: Facts) -> Ruling:
    """Find the outcome of a try."""
    row = next(row for row in TABLE if row.applies(facts))
    cause = row.cause(facts) if callable(row.cause) else row.cause
    blames = row.blames(facts)
    ended = facts.ended(blames)
    message = row.message(facts) or (ended.text if ended is not None else "")
    provider_message = "" if facts.silence is None or facts.unanswered is None else facts.unanswered.message
    if row.outcome is not Outcome.BROKEN and provider_message not in message:
        message = f"{provider_message}\n{message}"
    excused = row.outcome in (Outcome.FAILED, Outcome.LIMIT) and facts.raised(Raised.XFAIL)
    return Ruling(row.name, row.outcome, cause, blames, message, excused)


def _agent_time_up(facts: Facts) -> str | None:
    return f"the agent's {facts.time_limit} s were up"


def _checks_hang(facts: Facts) -> str | None:
    return f"the checks after the agent took longer than {facts.grading_time_limit:g} s" if facts.timed_out else None


def _never_ran(facts: Facts) -> str:
    call = "an `await` missing before" if facts.asynchronous else "`attempt.wait(...)` missing around"
    return f"the agent never ran: is {call} agent.run(...)?"


def _loss(facts: Facts) -> str:
    """Why the sandbox is gone, and the message of the outcome without that loss."""
    assert facts.loss is not None
    return "; ".join(filter(None, (facts.loss.reason, rule(replace(facts, loss=None)).message)))


_NOT_FOR_THE_TEST = (Raised.SKIP, Raised.RETURNED)
"""Endings that make the test wrong, whatever limits the agent reached."""

TABLE: tuple[Row, ...] = (
    Row("the run stopped it", lambda f: f.stopped,
        Outcome.NOT_RUN, lambda f: f.stopped),
    Row("a call could not be counted", lambda f: f.miswired,
        Outcome.BROKEN, None, lambda f: f.miswired),
    Row("nobody could tell whether it kept its limits", lambda f: f.unmeasured,
        Outcome.ENVIRONMENT_ERROR, Cause.PROVIDER, lambda f: f.unmeasured),
    Row("this machine lacks something that no agent can bring", lambda f: f.lacking,
        Outcome.BROKEN, None, lambda f: f.lacking and f.lacking[1], lambda f: f.lacking and f.lacking[0]),
    Row("the provider was silent until the time was up", lambda f: f.timed_out and f.timed_out_by is Cause.PROVIDER,
        Outcome.ENVIRONMENT_ERROR, Cause.PROVIDER, _agent_time_up),
    Row("the provider failed", lambda f: (ended := f.ended(f.failing)) is not None and ended.fault is Cause.PROVIDER,
        Outcome.ENVIRONMENT_ERROR, Cause.PROVIDER, blames=lambda f: f.failing),
    Row("the provider failed, and the agent's code made something else of it", lambda f: f.silence is Cause.PROVIDER,
        Outcome.ENVIRONMENT_ERROR, Cause.PROVIDER),
    Row("it skipped itself before the agent started",
        lambda f: f.raised(Raised.SKIP, Raised.XFAIL) and not f.agent_started and f.teardown is None,
        Outcome.SKIPPED),
    # the sandbox is gone: an agent cannot choose to be an environment error
    Row("it passed in a sandbox that was taken away", lambda f: f.passes and f.loss is not None and f.loss.taken,
        Outcome.ENVIRONMENT_ERROR, Cause.SANDBOX, lambda f: None if f.loss is None else f.loss.reason),
    Row("it passed while what the agent left running went on",
        lambda f: f.passes and f.left_running and f.agent_started,
        Outcome.BROKEN, None,
        lambda f: "leftovers='stop' did not hold: call `await attempt.agent_done()` where the agent is done "
                  "and the checks begin"),
    Row("it broke a rule that must hold", lambda f: f.passes and f.rule_broken is not None,
        Outcome.FAILED, None, lambda f: f.rule_broken),
    Row("passed", lambda f: f.passes, Outcome.PASSED),
    Row("the agent ended its sandbox after it had reached a limit",
        lambda f: f.lost_by_agent and f.reached_limit is not None and not f.in_setup and f.failing is None
                  and f.body is not None and f.teardown is None and not f.raised(*_NOT_FOR_THE_TEST),
        Outcome.LIMIT, lambda f: f.reached_limit,
        lambda f: _agent_time_up(f) if f.timed_out and f.timed_out_by is not None else _checks_hang(f)),
    Row("the agent ended its sandbox", lambda f: f.lost_by_agent,
        Outcome.FAILED, Cause.SANDBOX_EXHAUSTED, _loss, lambda f: f.first),
    Row("the sandbox was lost", lambda f: f.loss,
        Outcome.ENVIRONMENT_ERROR, Cause.SANDBOX, _loss, lambda f: f.first),
    Row("the sandbox failed", lambda f: f.failing,
        Outcome.ENVIRONMENT_ERROR, Cause.SANDBOX, blames=lambda f: f.failing),
    # the test is wrong
    Row("no agent had started when the time was up", lambda f: f.timed_out and (f.in_setup or not f.agent_started),
        Outcome.BROKEN, Cause.SETUP, lambda f: f"no agent had started after {f.grading_time_limit:g} s"),
    Row("a fixture raised", lambda f: f.body is not None and f.in_setup,
        Outcome.BROKEN, Cause.SETUP),
    Row("the body raised before the agent started",
        lambda f: f.body is not None and not f.agent_started and not f.raised(Raised.SKIP, Raised.XFAIL),
        Outcome.BROKEN),
    Row("a teardown raised", lambda f: f.teardown,
        Outcome.BROKEN, Cause.TEARDOWN, blames=lambda f: Part.TEARDOWN),
    Row("the agent never ran", lambda f: f.body is None,
        Outcome.BROKEN, None, _never_ran),
    Row("it skipped itself after the agent had started", lambda f: f.raised(Raised.SKIP),
        Outcome.BROKEN, None, lambda f: f"skipped after the agent had started: {f.body.text if f.body else ''}"),
    Row("it returned a value, which is an error here", lambda f: f.raised(Raised.RETURNED),
        Outcome.BROKEN),
    Row("the agent raised before its first model call",
        lambda f: f.agent_unheard and not f.timed_out and f.reached_limit is None and not f.raised(Raised.XFAIL),
        Outcome.BROKEN, None,
        lambda f: f"the agent raised before its first model call: {f.body.text if f.body else ''}"),
    # the agent did not solve the task
    Row("the agent's time was up", lambda f: f.timed_out and f.timed_out_by is not None,
        Outcome.LIMIT, lambda f: f.timed_out_by, _agent_time_up),
    Row("the agent reached a limit", lambda f: f.limit,
        Outcome.LIMIT, lambda f: f.limit, _checks_hang),
    Row("the conversation has outgrown the model", lambda f: f.silence is Cause.CONTEXT,
        Outcome.LIMIT, Cause.CONTEXT, _checks_hang),
    Row("the provider does not take the conversation", lambda f: f.silence,
        Outcome.FAILED, lambda f: f.silence, _checks_hang),
    Row("the checks took too long", lambda f: f.timed_out,
        Outcome.FAILED, Cause.GRADING_TIME, _checks_hang),
    Row("a limit was exceeded", lambda f: f.reached_limit,
        Outcome.LIMIT, lambda f: f.reached_limit),
    Row("failed", lambda f: True, Outcome.FAILED),
)  # fmt: skip
"""In order of precedence: when a row applies; then the outcome, its cause, the message and the part that it blames."""
