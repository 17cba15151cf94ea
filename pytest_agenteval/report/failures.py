"""Why the attempts at one task did not pass, with similar ones grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_agenteval.estimate.task import bug_hint
from pytest_agenteval.record import figures
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, TaskRecord
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.report.line import BAD, TITLE, UNSURE, Line, plain
from pytest_agenteval.report.log_places import logged
from pytest_agenteval.texts import shortened

__all__ = ["failure_kinds", "failure_lines"]

_WORDS = {
    Outcome.NOT_RUN: "did not run",
    Outcome.ENVIRONMENT_ERROR: "environment error",
    Outcome.BROKEN: "broken",
    Outcome.LIMIT: "limit",
    Outcome.FAILED: "failed",
}
"""The outcomes that are explained."""
_NAME = 80
"""Characters of a tool's name that are shown: models make such names up."""
_KINDS = 10


def failure_lines(record: TaskRecord) -> list[Line]:
    """What happened in every attempt that did not pass; empty if every attempt passed or was skipped.

    Attempts with the same ending, including the message, are listed once, with the agent's last steps in the first of
    them. Attempts without a record are listed, too.
    """
    groups: dict[tuple[object, ...], list[AttemptRecord]] = {}
    for attempt in record.attempts:
        if attempt.outcome in _WORDS and attempt.cause is not Cause.DECIDED:
            key = (attempt.outcome, attempt.cause, attempt.message, attempt.exception, attempt.where)
            groups.setdefault(key, []).append(attempt)
    recorded = {attempt.number for attempt in record.attempts}
    unrecorded = [] if record.skipped else [i for i in range(1, record.k + 1) if i not in recorded]
    if not groups and not unrecorded:
        return []
    lines = [Line(f"{record.passes} of {figures.plural(record.n, 'attempt')} passed", TITLE)]
    hint = bug_hint(record)
    if hint is not None:
        lines.append(Line(hint, UNSURE))
    for group in groups.values():
        lines += _group(group)
    if unrecorded:
        lines.append(Line(f"{_numbered(unrecorded)}: did not run, no record", UNSURE))
    return lines


def failure_kinds(calls: ToolCalls) -> str:
    """`bash timeout 3, read parsing 1`: the most frequent ones, because models make up any number of tools."""
    kinds = [f"{shortened(kind.tool, _NAME)} {kind.type} {kind.count}" for kind in calls.failures[:_KINDS]]
    more = f" and {len(calls.failures) - _KINDS} more" if len(calls.failures) > _KINDS else ""
    return f"{', '.join(kinds)}{more}"


def _group(group: list[AttemptRecord]) -> list[Line]:
    first = group[0]
    blame = BAD if first.outcome in (Outcome.BROKEN, Outcome.FAILED, Outcome.LIMIT) else UNSURE
    lines = [Line(f"{_numbered(attempt.number for attempt in group)}: {_ended(first)}", blame)]
    texts = []
    if first.exception is not None:
        texts.append(first.exception + (f" at {first.where}" if first.where else ""))
    elif first.where is not None:
        texts.append(f"at {first.where}")
    texts += first.message.splitlines()
    calls = ToolCalls.of(call for attempt in group for call in attempt.tool_calls)
    if calls.failures:
        texts.append(f"tool-call failures: {failure_kinds(calls)}")
    retries = Counter((retry.cause, retry.message) for attempt in group for retry in attempt.retries)
    for (cause, message), count in retries.items():
        texts.append(f"repeated after an environment error ({_words(cause)}), {count}x: {_first_line(message)}")
    if first.last_steps:
        which = f" in attempt {first.number}" if len(group) > 1 else ""
        texts.append(f"what the agent did last{which}:")
        texts += [f"  {line}" for step in first.last_steps for line in step.splitlines()]
    for attempt in group:
        if attempt.sandbox_kept is not None:
            which = f" of attempt {attempt.number}" if len(group) > 1 else ""
            texts.append(f"its sandbox{which} is kept; enter it by: {attempt.sandbox_kept}")
    texts += [f"log: {log}" for log in logged(group)]
    return lines + plain(f"  {text}".rstrip() for text in texts)


def _ended(attempt: AttemptRecord) -> str:
    word = _WORDS[attempt.outcome]
    return word if attempt.cause is None else f"{word} ({_words(attempt.cause)})"


def _words(cause: Cause) -> str:
    return cause.value.replace("_", " ")


def _numbered(numbers: Iterable[int]) -> str:
    each = list(numbers)
    return f"attempt{'' if len(each) == 1 else 's'} {figures.number_ranges(each)}"


def _first_line(message: str) -> str:
    return next(iter(message.splitlines()), "")
