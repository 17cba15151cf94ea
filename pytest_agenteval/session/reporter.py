"""Collects the records of all tasks in the one process that judges, and turns them into verdicts and exit status."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agenteval.collect.fixtures import LOOKALIKES
from pytest_agenteval.collect.holdout import PLUGIN as HOLDOUT
from pytest_agenteval.collect.shards import PLUGIN as SHARDING
from pytest_agenteval.errors import NotAvailable, NotReady
from pytest_agenteval.options.reading import settings
from pytest_agenteval.options.values import EarlyStop

if TYPE_CHECKING:
    from pytest_agenteval.collect.holdout import Holdout
    from pytest_agenteval.collect.items import AgentItem
    from pytest_agenteval.collect.shards import Sharding
    from pytest_agenteval.judge.judgement import JudgedTask, Judgement
    from pytest_agenteval.record.history import EarlierRun
    from pytest_agenteval.record.records import TaskRecord
    from pytest_agenteval.record.run_identity import RunIdentity
    from pytest_agenteval.report.writer import ReportRequest
    from pytest_agenteval.session.sigterm import Sigterm
    from pytest_agenteval.session.tasks import AgentSession

__all__ = ["REFUSED", "TOLD", "Recorder"]

REFUSED = "agenteval_refused"
"""Under this name an xdist worker tells why it did not begin, and whether something was not there."""
TOLD = "agenteval_told"
"""Under this name an xdist worker tells what went wrong with its evaluation, and its notes."""

_ANNOTATES_FAILURES = ("pytest_github_actions_annotate_failures", "pytest_github_actions_annotate_failures.plugin")
"""The plugin that annotates each failed test on GitHub, by the name of its entry point and by that of `-p`."""
_TASKS_TOLD = 20
"""How many measured or undecided tasks are shown attempt by attempt."""
_NAME = 300
"""How many characters of a task's name are shown."""


