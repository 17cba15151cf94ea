"""A check's result for people: the worst first, one line a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pytest_agenteval.check.findings import SUITE, CheckResult, Status, TaskResult
from pytest_agenteval.check.judging import one_line
from pytest_agenteval.check.plays import Level
from pytest_agenteval.check.rules import CHECKLIST, Severity
from pytest_agenteval.record.figures import joined, plural

__all__ = ["check_lines"]


def check_lines(result: CheckResult) -> Iterator[str]:
    """The lines."""
    if not result.tasks:
        yield "no agent task found"
        return
    if result.unplayed:
        yield f"INCOMPLETE: {plural(result.unplayed, 'planned play')} did not run, so that rules are not assessed"
    if result.blind:
        yield "BLIND: a gate would not notice the regression it is there for (AE901)"
    for finding in result.findings:
        if finding.accepted is None:
            about = "" if finding.task == SUITE else f"{finding.task}: "
            replay = f" (--replay={finding.id})" if finding.replay is not None else ""
            yield f"{finding.rule} {finding.weight.value:7} {about}{finding.message}{replay}"
    for task in result.tasks:
        if _word(result, task) == "undecided":
            yield f"undecided: {task.task.name}: could not be evaluated: {_why_open(task)}"
    for task in result.tasks:
        if task.task.skip is not None:
            yield f"skipped: {task.task.name}: {one_line(task.task.skip)}"
    yield from _mutants(result)
    yield from _not_assessed(result)
    yield from _covered(result)
    yield from result.notes
    yield _sum(result)


def _why_open(task: TaskResult) -> str:
    missing = (one_line(played.message) for played in task.task.plays if not played.outcome.counts)
    return next(filter(None, missing), "it never ran")


def _mutants(result: CheckResult) -> Iterator[str]:
    played = [task.mutants for task in result.tasks if task.mutants is not None]
    killed, survived = sum(each.killed for each in played), sum(each.survived for each in played)
    if killed + survived:
        sampled = sum(each.possible for each in played) > sum(
            each.killed + each.survived + each.equivalent + each.dropped for each in played
        )
        yield (
            f"mutants: {killed} of {killed + survived} wrong variants failed"
            f"{', sampled' if sampled else ''}; {sum(each.equivalent for each in played)} were no change and "
            f"{sum(each.dropped for each in played)} say nothing"
        )


def _not_assessed(result: CheckResult) -> Iterator[str]:
    """Rules that this level looks at and that were looked at nowhere: whoever reads only the end must know."""
    if result.level is Level.QUICK:
        return
    seen = [task.rules for task in result.tasks if task.task.skip is None] + [result.rules]
    ids = {rule for rules in seen for rule in rules}
    never = sorted(rule for rule in ids if all(rules.get(rule) in (None, Status.NOT_ASSESSED) for rules in seen))
    if never:
        yield f"not assessed: {joined(never)}"
    cut = [task for task in result.tasks if result.cut(task)]
    partly = {rule for task in cut for rule in _open(task)} - set(never)
    if partly:
        tasks = plural(sum(bool(partly & _open(task)) for task in cut), "incomplete task")
        yield f"not assessed in {tasks}: {joined(sorted(partly))}"


def _open(task: TaskResult) -> set[str]:
    return {rule for rule, status in task.rules.items() if status is Status.NOT_ASSESSED}


def _covered(result: CheckResult) -> Iterator[str]:
    """The items of the Agentic Benchmark Checklist that stand on rules which were looked at in every task."""
    if result.level is Level.QUICK:
        return
    looked_at = {
        rule
        for rule in {*result.rules, *(rule for task in result.tasks for rule in task.rules)}
        if all(_settled(task.rules.get(rule)) for task in result.tasks if task.task.skip is None)
        and _settled(result.rules.get(rule))
    }
    items = [item for item, rules in CHECKLIST.items() if rules <= looked_at]
    if items:
        yield f"items of the Agentic Benchmark Checklist that this covers: {', '.join(items)}"


def _settled(status: Status | None) -> bool:
    return status in (None, Status.OK, Status.FINDING)


def _sum(result: CheckResult) -> str:
    counts = Counter(_word(result, task) for task in result.tasks)
    parts = [f"{plural(len(result.tasks), 'task')}: {counts['ok']} ok"]
    parts += [plural(counts["offender"], "offender")] if counts["offender"] else []
    parts += [f"{counts[word]} {word}" for word in ("undecided", "incomplete", "skipped") if counts[word]]
    accepted = sum(finding.accepted is not None for finding in result.findings)
    parts += [f"{plural(accepted, 'finding')} accepted"] if accepted else []
    means = (
        "the oracle passed and the null failed" if result.level is Level.QUICK else f"no error, level {result.level}"
    )
    return ", ".join(parts) + f" (ok: {means})"


def _word(result: CheckResult, task: TaskResult) -> str:
    if task.task.skip is not None:
        return "skipped"
    if any(finding.weight is Severity.ERROR and finding.accepted is None for finding in task.findings):
        return "offender"
    if task.undecided:
        return "undecided"
    return "incomplete" if result.cut(task) else "ok"
