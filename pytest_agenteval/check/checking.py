"""A whole check: plays in rounds, judges them, and puts the findings together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_agenteval.check.accepted import accept, read_accepted
from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import CheckResult, TaskResult, statuses
from pytest_agenteval.check.judging import judge_plays
from pytest_agenteval.check.leaks import judge_leaks
from pytest_agenteval.check.mutation import COLLATERAL, sampled
from pytest_agenteval.check.plays import Level, Play, Role
from pytest_agenteval.check.plugin import Notes
from pytest_agenteval.check.residue import judge_residue, leaves_something, residue_plays
from pytest_agenteval.check.rounds import Suite
from pytest_agenteval.check.rules import Rule
from pytest_agenteval.check.store import PlayStore, key_of, mode_of
from pytest_agenteval.check.suite import judge_suite, stored_history
from pytest_agenteval.check.survivors import judge_mutants, mutants_of, to_confirm

__all__ = ["Wish", "check_suite"]

_MUTANTS = {Level.QUICK: 0, Level.STANDARD: 12, Level.DEEP: None}
"""How many mutants of a task are played; None means all."""
_BESIDE = {Level.QUICK: 0, Level.STANDARD: 6, Level.DEEP: 12}
"""How many changes beside the task are."""


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
    mutants: int | None = None
    """How many mutants of a task to play; None means as many as the level does, 0 is all."""
    seed: int = 0
    """For the choice of mutants."""
    min_score: float = 0.8
    """The asked share of wrong variants that fail."""


@dataclass(frozen=True, slots=True)
class _Mutated:
    """What the mutants of a task came to."""

    task: Task
    of: int
    """How many there are."""
    confirmed: tuple[Played, ...]


def check_suite(wish: Wish) -> CheckResult:
    """Check a suite.

    Raises:
        CannotRun: pytest did not come to play its tasks.
        NotReady: the stored attempts, or the file of accepted findings, cannot be read.
    """
    notes = wish.suite.play(wish.level)
    asked = {rule.id for rule in wish.rules}
    of_tasks = [rule for rule in wish.rules if not rule.of_suite]
    residue = _residue(wish, notes) if "AE501" in asked else {}
    alone = [task for task in notes.tasks if not leaves_something(residue.get(task.name, ()))]
    mutated = _mutate(wish, notes, alone) if asked & {"AE301", "AE302", "AE303", "AE305"} else {}
    results = []
    for task in notes.tasks:
        verdicts, mutants = judge_plays(task), None
        judge_leaks(verdicts)
        judge_residue(verdicts, residue.get(task.name, ()))
        if (found := mutated.get(task.name)) is not None:
            verdicts.task = found.task
            mutants = judge_mutants(verdicts, wish.min_score, found.of, found.confirmed)
        kept = tuple(finding for finding in verdicts.findings if finding.rule in asked)
        results.append(TaskResult(verdicts.task, statuses(of_tasks, kept, verdicts.assessed), kept, mutants))
    sources = {task.name: task.source for task in notes.tasks}
    history = None if wish.history is None else stored_history(wish.history, sources)
    suite = judge_suite(notes.tasks, Path(notes.root), history, notes.gates, notes.k, wish.must_see)
    of_suite = tuple(finding for finding in suite.findings if finding.rule in asked)
    suite_rules = statuses([rule for rule in wish.rules if rule.of_suite], of_suite, suite.assessed)
    result = CheckResult(wish.level, tuple(results), of_suite, suite_rules)
    return accept(result, read_accepted(Path(notes.root)), asked)


def _residue(wish: Wish, notes: Notes) -> Mapping[str, tuple[Played, ...]]:
    """The plays that show whether attempts leave something behind, one by one."""
    if wish.level is Level.QUICK:
        return {}
    plan = {task.name: residue_plays(task, thorough=wish.level is Level.DEEP) for task in notes.tasks}
    return _play(wish, notes, plan, one_by_one=True)


def _mutate(wish: Wish, notes: Notes, tasks: Sequence[Task]) -> Mapping[str, _Mutated]:
    """Play the mutants of these tasks, and then the survivors once more, one by one."""
    calls = {repr(step): step for task in tasks for step in task.steps if not isinstance(step, str)}
    made = {task.name: mutants_of(task, wish.level, [calls[key] for key in sorted(calls)]) for task in tasks}
    most = _MUTANTS[wish.level] if wish.mutants is None else wish.mutants or None
    chosen = {name: _chosen(plays, most, wish) for name, plays in made.items()}
    by_name = {task.name: task for task in tasks if chosen[task.name]}
    # the solution once more: what differs by now is volatile, too
    more = _play(wish, notes, {name: [*chosen[name], _control(task)] for name, task in by_name.items()})
    full = {name: replace(task, plays=(*task.plays, *more.get(name, ()))) for name, task in by_name.items()}
    again = _play(wish, notes, {name: to_confirm(task) for name, task in full.items()}, one_by_one=True)
    return {name: _Mutated(task, len(made[name]), again.get(name, ())) for name, task in full.items()}


def _play(
    wish: Wish, notes: Notes, plan: Mapping[str, Sequence[Play]], *, one_by_one: bool = False
) -> dict[str, tuple[Played, ...]]:
    """Play what is planned for each task. Where all of it is stored, no session of pytest is needed for that."""
    mode = mode_of(wish.level, one_by_one=one_by_one)
    played: dict[str, tuple[Played, ...]] = {}
    left = {name: plays for name, plays in plan.items() if plays}
    for task in notes.tasks:
        if task.name in left and task.identity is not None and notes.store is not None and not wish.suite.fresh:
            known = PlayStore(Path(notes.store)).known(task.name, task.identity, mode)
            if all(key_of(play) in known for play in left[task.name]):
                played[task.name] = tuple(known[key_of(play)] for play in left.pop(task.name))
    if left:
        played |= {task.name: task.plays for task in wish.suite.play(wish.level, left, one_by_one=one_by_one).tasks}
    return played


def _chosen(plays: Sequence[Play], most: int | None, wish: Wish) -> list[Play]:
    """Damage beside the task has a budget of its own, and would else crowd out the rest."""
    beside = [play for play in plays if play.operator in COLLATERAL]
    wrong = [play for play in plays if play.operator not in COLLATERAL]
    return [*sampled(wrong, most, wish.seed), *sampled(beside, _BESIDE[wish.level], wish.seed)]


def _control(task: Task) -> Play:
    return Play("oracle-later", Role.ORACLE, task.steps, task.answer)