class Recorder:
    """pytest's reporting hooks: what each task shows, and what the session shows at its end."""

    def __init__(self, config: pytest.Config, sigterm: Sigterm) -> None:
        self._config, self._sigterm = config, sigterm
        self._records: list[TaskRecord] = []
        self._failed_tasks: set[str] = set()
        self._untold: list[TaskRecord] = []
        self._reported: set[str] = set()
        self._announced: dict[str, TaskRecord] = {}
        """By node id, the tasks that workers have to run."""
        self._ordinary_failures = 0
        self._deselected = 0
        self._notes: list[str] = []
        self._incomplete: list[str] = []
        self._selected = 0
        self._judged: Sequence[JudgedTask] = ()
        self._judgement: Judgement | None = None
        self._written: list[str] = []
        self._request: ReportRequest | None = None
        self._junit = _junit_file(config)
        self.baseline: EarlierRun | None = None
        """The run that `--agent-baseline` names."""
        self.identity: RunIdentity | None = None
        """What the run is called, once it is known that it can begin."""
        self.refused: NotReady | None = None
        """Why no task began."""

    def follow(self, session: AgentSession, tasks: int) -> None:
        """Show the live line of a session."""
        from pytest_agenteval.report.live import LiveLine

        line = LiveLine.of(self._config, session, tasks)
        if line is not None:
            session.pump.watch(line.show)

    def close(self, session: AgentSession, items: Iterable[AgentItem]) -> None:
        """After the last test of this process, add the tasks that pytest has not reported."""
        recorded = {record.task for record in self._records}
        left = [
            item
            for item in items
            if item.nodeid not in recorded and (item.nodeid not in self._reported or session.pump.has_run(item))
        ]
        self._records += session.unreported(left)
        self._judged = session.judged
        self._incomplete += session.pump.engine.problems
        self._notes += session.notes

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the agent tasks that were collected and then deselected."""
        from pytest_agenteval.collect.items import AgentItem

        self._deselected += sum(isinstance(item, AgentItem) for item in items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count agent tasks that were selected."""
        from pytest_agenteval.collect.items import AgentItem

        self._selected = sum(isinstance(item, AgentItem) for item in session.items)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take the record off a report, from this process or from an xdist worker."""
        record: TaskRecord | None = getattr(report, "agenteval", None)
        if record is not None or report.when == "call" or (report.when == "setup" and not report.passed):
            self._reported.add(report.nodeid)
        if (selected := getattr(report, "agenteval_selected", None)) is not None:
            self._announced.update((record.task, record) for record in selected)  # all workers say the same
            if report.node.gateway.spec.popen:  # on this machine
                self._sigterm.workers[report.node] = report.agenteval_pid  # xdist alone leaves it no time to clean up
        if record is not None:
            self._records.append(record)
            if report.failed:
                self._failed_tasks.add(record.task)
            elif not hasattr(report, "wasxfail"):
                self._untold.append(record)
        elif report.failed:
            self._ordinary_failures += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """An xdist worker has ended, perhaps before it began."""
        self._sigterm.workers.pop(node, None)
        output = getattr(node, "workeroutput", {})
        if (told := output.get(REFUSED)) is not None:
            self.refused = (NotAvailable if told[1] else NotReady)(told[0])
        problems, notes = output.get(TOLD, ((), ()))
        self._incomplete += problems
        self._notes += [note for note in notes if note not in self._notes]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a suite that cannot be collected as a failure."""
        self._ordinary_failures += report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """`.` passed, `F` failed, `~` measured, `?` undecided, `-` decided; with c/n in verbose mode."""
        record: TaskRecord | None = getattr(report, "agenteval", None)
        if record is None or hasattr(report, "wasxfail"):
            return None
        passes, n = record.passes, record.n
        if report.agenteval_undecided:
            return "undecided", "?", (f"UNDECIDED {passes}/{n}", {"yellow": True})
        if record.not_needed:
            return "decided", "-", "DECIDED"
        if report.skipped:
            return None
        if report.passed and passes < len(record.attempts):
            return "measured", "~", (f"MEASURED {passes}/{n}", {"yellow": True})
        return report.outcome, "." if report.passed else "F", f"{report.outcome.upper()} {passes}/{n}"

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Judge, and set the exit status. Then, after all other plugins have written their files, write the reports."""
        if not session.config.option.collectonly:
            with self._sigterm.raising(False):
                self._judge(session)
        try:
            with self._sigterm.raising(True):  # what others do at the end may hang
                return (yield)
        finally:
            if self._judgement is not None:
                with self._sigterm.raising(False):
                    self._publish(self._judgement)

    def _judge(self, session: pytest.Session) -> None:
        from pytest_agenteval.judge import GateSettings
        from pytest_agenteval.judge.judgement import PytestSaid, judge_run
        from pytest_agenteval.plan.gates import counterpart, gate_settings
        from pytest_agenteval.record.reuse import reuse_note, without_outdated

        asked = settings(self._config)
        self._take_announced()
        records, outdated = without_outdated(self._records)
        reused = reuse_note(records)
        self._notes += [*([reused] if reused else []), *outdated]
        sharding: Sharding | None = self._config.pluginmanager.get_plugin(SHARDING)
        if sharding is not None:
            self._notes.append(sharding.note)
        holdout: Holdout | None = self._config.pluginmanager.get_plugin(HOLDOUT)
        if holdout is not None and holdout.note is not None:
            self._notes.append(holdout.note)
        if lookalikes := self._config.stash.get(LOOKALIKES, []):
            self._notes.append(
                f"{len(lookalikes)} ordinary tests use a fixture `agent` that is not pytest-agenteval's; "
                "the mark agent_task would make them agent tasks"
            )
        self._judgement = judge_run(
            records,
            gate_settings(asked) if sharding is None or not sharding.without_tasks else GateSettings(),
            identity=self._named(records),
            baseline=self.baseline,
            beside=counterpart(asked),
            elsewhere=() if sharding is None else sharding.elsewhere,
            every_first=asked.attempts.early_stop is EarlyStop.EXACT_FIRST,
            incomplete=(
                *self._incomplete,
                *([str(self.refused).rstrip(".")] if isinstance(self.refused, NotAvailable) else []),
            ),
            said=PytestSaid(self._status(session), self._ordinary_failures, self._failed_tasks),
            judged=self._judged,
            profile=asked.reports.profile,
        )
        session.exitstatus = self._judgement.status.code

    def _named(self, records: Sequence[TaskRecord]) -> RunIdentity | None:
        """Without a name from outside, xdist's workers have named the run."""
        if self.identity is None or self.identity.named:
            return self.identity
        runs = (attempt.run for record in records for attempt in record.attempts if not attempt.reused)
        return replace(self.identity, run=next(filter(None, runs), self.identity.run))

    def _status(self, session: pytest.Session) -> int:
        """With what pytest would end; how it was stopped where nothing began says nothing."""
        from pytest_agenteval.judge.exit_status import INTERRUPTED, OK, TERMINATED, USAGE_ERROR

        if self._sigterm.came and session.exitstatus == INTERRUPTED:
            return TERMINATED
        if self.refused is None:
            return int(session.exitstatus)
        return OK if isinstance(self.refused, NotAvailable) else USAGE_ERROR

    def _take_announced(self) -> None:
        self._records += [record for task, record in self._announced.items() if task not in self._reported]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the report."""
        if self._request is None:
            return
        from pytest_agenteval.report.outgoing import without_secrets
        from pytest_agenteval.report.terminal import report_lines

        self._untold = without_secrets(self._untold, self._request.secrets)
        self._tell(terminalreporter)
        collected = self._selected + self._deselected
        terminalreporter.section("agent evaluation")
        for line in report_lines(
            self._request.judgement,
            width=self._config.get_terminal_writer().fullwidth,
            selected=(self._selected, collected) if self._deselected else None,
            notes=self._request.notes,
            sections=self._request.sections,
        ):
            terminalreporter.write_line(line.text, **line.markup)
        for text in self._written:  # including workflow commands, which are meant to be printed
            terminalreporter.write_line(text)

    def _publish(self, judgement: Judgement) -> None:
        """Write everything that does not go to the terminal, and note there how that went."""
        from pytest_agenteval.report.files import amend_junit, report_request, write_reports

        asked, plugins = settings(self._config), self._config.pluginmanager
        self._request = report_request(plugins, judgement, self._notes, asked.reports.by_option)
        self._written = write_reports(
            plugins,
            self._request,
            root=self._config.rootpath,
            failures_told=any(map(self._config.pluginmanager.hasplugin, _ANNOTATES_FAILURES)),
        )
        if self._junit is not None:
            self._written += amend_junit(self._junit, judgement)

    def _tell(self, terminalreporter: Any) -> None:
        """Why attempts did not pass, for tasks that are measured or undecided: pytest shows only failed ones."""
        from pytest_agenteval.report.terminal import failure_lines
        from pytest_agenteval.texts import inert, shortened

        told = [(record, lines) for record in self._untold if (lines := failure_lines(record))]
        if not told or self._config.option.verbose < 0:
            return
        terminalreporter.section("attempts that did not pass")
        for record, lines in told[:_TASKS_TOLD]:
            terminalreporter.write_line(inert(shortened(record.task, _NAME)), bold=True)
            for line in lines:
                terminalreporter.write_line(f"  {line.text}", **line.markup)
        if len(told) > _TASKS_TOLD:
            terminalreporter.write_line(f"and {len(told) - _TASKS_TOLD} more tasks: see the logs")


def _junit_file(config: pytest.Config) -> Path | None:
    """The JUnit file that pytest will write, read from its option in the way that pytest reads it."""
    given = getattr(config.option, "xmlpath", None)
    return Path(os.path.expandvars(given)).expanduser().absolute() if given else None
