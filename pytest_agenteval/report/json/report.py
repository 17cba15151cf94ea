"""The whole JSON report and its schema.

`python -m pytest_agenteval.report.json` prints the schema, which is checked in as `report.schema.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema

from pytest_agenteval import __version__
from pytest_agenteval.judge.exit_status import RunVerdict
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record import run_identity
from pytest_agenteval.record.verdict import Verdict
from pytest_agenteval.report.json.cells import Cell, cell_report
from pytest_agenteval.report.json.comparisons import Comparison, comparison_report
from pytest_agenteval.report.json.parts import CellName, Cost, Count, Part
from pytest_agenteval.report.json.tasks import Task, task_report
from pytest_agenteval.report.verdicts import task_verdicts

__all__ = ["SCHEMA_VERSION", "Report", "json_report", "json_schema"]

SCHEMA_VERSION: Literal["1.0"] = "1.0"
"""Major.minor: a minor version adds fields, a major one changes what fields mean."""
_ID: Literal["urn:pytest-agenteval:report:1.0"] = "urn:pytest-agenteval:report:1.0"


class Gate(Part):
    """One gate or one judged task."""

    name: str
    """The option as typed; for a task min_pass_rate, or xfail(strict=True) where it passed against a strict mark."""
    cell: CellName | None
    """null where the whole run is judged."""
    task: str | None
    """The node id of a judged task; null for a gate."""
    verdict: Verdict
    """UNDECIDED: the attempts at hand leave both PASS and FAIL possible."""
    value: str
    """What was measured, as text."""
    threshold: str
    """What was asked for, as text."""
    reason: str
    """A sentence without its full stop."""


class Generator(Part):
    """What wrote the report."""

    name: Literal["pytest-agenteval"]
    """Its name."""
    version: str
    """Its version."""


class RunIdentity(Part):
    """What the run is called, and what it was a run of. null means unknown."""

    run: str
    """Its name: --agent-run-id, the CI run with its attempt, or one that no other run has."""
    named: bool
    """Whether the user or the CI system named it."""
    commit: str | None
    """The commit that was checked out, in full."""
    ref: str | None
    """The branch or tag."""
    dirty: bool | None
    """Whether files that git tracks differed from the commit."""
    address: str | None
    """Where the CI system shows the run."""
    shard: Annotated[list[Count], Field(min_length=2, max_length=2)] | None
    """[part, number of parts] where this is one shard alone; null for a whole run."""


class ExitStatus(Part):
    """Of the process."""

    code: Count
    """0, 1 (failed), 10 (undecided or incomplete), 5 (no tests), or pytest's own 2, 3, 4."""
    reason: str
    """A phrase."""


class Run(Part):
    """The whole run."""

    identity: RunIdentity | None
    """null where the run could not begin, and for logs written before runs had a name."""
    verdict: RunVerdict
    """How it ended, in a word."""
    exit_status: ExitStatus
    """Of the process."""
    incomplete: list[str]
    """Why the run did less than was asked of it, a phrase each."""
    tasks: Count
    """Tasks, counted per cell."""
    evaluated_tasks: Count
    """Tasks with an attempt that counts."""
    broken_attempts: Count
    """Attempts that show a test to be wrong."""
    attempts_stopped_by_budget: Count
    """Attempts that --max-cost could not pay."""
    cost: Cost
    """Everything, what earlier invocations of the run paid included."""
    paid_now: Cost
    """What this invocation paid."""
    notes: list[str]
    """What a reader should know, a sentence each."""


class Report(Part):
    """What a run of agent tasks came to.

    Costs are US dollars, durations are seconds, rates lie in [0, 1]. What is unknown is null, never 0. A minor version
    of the schema adds fields, a major one changes what fields mean.
    """

    id: Annotated[Literal["urn:pytest-agenteval:report:1.0"], Field(alias="schema")]
    """The $id of this schema."""
    schema_version: Literal["1.0"]
    """Major.minor."""
    generator: Generator
    """What wrote the report."""
    run: Run
    """The whole run."""
    gates: list[Gate]
    """Every gate and every judged task with its verdict."""
    cells: list[Cell]
    """One per model and scaffold."""
    tasks: list[Task]
    """One per task and cell."""
    perturbed: list[Task]
    """One per variant of a task and cell; they are in no figure of the cells but robustness."""
    comparisons: list[Comparison]
    """One per cell, where there is a baseline."""


def json_report(judgement: Judgement, notes: Sequence[str] = ()) -> dict[str, Any]:
    """The whole report as JSON types, without secrets only as far as the judgement is.

    Args:
        judgement: the numbers and the verdicts on them.
        notes: what a reader should know about the run as a whole, a sentence each.
    """
    return _report(judgement, notes).model_dump(mode="json", by_alias=True)


def _report(judgement: Judgement, notes: Sequence[str]) -> Report:
    run, status, verdicts = judgement.run, judgement.status, task_verdicts(judgement)
    summaries = {(task.cell, task.task): task for task in run.tasks}
    variants = {(task.cell, task.task): task for task in run.perturbed}
    return Report(
        id=_ID,
        schema_version=SCHEMA_VERSION,
        generator=Generator(name="pytest-agenteval", version=__version__),
        run=Run(
            identity=_identity(judgement.identity),
            verdict=status.verdict,
            exit_status=ExitStatus.of(status),
            incomplete=list(run.incomplete),
            tasks=len(run.tasks),
            evaluated_tasks=run.evaluated,
            broken_attempts=run.broken,
            attempts_stopped_by_budget=run.budget_stopped,
            cost=Cost.model_validate(run.cost),
            paid_now=Cost.model_validate(run.paid_now),
            notes=list(notes),
        ),
        gates=[Gate.model_validate(gate) for gate in judgement.gates],
        cells=[cell_report(cell, judgement.records) for cell in run.cells],
        tasks=[
            task_report(record, summaries[record.cell, record.task], verdicts.get((record.cell, record.task)))
            for record in judgement.records
        ],
        perturbed=[task_report(record, variants[record.cell, record.task], None) for record in judgement.perturbed],
        comparisons=[comparison_report(found) for found in judgement.comparisons],
    )


def _identity(known: run_identity.RunIdentity | None) -> RunIdentity | None:
    if known is None:
        return None
    said = asdict(known)
    return RunIdentity(**said | {"shard": None if known.shard is None else list(known.shard)})


class _Schema(GenerateJsonSchema):
    """Without titles that repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every report is valid under."""
    made = Report.model_json_schema(by_alias=True, mode="serialization", schema_generator=_Schema)
    return {"$schema": _Schema.schema_dialect, "$id": _ID, **made, "title": "A report of pytest-agenteval"}
