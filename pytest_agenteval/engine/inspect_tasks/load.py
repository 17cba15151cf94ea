"""Loads Inspect tasks: finds them by name, refuses those that cannot run as agent tasks, splits them into samples."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import yaml
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.util import SandboxEnvironmentSpec
from pydantic import BaseModel

from pytest_agenteval.collect.inspect_task import Asked
from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.inspect_tasks.attempt import ALL_TOKENS, InspectSample, LoadedTask
from pytest_agenteval.engine.inspect_tasks.scores import choose_judge
from pytest_agenteval.engine.models.faults import import_named, one_sentence, why_not_imported
from pytest_agenteval.engine.models.models import REFUSED
from pytest_agenteval.errors import NotReady, did_you_mean
from pytest_agenteval.record.digest import digest
from pytest_agenteval.sandbox.asked.choice import CONFIG_FILES

__all__ = ["load_task", "samples"]

_NOT_HELD = ("review", "sentinel", "sample_source")
"""What a Task may ask of Inspect's own runner that attempts are not run with."""


def load_task(asked: Asked) -> LoadedTask:
    """Find an Inspect task, create it, and decide which of its scores judges. No model is called.

    Raises:
        NotReady: there is no such task, its function fails, its scores are ambiguous, or it uses limits that attempts
            cannot enforce.
    """
    function, folder = _find_function(asked)
    _refuse_arguments(asked, function)

    def make() -> Task:
        with inspect_private.chdir_python(str(folder)) if folder is not None else nullcontext():
            made = function(**asked.args)
        if not isinstance(made, Task):
            raise NotReady(f"{asked.name} made a {type(made).__name__}, not an Inspect Task: name one that does")
        return made

    task, needs_model = _make(asked, make)
    for name in _NOT_HELD:
        if getattr(task, name, None) is not None:
            raise NotReady(f"{asked.name} has a {name}, which attempts are not run with: use a variant without it")
    for name, why in REFUSED.items():
        if getattr(task.config, name):
            raise NotReady(f"{asked.name} generates with {name}, which cannot be used: {why}")
    judge = choose_judge(asked.name, task, asked.scorer, asked.key, asked.passes)
    return LoadedTask(asked, make, task, judge, _code(function), needs_model)


def _find_function(asked: Asked) -> tuple[Callable[..., Any], Path | None]:
    """The function that makes the task, and the folder that it expects to run in, or None. Raises `NotReady`."""
    if not isinstance(asked.task, str):
        return asked.task, None
    home, at, name = asked.task.rpartition("@")
    if not at and not asked.task.endswith(".py"):
        return _registered(asked.task), None
    if not at:
        home, name = asked.task, ""
    if not home.endswith(".py"):
        return _in_module(asked.task, import_named(home, asked.task), name), None
    path = (asked.folder / home).resolve()
    if not path.is_file():
        raise NotReady(f"{asked.task} names a file that is not there: {path}")
    return _in_module(asked.task, _from_file(asked.task, path), name), path.parent


def _registered(name: str) -> Callable[..., Any]:
    try:
        found = inspect_private.registry_lookup("task", name)
    except Exception as error:
        raise NotReady(f"{name}: its package cannot be loaded: {type(error).__name__}: {error}") from error
    if callable(found):
        return cast(Callable[..., Any], found)
    package, _, short = name.rpartition("/")
    tasks = inspect_private.registry_find(lambda info: info.type == "task")
    for task in tasks:  # a package that is not where packages are installed: its tasks are registered without its name
        home = getattr(task, "__module__", "").partition(".")[0]
        if inspect_private.registry_info(task).name == short and home == package:
            return cast(Callable[..., Any], task)
    known = [inspect_private.registry_info(task).name for task in tasks]
    if not any("/" in each for each in known):
        raise NotReady(
            f"Inspect knows no task {name!r}, and no installed package has any: "
            "install one such as inspect-evals, or write MODULE@TASK or FILE.py@TASK"
        )
    raise NotReady(f"Inspect knows no task {name!r}; {_hint(name, known)} (your own is MODULE@TASK or FILE.py@TASK)")


def _from_file(whole: str, path: Path) -> ModuleType:
    name = f"inspect_task_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with inspect_private.chdir_python(str(path.parent)):
            spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise NotReady(f"{whole}: the file cannot be loaded: {why_not_imported(error)}") from error
    return module


def _in_module(whole: str, module: ModuleType, name: str) -> Callable[..., Any]:
    tasks: dict[str, Any] = {
        inspect_private.registry_info(value).name.rpartition("/")[2]: value
        for value in vars(module).values()
        if inspect_private.is_registry_object(value)
        and inspect_private.registry_info(value).type == "task"
        and callable(value)
    }
    found = tasks.get(name) or (getattr(module, name, None) if name else None)
    if not found and not name and len(tasks) == 1:
        (found,) = tasks.values()
    if callable(found):
        return cast(Callable[..., Any], found)
    if not name:
        raise NotReady(f"{whole} has the tasks {', '.join(sorted(tasks)) or 'none'}: name one, as FILE.py@TASK")
    raise NotReady(f"{whole}: there is no task {name!r}; {_hint(name, list(tasks))}")


def _refuse_arguments(asked: Asked, function: Callable[..., Any]) -> None:
    """Raise `NotReady` for an argument that the task does not take; Inspect itself would only warn."""
    parameters = inspect.signature(function).parameters.values()
    takes = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    for name in asked.args:
        if name not in takes:
            raise NotReady(f"{asked.name} has no argument {name!r}; {_hint(name, takes)}")


