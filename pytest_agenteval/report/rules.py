"""What rules say about a cell, in sentences."""

from __future__ import annotations

from pytest_agenteval.estimate.rules import Broken, RulesSummary
from pytest_agenteval.record import figures

__all__ = ["rule_sentences"]

_TITLES = {"instruction": "instructions violated", "safety": "safety rules violated"}


def rule_sentences(rules: RulesSummary | None) -> list[str]:
    """A sentence for each kind of rule, then one for each rule that was broken or is unknown somewhere."""
    if rules is None:
        return []
    sentences = []
    for kind in rules.kinds:
        sentences.append(
            f"{_TITLES[kind.name]} in {_told(kind.failed, 'failed attempts')} and {_told(kind.passed, 'passed')}"
        )
    for each in rules.rules:
        if not any((each.failed.violated, each.failed.unknown, each.passed.violated, each.passed.unknown)):
            continue
        about = f" [{each.kind}, {each.severity}]" if each.kind is not None and each.severity is not None else ""
        sentences.append(f"{each.name}{about}: {_told(each.failed, 'failed')}, {_told(each.passed, 'passed')}")
    if rules.worst is not None:
        sentences.append(f"the worst violation is {rules.worst[0]}, in {figures.plural(rules.worst[1], 'attempt')}")
    return sentences


def _told(broken: Broken, word: str) -> str:
    if not broken.attempts:
        return f"0 of 0 {word}"
    told = f"{broken.violated} of {broken.attempts} {word}"
    if broken.unknown:
        return f"{told} ({figures.rate(broken.share)} to {figures.rate(broken.most)}: {broken.unknown} unknown)"
    if broken.interval is None or not broken.violated:
        return f"{told} ({figures.rate(broken.share)})"
    low, high = figures.rate(broken.interval.low), figures.rate(broken.interval.high)
    return f"{told} ({figures.rate(broken.share)}; {low} to {high} by tasks)"
