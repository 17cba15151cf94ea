"""The pytest plugin that plays: every task by its list of plays, in one session and one eval; notes go to a file.

Which plays, the request says: a JSON file that an environment variable names.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.check.collected import played_of, steps_of, task_of
from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.player import Player
from pytest_agenteval.check.plays import Level, Play, base_plays
from pytest_agenteval.check.store import PlayStore, key_of, mode_of
from pytest_agenteval.collect.items import SESSION, AgentItem
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.options.perturbations import Asked, perturbation
from pytest_agenteval.options.reading import defaults, given, settings
from pytest_agenteval.options.settings import settings_of
from pytest_agenteval.options.table import SETTINGS
from pytest_agenteval.record.records import AttemptRecord, TaskRecord
from pytest_agenteval.record.stored import MOST_K

__all__ = ["VARIABLE", "Notes", "Request", "read", "write"]

VARIABLE = "PYTEST_AGENTEVAL_CHECK_REQUEST"
"""The environment variable `FD:FILE`: a pipe whose other end the check holds, and the file with the request."""
_ORACLE = "agenteval/oracle"
_DEFAULT_SCAFFOLD = "react"
_JUDGES = ("judge", "grader")
"""Roles by which checkers ask for a judge; `grader` is that of Inspect's own scorers."""

_KEPT = {"rules", "sandbox", "sandbox_default", "concurrency", "env_retries", "log_dir", "unsafe_fixtures"}
"""Settings that apply here too. Other settings in the ini file and `addopts` are meant for runs of real models."""

_WITH_FILES = ("lfplugin", "nfplugin", "stepwiseplugin")
"""pytest's plugins that remember failures: a check must not change what `--lf` runs next."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one session is to play."""

    level: Level
    plays: Mapping[str, tuple[Play, ...]] | None = None
    """By task; None means the base plays of every task, and tasks that are not named are left out."""
    one_by_one: bool = False
    """Whether plays must not overlap."""
    fresh: bool = False
    """Whether to play everything again, also what is stored."""
    offline: bool = False
    """Whether sandboxes have no network, whatever their tasks ask for."""
    scaffold: str | None = None
    """The scaffold of the plugin's own agent; None is the default one."""
    judge: str | None = None
    """The model of all roles beside the agent's; None for none, so that nothing costs money."""
    max_cost: float | None = None
    """What the judge may cost, in US dollars."""
    identities: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    """What tasks are stored under, by name, where the session changes what they are: without network, for example."""
    notes: str = ""
    """The file to write to."""
    told: str = ""
    """The file that says how many plays have ended, and how many there are."""

    @property
    def mode(self) -> str:
        """How it is played, as far as stored plays must agree in it."""
        how = ["offline"] if self.offline else []
        how += [f"scaffold {self.scaffold}"] if self.scaffold is not None else []
        how += [f"judge {self.judge}"] if self.judge is not None else []
        return mode_of(self.level, *how, one_by_one=self.one_by_one)

    @property
    def reads_states(self) -> bool:
        """Whether the states of sandboxes are read."""
        return self.level is not Level.QUICK


@dataclass(frozen=True, slots=True)
class Notes:
    """What one session saw."""

    root: str
    """pytest's rootdir."""
    tasks: tuple[Task, ...] = ()
    gates: GateSettings | None = None
    """The gates on pass rates in the ini file or on the command line, if there are any."""
    k: int = 1
    """How many attempts they are to judge."""
    store: str | None = None
    """The folder of stored plays; None where plays are not stored."""
    scaffolds: tuple[str, ...] = ()
    """Those that runs of real models would use beside the default one."""


def write(path: str | Path, value: Request | Notes) -> None:
    """Write a value as JSON."""
    from pydantic import TypeAdapter

    Path(path).write_bytes(TypeAdapter(type(value)).dump_json(value))


