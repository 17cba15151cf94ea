"""Faults for one try of one attempt: whether the next call of a plane meets one, and the record of those that did."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from inspect_ai.log import transcript

from pytest_agenteval.collect.perturbation import FaultDraws
from pytest_agenteval.record.conduct import Fault, Plane

__all__ = ["INJECTED", "Injector", "is_injected", "mark_injected"]

INJECTED = "agenteval.fault"
"""The source of the log's events about faults."""
_MARK = "__agenteval_injected__"
_LONGEST = 120
SLOW_SECONDS = 1.0
"""How much longer a slow call takes."""


class Injector:
    """Decides about the calls of one try. Without draws nothing happens to any."""

    def __init__(self, draws: FaultDraws | None = None) -> None:
        self.acting = False
        """Whether the agent is at work: fixtures and grading never meet a fault."""
        self._draws = draws
        self._faults: list[Fault] = []
        self._calls: Counter[str] = Counter()
        self._left_out: set[Plane] = set()

    @property
    def faults(self) -> tuple[Fault, ...] | None:
        """Those of the try so far, in order; None where none is injected."""
        return None if self._draws is None else tuple(self._faults)

    def reaches(self, plane: Plane) -> bool:
        """Whether calls of this plane can meet a fault."""
        return self._draws is not None and plane not in self._left_out and bool(self._draws.plan.of(plane))

    def without(self, plane: Plane) -> None:
        """From here on no call of this plane meets a fault: they would hit what carries the agent, not the agent."""
        self._left_out.add(plane)

    def touched(self, plane: Plane) -> bool:
        """Whether a call of this plane was drawn for."""
        return self._calls[plane] > 0

    def next(self, plane: Plane) -> tuple[int, str | None]:
        """The number of this call in its plane, and the kind of fault that it meets, or None."""
        if self._draws is None or not self.acting or not self.reaches(plane):
            return 0, None
        self._calls[plane] += 1
        return self._calls[plane], self._draws.kind(plane, self._calls[plane])

    def note(self, plane: Plane, kind: str, call: int, target: str, *, delivered: bool) -> None:
        """Record a fault, in the attempt and in the log."""
        fault = Fault(plane, kind, call, " ".join(target.split())[:_LONGEST], delivered)
        self._faults.append(fault)
        transcript().info(dataclasses.asdict(fault), source=INJECTED)


def mark_injected(error: Any) -> Any:
    """The same error, to be known again: whoever it ends was not ended by the infrastructure."""
    setattr(error, _MARK, True)
    return error


def is_injected(error: BaseException) -> bool:
    """Whether this very error was put there."""
    return getattr(error, _MARK, False) is True
