"""The words for how an attempt ended (one per attempt), and what each one counts for.

:class:`Outcome` lists them in order of precedence: the first one that applies is the attempt's outcome.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RULES", "Cause", "Outcome"]

RULES = "2"
"""Increased whenever the rules give the same attempt another outcome. Attempts stored under other rules are not
reused."""


class Outcome(StrEnum):
    """How one attempt ended. The line between the agent and everything else is the moment the agent starts."""

    NOT_RUN = "not_run"
    """Did not finish: the run's budget was spent, the run was cancelled, or the verdict was already fixed."""
    ENVIRONMENT_ERROR = "environment_error"
    """Something outside the agent broke: its sandbox, the daemon, the provider after its own retries, a judge."""
    BROKEN = "broken"
    """The test is wrong: a fixture or a teardown raised, or the body raised before the agent started, or the attempt
    skipped itself while others ran."""
    SKIPPED = "skipped"
    """`pytest.skip`, `unittest.SkipTest` or `pytest.xfail` before the agent started, in every attempt of the task."""
    PASSED = "passed"
    """The body ended without an exception."""
    LIMIT = "limit"
    """Did not pass, and the agent had run into its own limit: cost, tokens, time, turns, or the context window."""
    FAILED = "failed"
    """Everything else that did not pass."""

    @property
    def counts(self) -> bool:
        """Whether the attempt says something about the agent: it is one of the n of an estimate."""
        return self in (Outcome.PASSED, Outcome.LIMIT, Outcome.FAILED)

    @property
    def missing(self) -> bool:
        """Whether the attempt was wanted but says nothing about the agent: it could have passed or failed."""
        return self in (Outcome.NOT_RUN, Outcome.ENVIRONMENT_ERROR)


class Cause(StrEnum):
    """The reason behind an outcome, unless it is the agent's plain success or failure."""

    BUDGET = "budget"
    """The run's `--max-cost` could not pay for the next model call."""
    CANCELLED = "cancelled"
    """The run was stopped: Ctrl-C, SIGTERM, `-x`, `pytest.exit`."""
    OUTDATED = "outdated"
    """An earlier invocation ran it, and the model had another version then."""
    DECIDED = "decided"
    """Every verdict was already fixed without this attempt."""
    SANDBOX = "sandbox"
    """The sandbox could not start, or was lost or removed from outside."""
    PROVIDER = "provider"
    """The model's provider failed after its own retries."""
    HARNESS = "harness"
    """The evaluation around the attempt failed."""
    SANDBOX_EXHAUSTED = "sandbox_exhausted"
    """The agent itself ended the container: it ran out of memory, or a command killed it."""
    REFUSED = "refused"
    """The provider refused the agent's conversation, for its content or because it is malformed."""
    COST = "cost"
    TOKENS = "tokens"
    TIME = "time"
    TURNS = "turns"
    CONTEXT = "context"
    """The agent's conversation outgrew the model's context window."""
    GRADING_TIME = "grading_time"
    """The checks after the agent took longer than the grading time-out."""
    SETUP = "setup"
    TEARDOWN = "teardown"
