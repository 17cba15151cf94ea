"""`agent_task`: the mark that makes a test an agent task or gives its options, and those options checked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict, Unpack

import pytest

__all__ = ["Solution", "TaskOptions", "agent_task"]

MARK = "agent_task"

Solution = str | Sequence[str]
"""Shell commands that solve a task, one or several, given to the agent's bash tool in this order."""


class _Keywords(TypedDict, total=False):
    max_cost: float
    time_limit: float
    token_limit: int
    turn_limit: int
    grading_time_limit: float
    min_pass_rate: float
    solution: Solution
    answer: str


def agent_task(**options: Unpack[_Keywords]) -> pytest.MarkDecorator:
    """Mark a test (class, module) as an agent task with options of its own; the nearest mark wins, option by option.

    Args:
        options: see :class:`TaskOptions` for meaning, units and defaults.
    """
    mark: pytest.MarkDecorator = getattr(pytest.mark, MARK)
    return mark(**options)


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Options of one task. Limits are for the agent and per attempt; None means no limit."""

    max_cost: float | None = None
    """US dollars."""
    time_limit: float | None = 600.0
    """Seconds of the agent's work, without waits for rate limits, provider retries and the run's budget."""
    token_limit: int | None = None
    """Tokens of all kinds."""
    turn_limit: int | None = 50
    """Model calls."""
    grading_time_limit: float = 300.0
    """Seconds that fixtures' set-up and, apart from it, the checks after the agent may take."""
    min_pass_rate: float | None = None
    """Share of the attempts that must pass for the test to pass; None: all of them, unless a gate judges the run."""
    solution: Solution | None = None
    """What the built-in models play."""
    answer: str = ""
    """What the built-in models submit after the solution."""

    @classmethod
    def from_marks(cls, marks: Iterable[pytest.Mark]) -> TaskOptions:
        """The options that the marks give, nearest first.

        Raises:
            ValueError: a mark has an unknown option or a value that cannot be used, in one sentence.
        """
        given: dict[str, Any] = {}
        for mark in marks:
            if mark.args:
                raise ValueError(f"agent_task takes keyword arguments only, not {mark.args[0]!r}")
            for name, value in mark.kwargs.items():
                _check(name, value)
                given.setdefault(name, value)
        return cls(**given)

    @property
    def commands(self) -> tuple[str, ...] | None:
        """The solution's shell commands, or None where the task declares none."""
        if self.solution is None:
            return None
        return (self.solution,) if isinstance(self.solution, str) else tuple(self.solution)


def _check(name: str, value: Any) -> None:
    if name not in _CHECKS:
        near = difflib.get_close_matches(name, _CHECKS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(_CHECKS)}"
        raise ValueError(f"agent_task has no option {name!r}: {hint}")
    right, expected = _CHECKS[name]
    if not right(value):
        raise ValueError(f"agent_task({name}={value!r}): {name} must be {expected}")


def _amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _optional(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or right(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _commands(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, Sequence) and all(isinstance(command, str) for command in value)
    )


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_cost": (_optional(_amount), "US dollars above 0"),
    "time_limit": (_optional(_amount), "seconds above 0"),
    "token_limit": (_optional(_whole), "a whole number above 0"),
    "turn_limit": (_optional(_whole), "a whole number above 0"),
    "grading_time_limit": (_amount, "seconds above 0"),
    "min_pass_rate": (_share, "a share between 0 and 1"),
    "solution": (_commands, "a shell command or a list of them"),
    "answer": (lambda value: isinstance(value, str), "text"),
}
assert {field.name for field in fields(TaskOptions)} == set(_CHECKS)
