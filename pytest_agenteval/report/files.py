"""Every report that does not go to the terminal. A failure is a warning, because no report may cost the verdict."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pluggy

from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.plugins import call_each
from pytest_agenteval.redaction import redact, secret_values
from pytest_agenteval.report import own_writers
from pytest_agenteval.report.outgoing import without_secrets
from pytest_agenteval.report.writer import ReportRequest, Writer, write_whole
from pytest_agenteval.texts import inert

__all__ = ["amend_junit", "report_request", "write_reports"]


def report_request(
    plugins: pluggy.PluginManager,
    judgement: Judgement,
    notes: Sequence[str],
    destinations: Mapping[str, Path | None],
    environment: Mapping[str, str] | None = None,
) -> ReportRequest:
    """Everything that reports are made from, without secrets, with the sections that plugins add.

    Args:
        plugins: they learn that the run is judged, and can add sections.
        judgement: what is reported; it is redacted here.
        notes: what a reader should know about the run as a whole, one sentence each.
        destinations: the files, by option; None if not requested.
        environment: by default that of this process. Its secrets are redacted.
    """
    environment = os.environ if environment is None else environment
    secrets = secret_values(environment)
    clean = without_secrets(judgement, secrets)
    _, unheard = call_each(plugins.hook.pytest_agenteval_run_judged, judgement=judgement)
    offered, failed = call_each(plugins.hook.pytest_agenteval_report_sections, judgement=clean)
    return ReportRequest(
        judgement=clean,
        notes=tuple(without_secrets([*notes, *unheard, *failed], secrets)),
        sections=tuple(without_secrets([section for sections in offered for section in sections], secrets)),
        destinations={option: path for option, path in destinations.items() if path is not None},
        environment=environment,
        secrets=tuple(secrets),
    )


def write_reports(
    plugins: pluggy.PluginManager, request: ReportRequest, *, root: Path | None = None, failures_told: bool = False
) -> list[str]:
    """Write every report that was requested by an option, by the variables of GitHub Actions, or by a plugin.

    Args:
        plugins: they can add files to write; our own writers are registered among them here.
        request: what to report.
        root: the directory that node ids begin in, by default the working directory.
        failures_told: whether another plugin annotates failed tests.

    Returns:
        Lines to print as they are: where reports are, what could not be written, and GitHub's workflow commands.
    """
    from pytest_agenteval.report.github import workflow_commands

    if not plugins.is_registered(own_writers):
        plugins.register(own_writers, "pytest_agenteval_writers")
    offered, failed = call_each(plugins.hook.pytest_agenteval_report_writers, request=request)
    lines = [inert(f"warning: {redact(each, request.secrets)}") for each in failed]
    for writer in (writer for writers in offered for writer in writers):
        lines += _written(writer, request.secrets)
    if request.environment.get("GITHUB_ACTIONS") == "true":
        folder = _folder(root or Path.cwd(), request.environment.get("GITHUB_WORKSPACE"))
        lines += workflow_commands(request.judgement, folder=folder, failures_told=failures_told)
    return lines


def amend_junit(path: Path, judgement: Judgement) -> list[str]:
    """Amend pytest's JUnit file in place. A failure is returned as a line to print."""
    from pytest_agenteval.report.junit import amended

    try:
        secrets = secret_values(os.environ)
        document = amended(path.read_text("utf-8"), without_secrets(judgement, secrets), secrets)
        write_whole(path, [document])
    except Exception as error:  # whatever goes wrong, the verdict and pytest's own file must stay
        return [inert(f"warning: {path} has no totals of agent tasks: {' '.join(str(error).split())}")]
    return []


def _written(writer: Writer, secrets: Sequence[str]) -> list[str]:
    try:
        writer.write(writer.path)
    except Exception as error:  # whatever goes wrong, the verdict must stay
        reason = redact(" ".join(_reason(error, writer.path).split()), secrets) or type(error).__name__
        return [inert(f"warning: {writer.what} could not be written to {writer.path}: {reason}")]
    return [inert(f"{writer.what}: {writer.path}")] if writer.announced else []


def _reason(error: Exception, path: Path) -> str:
    """Without the name of the file, which the sentence already has."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    above = error.filename is not None and Path(error.filename) in path.parents
    return f"{error.strerror}: {error.filename}" if above else error.strerror


def _folder(root: Path, workspace: str | None) -> str:
    """From the checkout to the directory that node ids begin in; empty if that is the same, or outside."""
    if not workspace:
        return ""
    inside, checkout = root.resolve(), Path(workspace).resolve()
    return inside.relative_to(checkout).as_posix().removeprefix(".") if inside.is_relative_to(checkout) else ""
