"""Whose fault is a live exception: the sandbox's, the provider's, a limit's, the agent's and the test's, or this
machine's, which lacks a module that was named, a package, or a key.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType

from inspect_ai.util import LimitExceededError, SandboxUnavailableError

from pytest_agenteval.engine.agents.clients import Unbridged
from pytest_agenteval.engine.conduct.injector import is_injected
from pytest_agenteval.engine.inspect_private import PrerequisiteError
from pytest_agenteval.engine.models.provider_errors import ConversationRefused, ProviderFailed
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.run.whereabouts import short_message

__all__ = [
    "InspectFaults", "Lacking", "ProviderSilent", "import_named", "limit_cause", "limit_in", "needing",
    "one_sentence", "provider_to_blame", "what_is_lacking", "why_not_imported",
]  # fmt: skip

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
_STANDARD = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})


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
        if any(map(is_injected, chain)):  # a perturbation put it there: what it ended, the agent did not survive
            return None
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


class Lacking(Exception):
    """Something that the attempt needs does not exist, in one sentence. This says nothing about the agent."""


@contextmanager
def needing(what: str) -> Iterator[None]:
    """Around an agent's program or a grader that the user wrote: raises `Lacking` if it imports what is not there."""
    try:
        yield
    except ImportError as error:
        if (frame := _raised_in(error)) is None or not Path(frame.f_code.co_filename).is_file():
            raise  # no file: code that a model wrote
        raise Lacking(f"{what} cannot run here: {why_not_imported(error)}") from error


def what_is_lacking(error: BaseException) -> str | None:
    """The sentence where one error, without those it came from, says that something is not there; else None.

    An import that fails in code of an installed package counts; one that fails in the test may be for a file that the
    agent was to write.
    """
    if isinstance(error, PrerequisiteError):
        return one_sentence(str(error.message))
    if isinstance(error, Lacking | Unbridged):
        return str(error)
    if isinstance(error, ImportError):
        frame = _raised_in(error)
        if frame is not None and frame.f_code.co_filename.startswith(_INSTALLED):
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            return f"{package} cannot run here: {why_not_imported(error)}"
    return None


def _raised_in(error: ImportError) -> FrameType | None:
    """The frame of the failed import statement, or of the call of importlib."""
    found, step = None, error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name.startswith(_INSTALLED) or not name.startswith(("<frozen ", *_STANDARD)):
            found = step.tb_frame
        step = step.tb_next
    return found


def one_sentence(text: str) -> str:
    """Inspect's messages are written for a terminal: markup goes, their lines become one, a key gets its next step."""
    plain = re.sub(r"\[/?[a-z_ ]+\]", "", text)
    plain = plain.replace(". Install", "; install")
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    sentence = re.sub(r"[.:]?\0", ": ", "\0".join(lines)).removeprefix("ERROR: ").rstrip(".")
    key = re.search(r"\b[A-Z][A-Z0-9_]*_(?:API_KEY|KEY|TOKEN)\b", sentence)
    return f"{sentence}; set {key[0]}" if key else sentence


def import_named(name: str, by: str) -> ModuleType:
    """A module that `by` names, imported from where pytest was started too. Raises `NotReady` where that fails."""
    here = str(Path.cwd())
    if here not in sys.path:  # like `python -m pytest`
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except Exception as error:
        why = why_not_imported(error)
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            why = f"there is no {error.name} in {here} or elsewhere on sys.path"
        raise NotReady(f"{by}: module {name!r} cannot be imported: {why}") from error


def why_not_imported(error: Exception) -> str:
    """Why code that was found could not be imported: what it lacks, or what it raised."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return f"{type(error).__name__}: {error}"
    package = error.name.partition(".")[0]
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        return f"it imports {error.name}, which the {package} that is installed here does not have"
    return f"it imports {error.name}, which is not installed here: pip install {package}"
