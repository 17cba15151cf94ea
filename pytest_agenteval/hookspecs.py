"""The hooks of pytest-agenteval: what another package or a `conftest.py` can add to a run and to its reports.

Write a function with the name and any of the arguments of a hook. In a `conftest.py` that is all, for runs of pytest. A
package that shall work under the console script as well names its module in the entry point group `pytest_agenteval`:

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
    """Where else prices are looked up: after the user's own file, before the built-in sources.

    Called once, before anything is spent.
    """


@hookspec
def pytest_agenteval_scaffolds() -> Mapping[str, Any] | None:
    """Scaffolds by the names that `--agent-scaffold` takes: what `module:attribute` may stand for.

    That is an agent of Inspect's, `async def agent(task, context)`, a `SandboxAgent`, or a factory of one of these.
    Called once, before anything is spent; a name that Inspect knows as well means the plugin's.
    """


@hookspec
def pytest_agenteval_sandbox_providers() -> Mapping[str, OfferedSandbox] | None:
    """Sandboxes by the names that `--agent-sandbox` takes beside `docker` and `local`: providers of Inspect's registry.

    Called once, before anything is spent.
    """


@hookspec
def pytest_agenteval_attempt_finished(task: str, cell: Cell, attempt: AttemptRecord) -> None:
    """An attempt has ended and is in its log.

    Called in the process that ran it (with xdist a worker), on the event loop: return quickly. Attempts taken over from
    earlier runs are told as well; `attempt.reused` says so. What it raises becomes a note in the report.

    Args:
        task: pytest's node id.
        cell: the model and the scaffold.
        attempt: what is kept of it. Not redacted.
    """


@hookspec
def pytest_agenteval_run_judged(judgement: Judgement) -> None:
    """The run is over and judged; nothing changes the verdict any more.

    Called once, in the process that judges, and by `pytest-agenteval report`. What it raises becomes a line of the
    report.

    Args:
        judgement: records, summaries, verdicts and exit status. Not redacted.
    """


@hookspec
def pytest_agenteval_report_sections(judgement: Judgement) -> Sequence[ReportSection] | None:
    """Sections that stand below the report on the terminal, in the Markdown reports and on the HTML page.

    Args:
        judgement: as it is reported, without secrets.
    """


@hookspec
def pytest_agenteval_report_writers(request: ReportRequest) -> Sequence[Writer] | None:
    """Files to write when the run is judged. A file that cannot be written is a warning and never changes the verdict.

    Args:
        request: what to report, and what was asked for.
    """


@hookspec
def pytest_agenteval_exports(formats: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add formats to `pytest-agenteval export`: a parser each, with `set_defaults(run=function)`.

    The function takes the parsed arguments and returns the exit status.
    """
