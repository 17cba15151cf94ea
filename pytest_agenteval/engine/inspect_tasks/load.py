"""Loads Inspect tasks: finds them by name, refuses those that cannot run as agent tasks, and splits them into
samples."""

from __future__ import annotations

import atexit
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.util import SandboxEnvironmentSpec
from pydantic import BaseModel

from pytest_agenteval.collect.inspect_task import Asked
from pytest_agenteval.engine.inspect_private import (
    PrerequisiteError,
    active_model_context_var,
    chdir_python,
    task_run_dir,
)
from pytest_agenteval.engine.inspect_tasks.attempt import ALL_TOKENS, InspectSample, LoadedTask
from pytest_agenteval.engine.inspect_tasks.names import find_function, hint, refuse_arguments
from pytest_agenteval.engine.inspect_tasks.scores import choose_judge
from pytest_agenteval.engine.models.lacking import one_sentence
from pytest_agenteval.engine.models.models import REFUSED
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.digest import digest

__all__ = ["load_task", "samples"]

_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "Dockerfile")
_NOT_HELD = ("review", "sentinel", "sample_source")
"""What a Task may ask of Inspect's own runner that attempts are not run with."""


def load_task(asked: Asked) -> LoadedTask:
    """Find an Inspect task, create it, and decide which of its scores judges. No model is called.

    Raises:
        NotReady: there is no such task, its function fails, its scores are ambiguous, or it uses limits that attempts
            cannot enforce.
    """
    function, folder = find_function(asked)
    refuse_arguments(asked, function)

    def make() -> Task:
        with chdir_python(str(folder)) if folder is not None else nullcontext():
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


def _make(asked: Asked, make: Callable[[], Task]) -> tuple[Task, bool]:
    """Create it without a model; if its function requires one, with a stand-in that is never called."""
    elsewhere = os.environ.pop("INSPECT_EVAL_MODEL", None)  # would be taken for the model under evaluation
    try:
        try:
            return make(), False
        except ValueError as error:
            if not str(error).startswith("No model specified"):
                raise
        token = active_model_context_var.set(get_model("none/none"))
        try:
            return make(), True
        finally:
            active_model_context_var.reset(token)
    except NotReady:
        raise
    except PrerequisiteError as error:
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

    Args:
        loaded: the task.
        sandbox: what the test itself names; it replaces the task's own.
        default: the run's default sandbox, which replaces the task's own if it has one.
        scaffold: whether a scaffold replaces the solver: it works in a sandbox whatever the task has.

    Raises:
        NotReady: a requested sample does not exist, or a sandbox is not available.
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
                raise NotReady(f"{asked.name} has no sample {wanted!r}; {hint(str(wanted), list(known))}")
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
        folder = Path(task_run_dir(task))
        beside = next((folder / each for each in _FILES if (folder / each).is_file()), None)
        return str(beside) if beside is not None and own.type == "docker" else "default"
    if isinstance(own.config, BaseModel):
        return _as_file(own.config)
    return str((Path(task_run_dir(task)) / str(own.config)).resolve())


def _as_file(config: BaseModel) -> str:
    folder = tempfile.TemporaryDirectory(prefix="agenteval-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "compose.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", by_alias=True, exclude_none=True)), "utf-8")
    return str(path)