def _hint(name: str, known: Sequence[str]) -> str:
    """What was probably meant, else what there is."""
    shown = ", ".join(sorted(known)[:12]) or "none"
    return did_you_mean(name, known, f"there are {shown}{' and others' if len(known) > 12 else ''}")


def _make(asked: Asked, make: Callable[[], Task]) -> tuple[Task, bool]:
    """Create it without a model; if its function requires one, with a stand-in that is never called."""
    elsewhere = os.environ.pop("INSPECT_EVAL_MODEL", None)  # would be taken for the model under evaluation
    try:
        try:
            return make(), False
        except ValueError as error:
            if not str(error).startswith("No model specified"):
                raise
        token = inspect_private.active_model_context_var.set(get_model("none/none"))
        try:
            return make(), True
        finally:
            inspect_private.active_model_context_var.reset(token)
    except NotReady:
        raise
    except inspect_private.PrerequisiteError as error:
        raise NotReady(f"{asked.name} cannot be made: {one_sentence(str(error.message))}") from None
    except Exception as error:
        raise NotReady(f"{asked.name} cannot be made: {type(error).__name__}: {error}") from error
    finally:
        if elsewhere is not None:
            os.environ["INSPECT_EVAL_MODEL"] = elsewhere


def _code(function: Callable[..., Any]) -> str:
    module = inspect.getmodule(inspect.unwrap(function))
    package = (module.__name__ if module is not None else "").partition(".")[0]
    try:
        return f"{package} {version(package)}"
    except (PackageNotFoundError, ValueError):
        pass
    file = Path(getattr(module, "__file__", None) or os.devnull)
    return digest(file.read_bytes())


def samples(
    loaded: LoadedTask, *, sandbox: str | None, default: str | None, scaffold: bool
) -> Iterator[tuple[InspectSample, dict[str, Any]]]:
    """The chosen samples, each with the options of its agent task that the Inspect task asks for.

    The `sandbox` that the test names replaces the task's own; the run's `default` does so if the task has one. A
    `scaffold` that replaces the solver works in a sandbox whatever the task has. Raises `NotReady`: a requested sample
    does not exist, or a sandbox is not available.
    """
    task, limits = loaded.task, _limits(loaded.task)
    for sample in _chosen(loaded):
        asks = scaffold or task.sandbox is not None or sample.sandbox is not None
        named = sandbox or (default if asks else "none") or _sandbox(loaded.asked.name, task, sample)
        yield InspectSample(loaded, sample, _identity(loaded, sample)), {**limits, "sandbox": named}


def _chosen(loaded: LoadedTask) -> Sequence[Sample]:
    asked, dataset = loaded.asked, list(loaded.task.dataset)
    for number, sample in enumerate(dataset, 1):
        if sample.id is None:  # as Inspect numbers them
            sample.id = number
    if asked.samples:
        known = {str(sample.id): sample for sample in dataset}
        for wanted in asked.samples:
            if str(wanted) not in known:
                raise NotReady(f"{asked.name} has no sample {wanted!r}; {_hint(str(wanted), list(known))}")
        dataset = [known[str(wanted)] for wanted in asked.samples]
    return dataset[: asked.limit]


def _identity(loaded: LoadedTask, sample: Sample) -> str:
    """What stored attempts must agree in, apart from the test's source: the code and the sample."""
    asked = loaded.asked
    text = repr([asked.name, sorted(asked.args.items()), asked.scorer, asked.key, loaded.code])
    content = f"{text} {sample.model_dump_json()}"
    return f"{asked.name} {sample.id} {digest(content)}"


# -- what the task asks for ------------------------------------------------------------------------------


def _limits(task: Task) -> dict[str, Any]:
    """The task's own limits in our words; the message limit, and tokens of one kind only, go with the state."""
    seconds = [value for value in (task.time_limit, task.working_limit) if value is not None]
    limits: Mapping[str, Any] = {
        "time_limit": min(seconds, default=None),
        "token_limit": task.token_limit if task.token_limit_type in ALL_TOKENS else None,
        "turn_limit": task.turn_limit,
        "max_cost": task.cost_limit,
    }
    return {name: value for name, value in limits.items() if value is not None}


def _sandbox(name: str, task: Task, sample: Sample) -> str:
    """The sandbox that a sample asks for, in the words of `agent_task(sandbox=...)`; ours where it asks for none."""
    own: SandboxEnvironmentSpec | None = task.sandbox or sample.sandbox
    if own is None:
        return "default"
    if task.sandbox is not None and sample.sandbox is not None and sample.sandbox.config is not None:
        own = SandboxEnvironmentSpec(task.sandbox.type, sample.sandbox.config)
    if own.type not in ("docker", "local", "agenteval"):
        raise NotReady(
            f"{name} asks for the sandbox {own.type!r}, and attempts run in Docker: "
            "replace it with sandbox=... or --agent-sandbox-default"
        )
    if own.config is None or own.type == "local":
        folder = Path(inspect_private.task_run_dir(task))
        beside = next((folder / each for each in CONFIG_FILES if (folder / each).is_file()), None)
        return str(beside) if beside is not None and own.type == "docker" else "default"
    if isinstance(own.config, BaseModel):
        return _as_file(own.config)
    return str((Path(inspect_private.task_run_dir(task)) / str(own.config)).resolve())


def _as_file(config: BaseModel) -> str:
    folder = tempfile.TemporaryDirectory(prefix="agenteval-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "compose.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", by_alias=True, exclude_none=True)), "utf-8")
    return str(path)
