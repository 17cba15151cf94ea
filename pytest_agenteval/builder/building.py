"""From an intent to a suite: the stages in their order. A run walks through all of them; what is on disk costs nothing.

Drafts, verdicts, answers and solves are kept by what they were made from. So the same command resumes after a kill, an
edited file is an input, and only what depends on it is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pytest_agenteval.builder.build import Accepted, Build, Rejected, Status
from pytest_agenteval.builder.calls import Calls, Stopped
from pytest_agenteval.builder.form import NotJson, form_problems, nearest_of, parse
from pytest_agenteval.builder.gate import Candidate, Gate, Reason, Verdict
from pytest_agenteval.builder.intent import (
    Ground,
    Intent,
    Slot,
    Subtask,
    allocate,
    grounds_of,
    grounds_toml,
    quota_of,
    quota_toml,
    subtasks_of,
    subtasks_toml,
)
from pytest_agenteval.builder.judge import ModelJudge
from pytest_agenteval.builder.place import Journal, Place, write_whole
from pytest_agenteval.builder.proposal import Proposal, proposal_of
from pytest_agenteval.builder.proposers import Proposer
from pytest_agenteval.builder.solving import Solved, Solver, ambiguity
from pytest_agenteval.record.digest import digest
from pytest_agenteval.texts import encodable

__all__ = ["STAGES", "Builder"]

STAGES = ("intent", "subtasks", "ground", "quota", "draft", "gate", "solve", "render")
"""Where `--stop-after` can stop."""
_MOST_REPAIRS = 2
_MOST_ROUNDS = 4
_MOST_GROUNDINGS = 3
_AT_ONCE = 4
"""Drafts that are judged together: a kill loses the verdicts of so many at most."""


@dataclass(slots=True)
class _Work:
    """A draft under way."""

    slot: Slot
    version: int = 1
    feedback: list[dict[str, Any]] = field(default_factory=list)
    candidate: Candidate | None = None
    ended: bool = False


class _Stop(Exception):
    """`--stop-after`."""


class Builder:
    """Builds one suite."""

    def __init__(
        self, place: Place, proposer: Proposer, gate: Gate, calls: Calls, *, solver: Solver | None = None,
        judge: ModelJudge | None = None, stop_after: str | None = None, as_is: Sequence[str] = (),
        say: Callable[[str], None] = lambda line: None, known_prompts: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """What builds it.

        Args:
            place: where.
            proposer: who proposes.
            gate: who decides.
            calls: who pays.
            solver: who solves blindly; None leaves that stage out.
            judge: who is asked about the rest; likewise.
            stop_after: the stage to stop after.
            as_is: ids of drafts whose newest version is accepted whatever the gate says.
            say: called with the stage line whenever it changes.
            known_prompts: prompts of an earlier suite, which must not be made again.
        """
        self._place, self._proposer, self._gate, self._calls = place, proposer, gate, calls
        self._solver, self._judge, self._stop_after, self._say = solver, judge, stop_after, say
        self._journal = Journal(place.home / "state.jsonl")
        self._states = _states(self._journal.lines())
        self._as_is = {*as_is, *(place.json("as-is.json") or [])}
        if as_is:
            place.keep_json(sorted(self._as_is), "as-is.json")
        self._known_prompts = set(known_prompts)
        self._began = time.monotonic()
        self._proposals: list[Proposal] = []
        """Accepted ones, and those of drafts under way."""

    async def build(self, intent: Intent) -> Build:
        """Go through all stages. What was accepted is in the result, however it ends."""
        build = Build(intent)
        try:
            await self._plan(build)
            await self._fill(build)
        except Stopped as error:
            build.why = str(error)
        except _Stop:
            build.why = f"stopped after {self._stop_after}, as asked"
        order = {subtask.id: at for at, subtask in enumerate(build.subtasks)}
        build.accepted.sort(key=lambda each: (order.get(each.slot.subtask, 0), each.slot.index))
        if not build.why:
            lacking = build.lacking
            if build.open:
                build.why = f"the environment left {len(build.open)} drafts undecided: {', '.join(build.open[:3])}"
            elif lacking:
                build.status = Status.SHORT
                build.why = "; ".join(f"{name} lacks {count}" for name, count in lacking.items())
            else:
                build.status = Status.COMPLETE
        return build

    async def _plan(self, build: Build) -> None:
        intent, place = build.intent, self._place
        self._reached("intent")
        base = [asdict(intent), self._proposer.id]
        listed = place.stage("subtasks.toml", base)
        infeasible: list[Ground] = []
        if listed is None:
            chosen = await self._proposer.subtasks(intent, ())
            grounds = await self._ground(intent, chosen)
            for _ in range(_MOST_GROUNDINGS - 1):
                bad = [ground for ground in grounds if not ground.feasible]
                if {each.id for each in bad} <= {each.id for each in infeasible}:
                    break
                infeasible = [*infeasible, *bad]
                again = await self._proposer.subtasks(intent, infeasible)
                gone = {each.id for each in infeasible}
                chosen = [each for each in again if each.id not in gone]
                grounds = await self._ground(intent, chosen)
            listed = place.keep_stage("subtasks.toml", base, subtasks_toml({each.id: each for each in chosen}.values()))
            place.keep_json([asdict(each) for each in infeasible], "infeasible.json")
        build.subtasks = subtasks_of(listed, str(place.home / "subtasks.toml"))
        self._reached("subtasks")
        made_from = [base, [asdict(each) for each in build.subtasks]]
        known = place.stage("ground.toml", made_from)
        if known is None:
            grounds = await self._ground(intent, build.subtasks)
            earlier = [Ground(**each) for each in place.json("infeasible.json") or []]
            gone = {each.id for each in grounds}
            every_ground = [*grounds, *(each for each in earlier if each.id not in gone)]
            known = place.keep_stage("ground.toml", made_from, grounds_toml(every_ground))
        build.grounds = grounds_of(known, str(place.home / "ground.toml"))
        self._reached("ground")
        feasible = {each.id for each in build.grounds if each.feasible}
        usable = [each.id for each in build.subtasks if each.id in feasible]
        if not usable:
            raise Stopped("no sub-task can be made in the sandbox: see ground.toml for the reasons")
        text = place.stage("quota.toml", [asdict(intent), usable])
        if text is None:
            text = place.keep_stage("quota.toml", [asdict(intent), usable], quota_toml(allocate(intent, usable)))
        build.quota = {
            name: each for name, each in quota_of(text, str(place.home / "quota.toml")).items() if name in usable
        }
        self._reached("quota")

    async def _ground(self, intent: Intent, subtasks: Sequence[Subtask]) -> list[Ground]:
        return list(await asyncio.gather(*(self._proposer.ground(intent, subtask) for subtask in subtasks)))

    async def _fill(self, build: Build) -> None:
        """Rounds of drafts, until every sub-task has its tasks. An index is used once, also by a draft that failed."""
        used = dict.fromkeys(build.quota, 0)
        for _ in range(_MOST_ROUNDS):
            batch: list[_Work] = []
            for name, lack in build.lacking.items():
                batch += [_Work(self._slot(build, name, used[name] + at)) for at in range(lack)]
                used[name] += lack
            if not batch:
                return
            await self._round(build, batch)
            if build.open:
                return

    def _slot(self, build: Build, name: str, index: int) -> Slot:
        quota, offset = build.quota[name], list(build.quota).index(name)
        place = index % quota.tasks if quota.tasks else 0
        held = sum(each.slot.holdout for each in build.accepted if each.slot.subtask == name)
        holdout = index >= quota.tasks - quota.holdout if index < quota.tasks else held < quota.holdout
        return Slot(name, index, build.intent.difficulty_of(offset + place), holdout)

    async def _round(self, build: Build, batch: Sequence[_Work]) -> None:
        subtasks = {each.id: each for each in build.subtasks}
        examples = [each for each in build.accepted if self._proposer.id != "template"]
        stopped: Stopped | None = None
        pending = list(batch)
        while pending and stopped is None:
            drafts = await asyncio.gather(
                *(self._draft(build.intent, subtasks[work.slot.subtask], work, examples) for work in pending),
                return_exceptions=True,
            )
            ready = []
            for work, drafted in zip(pending, drafts, strict=True):
                if isinstance(drafted, Stopped):
                    stopped = drafted
                elif isinstance(drafted, BaseException):
                    raise drafted
                elif self._form(build, work, drafted):
                    ready.append(work)
            self._reached("draft", build)
            await self._decide(build, ready)
            pending = [work for work in pending if not work.ended]
        self._proposals = [each.candidate.proposal for each in build.accepted]
        if stopped is not None:
            raise stopped

    async def _draft(self, intent: Intent, subtask: Subtask, work: _Work, examples: Sequence[Accepted]) -> str:
        file = self._place.draft(work.slot.id, work.version)
        if file.is_file():
            return file.read_text("utf-8", "replace")
        others = [each for each in examples if each.slot.subtask != subtask.id][:2]
        shown = [_example(each.candidate.proposal) for each in others]
        text = await self._proposer.draft(intent, subtask, work.slot, work.feedback, shown)
        with contextlib.suppress(NotJson):  # as a person would want to edit it
            text = json.dumps(parse(text), indent=1, ensure_ascii=False) + "\n"
        write_whole(file, encodable(text))
        return text

    def _form(self, build: Build, work: _Work, text: str) -> bool:
        """Whether the form of a draft is right; if it is not, it is repaired or given up."""
        self._note(work, "proposed")
        try:
            data = parse(text)
        except NotJson as error:
            self._reject(build, work, "malformed", [Reason("FORM", str(error))])
            return False
        if problems := form_problems(data):
            self._reject(build, work, "malformed", [Reason("FORM", problem) for problem in problems])
            return False
        proposal = replace(proposal_of(data), id=work.slot.id, subtask=work.slot.subtask)
        others = [each for each in self._proposals if each.id != proposal.id]
        if near := nearest_of(proposal, others):
            about = f"it asks for nearly the same as {near[0]} (Jaccard index {near[1]:.2f})"
            self._reject(build, work, "duplicate", [Reason("NEAR_DUPLICATE", about)])
            return False
        if proposal.prompt in self._known_prompts:
            self._reject(build, work, "duplicate", [Reason("NEAR_DUPLICATE", "the earlier suite has the same prompt")])
            return False
        self._proposals.append(proposal)
        work.candidate = Candidate(proposal, work.slot.holdout)
        return True

    async def _decide(self, build: Build, works: Sequence[_Work]) -> None:
        """Gate, judge and solve what has the right form."""
        verdicts = await self._verdicts(build, works)
        held = []
        for work in works:
            verdict = verdicts[work.slot.id]
            if work.slot.id in self._as_is:
                self._note(work, "accepted", "AS_IS")
                self._accept(build, work, verdict)
            elif verdict.accepted is None:
                build.open.append(work.slot.id)
                work.ended = True
            elif verdict.accepted:
                held.append(work)
            else:
                self._reject(build, work, "gated", verdict.reasons)
        self._reached("gate", build)
        await self._review(build, held, verdicts)

    async def _verdicts(self, build: Build, works: Sequence[_Work]) -> dict[str, Verdict]:
        keys: dict[str, str] = {}
        verdicts: dict[str, Verdict] = {}
        fresh: list[Candidate] = []
        for work in works:
            assert work.candidate is not None
            keys[work.slot.id] = key = digest(f"{self._gate.version} {work.candidate.digest}")
            if (known := self._place.json("verdicts", f"{key}.json")) is not None:
                verdicts[work.slot.id] = Verdict.of(known)
            else:
                fresh.append(work.candidate)
        for start in range(0, len(fresh), _AT_ONCE):
            judged = self._gate.judge(fresh[start : start + _AT_ONCE])  # in this thread, which has the signals
            for id, verdict in judged.items():
                verdicts[id] = verdict
                if verdict.accepted is not None:
                    self._place.keep_json(asdict(verdict), "verdicts", f"{keys[id]}.json")
            plays = build.plays + sum(verdict.plays for verdict in verdicts.values())
            self._say(f"{'gate':<9} · {len(verdicts)} of {len(works)} drafts judged · {plays} plays")
        for verdict in verdicts.values():
            build.plays += verdict.plays
            build.play_seconds += verdict.seconds
        return verdicts

    async def _review(self, build: Build, works: Sequence[_Work], verdicts: Mapping[str, Verdict]) -> None:
        kept = list(works)
        if self._judge is not None and kept:
            judged = await asyncio.gather(
                *(
                    self._judge.reject(build.intent, each.candidate.proposal)
                    for each in kept
                    if each.candidate is not None
                )
            )
            for work, reason in zip(list(kept), judged, strict=True):
                if reason is not None:
                    self._set_aside(build, work, reason)
                    kept.remove(work)
        solved = await self._solves(kept) if self._solver is not None and kept else {}
        for work in kept:
            found = solved.get(work.slot.id)
            reason = None if found is None else ambiguity(found, build.intent.target_pass_rate)
            if reason is None:
                self._note(work, "accepted")
                self._accept(build, work, verdicts[work.slot.id], found)
            elif reason.rule == "UNDECIDED":
                build.open.append(work.slot.id)
                work.ended = True
            else:
                self._set_aside(build, work, reason)
        self._reached("solve", build)

    async def _solves(self, works: Sequence[_Work]) -> dict[str, Solved]:
        assert self._solver is not None
        solved: dict[str, Solved] = {}
        fresh: dict[str, Candidate] = {}
        for work in works:
            assert work.candidate is not None
            key = digest(f"{self._solver.id} {work.candidate.digest}")
            if (known := self._place.json("solves", f"{key}.json")) is not None:
                solved[work.slot.id] = Solved.of(known)
            else:
                fresh[key] = work.candidate
        if fresh:
            left = self._calls.left
            over = self._calls.record("solve", left)
            found, cost, calls = await asyncio.to_thread(self._solver.solve, list(fresh.values()), left)
            over(cost, calls)
            for key, candidate in fresh.items():
                result = found[candidate.proposal.id]
                solved[candidate.proposal.id] = result
                if result.counted:
                    self._place.keep_json(asdict(result), "solves", f"{key}.json")
        return solved

    def _accept(self, build: Build, work: _Work, verdict: Verdict, solved: Solved | None = None) -> None:
        assert work.candidate is not None
        work.ended = True
        build.accepted.append(Accepted(work.candidate, work.slot, work.version, verdict, solved))

    def _reject(self, build: Build, work: _Work, state: str, reasons: Sequence[Reason]) -> None:
        """Repair it, with the rules and their evidence; or give it up."""
        first = reasons[0]
        self._note(work, state, first.rule)
        if work.candidate is not None:
            self._proposals = [each for each in self._proposals if each.id != work.slot.id]
            work.candidate = None
        if work.version > _MOST_REPAIRS:
            self._note(work, "given_up", first.rule)
            work.ended = True
            build.rejected.append(Rejected(work.slot.id, work.version, first))
            return
        work.feedback.append({"version": work.version, "problems": [asdict(reason) for reason in reasons[:8]]})
        work.version += 1
        self._note(work, "repairing", first.rule)

    def _set_aside(self, build: Build, work: _Work, reason: Reason) -> None:
        self._note(work, "review", reason.rule)
        work.ended = True
        build.rejected.append(Rejected(work.slot.id, work.version, reason, review=True))

    def _note(self, work: _Work, state: str, rule: str = "") -> None:
        """A transition, once: a resumed run walks over the same ones."""
        key = (work.slot.id, work.version, state, rule)
        if key not in self._states:
            self._states.add(key)
            self._journal.add({"draft": work.slot.id, "version": work.version, "state": state, "rule": rule,
                               "usd": round(self._calls.ledger.spent, 6)})  # fmt: skip

    def _reached(self, stage: str, build: Build | None = None) -> None:
        self._say(self._line(stage, build))
        if stage == self._stop_after:
            raise _Stop

    def _line(self, stage: str, build: Build | None) -> str:
        parts = [f"{stage:<9}"]
        if build is not None:
            asked = sum(each.tasks for each in build.quota.values())
            took = time.monotonic() - self._began
            done = len(build.accepted)
            parts += [f"{done} of {asked} accepted", f"{len(build.rejected)} set aside", f"{build.plays} plays"]
            parts += [f"{took:.0f} s", f"about {took / done * (asked - done):.0f} s left"] if 0 < done < asked else [
                f"{took:.0f} s"]  # fmt: skip
        ledger = self._calls.ledger
        left = self._calls.left
        parts.append(f"${ledger.spent:.4f}" + ("" if left is None else f" (${left:.4f} left)"))
        return " · ".join(parts)


def _example(proposal: Proposal) -> dict[str, Any]:
    """An accepted task in the form in which tasks are proposed."""
    return {name: value for name, value in asdict(proposal).items() if name not in ("origin", "desk")}


def _states(lines: Sequence[str]) -> set[tuple[str, int, str, str]]:
    """The transitions that are in the journal."""
    states = set()
    for text in lines:
        try:
            line = json.loads(text)
            states.add((line["draft"], line["version"], line["state"], line["rule"]))
        except (ValueError, KeyError, TypeError):
            continue
    return states
