"""Agent tasks as pytest items. This is the only file that uses private pytest API.

The private parts are: `Function._fixtureinfo`, `CallSpec` and its `_idlist`, `Session._fixturemanager` (pytest 8:
arguments of overridden fixtures are missing from the closure), `FixtureDef.func/argnames/scope`,
`Metafunc.definition._fixtureinfo`, how pytest reads the marks `skip` and `xfail`, and how it loads the conftest files
of the files it collects.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import _pytest.python
import pytest
from _pytest.skipping import evaluate_skip_marks, evaluate_xfail_marks, xfailed_key

from pytest_agenteval.collect.agent_task import MARK, TaskOptions
from pytest_agenteval.collect.fixture_plan import Definition, FixturePlan
from pytest_agenteval.collect.perturbation import Perturbation
from pytest_agenteval.collect.plays import Plays
from pytest_agenteval.collect.rules import Rule
from pytest_agenteval.collect.unshareable import MARKS, is_foreign, named_by_user, why_soft_checks
from pytest_agenteval.options.reading import settings
from pytest_agenteval.record.digest import digest
from pytest_agenteval.record.perturbed import Perturbed
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.record.stored import StoredTask
from pytest_agenteval.record.task_names import remaining_ids

__all__ = ["AgentItem", "TaskRunner", "is_agent_task", "load_conftests", "needs", "plan_of"]

_COLLECTORS: dict[str, type[pytest.Collector]] = {
    "class": pytest.Class, "module": pytest.Module, "package": pytest.Package}  # fmt: skip
_CALLSPEC: Any = getattr(_pytest.python, "CallSpec", None) or _pytest.python.CallSpec2
"""pytest's own parameters of a test; it was renamed in 9.2."""
_MACHINERY = (f"{Path(__file__).parents[1]}{os.sep}", f"{os.sep}inspect_ai{os.sep}")
SESSION: pytest.StashKey[TaskRunner] = pytest.StashKey()


def plan_of(function: pytest.Function) -> FixturePlan:
    """Read the fixtures of a collected test."""
    info = function._fixtureinfo
    params = dict(function.callspec.params) if hasattr(function, "callspec") else {}
    argnames = tuple(info.argnames)
    named = {*argnames, *(name for mark in function.iter_markers("usefixtures") for name in mark.args)}

    def lookup(name: str) -> Sequence[Any]:
        return function.session._fixturemanager.getfixturedefs(name, function) or ()

    def plan(names: Sequence[str]) -> FixturePlan:
        return FixturePlan.of(info, names, argnames, params, lookup)

    whole, root = plan(info.initialnames), function.config.rootpath
    # Every attempt would set these up, though nobody requested them except the plugin that provides them.
    foreign = [name for name in whole.local if name in info.initialnames and name not in named
               and is_foreign(whole.definitions[name][-1].func, root)]  # fmt: skip
    left_out = [name for name in info.initialnames if name in foreign and plan([name]).not_shared() is not None]
    if not left_out:
        return whole
    return replace(plan([name for name in info.initialnames if name not in left_out]), left_out=tuple(left_out))


def is_agent_task(function: pytest.Function, plan: FixturePlan) -> bool:
    """Whether a test is an agent task, because it uses one of the plugin's own definitions or carries the mark."""
    return plan.uses_ours() or function.get_closest_marker(MARK) is not None


def load_conftests(session: pytest.Session, path: Path) -> None:
    """Make pytest load the conftest files above a file that it does not collect itself."""
    config = session.config
    config.pluginmanager._loadconftestmodules(
        path,
        config.getoption("importmode"),
        rootpath=config.rootpath,
        consider_namespace_packages=config.getini("consider_namespace_packages"),
    )


def needs(metafunc: pytest.Metafunc, name: str) -> bool:
    """Whether a test uses the plugin's own fixture of this name and does not parametrize it itself."""
    definitions = metafunc.definition._fixtureinfo.name2fixturedefs.get(name, ())
    marks = metafunc.definition.iter_markers("parametrize")
    given = any(name in _parametrized(*mark.args, **mark.kwargs) for mark in marks)
    return bool(definitions) and Definition.chain(definitions)[-1].ours and name in metafunc.fixturenames and not given


