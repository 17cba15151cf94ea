"""`pytest-agenteval check`: the oracle must pass every task and the null must fail it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_agenteval.cli.check_plugin import FILE_VARIABLE, NULL, ORACLE
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import TaskRecord, from_json
from pytest_agenteval.texts import inert

__all__ = ["Finding", "Play", "Standing", "check", "judge_task"]

NO_TASKS = 5
UNDECIDED = 10
MOST_OF_A_REASON = 240


class Standing(StrEnum):
    """The verdict of a check on a task."""

    OK = "ok"
    OFFENDER = "offender"
    UNDECIDED = "undecided"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Play:
    """The result of one built-in model's attempt at a task."""

    record: TaskRecord | None = None
    skip: str | None = None
    """Why pytest skipped the task."""
    trouble: str | None = None
    """What kept pytest from running the task: the error of a shared fixture."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A task, the verdict of the check, and the reason."""

    task: str
    standing: Standing
    reason: str = ""


def judge_task(task: str, solvable: bool, oracle: Play | None, null: Play | None) -> Finding:
    """Judge a task.

    Args:
        task: its node id, without the model.
        solvable: whether it declares a solution or an answer.
        oracle: the result of `agenteval/oracle`; None if the task did not run with it.
        null: the same for `agenteval/null`.
    """
    if oracle is None or null is None:
        return Finding(task, Standing.OFFENDER, "could not be evaluated: it names its own agent_model")
    for play in (oracle, null):
        if play.trouble is not None:
            return Finding(task, Standing.OFFENDER, f"could not be evaluated: {_line(play.trouble)}")
        if play.skip is not None:
            return Finding(task, Standing.SKIPPED, _line(play.skip))
        if play.record is not None and play.record.skipped:
            return Finding(task, Standing.SKIPPED, _line(play.record.attempts[0].message).removeprefix("Skipped: "))
    missing = [reason for play in (oracle, null) if (reason := _missing(play.record)) is not None]
    offences = [] if solvable else ["no solution declared"]
    offences += [f"broken: {reason}" for play in (oracle, null) if (reason := _broken(play.record)) is not None][:1]
    if not offences and not missing and (failure := _failure(oracle.record)) is not None:
        offences.append(f"oracle failed: {failure}")
    if null.record is not None and null.record.passes:
        offences.append("null passed: the task is done before the agent begins, or its checks do not look")
    if offences:
        return Finding(task, Standing.OFFENDER, "; ".join(offences))
    if missing:
        return Finding(task, Standing.UNDECIDED, f"could not be evaluated: {missing[0]}")
    return Finding(task, Standing.OK)


def check(paths: Sequence[str], *, sandbox: str | None = None, extra: Sequence[str] = ()) -> int:
    """Run the tasks below `paths` with both built-in models in one pytest process, and print the results.

    Args:
        paths: files, folders or node ids.
        sandbox: where attempts run; None uses the setting of the ini file.
        extra: more arguments for pytest.

    Returns:
        The exit status: 0; 1 if a task is an offender; 2 to 4 as pytest's; 5 without a task; 10 if undecided.
    """
    with tempfile.TemporaryDirectory(prefix="agenteval-check-") as folder:
        file, output = Path(folder) / "notes.json", Path(folder) / "output.txt"
        status = _pytest(paths, sandbox, extra, file, output)
        notes = json.loads(file.read_text("utf-8")) if file.is_file() else None
        never_began = status == UNDECIDED and notes is not None and not notes["records"]
        if status not in (0, 1, NO_TASKS, UNDECIDED) or notes is None or never_began:
            sys.stderr.write(output.read_text("utf-8", "replace"))
            print(f"the suite could not be run: pytest ended with {status}", file=sys.stderr)
            return status if status > 1 else UNDECIDED  # below 0 if a signal ended it
    findings = _findings(notes)
    for text in _report(findings):
        print(inert(text))
    return _status(findings)


def _pytest(paths: Sequence[str], sandbox: str | None, extra: Sequence[str], file: Path, output: Path) -> int:
    plugins = ("pytest_agenteval", "pytest_agenteval.cli.check_plugin")
    command = [sys.executable, "-m", "pytest", "-q", *(word for plugin in plugins for word in ("-p", plugin))]
    command += [f"--agent-sandbox={sandbox}"] if sandbox is not None else []
    with output.open("wb") as stream:
        return subprocess.run(
            [*command, *extra, *paths],
            env={**os.environ, FILE_VARIABLE: str(file)},
            stdout=stream,
            stderr=sys.stderr if sys.stderr.isatty() else stream,
            check=False,
        ).returncode


def _findings(notes: Mapping[str, Any]) -> list[Finding]:
    records = {record.task: record for record in map(from_json, notes["records"])}
    plays: dict[str, dict[str, Play]] = {}
    solvable: dict[str, bool] = {}
    for item in notes["collected"]:
        task, nodeid = item["task"], item["nodeid"]
        solvable[task] = item["solvable"]
        play = Play(records.get(nodeid), notes["skips"].get(nodeid), notes["troubles"].get(nodeid))
        plays.setdefault(task, {})[item["model"]] = play
    return [judge_task(task, solvable[task], by.get(ORACLE), by.get(NULL)) for task, by in plays.items()]


def _report(findings: Sequence[Finding]) -> Iterable[str]:
    for finding in findings:
        if finding.standing is Standing.SKIPPED:
            yield f"skipped: {finding.task}: {finding.reason}"
        elif finding.standing is not Standing.OK:
            yield f"{finding.task}: {finding.reason}"
    counts = {standing: sum(finding.standing is standing for finding in findings) for standing in Standing}
    if not findings:
        yield "no agent task found"
        return
    parts = [f"{plural(len(findings), 'task')}: {counts[Standing.OK]} ok"]
    parts += [plural(counts[Standing.OFFENDER], "offender")] if counts[Standing.OFFENDER] else []
    parts += [f"{counts[kind]} {kind}" for kind in (Standing.UNDECIDED, Standing.SKIPPED) if counts[kind]]
    yield ", ".join(parts) + " (ok: the oracle passed and the null failed)"


def _status(findings: Sequence[Finding]) -> int:
    standings = {finding.standing for finding in findings}
    if not findings:
        return NO_TASKS
    if Standing.OFFENDER in standings:
        return 1
    # If nothing was evaluated, that is not a success.
    return UNDECIDED if Standing.UNDECIDED in standings or Standing.OK not in standings else 0


def _missing(record: TaskRecord | None) -> str | None:
    if record is None:
        return "it never ran"
    reasons = [attempt.message for attempt in record.attempts if attempt.outcome.missing]
    return _line(reasons[0] or "it never ran") if reasons else None


def _broken(record: TaskRecord | None) -> str | None:
    attempts = record.attempts if record is not None else ()
    return next((_line(attempt.message) for attempt in attempts if attempt.outcome is Outcome.BROKEN), None)


def _failure(record: TaskRecord | None) -> str | None:
    attempts = record.attempts if record is not None else ()
    failed = (attempt for attempt in attempts if attempt.outcome in (Outcome.FAILED, Outcome.LIMIT))
    return next((_line(attempt.message or str(attempt.cause)) for attempt in failed), None)


def _line(text: str) -> str:
    """The text in one line of readable length."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_OF_A_REASON else f"{line[:MOST_OF_A_REASON]}..."
