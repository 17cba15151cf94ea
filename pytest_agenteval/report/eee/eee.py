"""Records as files of Every Eval Ever, schema 0.3.0: one aggregate per cell, and one row for each attempt.

https://github.com/evaleval/every_eval_ever. Their own converter of Inspect's logs writes the mean over all epochs into
each row. Here a row has the outcome of its own attempt, so that pass^k can be computed from the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pytest_agenteval.estimate.run import CellSummary, summarize
from pytest_agenteval.record.conversation import Conversation
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, TaskRecord
from pytest_agenteval.redaction import redact
from pytest_agenteval.report.eee.about import Limits, generation_config, model_info, source_data
from pytest_agenteval.report.eee.identity import ModelIdentity, check_collection, folder, model_identity, uuid_of
from pytest_agenteval.report.eee.messages import Said, said_in
from pytest_agenteval.report.eee.plain import Clean, plain
from pytest_agenteval.report.eee.results import COUNTED, PASS_AT_1, evaluation_results, named
from pytest_agenteval.report.eee.rows import belonging, log_name, row, sample_ids

__all__ = ["SCHEMA_VERSION", "CellExport", "Conversations", "Publication", "cell_exports"]

SCHEMA_VERSION = "0.3.0"

Conversations = Callable[[TaskRecord, AttemptRecord], Conversation | None]
"""What was said in an attempt; None if unknown."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What the records themselves do not say."""

    version: str
    """This plugin's version."""
    collection: str = "pytest-agenteval"
    """The name that the tasks as a whole have in a datastore."""
    organization: str = "unspecified"
    """Who provides the data."""
    relationship: str = "other"
    """The relation of the evaluator to the model: first_party, third_party, collaborative or other."""
    model_ids: Mapping[str, str] = field(default_factory=dict)
    """`developer/model` by Inspect's name, for names that do not say it."""
    every_first: bool = False
    """Whether every task was certain to get its first attempt, though runs may have stopped early."""
    setups: Mapping[str, str] = field(default_factory=dict)
    """How the models were configured, by Inspect's name; as text."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """The limits of attempts, by the tasks' node ids."""


@dataclass(frozen=True, slots=True)
class CellExport:
    """The two files of a cell. The rows are made while they are read, because conversations are large."""

    summary: CellSummary
    model: ModelIdentity
    publication: Publication
    tasks: tuple[TaskRecord, ...]
    """By name."""
    identifier: str
    """The name of the files: the same for the same records, and different for others."""
    clean: Clean
    """Removes secrets from a text."""

    @property
    def path(self) -> str:
        """The aggregate's file, relative to the root of a datastore."""
        return f"{folder(self.publication.collection, self.model)}/{self.identifier}.json"

    @property
    def rows_path(self) -> str:
        """The rows' file."""
        return f"{self.path.removesuffix('.json')}_samples.jsonl"

    @property
    def evaluation_id(self) -> str:
        """What identifies the evaluation in both files."""
        model = self.model.id.replace("/", "_")
        return f"{self.publication.collection}/{self.summary.cell.scaffold}__{model}/{self.identifier}"

    def lines(self, conversations: Conversations) -> Iterator[bytes]:
        """The rows' file, a line for each attempt."""
        names = sample_ids(self.tasks, self.clean)
        thinned, every_first = self.summary.decided > 0, self.publication.every_first
        for task in self.tasks:
            attempts = _exported(task)
            said = [said_in(conversations(task, each), len(each.retries) + 1, self.clean) for each in attempts]
            for attempt, words in zip(attempts, _with_prompts(said), strict=True):
                belongs = belonging(task, attempt, thinned=thinned, every_first=every_first)
                line = {
                    "schema_version": SCHEMA_VERSION,
                    "evaluation_id": self.evaluation_id,
                    "model_id": self.model.id,
                    "evaluation_name": named(self.publication.collection, belongs),
                    **({"evaluation_result_id": belongs} if belongs in (PASS_AT_1, COUNTED) else {}),
                    "sample_id": names[task.task],
                    **row(task, attempt, words, self.clean),
                }
                # ASCII, because readers also split a file at other Unicode line ends, even inside texts
                yield json.dumps(line, allow_nan=False).encode() + b"\n"

    def aggregate(self, checksum: str, rows: int) -> dict[str, Any]:
        """The aggregate's file.

        Args:
            checksum: of the rows' file, SHA-256 in hexadecimal digits.
            rows: the number of its rows.
        """
        publication = self.publication
        ends = (attempt.ended for task in self.tasks for attempt in task.attempts if attempt.ended is not None)
        ended = _seconds(max(ends, default=None))
        limits = [publication.limits[task.task] for task in self.tasks if task.task in publication.limits]
        common = {
            "source_data": source_data(self.tasks, publication.collection, self.clean),
            "evaluation_timestamp": ended,
            "generation_config": generation_config(
                self.summary, self.tasks, publication.setups.get(self.summary.cell.model), limits, self.clean
            ),
        }
        whole: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": self.evaluation_id,
            "evaluation_timestamp": ended,
            "retrieved_timestamp": ended or "unknown",
            "source_metadata": {
                "source_name": "pytest-agenteval",
                "source_type": "evaluation_run",
                "source_organization_name": publication.organization,
                "evaluator_relationship": publication.relationship,
            },
            "eval_library": {"name": "pytest-agenteval", "version": publication.version},
            "model_info": model_info(self.summary, self.model, self.tasks, self.clean),
            "evaluation_results": plain(evaluation_results(self.summary, common, publication.collection), self.clean),
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": self.rows_path,
                "hash_algorithm": "sha256",
                "checksum": checksum,
                "total_rows": rows,
            },
        }
        pruned: dict[str, Any] = _pruned(whole)
        return pruned


