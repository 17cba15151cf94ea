"""Our own files, written through the same hook that other packages use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pluggy

from pytest_agenteval.report.writer import ReportRequest, Writer, write_whole

__all__ = ["pytest_agenteval_report_writers"]

hookimpl = pluggy.HookimplMarker("pytest")


@hookimpl
def pytest_agenteval_report_writers(request: ReportRequest) -> list[Writer]:
    """The files that options name, and those through which GitHub Actions takes a summary and outputs."""
    writers = [
        Writer(what, request.destinations[option], partial(write, request))
        for option, (what, write) in _FILES.items()
        if option in request.destinations
    ]
    if step := request.environment.get("GITHUB_STEP_SUMMARY"):
        writers.append(Writer("job summary", Path(step), partial(_append_summary, request), announced=False))
    if output := request.environment.get("GITHUB_OUTPUT"):
        writers.append(Writer("step outputs", Path(output), partial(_append_outputs, request), announced=False))
    return writers


def _write_json(request: ReportRequest, path: Path) -> None:
    from pytest_agenteval.report.json import json_report

    report = json_report(request.judgement, request.notes)
    write_whole(path, [f"{json.dumps(report, indent=1, allow_nan=False)}\n"])


def _write_comment(request: ReportRequest, path: Path) -> None:
    from pytest_agenteval.report.markdown import comment
    from pytest_agenteval.report.run_facts import files_address

    files = files_address(request.environment)
    write_whole(path, [comment(request.judgement, request.notes, request.sections, files=files)])


def _write_junit(request: ReportRequest, path: Path) -> None:
    from pytest_agenteval.report.junit import junit_document

    write_whole(path, [junit_document(request.judgement)])


def _write_metrics(request: ReportRequest, path: Path) -> None:
    from pytest_agenteval.report.metrics import metrics_text

    write_whole(path, [metrics_text(request.judgement)])


def _write_html(request: ReportRequest, path: Path) -> None:
    from pytest_agenteval.engine.logs.conversations import LogConversations
    from pytest_agenteval.report.html.page import write_html

    conversations = LogConversations(request.secrets)
    write_html(path, request.judgement, conversations, request.notes, request.sections)


def _append_summary(request: ReportRequest, path: Path) -> None:
    from pytest_agenteval.report.markdown import SUMMARY_LIMIT, markdown_report
    from pytest_agenteval.report.run_facts import files_address

    taken = path.stat().st_size if path.exists() else 0
    limit = SUMMARY_LIMIT - taken - 1
    files = files_address(request.environment)
    _append(path, markdown_report(request.judgement, request.notes, request.sections, files=files, limit=limit))


def _append_outputs(request: ReportRequest, path: Path) -> None:
    from pytest_agenteval.report.github import output_file, outputs

    _append(path, output_file(outputs(request.judgement)))


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(text)


_FILES: Mapping[str, tuple[str, Callable[[ReportRequest, Path], None]]] = {
    "json": ("JSON report", _write_json),
    "comment": ("comment", _write_comment),
    "html": ("HTML report", _write_html),
    "metrics": ("metrics", _write_metrics),
    "junitxml": ("JUnit file", _write_junit),
}
"""By option, the name of the file and its writer."""
