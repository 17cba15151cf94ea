"""Where reports go beside the terminal: files, and what GitHub Actions reads. A report is never worth the verdict."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.redaction import redact, secret_values
from pytest_agenteval.report.outgoing import without_secrets
from pytest_agenteval.texts import inert

__all__ = ["Destinations", "amend_junit", "write_reports"]


class Destinations(Protocol):
    """The files that were asked for; None where none was."""

    @property
    def json(self) -> Path | None:
        """`--agent-json`."""

    @property
    def comment(self) -> Path | None:
        """`--agent-comment`."""

    @property
    def html(self) -> Path | None:
        """`--agent-html`."""


def write_reports(
    asked: Destinations,
    judgement: Judgement,
    notes: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    root: Path | None = None,
    failures_told: bool = False,
) -> list[str]:
    """Write every report that was asked for, by option or by the variables of GitHub Actions.

    Args:
        asked: the files.
        judgement: what they report; it is redacted here.
        notes: what a reader should know about the run as a whole, a sentence each.
        environment: by default that of this process. Its secrets are redacted.
        root: the directory that node ids begin in, by default the working directory.
        failures_told: whether another plugin annotates failed tests.

    Returns:
        Lines to print as they are: where reports are, what could not be written, and GitHub's workflow commands.
    """
    from pytest_agenteval.report.github import output_file, outputs, workflow_commands
    from pytest_agenteval.report.json import json_report
    from pytest_agenteval.report.markdown import SUMMARY_LIMIT, comment, markdown_report

    environment = os.environ if environment is None else environment
    secrets = secret_values(environment)
    clean, told = without_secrets(judgement, secrets), without_secrets(list(notes), secrets)
    lines: list[str] = []

    def attempt(what: str, path: Path, write: Callable[[Path], None], *, say: bool = True) -> None:
        try:
            write(path)
        except Exception as error:  # whatever it is, the verdict stands
            reason = redact(" ".join(_reason(error, path).split()), secrets) or type(error).__name__
            lines.append(inert(f"warning: {what} could not be written to {path}: {reason}"))
        else:
            if say:
                lines.append(inert(f"{what}: {path}"))

    def summary(path: Path) -> None:
        taken = path.stat().st_size if path.exists() else 0
        _append(path, markdown_report(clean, told, limit=SUMMARY_LIMIT - taken - 1))

    if asked.json is not None:
        attempt("JSON report", asked.json, lambda path: _write(path, f"{_as_json(json_report(clean, told))}\n"))
    if asked.comment is not None:
        attempt("comment", asked.comment, lambda path: _write(path, comment(clean, told)))
    if asked.html is not None:
        attempt("HTML report", asked.html, lambda path: _write_html(path, clean, told, secrets))
    if step := environment.get("GITHUB_STEP_SUMMARY"):
        attempt("job summary", Path(step), summary, say=False)
    if output := environment.get("GITHUB_OUTPUT"):
        attempt("step outputs", Path(output), lambda path: _append(path, output_file(outputs(clean))), say=False)
    if environment.get("GITHUB_ACTIONS") == "true":
        folder = _folder(root or Path.cwd(), environment.get("GITHUB_WORKSPACE"))
        lines += workflow_commands(clean, folder=folder, failures_told=failures_told)
    return lines


def amend_junit(path: Path, judgement: Judgement) -> list[str]:
    """Amend pytest's JUnit file in place; what went wrong as a line to print."""
    from pytest_agenteval.report.junit import amended

    try:
        secrets = secret_values(os.environ)
        document = amended(path.read_text("utf-8"), without_secrets(judgement, secrets), secrets)
        _write(path, document)
    except Exception as error:  # whatever it is, the verdict and pytest's own file stand
        return [inert(f"warning: {path} has no totals of agent tasks: {' '.join(str(error).split())}")]
    return []


def _reason(error: Exception, path: Path) -> str:
    """Without the file's own name, which the sentence has already."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    above = error.filename is not None and Path(error.filename) in path.parents
    return f"{error.strerror}: {error.filename}" if above else error.strerror


def _as_json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, indent=1, allow_nan=False)


def _write_html(path: Path, judgement: Judgement, notes: Sequence[str], secrets: Sequence[str]) -> None:
    from pytest_agenteval.engine.logs.conversations import LogConversations
    from pytest_agenteval.report.html.page import write_html

    write_html(path, judgement, LogConversations(secrets), notes)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, where it is a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        path.write_text(text, "utf-8", errors="replace")
        return
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(text, "utf-8", errors="replace")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _folder(root: Path, workspace: str | None) -> str:
    """From the checkout to the directory that node ids begin in; empty where it is that, or outside."""
    if not workspace:
        return ""
    found, checkout = root.resolve(), Path(workspace).resolve()
    return found.relative_to(checkout).as_posix().removeprefix(".") if found.is_relative_to(checkout) else ""
