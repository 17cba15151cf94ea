"""Modules that the user names: imported from where pytest was started too, and why one cannot be, in a sentence."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from pytest_agenteval.errors import NotReady

__all__ = ["import_named", "why_not_imported"]


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
