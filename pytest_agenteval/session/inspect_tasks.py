"""Inspect tasks in pytest's collection: each sample is a parameter of a test, each named task a test of a module."""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agenteval.collect.agent_task import agent_task
from pytest_agenteval.collect.fixtures import INSPECT_TASK, MARK
from pytest_agenteval.collect.inspect_task import SAMPLE, TASK_SOLVER, Asked, asked_in_text
from pytest_agenteval.collect.items import load_conftests
from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.reading import settings

if TYPE_CHECKING:
    from pytest_agenteval.engine.inspect_tasks.attempt import LoadedTask

__all__ = ["PLUGIN", "NamedTasks", "once_per_sample"]

PLUGIN = "pytest_agenteval_inspect_tasks"
_LONGEST = 80
_COLLECTED = "agenteval_inspect_tasks"
_LOADED: pytest.StashKey[dict[int, LoadedTask]] = pytest.StashKey()


def once_per_sample(metafunc: pytest.Metafunc) -> None:
    """Make one item per sample, with the task's own solver unless the run names scaffolds.

    If nothing asks for agent tasks to run, the task is not even loaded, because its dataset may have to be downloaded.

    Raises:
        pytest.Collector.CollectError: the task cannot be used. The message is one sentence.
    """
    config = metafunc.config
    asked = settings(config)
    if not asked.active and not config.option.collectonly:
        metafunc.parametrize(SAMPLE, [None], ids=[pytest.HIDDEN_PARAM])
        return
    from pytest_agenteval.engine.inspect_tasks.load import samples

    try:
        loaded = _load(metafunc)
        replaced = bool(set(asked.agents.scaffolds) - {TASK_SOLVER})
        marks = metafunc.definition.iter_markers(MARK)
        named = next((mark.kwargs["sandbox"] for mark in marks if mark.kwargs.get("sandbox")), None)
        chosen = list(samples(loaded, sandbox=named, default=_default(config), scaffold=replaced))
    except NotReady as error:
        raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize(
        SAMPLE,
        [pytest.param(sample, marks=agent_task(**options)) for sample, options in chosen],
        ids=_readable([str(sample.id) for sample, _ in chosen]),
    )
    if not asked.agents.scaffolds:
        metafunc.parametrize("agent_scaffold", [TASK_SOLVER], ids=[pytest.HIDDEN_PARAM], indirect=True)


def _load(metafunc: pytest.Metafunc) -> LoadedTask:
    from pytest_agenteval.engine.inspect_tasks.load import load_task

    wanted: Asked = getattr(metafunc.function, INSPECT_TASK)
    known = metafunc.config.stash.setdefault(_LOADED, {})
    if id(wanted) not in known:
        with warnings.catch_warnings():  # warnings of libraries during their import do not concern the suite
            warnings.simplefilter("ignore")
            known[id(wanted)] = load_task(wanted)
    return known[id(wanted)]


def _default(config: pytest.Config) -> str | None:
    """The run's default sandbox. Its path is relative to the rootdir, a mark's to the test's folder."""
    text = settings(config).sandboxes.default
    if text is None or text.startswith("image:"):
        return text
    path = config.rootpath / text
    return str(path) if "/" in text or path.is_file() else text


def _readable(ids: Iterable[str]) -> list[str]:
    """Ids that are fit for node ids: without brackets, blanks or `::`, short, and unique."""
    seen: dict[str, int] = {}
    made = []
    for text in ids:
        name = re.sub(r"[^\w.@:/+=,-]+", "_", text).replace("::", ":")[:_LONGEST] or "_"
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}~{seen[name]}")
    return made


class NamedTasks:
    """The tasks of `--agent-inspect-task`, as modules that are collected together with the others.

    Nothing runs, and costs money, by accident:

    - tasks named on the command line are all that is collected, if no path is given;
    - tasks named in the ini file are collected only if no path is given.
    """

    def __init__(self, config: pytest.Config) -> None:
        sources = pytest.Config.ArgsSource
        on_command_line = bool(config.getoption("agenteval_inspect_tasks"))
        no_path = config.args_source in (sources.INVOCATION_DIR, sources.TESTPATHS)
        if on_command_line and no_path:
            config.args = []
        told = getattr(config, "workerinput", {}).get(_COLLECTED)  # xdist's workers always get paths
        self._collected = bool(on_command_line or no_path) if told is None else bool(told)
        base = config.invocation_params.dir
        if not on_command_line and config.inipath is not None:
            base = config.inipath.parent
        self._tests: dict[str, list[tuple[str, Any]]] = {}
        for text in settings(config).inspect_tasks:
            try:
                test = asked_in_text(text, base)
            except ValueError as error:
                raise pytest.UsageError(f"--agent-inspect-task={text} {error}") from None
            suite, name = _place(getattr(test, INSPECT_TASK).task, base, config.rootpath)
            tests = self._tests.setdefault(suite, [])
            same = sum(other == name or other.startswith(f"{name}~") for other, _ in tests)
            tests.append((f"{name}~{same + 1}" if same else name, test))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist whether to collect them."""
        node.workerinput[_COLLECTED] = self._collected

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the modules to what the session collects."""
        report = yield
        if self._collected and isinstance(collector, pytest.Session) and report.passed:
            report.result = [*(report.result or ()), *self._modules(collector)]
        return report

    def _modules(self, session: pytest.Session) -> Iterable[pytest.Module]:
        for suite, tests in self._tests.items():
            root = session.config.rootpath
            path = root / suite if (root / suite).is_file() else root
            if path.is_relative_to(root):
                load_conftests(session, path)  # else even the hooks of the rootdir's conftest would miss its tests
            module: pytest.Module = pytest.Module.from_parent(session, path=path, name=suite, nodeid=suite)
            module.obj = _holding(suite, tests)
            yield module


def _holding(suite: str, tests: Sequence[tuple[str, Any]]) -> ModuleType:
    module = ModuleType(suite)
    for name, test in tests:
        setattr(module, name, test)
    return module


def _place(task: str, base: Path, root: Path) -> tuple[str, str]:
    """The names of suite and test for a task that was named on the command line."""
    home, _, name = task.rpartition("@")
    if not home and task.endswith(".py"):
        home, name = task, Path(task).stem
    if not home:  # a registered name
        home, _, name = task.rpartition("/")
        return home or "inspect", name
    if not home.endswith(".py"):
        return home, name
    path = (base / home).resolve()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix(), name
