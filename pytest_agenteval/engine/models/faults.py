"""Whose fault is a live exception: the sandbox's, the provider's, a limit's, or the agent's and the test's."""

from __future__ import annotations

from collections.abc import Iterator

from inspect_ai.util import LimitExceededError, SandboxUnavailableError

from pytest_agenteval.engine.models.lacking import Lacking, what_is_lacking
from pytest_agenteval.engine.models.provider_errors import ConversationRefused, ProviderFailed
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.run.whereabouts import short_message

__all__ = ["InspectFaults", "ProviderSilent", "limit_cause", "limit_in", "provider_to_blame"]

_LIMITS = {
    "cost": Cause.COST,
    "token": Cause.TOKENS,
    "time": Cause.TIME,
    "working": Cause.TIME,
    "turn": Cause.TURNS,
    "message": Cause.TURNS,
    "context": Cause.CONTEXT,
}
_MODEL_CODE = "inspect_ai.model."
_ASKS = ("_generate", "count_tokens", "compact")
"""Methods of Inspect's `Model` that ask the provider."""


class ProviderSilent(Exception):
    """The agent's time was up, but the provider had spent most of it without answering a call."""

    def __init__(self, silent_for: float, time_limit: float | None) -> None:
        super().__init__(f"a model call had no answer for {silent_for:.0f} s of the agent's {time_limit:g} s")


def provider_to_blame(silent_for: float, time_limit: float | None) -> bool:
    """Whether an agent ran out of time because one unanswered call took more than half of it."""
    return time_limit is not None and silent_for > time_limit / 2


class InspectFaults:
    """Reads exceptions as Inspect raises them."""

    def cause_of(self, error: BaseException) -> Cause | None:
        """SANDBOX, PROVIDER, the limit that was exceeded, or None if the agent or the test is responsible."""
        chain = list(_chain(error))
        if any(isinstance(link, SandboxUnavailableError) for link in chain):
            return Cause.SANDBOX
        if (limit := limit_in(error)) is not None:
            return limit_cause(limit)
        if any(isinstance(link, ConversationRefused) for link in chain):
            return None
        if any(isinstance(link, ProviderFailed | ProviderSilent) or _came_through_model(link) for link in chain):
            return Cause.PROVIDER
        return None

    def message_of(self, error: BaseException) -> str:
        """In one or a few lines; what a provider said comes first, whatever was made of it on the way."""
        for link in _chain(error):
            if isinstance(link, ProviderFailed | ProviderSilent | ConversationRefused):
                bare = link is error or type(error).__name__ == "RetryError"
                return str(link) if bare else f"{link}\n{short_message(error)}"
        return short_message(error)

    def lacking(self, error: BaseException) -> BaseException | None:
        """The same error in one sentence if it says that this machine lacks something, else None."""
        for link in _chain(error):
            if (said := what_is_lacking(link)) is not None:
                plain = Lacking(said)
                plain.__suppress_context__ = True  # Inspect's own text is written for a terminal
                return plain.with_traceback(error.__traceback__)
        return None


def limit_in(error: BaseException) -> LimitExceededError | None:
    """The limit that an exception comes from: itself, what it was raised for, or a member of a task group's."""
    return next((link for link in _chain(error) if isinstance(link, LimitExceededError)), None)


def limit_cause(error: LimitExceededError) -> Cause | None:
    """The cause in our words, or None if it is not a limit of the agent's."""
    return _LIMITS.get(error.type)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, what it was raised from or while handling, and the members of groups."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        link = todo.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            todo.extend(link.exceptions)
        if link.__cause__ is not None:
            todo.append(link.__cause__)
        elif link.__context__ is not None and not link.__suppress_context__:
            todo.append(link.__context__)


def _came_through_model(error: BaseException) -> bool:
    """Whether Inspect's `Model` let it through: what a provider raises has no type of its own."""
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame
        if str(code.f_globals.get("__name__", "")).startswith(_MODEL_CODE) and code.f_code.co_name in _ASKS:
            return True
        traceback = traceback.tb_next
    return False
