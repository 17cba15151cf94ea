"""A run and what it was judged to be: the one thing that every report is made from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pytest_agenteval.estimate.run import RunSummary, summarize
from pytest_agenteval.judge import GateResult, GateSettings, Verdict, judge
from pytest_agenteval.judge.baseline import Comparison, compare, judge_comparison
from pytest_agenteval.judge.exit_status import USAGE_ERROR, ExitStatus, exit_status
from pytest_agenteval.record.history import EarlierRun
from pytest_agenteval.record.records import TaskRecord

__all__ = ["Judgement", "PytestSaid", "judge_run"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The records of a run, what they add up to, and the verdicts."""

    records: tuple[TaskRecord, ...]
    run: RunSummary
    gates: tuple[GateResult, ...]
    """The verdicts, of judged tasks too."""
    comparisons: tuple[Comparison, ...]
    """Of each cell with the baseline, where there is one."""
    status: ExitStatus


@dataclass(frozen=True, slots=True)
class PytestSaid:
    """What pytest itself found out about the session."""

    status: int = 0
    """With what it would end."""
    ordinary_failures: int = 0
    """Of tests that are no agent tasks, and of collection."""
    failed_tasks: Collection[str] = ()
    """The agent tasks that it reports as failed."""


def judge_run(
    records: Sequence[TaskRecord],
    thresholds: GateSettings,
    *,
    baseline: EarlierRun | None = None,
    every_first: bool = False,
    incomplete: Sequence[str] = (),
    said: PytestSaid | None = None,
) -> Judgement:
    """Everything that the records of a run come to.

    Args:
        records: of all its tasks.
        thresholds: of its gates.
        baseline: an earlier run to compare with.
        every_first: whether every task was certain to get its first attempt, though the run may have stopped early.
        incomplete: why the run did less than was asked of it, beyond what the records show; a phrase each.
        said: what pytest says of the session; by default of one in which nothing else happened.
    """
    said = said or PytestSaid()
    run = summarize(records, every_first=every_first)
    comparisons = () if baseline is None else tuple(compare(run, baseline))
    gates = (*judge(run, thresholds), *(judge_comparison(found) for found in comparisons))
    if not records and (incomplete or said.status == USAGE_ERROR):
        gates = ()  # nothing began: the sentence that says why is all there is to say
    broken = [record.task for record in records for attempt in record.attempts if attempt.outcome == "broken"]
    # a failed task is counted by its verdict or its broken attempts, and else as a test that a plugin's hook has failed
    judged = {gate.task for gate in gates if gate.verdict is Verdict.FAIL and gate.task is not None}
    unexplained = set(said.failed_tasks).difference(broken, judged)
    status = exit_status(
        said.status,
        ordinary_failures=said.ordinary_failures + len(unexplained),
        broken=len(broken),
        gates=gates,
        incomplete=(*run.incomplete, *incomplete),
    )
    return Judgement(tuple(records), run, gates, comparisons, status)
