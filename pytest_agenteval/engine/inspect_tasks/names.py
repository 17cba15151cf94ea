"""Inspect tasks by name: registered by a package, in a module, or in a file; refused with the near misses."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from pytest_agenteval.collect.inspect_task import Asked
from pytest_agenteval.engine.inspect_private import (
    chdir_python,
    is_registry_object,
    registry_find,
    registry_info,
    registry_lookup,
)
from pytest_agenteval.engine.models.lacking import import_named, why_not_imported
from pytest_agenteval.errors import NotReady, did_you_mean

__all__ = ["find_function", "hint", "refuse_arguments"]


def find_function(asked: Asked) -> tuple[Callable[..., Any], Path | None]:
    """The function that makes the task, and the folder that it expects to run in, or None.

    Raises:
        NotReady: there is none, or what has it cannot be loaded.
    """
    if not isinstance(asked.task, str):
        return asked.task, None
    home, at, name = asked.task.rpartition("@")
    if not at and not asked.task.endswith(".py"):
        return _registered(asked.task), None
    if not at:
        home, name = asked.task, ""
    if not home.endswith(".py"):
        return _in_module(asked.task, _imported(asked.task, home), name), None
    path = (asked.folder / home).resolve()
    if not path.is_file():
        raise NotReady(f"{asked.task} names a file that is not there: {path}")
    return _in_module(asked.task, _from_file(asked.task, path), name), path.parent


def _registered(name: str) -> Callable[..., Any]:
    try:
        found = registry_lookup("task", name)
    except Exception as error:
        raise NotReady(f"{name}: its package cannot be loaded: {type(error).__name__}: {error}") from error
    if callable(found):
        function: Callable[..., Any] = found
        return function
    package, _, short = name.rpartition("/")
    tasks = registry_find(lambda info: info.type == "task")
    for task in tasks:  # a package that is not where packages are installed: its tasks are registered without its name
        if registry_info(task).name == short and getattr(task, "__module__", "").partition(".")[0] == package:
            unprefixed: Callable[..., Any] = cast(Any, task)
            return unprefixed
    known = [registry_info(task).name for task in tasks]
    if not any("/" in each for each in known):
        raise NotReady(
            f"Inspect knows no task {name!r}, and no installed package has any: "
            "install one such as inspect-evals, or write MODULE@TASK or FILE.py@TASK"
        )
    raise NotReady(f"Inspect knows no task {name!r}; {hint(name, known)} (your own is MODULE@TASK or FILE.py@TASK)")


def _imported(whole: str, name: str) -> ModuleType:
    try:
        return import_named(name)
    except NotReady as error:
        raise NotReady(f"{whole}: {error}") from error


def _from_file(whole: str, path: Path) -> ModuleType:
    name = f"inspect_task_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with chdir_python(str(path.parent)):
            spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise NotReady(f"{whole}: the file cannot be loaded: {why_not_imported(error)}") from error
    return module


def _in_module(whole: str, module: ModuleType, name: str) -> Callable[..., Any]:
    tasks: dict[str, Any] = {
        registry_info(value).name.rpartition("/")[2]: value
        for value in vars(module).values()
        if is_registry_object(value) and registry_info(value).type == "task" and callable(value)
    }
    found = tasks.get(name) or (getattr(module, name, None) if name else None)
    if callable(found):
        made: Callable[..., Any] = found
        return made
    if not name and len(tasks) == 1:
        only: Callable[..., Any] = next(iter(tasks.values()))
        return only
    if not name:
        raise NotReady(f"{whole} has the tasks {', '.join(sorted(tasks)) or 'none'}: name one, as FILE.py@TASK")
    raise NotReady(f"{whole}: there is no task {name!r}; {hint(name, list(tasks))}")


def refuse_arguments(asked: Asked, function: Callable[..., Any]) -> None:
    """Refuse arguments that the task does not take; Inspect itself would only warn.

    Raises:
        NotReady: it does not take one.
    """
    parameters = inspect.signature(function).parameters.values()
    takes = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    for name in asked.args:
        if name not in takes:
            raise NotReady(f"{asked.name} has no argument {name!r}; {hint(name, takes)}")


def hint(name: str, known: Sequence[str]) -> str:
    """What was probably meant, else what there is."""
    shown = ", ".join(sorted(known)[:12]) or "none"
    return did_you_mean(name, known, f"there are {shown}{' and others' if len(known) > 12 else ''}")
