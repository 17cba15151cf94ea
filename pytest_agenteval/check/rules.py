"""The rules of a suite check. Their ids are stable: reports, accepted findings and `--only` name them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pytest_agenteval.check.plays import Level
from pytest_agenteval.errors import NotReady, did_you_mean
from pytest_agenteval.record.figures import joined

__all__ = ["CHECKLIST", "RULES", "Rule", "Severity", "chosen_rules", "explain"]


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"
    """The task's verdicts mean nothing, or not what they say."""
    WARNING = "warning"
    """They mean less than they seem to."""
    NOTE = "note"
    """A reader should know."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Rule:
    """What can be wrong with a task or a suite."""

    id: str
    title: str
    severity: Severity
    """That of its findings, unless a finding says otherwise."""
    level: Level
    """The first level that looks for it."""
    why: str
    """What it means and what to do, in a few sentences."""

    @property
    def of_suite(self) -> bool:
        """Whether it is about the suite, its stored attempts and its gates, and not about single tasks."""
        return self.id >= "AE600" or self.id == "AE206"


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_QUICK, _STANDARD, _DEEP = Level.QUICK, Level.STANDARD, Level.DEEP
_ALL = (
    Rule("AE101", "no solution", _E, _QUICK,
         "Nobody has shown that the task can be solved. Declare `solution` or `answer` in its mark: every other rule "
         "that plays the task begins with it."),
    Rule("AE102", "the solution fails", _E, _QUICK,
         "The declared solution does not pass, or the task cannot be evaluated at all. An agent that does everything "
         "right would fail, too. Repair the solution, the fixtures or the checker."),
    Rule("AE103", "flaky environment", _E, _STANDARD,
         "The same solution in fresh sandboxes passes and fails, and what it leaves behind differs. Seed what is "
         "random, pin what is downloaded, and wait for events instead of sleeping."),
    Rule("AE104", "flaky checker", _E, _STANDARD,
         "The same end state passes and fails. The checker itself draws, races or asks a judge: an agent's pass rate "
         "would measure that. Make the checks after the agent deterministic."),
    Rule("AE105", "the solution needs the network", _W, _STANDARD,
         "Without network the solution fails. What it downloads changes, and the other side may be down. Put what it "
         "needs into the image, and give the task `network='none'`."),
    Rule("AE106", "little headroom", _W, _STANDARD,
         "The solution needs more than half of a limit in time, turns or grading time. On a slower machine, or for an "
         "agent that looks around first, the limit decides instead of the work. Raise it."),
    Rule("AE107", "the solution breaks a rule", _E, _QUICK,
         "The declared solution breaks a rule that the task's agents must keep, so an agent that does everything right "
         "would be blamed. Repair the solution or the rule."),
    Rule("AE201", "doing nothing passes", _E, _QUICK,
         "An agent that submits at once passes. The start state already satisfies the checks, or they do not look. "
         "Check something that only the work brings about."),
    Rule("AE202", "repeating the prompt passes", _E, _STANDARD,
         "The prompt, submitted as the answer, passes. The checker finds what it looks for in its own question: "
         "compare the whole answer, or do not spell the answer out."),
    Rule("AE203", "showing everything passes", _E, _STANDARD,
         "An agent passes that submits every file and its environment without reading them. The checker looks for a "
         "part of the answer anywhere: compare the whole answer."),
    Rule("AE204", "saying everything passes", _E, _STANDARD,
         "An answer that holds all words of the prompt, many numbers and all answers of the suite passes. Compare the "
         "whole answer, or refuse answers that say more than one thing."),
    Rule("AE205", "the answer alone passes", _E, _STANDARD,
         "The right answer passes without the work that the task asks for. Check the end state, too."),
    Rule("AE206", "guessable", _W, _STANDARD,
         "One answer is right in 30% of five or more tasks of a suite, or one strategy passes more than a third of "
         "them: an agent that always does the same gets that far. Vary the answers. (Strategies: from --level=deep.)"),
    Rule("AE301", "half a solution passes", _E, _STANDARD,
         "Of the wrong variants of the solution that were played, fewer than the asked share failed. Look at the "
         "survivors (AE302) and check what they leave out."),
    Rule("AE302", "a wrong variant passes", _W, _STANDARD,
         "A variant of the solution, of its answer or of the files that it leaves passes, although its end state is "
         "another one. Check what was changed, or accept the finding with a reason. It is an error where a whole step, "
         "a file that the prompt names, or the whole answer can be missing."),
    Rule("AE303", "damage beside the task is not seen", _N, _STANDARD,
         "A file that the solution leaves alone can be deleted or changed and the task passes. It is an error where "
         "the prompt forbids that: compare the files that must stay as they were."),
    Rule("AE304", "too strict", _W, _STANDARD,
         "A variant that is as good as the solution fails: blanks round the answer, a scratch file left behind. Honest "
         "agents do this. Compare what is meant and not how it is written."),
    Rule("AE305", "a requirement is not exercised", _N, _STANDARD,
         "A step of the solution was changed, and the end state is the same. The start state does not need that part "
         "of the work: give it a case that does."),
    Rule("AE401", "a file gives the solution away", _E, _STANDARD,
         "What only a solver should know lies in a file when the agent starts. Move it out of the sandbox, and let the "
         "checker bring it when the agent is done."),
    Rule("AE402", "the git history gives the solution away", _E, _STANDARD,
         "The solution is in an object of the repository, perhaps one that no branch reaches. Build the repository "
         "anew from the files of the start."),
    Rule("AE403", "the environment gives the solution away", _E, _STANDARD,
         "An environment variable holds the answer or the solution. Leave it out of the container."),
    Rule("AE404", "the prompt gives the solution away", _E, _STANDARD,
         "The prompt or a tool's description holds the answer or most of the solution. Leave it out."),
    Rule("AE405", "a scaffold gives the solution away", _E, _STANDARD,
         "The first model call of agents at other tasks holds half or more of this task's prompt or solution: an "
         "example of the scaffold is a task of the suite. Take other examples."),
    Rule("AE406", "the checker runs files of the agent", _E, _STANDARD,
         "An agent passes that does nothing but rewrite a file which the checker runs. Let the checker bring its own "
         "files when the agent is done, or compare what it finds with what it left there."),
    Rule("AE501", "attempts see one another", _E, _STANDARD,
         "After another attempt has done the work, doing nothing passes. Fixtures of a wider scope, or state of the "
         "module, carry it over: make it anew for each attempt."),
    Rule("AE601", "unpinned", _W, _QUICK,
         "An image without a digest or a package without a version changes under the suite, and its scores with it. "
         "Pin it."),
    Rule("AE701", "near-duplicates", _W, _STANDARD,
         "Two tasks ask for nearly the same thing in nearly the same words, or the solution of one passes the other. "
         "They count twice in every figure and say little more than one: intervals are too narrow. Drop one, or make "
         "them differ. Samples of one parametrized test are told as families (a note)."),
    Rule("AE801", "saturated", _N, _QUICK,
         "Every stored attempt passed. The task tells agents apart no longer: keep it as a regression test, and write "
         "a harder one."),
    Rule("AE802", "never passed", _W, _QUICK,
         "No stored attempt ever passed. Mostly that is a fault of the task: read transcripts and the checker first."),
    Rule("AE803", "in the middle band", _N, _QUICK,
         "Between 30% and 70% of stored attempts passed: these tasks tell agents apart best."),
    Rule("AE804", "better agents do worse", _W, _QUICK,
         "Across five or more cells, those that do well on the other tasks do badly on this one. Its checker probably "
         "rewards something else."),
    Rule("AE901", "BLIND gate", _E, _QUICK,
         "The gate would not notice the regression that it is there for: the smallest drop it finds with 80% power is "
         "larger than --must-see. Add tasks, raise k, or raise the threshold."),
    Rule("AE903", "the judge wavers", _W, _QUICK,
         "The model that judges says the same of one transcript in fewer than 9 of 10 judgements, or turns when the "
         "parts of its prompt are swapped. Give it a narrower question, let several judge, or check without one. Only "
         "with --judge-model and --max-cost: these plays cost money."),
    Rule("AE902", "the holdout does not hold", _W, _STANDARD,
         "Tasks that are held out are nearly the same as open ones, nearer to them than is claimed, were open in "
         "stored runs, or were looked at more than ten times. A suite of ten or more tasks without any is a note."),
)  # fmt: skip
RULES: Mapping[str, Rule] = {rule.id: rule for rule in _ALL}
"""By id, in order."""


CHECKLIST: Mapping[str, frozenset[str]] = {
    item: frozenset(rules.split())
    for item, rules in {
        "T.1": "AE601",
        "T.4": "AE501",
        "T.5": "AE401 AE402 AE404 AE406",
        "T.6": "AE103 AE601",
        "T.7": "AE102 AE104",
        "T.8": "AE102",
        "T.9": "AE101",
        "T.10": "AE201 AE202 AE203 AE204",
        "O.a.1": "AE304",
        "O.b.1": "AE302",
        "O.b.2": "AE204",
        "O.b.3": "AE206",
        "O.c.1": "AE903",
        "O.g.1": "AE304",
        "O.g.2": "AE303",
        "O.g.3": "AE201 AE302",
    }.items()
}
"""Items of the Agentic Benchmark Checklist (Zhu et al. 2025), and the rules that look at each: T is about tasks, O
about outcomes. The items that nothing here can look at, such as those about reporting, are left out."""


def chosen_rules(level: Level, only: Collection[str] = (), skip: Collection[str] = ()) -> list[Rule]:
    """The rules to look at.

    Args:
        level: how deep to look. A rule of `only` is looked at whatever the level.
        only: ids, or the beginnings of ids (`AE2`); empty means all of the level.
        skip: likewise, to leave out.

    Raises:
        NotReady: an id belongs to no rule.
    """
    for name in (*only, *skip):
        if not any(rule.startswith(name) for rule in RULES):
            raise _no_rule(name)
    named = [rule for rule in _ALL if any(rule.id.startswith(name) for name in only)]
    kept = named if only else [rule for rule in _ALL if level.includes(rule.level)]
    return [rule for rule in kept if not any(rule.id.startswith(name) for name in skip)]


def explain(name: str) -> str:
    """What a rule is about, for people.

    Raises:
        NotReady: there is no such rule.
    """
    if name not in RULES:
        raise _no_rule(name)
    rule = RULES[name]
    return f"{rule.id} {rule.title} ({rule.severity}, from --level={rule.level})\n\n{rule.why}"


def _no_rule(name: str) -> NotReady:
    return NotReady(f"there is no rule {name}: {did_you_mean(name, RULES, f'they are {joined(RULES)}')}")
