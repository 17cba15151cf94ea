"""What a build has made: the suite's files, `report.json` (`agenteval.new-suite/1`), and lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pytest_agenteval import __version__
from pytest_agenteval.builder.build import Accepted, Build, Rejected, Status
from pytest_agenteval.builder.ledger import Ledger
from pytest_agenteval.builder.render import data_files, name_of, render_conftest, render_variants, task_name
from pytest_agenteval.record.figures import plural

__all__ = ["build_json", "build_lines", "exit_status", "review_files", "suite_files"]

_MANY_SOLVES = 4


def suite_files(build: Build) -> dict[str, str]:
    """The files of the suite, by path."""
    proposals = [each.candidate.proposal for each in build.accepted]
    files: dict[str, str] = {}
    for accepted in build.accepted:
        proposal = accepted.candidate.proposal
        files[f"test_{name_of(proposal)}.py"] = accepted.candidate.test
        files |= data_files(proposal)
    if proposals:
        files["conftest.py"] = render_conftest(proposals)
        files["mutants.toml"] = render_variants(proposals)
        files["README.md"] = _readme(build)
    return files


def build_json(build: Build, ledger: Ledger, *, cached: int, faults: Sequence[str]) -> dict[str, Any]:
    """The report. Amounts are US dollars; what is unknown is null.

    Args:
        build: what was made.
        ledger: what was paid, in all runs of the command.
        cached: answers that this run took from the cache.
        faults: what the finished suite's own check found.
    """
    count = len(build.accepted)
    rates = [each.solved.rate for each in build.accepted if each.solved is not None and each.solved.rate is not None]
    killed = sum(each.verdict.killed for each in build.accepted)
    counted = killed + sum(each.verdict.survived for each in build.accepted)
    usd = None if ledger.unpriced else ledger.spent
    return {
        "schema": "agenteval.new-suite/1",
        "version": __version__,
        "status": build.status.value,
        "why": build.why or None,
        "query": build.intent.query,
        "accepted": [_accepted(each) for each in build.accepted],
        "rejected": [
            {"draft": each.draft, "rule": each.reason.rule, "message": each.reason.message, "versions": each.versions,
             "review": each.review}
            for each in build.rejected
        ],
        "undecided": list(build.open),
        "not_grounded": [{"id": each.id, "reason": each.reason} for each in build.grounds if not each.feasible],
        "quota": {
            "asked": {name: asdict(each) for name, each in build.quota.items()},
            "made": dict(Counter(each.slot.subtask for each in build.accepted)),
        },
        "usd": dict(ledger.by_stage),
        "usd_total": usd,
        "usd_lost_at_most": ledger.lost,
        "usd_per_accepted": None if usd is None or not count else usd / count,
        "calls": {"paid": ledger.paid, "cached": cached, "lost": ledger.lost_calls, "tokens": dict(ledger.tokens)},
        "gate": {
            "plays": build.plays,
            "seconds": round(build.play_seconds, 3),
            "mutation_score": killed / counted if counted else None,
        },
        "solver": {"pass_rate": sum(rates) / len(rates) if rates else None},
        "faults": list(faults),
    }  # fmt: skip


def _accepted(each: Accepted) -> dict[str, Any]:
    proposal = each.candidate.proposal
    return {
        "draft": proposal.id,
        "task": task_name(proposal),
        "subtask": proposal.subtask,
        "title": proposal.title,
        "difficulty": proposal.difficulty.value,
        "steps": len(proposal.solution),
        "holdout": each.candidate.holdout,
        "origin": asdict(proposal.origin),
        "versions": each.version,
        "plays": each.verdict.plays,
        "mutants": {"killed": each.verdict.killed, "survived": each.verdict.survived},
        "pass_rate": None if each.solved is None else each.solved.rate,
        "label": _label(each),
        "notes": [f"{reason.rule} {reason.message}" for reason in each.verdict.reasons],
    }


def _label(each: Accepted) -> str | None:
    """What blind attempts say of its difficulty, where there were enough."""
    if each.solved is None or each.solved.counted < _MANY_SOLVES or each.solved.rate is None:
        return None
    return {0.0: "never passed", 1.0: "saturated"}.get(each.solved.rate, "discriminates")


def _readme(build: Build) -> str:
    intent = build.intent
    rows = [
        f"| `{name_of(each.candidate.proposal)}` | {each.candidate.proposal.title} | {each.slot.subtask} "
        f"| {each.candidate.proposal.difficulty}, {plural(len(each.candidate.proposal.solution), 'step')} "
        f"| {_evidence(each)} | {'yes' if each.candidate.holdout else ''} |"
        for each in build.accepted
    ]
    kinds = [f"- **{each.id}**: {_cell(each.about)}" for each in build.subtasks if each.id in build.quota]
    families = {each.candidate.proposal.origin.family for each in build.accepted} - {None}
    ideas = (
        f"\nThe tasks come from {len(families)} families: tasks of one family are one idea with other "
        "numbers, and count as one where you claim something about tasks like these.\n"
        if families
        else ""
    )
    held = sum(each.candidate.holdout for each in build.accepted)
    return "\n".join([
        f"# {_cell(intent.query)}",
        "",
        f"{plural(len(build.accepted), 'agent task')}, made by `pytest-agenteval new-suite`. "
        + (_cell(intent.capability) if intent.capability else ""),
        "",
        "```bash",
        "pytest . --agent-model=agenteval/oracle          # rehearse: costs nothing",
        "pytest . --agent-model=PROVIDER/MODEL --k=4 --max-cost=5",
        "```",
        "",
        f"{held} of them are held out and run with `--agent-holdout` only: look at them seldom." if held else "",
        "",
        "| task | what it is | kind | difficulty | evidence | held out |",
        "| --- | --- | --- | --- | --- | --- |",
        *(row.replace("\n", " ") for row in rows),
        "",
        *kinds,
        ideas,
        "Every task was accepted by running it: its solution passes each time; doing nothing, wrong variants and the",
        "wrong ways of `mutants.toml` fail; the other right ways pass. `report.json` has the figures.",
        "",
    ])  # fmt: skip


def _evidence(each: Accepted) -> str:
    verdict = each.verdict
    counted = verdict.killed + verdict.survived
    parts = [f"{verdict.plays} plays"]
    parts += [f"{verdict.killed} of {counted} wrong variants failed"] if counted else []
    if each.solved is not None:
        parts.append(f"{each.solved.passed} of {each.solved.counted} blind attempts passed")
    return ", ".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def build_lines(build: Build, ledger: Ledger, faults: Sequence[str]) -> list[str]:
    """The end of a build, for people."""
    lines = []
    for each in build.rejected:
        lines.append(
            f"{'review' if each.review else 'rejected':<9}{each.draft}: {each.reason.rule} {each.reason.message}"
        )
    for ground in build.grounds:
        if not ground.feasible:
            lines.append(f"left out  {ground.id}: {ground.reason}")
    asked = sum(each.tasks for each in build.quota.values())
    cost = "unknown, for the price of a model is" if ledger.unpriced else f"${ledger.spent:.4f}"
    lost = f", at most ${ledger.lost:.4f} lost with calls that were killed or not answered" if ledger.lost else ""
    lines.append(f"{len(build.accepted)} of {asked} tasks, {plural(build.plays, 'play')}, cost {cost}{lost}")
    lines += [f"check     {fault}" for fault in faults]
    lines.append(f"{build.status}: {build.why}" if build.why else str(build.status.value))
    return lines


def exit_status(build: Build, faults: Sequence[str] | None) -> int:
    """0 where the quota is met; 1 where the finished suite fails its own check; 10 where something is missing."""
    if faults:
        return 1
    return 0 if build.status is Status.COMPLETE and faults is not None else 10


def review_files(rejected: Sequence[Rejected], texts: Mapping[str, str]) -> dict[str, str]:
    """What goes to the folder `review`: each draft with why it is there."""
    files = {}
    for each in rejected:
        evidence = "".join(f"    {line}\n" for line in each.reason.evidence)
        files[f"review/{each.draft}.md"] = (
            f"# {each.draft}\n\n{each.reason.rule}: {each.reason.message}\n\n{evidence}\n"
            f"Its newest version is `{each.draft}.json`. Mend it in `.new-suite/drafts`, and run the same command "
            f"again; or accept it with `--accept-as-is {each.draft}`.\n"
        )
        if each.draft in texts:
            files[f"review/{each.draft}.json"] = texts[each.draft]
    return files
