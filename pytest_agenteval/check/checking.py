"""A whole check: plays in rounds, judges them, and puts the findings together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.check.findings import CheckResult, TaskResult, statuses
from pytest_agenteval.check.judging import judge_plays
from pytest_agenteval.check.plays import Level
from pytest_agenteval.check.rounds import Suite
from pytest_agenteval.check.rules import Rule

__all__ = ["Wish", "check_suite"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to check, and how deep."""

    suite: Suite
    level: Level
    rules: Sequence[Rule]


def check_suite(wish: Wish) -> CheckResult:
    """Check a suite.

    Raises:
        CannotRun: pytest did not come to play its tasks.
    """
    notes = wish.suite.play(wish.level)
    results = []
    asked = {rule.id for rule in wish.rules}
    for task in notes.tasks:
        verdicts = judge_plays(task)
        found = tuple(finding for finding in verdicts.findings if finding.rule in asked)
        results.append(TaskResult(task, statuses(wish.rules, found, verdicts.assessed), found))
    return CheckResult(wish.level, tuple(results))
