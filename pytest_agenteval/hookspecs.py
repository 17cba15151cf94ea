"""The hooks of pytest-agenteval: what another package or a `conftest.py` can add to a run and to its reports.

Write a function with the name and any of the arguments of a hook. In a `conftest.py` that is enough, for runs of
pytest. A package that should also work with the console script names its module in the entry point group
`pytest_agenteval`:

    [project.entry-points.pytest_agenteval]
    my_reports = "my_package.reports"

pytest loads this module at each start, so it imports pluggy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from pytest_agenteval.engine.sandboxes.offered import OfferedSandbox
    from pytest_agenteval.judge.judgement import Judgement
    from pytest_agenteval.money.rates import PriceBook
    from pytest_agenteval.record.records import AttemptRecord, Cell
    from pytest_agenteval.report.writer import ReportRequest, ReportSection, Writer

__all__ = [
    "pytest_agenteval_attempt_finished",
    "pytest_agenteval_exports",
    "pytest_agenteval_prices",
    "pytest_agenteval_report_sections",
    "pytest_agenteval_report_writers",
    "pytest_agenteval_run_judged",
    "pytest_agenteval_sandbox_providers",
    "pytest_agenteval_scaffolds",
]

hookspec = pluggy.HookspecMarker("pytest")


@hookspec
def pytest_agenteval_prices() -> PriceBook | None:
    """Other sources of prices, used after the user's own file and before the built-in sources.

    Called once, before anything is spent.
    """


@hookspec
def pytest_agenteval_scaffolds() -> Mapping[str, Any] | None:
    """Scaffolds by the names that `--agent-scaffold` takes: anything that `module:attribute` may stand for.

    That is one of Inspect's agents, `async def agent(task, context)`, a `SandboxAgent`, or a factory of one of these.
    Called once, before anything is spent. If Inspect knows the same name, the plugin's wins.
    """


@hookspec
def pytest_agenteval_sandbox_providers() -> Mapping[str, OfferedSandbox] | None:
    """Sandboxes by the names that `--agent-sandbox` takes besides `docker` and `local`: Inspect's providers.

    Called once, before anything is spent.
    """


@hookspec
def pytest_agenteval_attempt_finished(task: str, cell: Cell, attempt: AttemptRecord) -> None:
    """An attempt has ended and is in its log.

    Called in the process that ran it (a worker with xdist), on the event loop, so return quickly. It is also called for
    attempts taken over from earlier runs; they have `attempt.reused` set. An exception becomes a note in the report.

    Args:
        task: pytest's node id.
        cell: the model and the scaffold.
        attempt: the record of the attempt. Not redacted.
    """


@hookspec
def pytest_agenteval_run_judged(judgement: Judgement) -> None:
    """The run is over and judged; nothing can change the verdict any more.

    Called once, in the process that judges, and by `pytest-agenteval report`. An exception becomes a line of the
    report.

    Args:
        judgement: records, summaries, verdicts and exit status. Not redacted.
    """


@hookspec
def pytest_agenteval_report_sections(judgement: Judgement) -> Sequence[ReportSection] | None:
    """Sections below the report on the terminal, in the Markdown reports and on the HTML page.

    Args:
        judgement: as reported, without secrets.
    """


@hookspec
def pytest_agenteval_report_writers(request: ReportRequest) -> Sequence[Writer] | None:
    """Write files when the run is judged. A file that cannot be written causes a warning and never changes the verdict.

    Args:
        request: what to report, and which files the user asked for.
    """


@hookspec
def pytest_agenteval_exports(formats: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add formats to `pytest-agenteval export`: one parser each, with `set_defaults(run=function)`.

    The function takes the parsed arguments and returns the exit status.
    """
