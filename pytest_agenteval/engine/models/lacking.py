"""What this machine lacks for a grader, a role or an agent's program: a package, a key, a bridge."""

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

from pytest_agenteval.engine.agents.clients import Unbridged
from pytest_agenteval.engine.inspect_private import PrerequisiteError
from pytest_agenteval.errors import NotReady

__all__ = ["Lacking", "import_named", "needing", "one_sentence", "what_is_lacking", "why_not_imported"]

_STANDARD = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})


class Lacking(Exception):
    """Something that the attempt needs does not exist, in one sentence. This says nothing about the agent."""


@contextmanager
def needing(what: str) -> Iterator[None]:
    """Around code that the user wrote to run here, an agent's program or a grader: what it imports has to be there.

    Raises:
        Lacking: it is not.
    """
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
            return (
                f"{str(frame.f_globals.get('__name__')).partition('.')[0]} cannot run here: {why_not_imported(error)}"
            )
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


def import_named(name: str) -> ModuleType:
    """The module of this name.

    Raises:
        NotReady: it is not there, or what it runs when it is imported fails.
    """
    here = str(Path.cwd())
    if here not in sys.path:  # like `python -m pytest`
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            why = f"there is no {error.name} in {here} or elsewhere on sys.path"
        else:
            why = why_not_imported(error)
        raise NotReady(f"module {name!r} cannot be imported: {why}") from error
    except Exception as error:
        raise NotReady(f"module {name!r} cannot be imported: {why_not_imported(error)}") from error


def why_not_imported(error: Exception) -> str:
    """Why code that was found could not be imported: what it lacks, or what it raised."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return f"{type(error).__name__}: {error}"
    package = error.name.partition(".")[0]
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        return f"it imports {error.name}, which the {package} that is installed here does not have"
    return f"it imports {error.name}, which is not installed here: pip install {package}"