def read(path: str | Path, kind: type[Any]) -> Any:
    """Read a value of a kind that :func:`write` wrote."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_json(Path(path).read_bytes())


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Fix the settings before anything reads them."""
    lives, _, file = os.environ[VARIABLE].partition(":")
    _end_with(int(lives))
    request: Request = read(file, Request)
    option = config.option
    roles = [] if request.judge is None else [*_JUDGES, *(name for name, _ in given(config)["roles"])]
    scaffolds = tuple(name for name in given(config)["scaffolds"] if name != _DEFAULT_SCAFFOLD)
    gates, k = _gates(config)
    for key in set(defaults()).difference(_KEPT):
        setattr(option, f"agenteval_{key}", None)
    option.agenteval_models, option.agenteval_k = [_ORACLE], "1"
    option.maxfail, option.continue_on_collection_errors, option.xmlpath = 0, False, None
    if hasattr(option, "numprocesses"):  # xdist's processes would each know only a part
        option.numprocesses, option.dist, option.tx = None, "no", []
    asked, plain = settings(config), settings_of(defaults(), active=True)  # the ini file may set the first
    attempts = asked.attempts
    config.stash[SETTINGS] = plain._replace(
        agents=plain.agents._replace(
            models=asked.agents.models,
            rules=asked.agents.rules,
            scaffolds=() if request.scaffold is None else (request.scaffold,),
            roles=tuple((role, request.judge) for role in dict.fromkeys(roles) if request.judge is not None),
        ),
        money=plain.money._replace(
            max_cost=request.max_cost, prices=None if request.judge is None else given(config)["prices"]
        ),
        perturb=plain.perturb._replace(asked=_variants(request.level), k=MOST_K, unreviewed=True),
        attempts=plain.attempts._replace(
            k=attempts.k,
            holdout=True,
            concurrency=1 if request.one_by_one else attempts.concurrency,
            env_retries=attempts.env_retries,
            unsafe_fixtures=attempts.unsafe_fixtures,
        ),
        store=plain.store._replace(log_dir=f"{asked.store.log_dir}/check"),
        sandboxes=plain.sandboxes._replace(kind=asked.sandboxes.kind, default=asked.sandboxes.default),
    )
    empty = Notes(str(config.rootpath), gates=gates, k=k, scaffolds=scaffolds)
    config.pluginmanager.register(_Players(request, empty), "pytest_agenteval_check_players")


def _end_with(lives: int) -> None:
    """End this session as SIGTERM does when the check has ended, in whatever way, and its end of the pipe is closed."""
    os.set_inheritable(lives, False)

    def wait() -> None:
        os.read(lives, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="the check lives", daemon=True).start()


def _gates(config: pytest.Config) -> tuple[GateSettings | None, int]:
    """The gates that a run of real models would have, and its k."""
    asked = given(config)
    gates = GateSettings(
        min_pass_at_1=asked["min_pass_at_1"],
        min_pass_k=asked["min_pass_k"],
        confidence=asked["confidence"] if asked["gate_mode"] == "confidence" else None,
    )
    return (gates if gates.suite_gate else None), asked["k"]


def _variants(level: Level) -> tuple[Asked, ...]:
    """The variants that are played as well: those that a test or a file declares, and, in depth, other surroundings."""
    names = ["prompts", "author", *(["timezone", "locale"] if level is Level.DEEP else [])]
    return tuple(map(perturbation, names))