@lru_cache(maxsize=256)
def _digest_of(function: Callable[..., Any]) -> str:
    """Of its source: the items of a parametrized test ask for the same one."""
    return digest(inspect.getsource(function))


def _with_id(name: str, id: str) -> str:
    """A name or node id with one more id of a parameter."""
    return f"{name[:-1]}-{id}]" if name.endswith("]") else f"{name}[{id}]"


def _parametrized(argnames: str | Sequence[str] = (), *_: Any, **__: Any) -> Sequence[str]:
    return [name.strip() for name in argnames.split(",")] if isinstance(argnames, str) else argnames


class TaskRunner(Protocol):
    """Runs the attempts of a task. It is the session, but the item knows only this much about it."""

    def finish(self, item: AgentItem) -> None:
        """Wait for the task's attempts, then return or raise according to its verdict."""

    def identity(self, item: AgentItem) -> StoredTask | None:
        """The task as it is now, by what defines it; None if pytest skips it."""

    def network(self, item: AgentItem) -> str | None:
        """The network of its sandbox, `none` or `bridge`; None if unknown, or it has no container."""

    def unreported(self, items: Iterable[AgentItem]) -> list[TaskRecord]:
        """Records of tasks that pytest has not reported, whether or not they started."""


class AgentItem(pytest.Function):
    """A test function whose body runs k times; pytest itself sets up only the fixtures that attempts share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plan = plan_of(self)
        self.options = TaskOptions.from_marks(self.iter_markers(MARK))
        self.armed = False
        self.plays: Plays | None = None
        """Scripted attempts that run in place of the solution, each once; None except while a suite is checked."""
        self.perturbation: Perturbation | None = None
        """The variant of the task that it is; None for the base."""
        self.rules: tuple[Rule, ...] = tuple(self.options.rules)
        """Its own, and those of the run once it is prepared."""
        self._function: Callable[..., Any] = self.obj
        """The function that attempts call. pytest-trio later replaces `obj` for pytest's own call."""
        self._refused_marks = [why for name, why in MARKS.items() if self.get_closest_marker(name) is not None]
        """The refused marks of the suite itself. Trio mode later marks every async test, which means nothing here."""
        self.notes: tuple[str, ...] = ()
        """What a reader of its record should know, one sentence each."""
        if self.plan.left_out:
            self.note(self.plan.left_out_note)
        self.reported: TaskRecord | None = None
        """What its attempts came to, once they have ended: makereport attaches it to the call report."""
        self.wasxfail: str | None = None
        """Why it was expected to fail, where its attempts have settled that: it did, or it passed after all."""
        self.fails = False
        """Whether its attempts make it fail: one is broken, or the task's own verdict is FAIL."""
        self.returned: type | None = None
        """The type of a value that its function returned in an attempt."""

    @classmethod
    def of(cls, function: pytest.Function, perturbation: Perturbation | None = None) -> AgentItem:
        """The same test as an agent task, or as one of its variants."""
        callspec, name = getattr(function, "callspec", None), function.name
        if perturbation is not None:  # pytest makes the node id of the ids of parameters
            callspec = _CALLSPEC() if callspec is None else callspec
            callspec = replace(callspec, _idlist=(*callspec._idlist, perturbation.name))
            name = f"{function.originalname}[{callspec.id}]"
        item: AgentItem = cls.from_parent(
            function.parent,
            name=name,
            callspec=callspec,
            callobj=function.obj,
            keywords=function.keywords,
            fixtureinfo=function._fixtureinfo,
            originalname=function.originalname,
        )
        item.perturbation = perturbation
        return item

    def note(self, text: str) -> None:
        """Add a sentence about the task for readers of its record, once."""
        if text not in self.notes:
            self.notes += (text,)

    @property
    def model(self) -> str | None:
        """The model of this item's cell: its parameter, else the run's only model, else None."""
        models = settings(self.config).agents.models
        value = self.plan.params.get("agent_model", models[0] if models else None)
        return value if isinstance(value, str) else None

    @property
    def scaffold(self) -> str | None:
        """The scaffold of this item's cell: its parameter, else the run's only scaffold.

        None for a task that does not use the plugin's own `agent` and does not request `agent_scaffold`. Its agent is
        the suite's own code, and its results must not be mixed with those of a scaffold that never ran.
        """
        if not self.plan.uses_ours("agent", "agent_scaffold"):
            return None
        scaffolds = settings(self.config).agents.scaffolds
        return str(self.plan.params.get("agent_scaffold", scaffolds[0] if scaffolds else "react"))

    @property
    def k(self) -> int:
        """How many attempts there are to be."""
        if self.plays is not None:
            return len(self.plays)
        return settings(self.config).attempts.k if self.perturbation is None else self.perturbation.k

    @property
    def cell(self) -> Cell:
        """The cell that this item belongs to."""
        return Cell(self.model or "none", self.scaffold or "own agent")

    @property
    def task_name(self) -> str:
        """The node id without the parameters that define its cell: the same in all cells and in all runs."""
        return self.base_name if self.perturbation is None else _with_id(self.base_name, self.perturbation.name)

    @property
    def perturbed(self) -> Perturbed | None:
        """Which perturbation of which task it is; None for the base."""
        if self.perturbation is None:
            return None
        return Perturbed(self.perturbation.group, self.perturbation.name, self.base_name, self.k)

    @property
    def base_name(self) -> str:
        """The name of the task that it is a variant of; its own if it is the base."""
        if not hasattr(self, "callspec"):
            return self.nodeid
        of_cell = ["agent_model"] * isinstance(self.plan.params.get("agent_model"), str)
        of_cell += ["agent_scaffold"] * (self.scaffold is not None)
        ids = remaining_ids(
            of_cell,
            self.callspec.params,
            self.callspec._idlist[:-1] if self.perturbation is not None else self.callspec._idlist,
            [_parametrized(*mark.args, **mark.kwargs) for mark in self.iter_markers("parametrize")],
        )
        head = self.nodeid.removesuffix(f"[{self.callspec.id}]")
        return f"{head}[{'-'.join(ids)}]" if ids else head

    @property
    def source(self) -> str | None:
        """A digest of the test function's source, with its decorators; None if there is no source to read."""
        try:
            return _digest_of(getattr(self.obj, "__func__", self.obj))
        except (OSError, TypeError):
            return None

    @cached_property
    def _xfail(self) -> Any:
        """The mark `xfail` that applies, or None. It is decided when the run begins, because the log records it too."""
        try:
            return None if self.config.option.runxfail else evaluate_xfail_marks(self)
        except pytest.fail.Exception:  # the condition cannot be evaluated; pytest reports that when it runs the item
            return None

    @property
    def expects_failure(self) -> bool:
        """Whether a mark `xfail` applies."""
        return self._xfail is not None

    @property
    def strict(self) -> bool:
        """Whether passing is a failure when it is expected to fail."""
        return self._xfail is not None and bool(self._xfail.strict)

    @property
    def xfail_reason(self) -> str:
        """The reason in the mark `xfail`; empty without a mark."""
        return "" if self._xfail is None else str(self._xfail.reason)

    def forgives(self, error: BaseException | None) -> bool:
        """Whether the mark `xfail` accepts this exception; None means a failure without an exception."""
        raises = None if self._xfail is None else self._xfail.raises
        if raises is None or isinstance(raises, type | tuple):
            return raises is None or isinstance(error, raises)
        return error is not None and bool(raises.matches(error))

    def settle_xfail(self) -> None:
        """Keep pytest's own verdict about `xfail` out of the report, because the attempts have settled it."""
        self.stash[xfailed_key] = None

    def add_marker(self, marker: str | pytest.MarkDecorator, append: bool = True) -> None:
        """As in pytest, but `xfail` must be added before the run begins.

        Raises:
            pytest.fail.Exception: it is added later, for example by a fixture. It would apply to all attempts,
                including those that have ended, and the log would not show it.
        """
        name = marker if isinstance(marker, str) else marker.name
        if name == "xfail" and "_xfail" in self.__dict__:
            pytest.fail(
                f"the mark xfail was added to {self.name} after the run had begun: put it on the test, add it in "
                "pytest_collection_modifyitems, or call pytest.xfail() in the body for one attempt",
                pytrace=False,
            )
        super().add_marker(marker, append)

    @property
    def skips(self) -> bool:
        """Whether it is known before any set-up that nothing will run: by marks, or as a variant for trio."""
        if self._xfail is not None and not self._xfail.run:
            return True
        try:
            return self._for_trio or evaluate_skip_marks(self) is not None
        except pytest.fail.Exception:  # the condition cannot be evaluated; pytest reports that when it runs the item
            return False

    @property
    def _for_trio(self) -> bool:
        return "trio" in str(self.plan.params.get("anyio_backend", ""))

    @property
    def anchors(self) -> set[pytest.Item | pytest.Collector]:
        """Collectors that must stay set up while attempts run. Class scope outside a class ends with the test."""
        scopes = {self.plan.definitions[name][-1].scope for name in self.plan.shared}
        found = {scope: self.getparent(_COLLECTORS[scope]) for scope in scopes & _COLLECTORS.keys()}
        return {node or self for scope, node in found.items() if node is not None or scope == "class"}

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
        """Only the frames of the suite: the code that runs attempts and sandboxes does not explain a failure."""
        found = super()._traceback_filter(excinfo)
        kept = found.filter(lambda entry: not any(part in str(entry.path) for part in _MACHINERY))
        return kept or type(found)(found[-1:])

    def setup(self) -> None:
        """Refuse what cannot be evaluated, then set up the shared fixtures.

        Raises:
            pytest.skip.Exception: nothing asked for agent tasks to run, or the task is a variant for trio.
            pytest.fail.Exception: the task uses something that attempts cannot share, or would be rerun until it
                passes.
        """
        options = settings(self.config)
        if not options.active:
            pytest.skip("agent task: runs only with --agent-model, --k or --agent-run")
        if self._for_trio:
            pytest.skip("agent task: runs on asyncio, not on trio")
        if reason := self._why_refused(options.attempts.unsafe_fixtures):
            pytest.fail(reason, pytrace=False)
        self.fixturenames = list(self.plan.shared)
        super().setup()
        self._function = self.obj

    def _why_refused(self, listed: Sequence[str]) -> str | None:
        """Why attempts cannot run: what they cannot share, fixtures that the user listed, soft checks, reruns."""
        plan = self.plan
        by_user = [name for name in (*plan.local, *plan.shared, *plan.left_out) if name in listed]
        reasons = [*self._refused_marks, *(named_by_user(name, plan.wanted_by(name)) for name in by_user)]
        if reason := next(iter(reasons), None) or plan.not_shared():
            return reason
        fixtures = (plan.definitions[name][-1].func for name in plan.local)
        if reason := why_soft_checks(inspect.unwrap(getattr(self.obj, "__func__", self.obj)), fixtures):
            return reason
        if self.get_closest_marker("flaky") and hasattr(self.config.option, "reruns"):
            return (
                f"the mark flaky would run {self.name} until it passes, which biases every estimate: leave it out "
                "(environment errors are retried automatically, see --agent-env-retries)"
            )
        return None

    @property
    def warning_filters(self) -> list[tuple[Any, ...]]:
        """The filters in the task's filterwarnings marks."""
        return [mark.args for mark in self.iter_markers("filterwarnings")]

    def runtest(self) -> None:
        """Wait for this task's attempts, while all others go on, and raise according to the task's verdict."""
        self.config.stash[SESSION].finish(self)

    def body(self) -> tuple[Callable[..., Any], object | None]:
        """The test function for one attempt, with its own instance of the test class."""
        if isinstance(self.parent, pytest.Class):
            instance: object = self.parent.newinstance()  # type: ignore[no-untyped-call]
            return getattr(instance, self.originalname), instance
        return self._function, None

    @property
    def asynchronous(self) -> bool:
        """Whether the body is a coroutine function."""
        return inspect.iscoroutinefunction(self._function)
