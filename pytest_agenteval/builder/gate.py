"""The gate: a draft is a task when its plays say so. It is checked like a suite, in depth and in its sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pytest_agenteval.builder.place import write_whole
from pytest_agenteval.builder.proposal import Proposal, Variant
from pytest_agenteval.builder.render import data_files, render_conftest, render_test, render_variants, task_name
from pytest_agenteval.check.checking import Wish, check_suite
from pytest_agenteval.check.facts import Played
from pytest_agenteval.check.findings import TaskResult
from pytest_agenteval.check.plays import Level, Play, Role
from pytest_agenteval.check.plugin import Request
from pytest_agenteval.check.rounds import CannotRun, Suite
from pytest_agenteval.check.rules import Severity, chosen_rules
from pytest_agenteval.record.digest import digest
from pytest_agenteval.record.outcomes import RULES

__all__ = ["Candidate", "DeepGate", "Gate", "Reason", "Verdict"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that is wrong with a draft."""

    rule: str
    """A rule of the suite check, or one of the builder's own in capitals."""
    message: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the plays of a draft say."""

    accepted: bool | None
    """None where the environment kept it from being decided: the draft is played again in the next run."""
    reasons: tuple[Reason, ...] = ()
    """Why it is not accepted; of an accepted draft what a reader should know nevertheless."""
    plays: int = 0
    seconds: float = 0.0
    killed: int = 0
    """Wrong variants that failed."""
    survived: int = 0

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Verdict:
        """The verdict in JSON types."""
        reasons = tuple(Reason(each["rule"], each["message"], tuple(each["evidence"])) for each in data["reasons"])
        return cls(**{**data, "reasons": reasons})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft whose form is right, and whether it is going to be held out."""

    proposal: Proposal
    holdout: bool = False

    @property
    def test(self) -> str:
        """The source of its test."""
        return render_test(self.proposal, holdout=self.holdout)

    @property
    def digest(self) -> str:
        """Of everything that is played."""
        return digest("\n".join([self.test, self.proposal.digest, render_conftest([self.proposal])]))


class Gate(Protocol):
    """Decides which drafts are tasks."""

    @property
    def version(self) -> str:
        """Verdicts of another version are not used."""

    def judge(self, candidates: Sequence[Candidate]) -> Mapping[str, Verdict]:
        """A verdict for each, by the proposal's id."""

    def check(self, suite: Path) -> Sequence[str] | None:
        """What is wrong with a finished suite, a line each; None if that could not be decided."""


@dataclass(frozen=True, slots=True)
class DeepGate:
    """Plays through pytest, as `pytest-agenteval check` does, and the wrong and right ways of a proposal beside."""

    work: Path
    """A folder of its own, for the drafts that are played."""
    level: Level = Level.DEEP
    sandbox: str | None = None
    """None means the containers' default."""
    min_score: float = 0.8
    mutants: int = 24
    """Derived wrong variants of each solution to play, drawn evenly over their kinds; 0 means all."""
    seed: int = 0
    arguments: Sequence[str] = field(default=())
    """More for pytest."""

    @property
    def version(self) -> str:
        """See :class:`Gate`."""
        return f"{self.level} {self.sandbox} {self.min_score} {self.mutants} {self.seed} {RULES}"

    def judge(self, candidates: Sequence[Candidate]) -> Mapping[str, Verdict]:
        """See :class:`Gate`."""
        folder = self.work / "drafts"
        proposals = [candidate.proposal for candidate in candidates]
        files = {task_name(each.proposal).partition("::")[0]: each.test for each in candidates}
        for proposal in proposals:
            files |= data_files(proposal)
        files |= {"conftest.py": render_conftest(proposals), "mutants.toml": render_variants(proposals)}
        _only(folder, files)
        by_name = {task_name(proposal): proposal for proposal in proposals}
        try:
            result = check_suite(self._wish(folder))
            declared = {name: tuple(_declared(proposal)) for name, proposal in by_name.items()}
            notes = self._suite(folder).play(Request(self.level, declared))
        except CannotRun as error:
            undecided = error.status == 10 or error.status < 0
            said = Reason("AE102" if not undecided else "UNDECIDED", f"pytest ended with {error.status}", (str(error),))
            return {proposal.id: Verdict(None if undecided else False, (said,)) for proposal in proposals}
        variants = {task.name: task.plays for task in notes.tasks}
        verdicts = {}
        for task in result.tasks:
            if task.task.name in by_name:
                verdicts[by_name[task.task.name].id] = _verdict(task, variants.get(task.task.name, ()))
        gone = Reason("AE102", "pytest did not collect its test")
        return {proposal.id: verdicts.get(proposal.id, Verdict(False, (gone,))) for proposal in proposals}

    def check(self, suite: Path) -> Sequence[str] | None:
        """See :class:`Gate`."""
        try:
            result = check_suite(replace(self._wish(suite), rules=chosen_rules(self.level, skip=["AE9"])))
        except CannotRun as error:
            return None if error.status == 10 or error.status < 0 else [f"pytest ended with {error.status}: {error}"]
        found = [f"{each.task or 'the suite'}: {each.rule} {each.message}" for each in result.open(Severity.ERROR)]
        return found or (None if any(task.undecided for task in result.tasks) else [])

    def _suite(self, folder: Path) -> Suite:
        own = self.work / "pytest.ini"
        write_whole(own, "[pytest]\n")
        place = [f"--rootdir={folder}", "-c", str(own), f"--agent-log-dir={self.work / 'logs'}"]
        return Suite([str(folder)], self.sandbox, ["-p", "no:cacheprovider", *place, *self.arguments])

    def _wish(self, folder: Path) -> Wish:
        suite, rules = self._suite(folder), [rule for rule in chosen_rules(self.level) if not rule.of_suite]
        return Wish(suite, self.level, rules, mutants=self.mutants, min_score=self.min_score, seed=self.seed)


