"""`pytest-agenteval export`: stored attempts in formats of other tools."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pluggy

from pytest_agenteval.plugins import console_plugins
from pytest_agenteval.record.figures import plural

if TYPE_CHECKING:
    from pytest_agenteval.record.conversation import Conversation
    from pytest_agenteval.record.merge import Merged
    from pytest_agenteval.record.records import AttemptRecord, TaskRecord
    from pytest_agenteval.record.stored import StoredLog
    from pytest_agenteval.report.eee.eee import CellExport, Conversations, Publication

__all__ = ["Stored", "add_export", "conversations_of", "load_records"]

RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")


def add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `export`."""
    parser = commands.add_parser(
        "export",
        allow_abbrev=False,
        help="write stored attempts in a format that others read",
        description="Write stored attempts in a format that others read. No model is called.",
    )
    formats = parser.add_subparsers(required=True, metavar="FORMAT")
    plugins = console_plugins()
    plugins.register(_EveryEvalEver(), "pytest_agenteval_eee")
    plugins.hook.pytest_agenteval_exports(formats=formats)


class _EveryEvalEver:
    """Our own format, added by the same hook that other packages use."""

    @pluggy.HookimplMarker("pytest")
    def pytest_agenteval_exports(self, formats: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        _add_eee(formats)


def _add_eee(formats: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    eee = formats.add_parser(
        "eee",
        allow_abbrev=False,
        help="Every Eval Ever (schema 0.3.0): an aggregate by cell, and a row for each attempt",
        description=(
            "Write Every Eval Ever files (schema 0.3.0) below DIR, as data/COLLECTION/DEVELOPER/MODEL/UUID.json with "
            "one UUID_samples.jsonl each: a row for each attempt, with its own outcome. The same attempts give the "
            "same files. What looks like a key is redacted; read the rest before you publish it."
        ),
        epilog="Exit status: 0, or 2 when nothing can be exported.",
    )
    eee.add_argument("logs", nargs="+", metavar="LOGS", help="an .eval log, or a directory with all logs below it")
    eee.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the files go; it is made if missing")
    eee.add_argument(
        "--collection",
        default="pytest-agenteval",
        metavar="NAME",
        help="the name of the tasks as a whole (%(default)s)",
    )
    eee.add_argument(
        "--organization", default="unspecified", metavar="NAME", help="who provides the data (%(default)s)"
    )
    eee.add_argument(
        "--relationship", default="other", choices=RELATIONSHIPS, help="of the evaluator to the model (%(default)s)"
    )
    eee.add_argument(
        "--model-id",
        action="append",
        default=[],
        type=_pair,
        metavar="MODEL=DEVELOPER/NAME",
        help="who made a model, where Inspect's name of it does not say so; may be given several times",
    )
    eee.set_defaults(run=_eee)


def _pair(text: str) -> tuple[str, str]:
    model, sign, identity = text.partition("=")
    if not sign or not model or "/" not in identity:
        raise argparse.ArgumentTypeError(f"{text!r} names no model: write MODEL=DEVELOPER/NAME")
    return model, identity


class Stored(NamedTuple):
    """What the logs hold."""

    merged: Merged
    logs: Sequence[StoredLog]


def _eee(asked: argparse.Namespace) -> int:
    from pytest_agenteval.errors import NotReady
    from pytest_agenteval.redaction import redact, secret_values
    from pytest_agenteval.report.eee.eee import cell_exports
    from pytest_agenteval.texts import inert

    secrets = secret_values(os.environ)
    try:
        stored = load_records(asked.logs)
        publication = _publication(asked, stored)
        exports = cell_exports(stored.merged.records, publication, lambda text: redact(text, secrets))
        if not exports:
            raise NotReady("the logs hold no attempt: give the logs of a run in which agent tasks ran")
        written = [(export, _write(asked.out, export, conversations_of)) for export in exports]
    except OSError as error:
        raise NotReady(f"{asked.out} cannot be written: {error}; give --out a directory of yours") from None
    for said in (*stored.merged.incomplete, *stored.merged.notes):
        print(inert(f"note: {redact(said, secrets)}"), file=sys.stderr)
    for export, rows in written:
        print(inert(f"{export.summary.cell}: {plural(len(export.tasks), 'task')}, {plural(rows, 'row')}"))
        print(inert(f"  {asked.out / export.path}"))
        if others := _others(asked.out, export):
            beside = f"{plural(len(others), 'other export')} of this cell in {others[0].parent}"
            print(inert(f"note: {beside}: attempts may be there twice"), file=sys.stderr)
    return 0


def load_records(places: Sequence[str]) -> Stored:
    """Everything in the logs, as one set of records.

    Raises:
        NotReady: there is no log of ours, or one cannot be read.
    """
    from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers
    from pytest_agenteval.errors import NotReady
    from pytest_agenteval.record.merge import merge

    files = dict.fromkeys(file for place in places for file in log_files(place))
    logs = read_all(read_headers(files))
    if not logs:
        where = ", ".join(places)
        raise NotReady(f"{where}: no .eval log of pytest-agenteval is there; give the --agent-log-dir of a run")
    return Stored(merge(logs), logs)


def _publication(asked: argparse.Namespace, stored: Stored) -> Publication:
    from pytest_agenteval import __version__
    from pytest_agenteval.report.eee.eee import Publication

    setups: dict[str, set[str]] = {}
    for log in stored.logs:
        for task in log.tasks:
            setups.setdefault(task.cell.model, set()).add(log.setup)
    return Publication(
        version=__version__,
        collection=asked.collection,
        organization=asked.organization,
        relationship=asked.relationship,
        model_ids=dict(asked.model_id),
        every_first=stored.merged.every_first,
        limits={task.task: task.limits for log in stored.logs for task in log.tasks},
        setups={model: "; ".join(sorted(filter(None, found))) for model, found in setups.items()},
    )


def conversations_of(task: TaskRecord, attempt: AttemptRecord) -> Conversation | None:
    """The conversation of an attempt, from its log."""
    from pytest_agenteval.engine.logs.conversations import read_conversation

    if attempt.log is None:
        return None
    return read_conversation(attempt.logged_task or task.task, attempt.epoch, attempt.log)


def _write(out: Path, export: CellExport, conversations: Conversations) -> int:
    """Write a cell's files, the rows first, each completely or not at all; returns the number of rows."""
    path, rows_path = out / export.path, out / export.rows_path
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, rows = hashlib.sha256(), 0
    unfinished = rows_path.with_suffix(".part")
    try:
        with unfinished.open("wb") as file:
            for line in export.lines(conversations):
                digest.update(line)
                rows += 1
                file.write(line)
        unfinished.replace(rows_path)
        unfinished.write_text(json.dumps(export.aggregate(digest.hexdigest(), rows), indent=1) + "\n", "utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _others(out: Path, export: CellExport) -> list[Path]:
    """Aggregates of the same cell that this export did not write."""
    cell = export.evaluation_id.rpartition("/")[0]
    path = out / export.path
    return [other for other in sorted(path.parent.glob("*.json")) if other != path and _cell_of(other) == cell]


def _cell_of(aggregate: Path) -> str | None:
    try:
        return str(json.loads(aggregate.read_text("utf-8"))["evaluation_id"]).rpartition("/")[0]
    except (OSError, ValueError, TypeError, KeyError):
        return None
