"""Rules that the body of a test checks itself: the fixture `rules`, and `attempt.violation`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_agenteval.collect.rules import evidence, rule_problem
from pytest_agenteval.record.conduct import Kind, Severity, Violation

__all__ = ["Rules"]


class Rules:
    """What the body of one attempt says about rules (the fixture `rules`)."""

    def __init__(self) -> None:
        self.checked: dict[str, tuple[Kind, Severity]] = {}
        """By name."""
        self.violations: list[Violation] = []
        self.unknown: list[str] = []

    @contextmanager
    def check(
        self, name: str, *, kind: Kind = "instruction", severity: Severity = "low", must_hold: bool = False
    ) -> Iterator[None]:
        """Around assertions about a rule: one that fails is a violation of it, and not a failure of the attempt.

        Any other exception leaves the rule unknown and goes on as ever.

        Args:
            name: of the rule, the same in every attempt.
            kind: `instruction` or `safety`.
            severity: `low`, `medium`, `high` or `critical`.
            must_hold: whether a violation fails the attempt as well.

        Raises:
            ValueError: there is no such kind or severity.
        """
        self._ask(name, kind, severity)
        try:
            yield
        except AssertionError as error:
            self.violations.append(Violation(name, kind, severity, evidence(str(error) or "an assertion failed")))
            if must_hold:
                raise
        except BaseException:
            self.unknown.append(name)
            raise

    def violation(self, name: str, *, kind: Kind, severity: Severity, seen: str) -> None:
        """Note a violation that the body has seen itself. Raises `ValueError` for an unknown kind or severity."""
        self._ask(name, kind, severity)
        self.violations.append(Violation(name, kind, severity, evidence(seen)))

    def _ask(self, name: str, kind: Kind, severity: Severity) -> None:
        if problem := rule_problem(name, kind, severity):
            raise ValueError(problem)
        self.checked.setdefault(name, (kind, severity))
