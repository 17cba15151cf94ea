"""A run with its verdicts: the one object from which every report is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_agenteval.estimate.run import RunSummary, run_of
from pytest_agenteval.estimate.task import TaskSummary, summarize_task
from pytest_agenteval.judge import GateResult, GateSettings, Verdict, judge, judge_task
from pytest_agenteval.judge.baseline import Comparison, Counterpart, compare, judge_comparisons, same_cell
from pytest_agenteval.judge.exit_status import USAGE_ERROR, ExitStatus, RunVerdict, exit_status
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.history import EarlierRun
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.record.run_identity import RunIdentity

__all__ = ["JudgedTask", "Judgement", "PytestSaid", "judge_run"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The records of a run, their summary, and the verdicts."""

    records: tuple[TaskRecord, ...]
    """Of the tasks themselves, without those under perturbations."""
    run: RunSummary
    gates: tuple[GateResult, ...]
    """The verdicts, including those on judged tasks."""
    comparisons: tuple[Comparison, ...]
    """The comparison of each cell with the baseline, if there is one."""
    status: ExitStatus
    identity: RunIdentity | None = None
    """What the run is called; None if it could not begin, and for logs written before runs had a name."""
    profile: str | None = None
    """The form in which reports for readers show the reliability profile, `unbiased` or `published`; None: not."""
    perturbed: tuple[TaskRecord, ...] = ()
    """The records of tasks under perturbations."""


@dataclass(frozen=True, slots=True)
class JudgedTask:
    """A task's record with what it comes to."""

    record: TaskRecord
    summary: TaskSummary
    result: GateResult | None
    """The verdict on the task; None if it is measured, not judged."""

    @classmethod
    def of(cls, record: TaskRecord, thresholds: GateSettings | None) -> JudgedTask:
        """Summarize a record, and judge it if there are thresholds; under a perturbation a task is only measured."""
        summary = summarize_task(record)
        judged = thresholds is not None and record.perturbed is None
        return cls(record, summary, judge_task(summary, thresholds) if judged and thresholds is not None else None)


@dataclass(frozen=True, slots=True)
class PytestSaid:
    """What pytest itself reports about the session."""

    status: int = 0
    """The exit status that pytest would end with."""
    ordinary_failures: int = 0
    """Failures of tests that are not agent tasks, and of collection."""
    failed_tasks: Collection[str] = ()
    """The agent tasks that pytest reports as failed."""


def judge_run(
    records: Sequence[TaskRecord],
    thresholds: GateSettings | None,
    *,
    identity: RunIdentity | None = None,
    baseline: EarlierRun | None = None,
    beside: Counterpart = same_cell,
    elsewhere: Collection[str] = (),
    every_first: bool = False,
    incomplete: Sequence[str] = (),
    said: PytestSaid | None = None,
    judged: Iterable[JudgedTask] = (),
    profile: str | None = None,
) -> Judgement:
    """Judge the records of a run.

    Args:
        records: of all tasks of the run.
        thresholds: the thresholds of its gates; None if nothing is judged, as in a shard.
        identity: what the run is called.
        baseline: an earlier run to compare with.
        beside: which of its cells each cell is compared with.
        elsewhere: the names of tasks that belong to the run's other shards, so that they are not gone.
        every_first: whether every task was certain to get its first attempt, though the run may have stopped early.
        incomplete: why the run did less than it was asked to do, beyond what the records show; one phrase each.
        said: what pytest reports about the session; by default, that nothing else happened.
        judged: tasks judged before, by the same thresholds. They are taken as they are if their record has not changed.
        profile: the form in which reports show the reliability profile.
    """
    said = said or PytestSaid()
    before = {id(task.record): task for task in judged}
    tasks = [before.get(id(record)) or JudgedTask.of(record, thresholds) for record in records]
    run = run_of((task.summary for task in tasks), every_first=every_first)
    run = replace(run, incomplete=(*incomplete, *run.incomplete, *_perturbed_lost(run, thresholds)))
    results = {id(task.summary): task.result for task in tasks}
    comparisons = () if baseline is None else compare(run, baseline, beside, elsewhere)
    gates: tuple[GateResult, ...] = ()
    if thresholds is not None:
        gates = (*judge(run, thresholds, lambda task: results[id(task)]), *judge_comparisons(comparisons))
    elif errors := sum(cell.missing - cell.not_run for cell in run.cells):
        why = f"{plural(errors, 'attempt')} met environment errors in every try"
        run = replace(run, incomplete=(*run.incomplete, why))
    if not records and (incomplete or said.status == USAGE_ERROR):
        gates = ()  # nothing began: the sentence that says why is all there is to say
    broken = [task.task for task in run.everything for _ in task.broken]
    # A failed task counts by its verdict or its broken attempts. Without either, a plugin's hook failed it, and it
    # counts as an ordinary test.
    failed = {gate.task for gate in gates if gate.verdict is Verdict.FAIL and gate.task is not None}
    unexplained = set(said.failed_tasks).difference(broken, failed)
    status = exit_status(
        said.status,
        ordinary_failures=said.ordinary_failures + len(unexplained),
        broken=len(broken),
        gates=gates,
        incomplete=run.incomplete,
    )
    if thresholds is None and status.verdict is RunVerdict.NOT_JUDGED:
        status = replace(status, reason="all was measured, and nothing is judged")
    own = tuple(record for record in records if record.perturbed is None)
    perturbed = tuple(record for record in records if record.perturbed is not None)
    return Judgement(own, run, gates, comparisons, status, identity, profile, perturbed)


def _perturbed_lost(run: RunSummary, thresholds: GateSettings | None) -> list[str]:
    """Why perturbations were not measured as asked: too many of their attempts met environment errors.

    No gate on pass rates knows of them, so the run itself must say so.
    """
    wanted = sum(max(task.k, task.n) for task in run.perturbed if not task.skipped)
    lost = sum(each.outcome is Outcome.ENVIRONMENT_ERROR for task in run.perturbed for each in task.missing)
    allowed = 0.0 if thresholds is None else thresholds.max_env_error_rate
    if not wanted or lost / wanted <= allowed:
        return []
    return [f"{plural(lost, 'perturbed attempt')} met environment errors in every try"]