def _only(folder: Path, files: Mapping[str, str]) -> None:
    """Make these the only files of a folder."""
    for path in sorted(folder.rglob("*"), reverse=True):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in files:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for name, text in files.items():
        write_whole(folder / name, text)


def _declared(proposal: Proposal) -> list[Play]:
    return [
        *_plays(proposal.mutants, Role.MUTANT, "declared"),
        *_plays(proposal.alternatives, Role.BENIGN, "alternative"),
    ]


def _plays(variants: Sequence[Variant], role: Role, kind: str) -> Iterator[Play]:
    for number, variant in enumerate(variants, 1):
        steps = tuple(step if isinstance(step, str) else (step[0], dict(step[1])) for step in variant.solution)
        about = f"{variant.name}: {variant.why}" if variant.why not in ("", variant.name) else variant.name
        yield Play(f"{kind}-{number}", role, steps, variant.answer, about=about, operator=kind)


def _verdict(result: TaskResult, declared: Sequence[Played]) -> Verdict:
    errors = [each for each in result.findings if each.weight is Severity.ERROR]
    others = [each for each in result.findings if each.weight is Severity.WARNING]
    reasons = [Reason(each.rule, each.message, each.evidence) for each in errors]
    holds = not any(each.rule in ("AE102", "AE103", "AE104", "AE201") for each in errors)
    if holds:  # else a variant shows nothing new
        reasons += [
            Reason("AE302", f"a declared wrong way passes: {played.play.about}")
            for played in declared
            if played.play.role is Role.MUTANT and played.passed
        ]
        reasons += [
            Reason("AE304", f"a declared right way fails: {played.play.about}", (played.message,))
            for played in declared
            if played.play.role is Role.BENIGN and not played.passed and _tells(played)
        ]
    plays = [*result.task.plays, *declared]
    seconds = sum(each for p in plays for each in (p.agent_seconds, p.grading_seconds) if each is not None)
    killed, survived = (0, 0) if result.mutants is None else (result.mutants.killed, result.mutants.survived)
    open_ = result.undecided or any(not _tells(played) for played in declared) or not declared
    accepted = False if reasons else None if open_ else True
    told = reasons or [Reason("UNDECIDED", "plays could not be evaluated")] if accepted is None else reasons
    told = told or [Reason(each.rule, each.message, each.evidence) for each in others]
    return Verdict(accepted, tuple(told), len(plays), round(seconds, 3), killed, survived)


def _tells(played: Played) -> bool:
    """Whether its outcome is of the task's making."""
    return played.outcome.counts or played.outcome.value == "broken"
