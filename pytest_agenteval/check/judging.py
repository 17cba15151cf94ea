"""From the plays of a task to its findings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import Finding, Status
from pytest_agenteval.check.plays import Role
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.check.states import differing, volatile
from pytest_agenteval.record.outcomes import Outcome

__all__ = ["EASY", "Verdicts", "evidence_of", "forbids_more", "judge_plays", "one_line", "only_looks", "passes_alone"]

_LONGEST_REASON = 240
_FORBIDS = re.compile(
    r"(?i)nothing else (?:changes|is changed)|\bleave\b[^.]{0,60}\bas (?:it is|they are)|do not (?:change|touch)"
    r"|\bkeep\b[^.]{0,60}\ball other|change nothing else"
)
_HEADROOM = 0.5
"""Of a limit; above it the limit may decide instead of the work."""
EASY = {
    Role.NULL: ("AE201", "null passed: the task is done before the agent begins, or its checks do not look"),
    Role.ECHO: ("AE202", "echo passed: the prompt is accepted as the answer"),
    Role.DUMP: ("AE203", "dump passed: the files and the environment are accepted as the answer"),
    Role.SPAM: ("AE204", "spam passed: an answer that says everything is accepted"),
    Role.ANSWER_ONLY: ("AE205", "answer-only passed: the right answer is accepted without the work"),
}
"""What must fail for want of the work: the rule, and what a pass of it means."""


@dataclass(slots=True)
class Verdicts:
    """What is found out about a task, rule by rule."""

    task: Task
    findings: list[Finding] = field(default_factory=list)
    assessed: dict[str, Status] = field(default_factory=dict)

    def find(self, rule: str, message: str, **more: object) -> None:
        """Add a finding at the task's own place, unless `more` names another."""
        place = {"file": self.task.file, "line": self.task.line}
        self.findings.append(Finding(rule, self.task.name, message, **{**place, **more}))  # type: ignore[arg-type]

    def note(self, rule: str, status: Status) -> None:
        """A rule was looked at. What is undecided, or was looked at in part only, stays so."""
        order = (Status.OK, Status.NOT_ASSESSED, Status.UNDECIDED)
        self.assessed[rule] = max(self.assessed.get(rule, Status.OK), status, key=order.index)


def judge_plays(task: Task) -> Verdicts:
    """What the base plays of a task show."""
    verdicts = Verdicts(task)
    if task.skip is not None:
        return verdicts
    if task.trouble is not None:
        verdicts.find("AE102", f"could not be evaluated: {one_line(task.trouble)}")
        return verdicts
    verdicts.note("AE101", Status.OK)
    if not task.solvable:
        verdicts.find("AE101", "no solution declared: nobody has shown that it can be solved")
    broken = [played for played in task.plays if played.outcome is Outcome.BROKEN and _whole(played)]
    if broken:
        verdicts.find("AE102", f"broken: {one_line(broken[0].message)}", **evidence_of(broken[0]))
    _judge_oracles(verdicts, found_broken=bool(broken))
    _judge_rules(verdicts)
    _judge_easy(verdicts)
    _judge_benign(verdicts)
    _judge_headroom(verdicts)
    return verdicts


def passes_alone(task: Task) -> bool:
    """Whether the solution passes each time and doing nothing never does, so that other plays can show something."""
    oracles = task.of(Role.ORACLE)
    if not oracles or task.skip is not None or task.trouble is not None:
        return False
    return all(played.passed for played in oracles) and not any(played.passed for played in task.of(Role.NULL))


def forbids_more(prompt: str) -> bool:
    """Whether a prompt forbids to change more than it asks for."""
    return _FORBIDS.search(prompt) is not None


def one_line(text: str) -> str:
    """The text in one line of readable length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def _whole(played: Played) -> bool:
    """Whether the end state is of the agent's own making: a mutant may break what a fixture tears down."""
    return played.play.role in (Role.ORACLE, *EASY)


def _judge_oracles(verdicts: Verdicts, *, found_broken: bool) -> None:
    oracles = verdicts.task.of(Role.ORACLE)
    if not oracles:
        return
    counting = [played for played in oracles if played.outcome.counts]
    passed = [played for played in counting if played.passed]
    failed = [played for played in counting if not played.passed]
    open_ = Status.OK if found_broken else Status.of(oracles)
    verdicts.note("AE102", open_)
    if len(oracles) > 1:
        for rule in ("AE103", "AE104"):
            verdicts.note(rule, open_)
    if failed and not passed and not found_broken:
        verdicts.find("AE102", f"oracle failed: {one_line(failed[0].message)}", **evidence_of(failed[0]))
    elif failed and passed:
        _judge_flaky(verdicts, passed, failed)


def _judge_rules(verdicts: Verdicts) -> None:
    """The solution keeps all rules of its task, those of the run too."""
    counting = [played for played in verdicts.task.of(Role.ORACLE) if played.outcome.counts]
    if not counting:
        return
    verdicts.note("AE107", Status.OK)
    broke = next((played for played in counting if played.broke), None)
    if broke is not None:
        verdicts.find("AE107", f"the solution breaks a rule: {one_line(broke.broke[0])}", **evidence_of(broke))


