"""The hooks of a session that evaluates; registered only if something asked for agent tasks to run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.errors import NotAvailable, NotReady
from pytest_agenteval.judge.exit_status import UNDECIDED
from pytest_agenteval.options.reading import settings
from pytest_agenteval.plugins import load_plugins
from pytest_agenteval.record.records import from_json, to_json
from pytest_agenteval.redaction import secret_values
from pytest_agenteval.report.log_places import log_place
from pytest_agenteval.report.outgoing import clean_report
from pytest_agenteval.report.stalls import StallNotice
from pytest_agenteval.run.output import forgive_libraries, quiet_libraries
from pytest_agenteval.run.whereabouts import short_message
from pytest_agenteval.session.last_failed import LastFailed
from pytest_agenteval.session.reporter import REFUSED, TOLD, Recorder
from pytest_agenteval.session.sigterm import Sigterm
from pytest_agenteval.texts import inert

if TYPE_CHECKING:
    from pytest_agenteval.session.tasks import AgentSession

__all__ = ["Running", "refuse_options"]


def refuse_options(config: pytest.Config) -> None:
    """Refuse options with which no run can begin, whatever its tasks are.

    Raises:
        pytest.UsageError: there is such an option.
    """
    if _reruns(config):
        raise pytest.UsageError(
            "--reruns would run failed attempts until they pass, which biases every estimate: "
            "leave it out (environment errors are retried automatically, see --agent-env-retries)"
        )
    if settings(config).reports.html is not None:
        from pytest_agenteval.report.html import check_installed

        try:
            check_installed()
        except NotReady as error:
            raise pytest.UsageError(inert(str(error))) from None


class Running:
    """Connects pytest's protocol with the agent session, and reports to the recorder."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: AgentSession | None = None
        self._item: pytest.Item | None = None
        self._raised = ""
        """What the last phase of it ended with, in a few words; empty without an exception."""
        self._recorder: Recorder | None = None
        self._sigterm = Sigterm()
        self._announced = not hasattr(config, "workerinput") or config.option.setuponly
        refuse_options(config)
        load_plugins(config.pluginmanager)
        if not hasattr(config, "workerinput"):
            self._recorder = Recorder(config, self._sigterm)
            config.pluginmanager.register(self._recorder, "pytest_agenteval_recorder")
            config.pluginmanager.register(LastFailed(config), "pytest_agenteval_last_failed")

    # -- before anything is spent --------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Read the baseline. With xdist the controller checks what it can: an error in a worker would crash it."""
        asked = settings(self._config)
        if not session.config.option.collectonly:
            self._sigterm.catch()
        if self._recorder is not None and asked.gates.baseline is not None and not session.config.option.collectonly:
            from pytest_agenteval.engine.logs.baseline import read_baseline

            try:
                self._recorder.baseline = read_baseline(asked.gates.baseline, (), asked.agents.setup)
            except NotReady as error:
                raise pytest.UsageError(inert(str(error))) from None
        self._config.add_cleanup(forgive_libraries())
        if getattr(self._config.option, "numprocesses", None):
            self._started(session, [])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Start the evaluation before the first test and end it after the last, in whatever way that comes."""
        items = [item for item in session.items if isinstance(item, AgentItem)]
        option = session.config.option
        runs = not option.collectonly and not getattr(option, "setupplan", False)
        if session.testsfailed and not option.continue_on_collection_errors:
            runs = False  # pytest will not run any test
        if items and runs:
            self._session = self._started(session, items)
        cancel = True
        try:
            result = yield
            cancel = bool(session.shouldfail or session.shouldstop)
            return result
        finally:
            if self._session is not None:
                try:
                    self._session.pump.stop(cancel=cancel)
                finally:  # Ctrl-C again must not make what never started look as if nobody had asked for it
                    if self._recorder is None:
                        problems, notes = self._session.pump.engine.problems, self._session.notes
                        self._config.workeroutput[TOLD] = list(problems), list(notes)  # type: ignore[attr-defined]
                    elif not option.setuponly:
                        with self._sigterm.raising(False):
                            self._recorder.close(self._session, items)

    def _started(self, session: pytest.Session, items: list[AgentItem]) -> AgentSession | None:
        from pytest_agenteval.plan.offered import Offered
        from pytest_agenteval.plan.ready import prepare, start
        from pytest_agenteval.session.tasks import AgentSession

        try:
            with redirect_stdout(StringIO()):  # Inspect prints a greeting, and which images it uses
                offered = Offered.by(self._config.hook)
                started = start(settings(self._config), items, self._config.rootpath, self._say, offered)
                if self._recorder is not None:
                    self._recorder.identity = started.identity
                if not items:
                    return None
                self._choose_baseline(items, started.identity.run)
                agent_session = AgentSession(session, started.evaluation)
                if started.look is not None:
                    agent_session.note(str(started.look))
                self._sigterm.interrupt = agent_session.pump.interrupt
                for line in agent_session.pump.run(prepare(started)):
                    self._say(line)
        except NotReady as error:
            self._refuse(error, session)
        notice = StallNotice.of(started.evaluation, settings(self._config).attempts.stall_notice)
        if notice is not None:
            self._config.add_cleanup(notice.close)
            agent_session.pump.watch(notice.show)
        if self._recorder is not None:
            self._recorder.follow(agent_session, len(items))
        return agent_session

    def _refuse(self, error: NotReady, session: pytest.Session) -> NoReturn:
        """End a session that cannot begin: a usage error, or nobody's fault. A worker leaves that to the controller."""
        text, unavailable = inert(str(error)), isinstance(error, NotAvailable)
        if self._recorder is None:
            session.shouldstop = text  # xdist then stops the other workers, and shows this text
            self._config.workeroutput[REFUSED] = text, unavailable  # type: ignore[attr-defined]
            pytest.exit(text, returncode=UNDECIDED)
        if not unavailable:
            raise pytest.UsageError(text) from None
        self._recorder.refused = error
        pytest.exit(text)  # the recorder sets the status, because pytest shows a summary only for its own ones

    def _choose_baseline(self, items: list[AgentItem], own: str) -> None:
        asked = settings(self._config)
        if self._recorder is not None and asked.gates.baseline is not None:
            from pytest_agenteval.engine.logs.baseline import read_baseline

            wanted = {item.task_name for item in items}
            self._recorder.baseline = read_baseline(asked.gates.baseline, wanted, asked.agents.setup, [own])

    def _say(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(inert(text))

    # -- pytest's protocol -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Arm what can be armed, before pytest's own protocol for the item."""
        self._item = item
        if self._session is not None:
            # pytest restores the filters after each item; the warnings of an ordinary test must stay visible
            quiet_libraries(Warning if isinstance(item, AgentItem) else ResourceWarning)
            self._session.pump.reach(item)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        """Set up wider-scoped async fixtures of agent tasks on the session's loop, whichever async plugin is there."""
        func = fixturedef.func
        asynchronous = inspect.isasyncgenfunction(func) or inspect.iscoroutinefunction(func)
        if asynchronous and isinstance(self._item, AgentItem) and self._session is not None:
            pump = self._session.pump

            def hosted(**arguments: Any) -> Generator[Any, None, None]:
                yield from pump.host(func, arguments)

            fixturedef.func = hosted
        try:
            return (yield)
        finally:
            fixturedef.func = func

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Give the report its record and the attempts' own duration."""
        settled = isinstance(item, AgentItem) and call.when == "call" and item.reported is not None
        self._raised = "" if call.excinfo is None else short_message(call.excinfo.value)
        if isinstance(item, AgentItem) and (settled or call.when != "call"):
            item.settle_xfail()  # the mark is about the agent: fixtures that fail are errors
        report = yield
        if isinstance(item, AgentItem) and settled and item.wasxfail is not None:
            _tell_xfail(report, item.wasxfail, call)
        if isinstance(item, AgentItem):
            attempts = item.reported.attempts if item.reported is not None else ()
            logs = {log_place(attempt.log) for attempt in attempts if attempt.log}
            clean_report(report, secret_values(os.environ), logs)
        if isinstance(item, AgentItem) and call.when == "call" and item.reported is not None:
            report.agenteval = item.reported
            report.agenteval_undecided = call.excinfo is not None and call.excinfo.typename == "Undecided"
            report.duration = max((attempt.wall_seconds for attempt in item.reported.attempts), default=0.0)
            # pytest's own log section holds records of every attempt in flight; each attempt has a section of its own
            report.sections = [(name, text) for name, text in report.sections if name != "Captured log call"]
        if self._session is not None and not self._announced:
            self._announced = True
            report.agenteval_selected, report.agenteval_pid = self._session.announcement(), os.getpid()
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what pytest makes of a task beside its attempts in the logs: the judgement of those must know of it."""
        item = self._item
        if self._session is None or not isinstance(item, AgentItem) or report.nodeid != item.nodeid:
            return
        engine, told = self._session.pump.engine, hasattr(report, "agenteval")
        if report.failed and not (told and item.fails):
            why = "a plugin or conftest.py made it a failure when pytest reported it" if told else self._raised
            engine.note_error(item, f"{report.when} of {item.nodeid}: {why}")
        if report.when != "teardown" and not report.passed and not told and not item.skips:
            engine.set_aside(item, "" if report.failed else f"its {report.when} ended with {self._raised}")

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, report: Any) -> Generator[None, Any, Any]:
        """A report leaves for another process or a file: its records go as JSON types."""
        data = yield
        if data is not None and (record := data.get("agenteval")) is not None:
            data["agenteval"] = to_json(record)
        if data is not None and (selected := data.get("agenteval_selected")) is not None:
            data["agenteval_selected"] = [to_json(record) for record in selected]
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self) -> Generator[None, Any, Any]:
        """A report has come back from another process."""
        report = yield
        if (data := getattr(report, "agenteval", None)) is not None:
            report.agenteval = from_json(data)
        if (selected := getattr(report, "agenteval_selected", None)) is not None:
            report.agenteval_selected = [from_json(data) for data in selected]
        return report

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item) -> bool | None:
        """Disable pytest-timeout: its alarm would hit any attempt in flight, and tasks have their own `time_limit`."""
        if not isinstance(item, AgentItem):
            return None
        item.note(
            "pytest-timeout does not apply to agent tasks: their time_limit does, and grading_time_limit to checks"
        )
        return True

    def pytest_unconfigure(self) -> None:
        """Close the loop, which nothing uses any longer; a SIGTERM need not be waited for now."""
        self._sigterm.release()
        if self._session is not None:
            self._session.pump.close()
            self._session = None


def _tell_xfail(report: pytest.TestReport, reason: str, call: pytest.CallInfo[None]) -> None:
    """Make the report show what the attempts of a task that was expected to fail have settled.

    A pass that another plugin's hook has turned into a failure stays a failure.
    """
    if call.excinfo is not None:
        report.outcome, report.wasxfail = "skipped", reason
    elif report.passed:
        report.wasxfail = reason


def _reruns(config: pytest.Config) -> bool:
    """Whether pytest-rerunfailures would run failed tests again: by its option, forced, or by the ini file."""
    if not hasattr(config.option, "reruns"):
        return False
    asked = [config.option.reruns, getattr(config.option, "force_reruns", None)]  # since 16
    with suppress(ValueError):  # before 11 it had no ini key
        asked.append(config.getini("reruns"))
    return any(int(value or 0) for value in asked)
