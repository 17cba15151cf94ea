"""Findings that somebody has accepted, with the reason: `agenteval-check.toml` beside pytest's rootdir.

[[accept]]
rule = "AE302"
task = "test_shell.py::test_repairs"
mutant = "first-line-lost-0a1b2c3d"      # optional: what --replay shows; else all findings of the rule
reason = "the shebang is of no use here"
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_agenteval.check.findings import CheckResult, Finding
from pytest_agenteval.check.rules import RULES
from pytest_agenteval.errors import NotReady, did_you_mean
from pytest_agenteval.record.figures import joined

__all__ = ["FILE", "Accepted", "accept", "read_accepted"]

FILE = "agenteval-check.toml"
_KEYS = ("rule", "task", "mutant", "reason")


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of the file."""

    rule: str
    reason: str
    task: str = ""
    mutant: str = ""

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding."""
        return (
            finding.rule == self.rule
            and self.task in ("", finding.task)
            and self.mutant in ("", finding.subject, finding.replay or "")
        )


def read_accepted(root: Path) -> list[Accepted]:
    """The entries of the file; none where there is no file.

    Raises:
        NotReady: it cannot be read, or an entry lacks its rule or its reason.
    """
    file = root / FILE
    if not file.is_file():
        return []
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NotReady(f"{file} cannot be read: {error}") from None
    entries = content.get("accept", [])
    if content.keys() - {"accept"} or not isinstance(entries, list):
        raise NotReady(f"{file} holds something else than tables [[accept]]: {', '.join(content)}")
    return [_entry(file, number, entry) for number, entry in enumerate(entries, 1)]


def _entry(file: Path, number: int, entry: object) -> Accepted:
    where = f"entry {number} of {file}"
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise NotReady(f"{where} is not a table of texts")
    for name in entry.keys() - set(_KEYS):
        raise NotReady(f"{where} has no key {name!r}: {did_you_mean(name, _KEYS, f'it takes {joined(_KEYS)}')}")
    if entry.get("rule") not in RULES:
        raise NotReady(f"{where} names no rule: give it one, for example rule = 'AE302'")
    if not entry.get("reason", "").strip():
        raise NotReady(f"{where} has no reason: say why {entry['rule']} is accepted")
    return Accepted(**entry)


def accept(result: CheckResult, accepted: Sequence[Accepted], asked: Collection[str]) -> CheckResult:
    """The result with the accepted findings marked, and a note for each entry that matches nothing.

    Args:
        result: what was found.
        accepted: the entries.
        asked: the rules that were looked for; of others, and of tasks that were not checked or not to their end, no
            entry is useless.
    """
    used: set[Accepted] = set()

    def marked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
        return tuple(replace(each, accepted=_reason(each)) for each in findings)

    def _reason(finding: Finding) -> str | None:
        entry = next((each for each in accepted if each.covers(finding)), None)
        if entry is None:
            return finding.accepted
        used.add(entry)
        return entry.reason

    tasks = tuple(replace(task, findings=marked(task.findings)) for task in result.tasks)
    suite = marked(result.suite)
    names = {task.task.name for task in result.tasks if not result.cut(task)}
    useless = [
        each
        for each in accepted
        if each not in used and each.rule in asked and (each.task in names or (not each.task and not result.unplayed))
    ]
    notes = [
        f"{FILE} accepts {each.rule} of {each.task or 'the suite'}, and nothing is found there" for each in useless
    ]
    return replace(result, tasks=tasks, suite=suite, notes=(*result.notes, *notes))
