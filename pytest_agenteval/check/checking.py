"""A whole check: plays in rounds, judges them, and puts the findings together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_agenteval.check.findings import CheckResult, TaskResult, statuses
from pytest_agenteval.check.judging import judge_plays
from pytest_agenteval.check.plays import Level
from pytest_agenteval.check.rounds import Suite
from pytest_agenteval.check.rules import Rule
from pytest_agenteval.check.suite import judge_suite, stored_history

__all__ = ["Wish", "check_suite"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to check, and how deep."""

    suite: Suite
    level: Level
    rules: Sequence[Rule]
    history: str | None = None
    """Where stored attempts of real agents are: a `.eval` log, or a directory of them."""
    must_see: float = 0.1
    """The drop of pass@1 that a gate must find."""


def check_suite(wish: Wish) -> CheckResult:
    """Check a suite.

    Raises:
        CannotRun: pytest did not come to play its tasks.
        NotReady: the stored attempts cannot be read.
    """
    notes = wish.suite.play(wish.level)
    results = []
    asked = {rule.id for rule in wish.rules}
    of_tasks = [rule for rule in wish.rules if not rule.of_suite]
    for task in notes.tasks:
        verdicts = judge_plays(task)
        found = tuple(finding for finding in verdicts.findings if finding.rule in asked)
        results.append(TaskResult(task, statuses(of_tasks, found, verdicts.assessed), found))
    sources = {task.name: task.source for task in notes.tasks}
    history = None if wish.history is None else stored_history(wish.history, sources)
    suite = judge_suite(notes.tasks, Path(notes.root), history, notes.gates, notes.k, wish.must_see)
    found = tuple(finding for finding in suite.findings if finding.rule in asked)
    of_suite = statuses([rule for rule in wish.rules if rule.of_suite], found, suite.assessed)
    return CheckResult(wish.level, tuple(results), found, of_suite)