class _Players:
    """Gives every task its plays, and keeps what came of them."""

    def __init__(self, request: Request, empty: Notes) -> None:
        self._request, self._empty = request, empty
        self._ended: set[tuple[str, int]] = set()
        """The plays that have ended: task and number."""
        self._tasks: dict[str, Task] = {}
        self._asked: dict[str, tuple[Play, ...]] = {}
        self._players: dict[str, Player] = {}
        self._records: dict[str, TaskRecord] = {}
        self._skips: dict[str, str] = {}
        self._troubles: dict[str, str] = {}
        self._root = ""
        self._store: PlayStore | None = None
        self._known: dict[str, dict[str, Played]] = {}
        """Stored plays, by node id and key."""
        self._identities: dict[str, Mapping[str, str]] = {}
        self._networks: dict[str, str | None] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Unregister what writes files of its own."""
        self._root = str(session.config.rootpath)
        manager = session.config.pluginmanager
        for plugin in filter(None, map(manager.get_plugin, _WITH_FILES)):
            manager.unregister(plugin)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Agent tasks of the scripted model only, because a task that names its own model would spend money."""
        tasks = [item for item in items if isinstance(item, AgentItem)]
        phrases = sorted({item.options.answer for item in tasks if item.options.answer})
        chosen = []
        for item in tasks:
            plays = self._plays(item, phrases)
            if plays is None:
                continue
            self._tasks[item.nodeid] = task_of(item, settings(config).sandboxes.default)
            if item.model != _ORACLE:
                self._troubles[item.nodeid] = "it names its own agent_model"
                continue
            self._asked[item.nodeid] = plays
            item.plays = self._players[item.nodeid] = Player(
                plays,
                states=self._request.reads_states,
                on_host=settings(config).sandboxes.kind == "local",
            )
            chosen.append(item)
        most = max((item.k for item in chosen), default=1)
        asked = settings(config)
        config.stash[SETTINGS] = asked._replace(attempts=asked.attempts._replace(k=most))
        if self._request.offline:
            for item in chosen:
                item.options = replace(item.options, network="none")
        config.hook.pytest_deselected(items=_others(items, chosen))
        items[:] = chosen

    def _plays(self, item: AgentItem, phrases: Iterable[str]) -> tuple[Play, ...] | None:
        if self._request.plays is not None:
            return self._request.plays.get(item.task_name)
        steps = steps_of(item)
        # of a variant it is asked only whether the solution passes and doing nothing does not
        level = self._request.level if item.perturbation is None else Level.QUICK
        return tuple(base_plays(steps, item.options.answer, level, phrases))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Leave out plays that are stored. The evaluation has begun: only now it is known what defines each task."""
        place = settings(session.config).store.log_dir
        running = session.config.stash.get(SESSION, None)
        if "://" in place or running is None:
            return
        self._store = PlayStore(Path(place).absolute() / "plays")
        for item in [item for item in session.items if isinstance(item, AgentItem)]:
            self._networks[item.nodeid] = running.network(item)
            stored = running.identity(item)
            if stored is None or stored.doubts:
                continue
            identity = self._request.identities.get(item.task_name, stored.identity)
            if identity is not None:
                self._identities[item.nodeid] = identity
                self._take(item, session)
        self._tell()

    def _take(self, item: AgentItem, session: pytest.Session) -> None:
        player, mode = self._players[item.nodeid], self._request.mode
        assert self._store is not None
        if self._request.fresh:
            return
        known = self._store.known(item.task_name, self._identities[item.nodeid], mode)
        open_ = [play for play in player.plays if key_of(play) not in known]
        if self._request.one_by_one and open_:
            return  # each of them depends on those before it
        self._known[item.nodeid] = known
        if open_:
            player.plays = tuple(open_)
        else:
            session.items.remove(item)
            self._players[item.nodeid] = Player((), states=False, on_host=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record, or the reason why there is none."""
        record = getattr(report, "agenteval", None)
        if record is not None:
            self._records[report.nodeid] = record
        if hasattr(report, "wasxfail"):
            self._skips[report.nodeid] = f"xfail {report.wasxfail}".strip()
        elif report.skipped and record is None:
            self._skips[report.nodeid] = _skip_reason(report)
        elif record is not None and record.skipped:
            self._skips[report.nodeid] = record.attempts[0].message.removeprefix("Skipped: ")
        elif report.failed and record is None:
            self._troubles[report.nodeid] = f"{report.when}: {_crash(report)}"
        if record is not None:
            self._keep(report.nodeid)

    def pytest_agenteval_attempt_finished(self, task: str, attempt: AttemptRecord) -> None:
        """Count the plays that have ended."""
        self._ended.add((task, attempt.number))
        self._tell()

    def _tell(self) -> None:
        of = sum(map(len, self._players.values()))
        Path(self._request.told).write_text(f"{len(self._ended)} {of}", "utf-8")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the file. A session that was stopped has plays of tasks that pytest has not reported."""
        running = session.config.stash.get(SESSION, None)
        left = [item for item in session.items if isinstance(item, AgentItem) and item.nodeid not in self._records]
        for record in running.unreported(left) if running is not None else ():
            if record.task not in {*self._skips, *self._troubles}:
                self._records[record.task] = record
                self._keep(record.task)
        store = None if self._store is None else str(self._store.folder)
        tasks = tuple(self._told(nodeid, task) for nodeid, task in self._tasks.items())
        write(self._request.notes, replace(self._empty, root=self._root, tasks=tasks, store=store))

    def _made(self, nodeid: str) -> list[Played]:
        record, player = self._records.get(nodeid), self._players.get(nodeid)
        attempts = {attempt.number: attempt for attempt in record.attempts} if record is not None else {}
        return [played_of(player, number, attempts.get(number)) for number in range(1, len(player or ()) + 1) if player]

    def _keep(self, nodeid: str) -> None:
        if self._store is not None and nodeid in self._identities:
            name = self._tasks[nodeid].name
            self._store.keep(name, self._identities[nodeid], self._request.mode, self._made(nodeid))

    def _told(self, nodeid: str, task: Task) -> Task:
        made = self._made(nodeid)
        every = {**self._known.get(nodeid, {}), **{key_of(each.play): each for each in made}}
        plays = tuple(every[key_of(play)] for play in self._asked.get(nodeid, ()))
        task = replace(task, identity=self._identities.get(nodeid), network=self._networks.get(nodeid))
        return replace(task, skip=self._skips.get(nodeid), trouble=self._troubles.get(nodeid), plays=plays)


def _others(items: Iterable[pytest.Item], chosen: Iterable[pytest.Item]) -> list[pytest.Item]:
    kept = set(chosen)
    return [item for item in items if item not in kept]


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return str(reason).removeprefix("Skipped: ")


def _crash(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", None) or report.longreprtext)
