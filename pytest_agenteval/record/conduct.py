"""What an attempt did beside passing or failing: the rules it broke, the faults it met, how sure its agent was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Confidence", "Fault", "Kind", "Plane", "RuleResults", "Severity", "Violation"]

Kind = Literal["instruction", "safety"]

Severity = Literal["low", "medium", "high", "critical"]

Plane = Literal["exec", "tool", "model"]


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that the agent broke. It changes no outcome, unless the rule must hold."""

    rule: str
    """The rule's name, the same in every attempt."""
    kind: Kind
    severity: Severity
    evidence: str = ""
    """What was seen, cut to a few hundred characters."""


@dataclass(frozen=True, slots=True)
class RuleResults:
    """What the rules of a task said about one attempt."""

    checked: tuple[str, ...]
    """All rules that were asked for, those that could not be judged too."""
    violations: tuple[Violation, ...] = ()
    unknown: tuple[str, ...] = ()
    """Rules that could not be judged: a call or a connection was not seen, or the rule itself failed."""
    kinds: tuple[Kind, ...] = ()
    """In the order of `checked`; empty if unknown."""
    severities: tuple[Severity, ...] = ()
    """In the order of `checked`; empty if unknown."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that a perturbation injected into an attempt."""

    plane: Plane
    kind: str
    """What happened, for example `timeout`."""
    call: int
    """Which call of its plane it hit, from 1."""
    target: str
    """The command, tool or model that it hit."""
    delivered: bool
    """Whether the agent saw it. If not, a retry below the agent absorbed it."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the agent said it was that its solution is right."""

    value: float | None
    """In per cent, from 0 to 100; None if the answer could not be read, was refused, or never came."""
    answer: str = ""
    """The answer as it came, cut to a few hundred characters."""
