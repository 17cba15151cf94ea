"""A whole check: plays in rounds, judges them, and puts the findings together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_agenteval.check.accepted import accept, read_accepted
from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.few_shot import judge_few_shots, null_play
from pytest_agenteval.check.findings import CheckResult, Mutants, TaskResult, statuses
from pytest_agenteval.check.judges import judge_judges, judgements, trial
from pytest_agenteval.check.judging import Verdicts, judge_plays
from pytest_agenteval.check.leaks import judge_leaks
from pytest_agenteval.check.mutation import COLLATERAL, sampled
from pytest_agenteval.check.offline import judge_offline, offline_plays
from pytest_agenteval.check.others import other_plays
from pytest_agenteval.check.plays import Level, Play, Role
from pytest_agenteval.check.plugin import Notes, Request
from pytest_agenteval.check.residue import judge_residue, leaves_something, residue_plays
from pytest_agenteval.check.rounds import Suite
from pytest_agenteval.check.rules import Rule, chosen_rules
from pytest_agenteval.check.store import PlayStore, key_of
from pytest_agenteval.check.suite import Store, judge_suite, stored_history
from pytest_agenteval.check.survivors import judge_mutants, mutants_of, to_confirm
from pytest_agenteval.check.tamper import judge_tampering, tamper_plays
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import total_of

__all__ = ["Wish", "check_suite"]

_MUTANTS = {Level.QUICK: 0, Level.STANDARD: 12, Level.DEEP: None}
"""How many mutants of a task are played; None means all."""
_BESIDE = {Level.QUICK: 0, Level.STANDARD: 6, Level.DEEP: 12}
"""How many changes beside the task are."""
_BY_MUTANTS = {"AE301", "AE302", "AE303", "AE305"}
Plan = Mapping[str, Sequence[Play]]
"""What to play, by task."""
Made = Mapping[str, tuple[Played, ...]]
"""What came of it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to check, and how deep."""

    suite: Suite
    level: Level = Level.STANDARD
    rules: Sequence[Rule] | None = None
    """None means all of the level."""
    history: str | None = None
    """Where stored attempts of real agents are: a `.eval` log, or a directory of them."""
    must_see: float = 0.1
    """The drop of pass@1 that a gate must find."""
    mutants: int | None = None
    """How many mutants of a task to play; None means as many as the level does, 0 is all."""
    seed: int = 0
    """For the choice of mutants."""
    judge: str | None = None
    """The model that judges, for the rule that costs money; None leaves the rule out."""
    max_cost: float | None = None
    """What that may cost, in US dollars; needed with `judge`."""
    min_score: float = 0.8
    """The asked share of wrong variants that fail."""


def check_suite(wish: Wish) -> CheckResult:
    """Check a suite. Other code may call this, too: nothing is printed, and nobody is asked.

    For example, a gate for a suite in a folder:

        result = check_suite(Wish(Suite(["."], folder=draft), Level.DEEP))
        accepted = result.exit_status() == 0
        rules = {finding.rule for finding in result.findings}
        killed, wrong = result.killed or (0, 0)

    Raises:
        CannotRun: pytest did not come to play its tasks.
        Stopped: somebody ended it by Ctrl-C or SIGTERM.
        NotReady: the stored attempts, or the file of accepted findings, cannot be read.
    """
    began = time.monotonic()
    rounds = _Rounds(wish)
    try:
        result = _checked(wish, rounds)
    finally:
        wish.suite.progress.end()
    return replace(result, seconds=time.monotonic() - began)


def _checked(wish: Wish, rounds: _Rounds) -> CheckResult:
    rules = chosen_rules(wish.level) if wish.rules is None else wish.rules
    asked = {rule.id for rule in rules}
    deep = wish.level is Level.DEEP
    notes = rounds.begin()
    residue: Made = {}
    if "AE501" in asked and wish.level is not Level.QUICK:
        plan = {task.name: residue_plays(task, thorough=deep) for task in notes.tasks}
        residue = rounds.play("attempts one after the other", plan, Request(wish.level, one_by_one=True))
    alone = [task for task in notes.tasks if not leaves_something(residue.get(task.name, ()))]
    possible, second = _second_round(wish, asked, alone)
    more = rounds.play("wrong variants", second, Request(wish.level))
    full = {task.name: replace(task, plays=(*task.plays, *more.get(task.name, ()))) for task in notes.tasks}
    offline: Made = {}
    if "AE105" in asked:
        plan = {task.name: offline_plays(task) for task in notes.tasks}
        offline = rounds.play("without network", plan, Request(wish.level, offline=True), keep_identity=True)
    through = {}
    if "AE405" in asked:
        for scaffold in notes.scaffolds:
            plan = {name: [null_play()] for name, task in full.items() if task.own_prompt and task.solvable}
            request = Request(wish.level, scaffold=scaffold)
            through[f"the scaffold {scaffold}"] = rounds.play(f"scaffold {scaffold}", plan, request, keep_identity=True)
    survivors = {name: to_confirm(full[name]) for name in possible}
    again = rounds.play("survivors once more", survivors, Request(wish.level, one_by_one=True))
    judged = _judgements(wish, rounds, full) if wish.judge is not None and "AE903" in asked else {}
    verdicts = {name: judge_plays(task) for name, task in full.items()}
    mutants = {}
    for name, found in verdicts.items():
        judge_leaks(found)
        judge_residue(found, residue.get(name, ()))
        judge_offline(found, offline.get(name, ()))
        judge_tampering(found)
        if name in possible:
            mutants[name] = judge_mutants(found, wish.min_score, possible[name], again.get(name, ()))
    judge_few_shots(verdicts, through)
    of_tasks = [rule for rule in rules if not rule.of_suite]
    results = tuple(_result(found, of_tasks, mutants.get(name), asked) for name, found in verdicts.items())
    tasks = tuple(full.values())
    store = None if wish.history is None else stored_history(wish.history, tasks)
    suite = judge_suite(tasks, Path(notes.root), store or Store(), notes.gates, notes.k, wish.must_see)
    about_judges, suite.assessed["AE903"] = judge_judges(full, judged)
    suite.findings += about_judges
    of_suite = tuple(finding for finding in suite.findings if finding.rule in asked)
    suite_rules = statuses([rule for rule in rules if rule.of_suite], of_suite, suite.assessed)
    result = CheckResult(wish.level, results, of_suite, suite_rules, beside=rounds.beside)
    return accept(result, read_accepted(Path(notes.root)), asked)


def _judgements(wish: Wish, rounds: _Rounds, tasks: Mapping[str, Task]) -> Made:
    """One judgement of each solution, and then more where a judge was asked, as far as the money goes."""
    assert wish.max_cost is not None
    request = Request(wish.level, judge=wish.judge, max_cost=wish.max_cost)
    plan = {name: trial(task) for name, task in tasks.items()}
    tried = rounds.play("one judgement each", plan, request, keep_identity=True)
    plan = {name: judgements(tasks[name], plays) for name, plays in tried.items()}
    left = None if rounds.spent is None else wish.max_cost - rounds.spent
    request = replace(request, max_cost=left if left is not None and left > 0 else None)
    more = rounds.play("more judgements", plan, request, keep_identity=True)
    return {name: (*plays, *more.get(name, ())) for name, plays in tried.items()}


def _result(verdicts: Verdicts, rules: Sequence[Rule], mutants: Mutants | None, asked: set[str]) -> TaskResult:
    kept = tuple(finding for finding in verdicts.findings if finding.rule in asked)
    return TaskResult(verdicts.task, statuses(rules, kept, verdicts.assessed), kept, mutants)


def _second_round(wish: Wish, asked: set[str], tasks: Sequence[Task]) -> tuple[dict[str, int], dict[str, list[Play]]]:
    """How many mutants each task has, and what is played once the base plays are known."""
    plan: dict[str, list[Play]] = {task.name: [] for task in tasks}
    possible: dict[str, int] = {}
    calls = {repr(step): step for task in tasks for step in task.steps if not isinstance(step, str)}
    most = _MUTANTS[wish.level] if wish.mutants is None else wish.mutants or None
    for task in tasks if asked & _BY_MUTANTS and wish.level is not Level.QUICK else ():
        made = mutants_of(task, wish.level, [calls[key] for key in sorted(calls)])
        if chosen := _chosen(made, most, wish):
            possible[task.name] = len(made)
            # the solution once more: what differs by now is volatile, too
            plan[task.name] += [*chosen, Play("oracle-later", Role.ORACLE, task.steps, task.answer)]
    if "AE406" in asked:
        for task in tasks:
            plan[task.name] += tamper_plays(task)
    if wish.level is Level.DEEP and asked & {"AE206", "AE701"}:
        for name, plays in other_plays(tasks).items():
            plan[name] += plays
    return possible, plan


def _chosen(plays: Sequence[Play], most: int | None, wish: Wish) -> list[Play]:
    """Damage beside the task has a budget of its own, and would else crowd out the rest."""
    beside = [play for play in plays if play.operator in COLLATERAL]
    wrong = [play for play in plays if play.operator not in COLLATERAL]
    return [*sampled(wrong, most, wish.seed), *sampled(beside, _BESIDE[wish.level], wish.seed)]


class _Rounds:
    """The sessions of pytest that a check needs, and what they came to."""

    def __init__(self, wish: Wish) -> None:
        self._suite, self._level = wish.suite, wish.level
        self._notes = Notes("")
        self.beside: dict[str, tuple[Played, ...]] = {}
        """By task, plays that are not among its own."""
        self.spent: float | None = 0.0
        """What judges have cost at most, in US dollars; None if that is unknown."""

    def begin(self) -> Notes:
        """Collect the tasks, and play the base plays."""
        self._suite.progress.begin("the solutions, and what must fail")
        self._notes = self._suite.play(Request(self._level, fresh=self._suite.fresh))
        return self._notes

    def play(self, what: str, plan: Plan, request: Request, *, keep_identity: bool = False) -> Made:
        """Play what is planned for each task. Where all of it is stored, no session of pytest is needed for that.

        Args:
            what: a few words for those who wait.
            plan: what to play, by task.
            request: how; the plays are added here.
            keep_identity: whether the session changes what the tasks are, so that plays are stored under what they
                were in the first one.
        """
        made: dict[str, tuple[Played, ...]] = {}
        left = {name: tuple(plays) for name, plays in plan.items() if plays}
        identities = {task.name: task.identity for task in self._notes.tasks}
        for name, known in self._known(left, identities, request):
            made[name] = known
            del left[name]
        no_money = request.judge is not None and request.max_cost is None
        if left and not self._suite.over and not no_money:
            self._suite.progress.begin(what)
            told = identities if keep_identity else {}
            asked = replace(request, plays=left, fresh=self._suite.fresh, identities=told)
            fresh = {task.name: task.plays for task in self._suite.play(asked).tasks}
            costs = (played.judge_cost for plays in fresh.values() for played in plays)
            self.spent = total_of([self.spent, *costs])
            made |= fresh
        elif left:
            made |= {name: tuple(_unplayed(play) for play in plays) for name, plays in left.items()}
        if request.one_by_one or keep_identity:
            self.beside |= {name: (*self.beside.get(name, ()), *plays) for name, plays in made.items()}
        return made

    def _known(
        self, plan: Plan, identities: Mapping[str, Mapping[str, str] | None], request: Request
    ) -> list[tuple[str, tuple[Played, ...]]]:
        if self._notes.store is None or self._suite.fresh:
            return []
        store, found = PlayStore(Path(self._notes.store)), []
        for name, plays in plan.items():
            identity = identities[name]
            known = {} if identity is None else store.known(name, identity, request.mode)
            if all(key_of(play) in known for play in plays):
                found.append((name, tuple(known[key_of(play)] for play in plays)))
        return found


def _unplayed(play: Play) -> Played:
    return Played(play, Outcome.NOT_RUN, message="the time of the check, or its money, was over")