def _judge_flaky(verdicts: Verdicts, passed: Sequence[Played], failed: Sequence[Played]) -> None:
    """The solution passes and fails: where an end state that failed has also passed, it is the checker's doing.

    What differs from the start, such as a canary, says nothing about the work.
    """
    given = volatile(played.start for played in (*passed, *failed) if played.start is not None)
    differences = [differing(one.state, other.state) - given for one, other in product(failed, passed)]
    count = f"the solution passed {len(passed)} of {len(passed) + len(failed)} times"
    reason = one_line(failed[0].message)
    if any(not each for each in differences):
        why = "with the same end state, so the checker draws"
        verdicts.find("AE104", f"{count} {why}: {reason}", **evidence_of(failed[0]))
    else:
        entries = ", ".join(min(map(sorted, differences), key=len)[:3])
        verdicts.find("AE103", f"{count}, and the end state differs ({entries}): {reason}", **evidence_of(failed[0]))


def _judge_easy(verdicts: Verdicts) -> None:
    for role, (rule, message) in EASY.items():
        if role is not Role.NULL and any(played.passed for played in verdicts.task.of(Role.NULL)):
            return  # whatever they submit passes, too, and shows nothing new
        if role is Role.ANSWER_ONLY and only_looks(verdicts.task):
            continue  # to know the answer is the whole work
        for played in verdicts.task.of(role):
            if played.passed:
                verdicts.find(rule, message, **evidence_of(played))
            verdicts.note(rule, Status.of([played]))
            _judge_scores(verdicts, rule, played)


def _judge_scores(verdicts: Verdicts, rule: str, played: Played) -> None:
    """An Inspect task may have scores beside the one that decides: one that the solution gets, too, tells nothing."""
    solved = [each.scores for each in verdicts.task.of(Role.ORACLE) if each.passed and each.scores]
    if played.passed or len(solved) == 0 or len(solved[0]) < 2:
        return
    same = [name for name, value in played.scores.items() if all(scores.get(name) == value for scores in solved)]
    for name in same:
        message = f"by the score {name}, {played.play.role} is as good as the solution ({played.scores[name]})"
        more = {**evidence_of(played), "subject": f"{played.play.name} {name}"}
        verdicts.find(rule, message, severity=Severity.WARNING, **more)


def only_looks(task: Task) -> bool:
    """Whether the solution leaves the sandbox as doing nothing does: it reads, and answers."""
    ends = [played.end for played in task.of(Role.ORACLE, Role.NULL)]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends) or not known:
        return False
    given = volatile(played.start for played in task.of(Role.ORACLE, Role.NULL) if played.start is not None)
    return all(not differing(known[0], end) - given for end in known)


def _judge_benign(verdicts: Verdicts) -> None:
    """Only where the solution itself passes each time: otherwise a failure says nothing about the variant."""
    oracles = verdicts.task.of(Role.ORACLE)
    if not oracles or not all(played.passed for played in oracles):
        return
    for played in verdicts.task.of(Role.BENIGN):
        if played.play.after and forbids_more(verdicts.task.prompt):
            continue  # a scratch file is more
        if played.outcome in (Outcome.FAILED, Outcome.BROKEN):
            about = played.play.about
            verdicts.find("AE304", f"an agent fails that {about}: {one_line(played.message)}", **evidence_of(played))
        verdicts.note("AE304", Status.of([played]))


def _judge_headroom(verdicts: Verdicts) -> None:
    task = verdicts.task
    passed = [played for played in task.of(Role.ORACLE) if played.passed]
    if not passed:
        return
    for needed, limit, name, unit in _needs(task, passed):
        if limit is not None and needed > _HEADROOM * limit:
            verdicts.find("AE106", f"the solution needs {needed:.3g} of {limit:g} {unit} ({name})", subject=name)
    verdicts.note("AE106", Status.OK)


def _needs(task: Task, passed: Sequence[Played]) -> Iterator[tuple[float, float | None, str, str]]:
    """What the solution needs at least, beside each limit: what one slow run needs may be the machine's doing."""
    yield min(played.turns for played in passed), task.turn_limit, "turn_limit", "turns"
    for name, limit, seconds in (
        ("time_limit", task.time_limit, [played.agent_seconds for played in passed]),
        ("grading_time_limit", task.grading_time_limit, [played.grading_seconds for played in passed]),
    ):
        known = [each for each in seconds if each is not None]
        if known:
            yield min(known), limit, name, "s"


def evidence_of(played: Played) -> dict[str, object]:
    """What of a play goes into a finding: its message, where it was raised, and how to see it again."""
    told = [played.message, f"at {played.where}" if played.where else ""]
    name = played.play.name
    return {"evidence": tuple(filter(None, map(one_line, told))), "subject": name, "replay": name}