def cell_exports(records: Sequence[TaskRecord], publication: Publication, clean: Clean = redact) -> list[CellExport]:
    """The files for these records, by cell in the order of their first records; none for a cell without a row.

    Args:
        records: of all tasks.
        publication: what the records do not say.
        clean: removes secrets from a text; applied to every text in the files.

    Raises:
        NotReady: a name cannot be used in a datastore.
    """
    check_collection(publication.collection)
    exports = []
    records = [record for record in records if record.perturbed is None]  # those are no attempts at the task itself
    for cell in summarize(records, every_first=publication.every_first).cells:
        tasks = tuple(sorted((each for each in records if each.cell == cell.cell), key=lambda task: task.task))
        if any(_exported(task) for task in tasks):
            model = model_identity(cell.cell.model, publication.model_ids)
            identifier = _identifier(tasks, model, publication)
            exports.append(CellExport(cell, model, publication, tasks, identifier, clean))
    return exports


def _exported(task: TaskRecord) -> list[AttemptRecord]:
    """The attempts that get a row. A skipped task has none."""
    return [attempt for attempt in task.attempts if attempt.outcome is not Outcome.SKIPPED]


def _identifier(tasks: Sequence[TaskRecord], model: ModelIdentity, publication: Publication) -> str:
    """A name derived from everything that is exported, wherever its logs are now and whichever invocation paid for
    it."""
    facts = [
        asdict(replace(task, attempts=_anywhere(task.attempts), discarded=_anywhere(task.discarded))) for task in tasks
    ]
    given = {
        "schema": SCHEMA_VERSION,
        "model": asdict(model),
        "publication": {"collection": publication.collection, "organization": publication.organization},
        "tasks": facts,
    }
    return str(uuid_of(hashlib.sha256(json.dumps(given, sort_keys=True).encode()).digest()))


def _anywhere(attempts: Sequence[AttemptRecord]) -> tuple[AttemptRecord, ...]:
    logs = [None if attempt.log is None else log_name(attempt.log) for attempt in attempts]
    pairs = zip(attempts, logs, strict=True)
    return tuple(replace(attempt, log=log, reused=False, sandbox_kept=None) for attempt, log in pairs)


def _with_prompts(said: Sequence[Said]) -> list[Said]:
    """An attempt that ended before it was given a prompt gets the prompt of the others, if theirs is the same."""
    prompts = {each.prompt for each in said if each.prompt is not None}
    common = prompts.pop() if len(prompts) == 1 else None
    return [replace(each, prompt=common) if each.prompt is None else each for each in said]


def _seconds(moment: str | None) -> str | None:
    """A moment in UTC (ISO 8601) as seconds of Unix's epoch."""
    if moment is None:
        return None
    then = datetime.fromisoformat(moment)
    return repr((then if then.tzinfo is not None else then.replace(tzinfo=UTC)).timestamp())


def _pruned(value: Any) -> Any:
    """The same without unknown values, because the schema of aggregates has no null."""
    if isinstance(value, Mapping):
        return {name: _pruned(part) for name, part in value.items() if part is not None}
    return [_pruned(part) for part in value] if isinstance(value, list) else value
