"""`agent_task`: the mark that makes a test an agent task or gives its options, and those options checked.

pytest loads this module at each start, hence the named tuple (see `options.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from typing import Never, TypedDict, Unpack

    class _Keywords(TypedDict, total=False):
        max_cost: float | None
        time_limit: float | None
        token_limit: int | None
        turn_limit: int | None
        grading_time_limit: float
        min_pass_rate: float
        solution: Solution
        answer: str


__all__ = ["MARK", "Solution", "TaskOptions", "agent_task"]

MARK = "agent_task"

Solution = str | Sequence[str]
"""Shell commands that solve a task, one or several, given to the agent's bash tool in this order."""


def agent_task(*tests: Never, **options: Unpack[_Keywords]) -> pytest.MarkDecorator:
    """Mark a test (class, module) as an agent task with options of its own; the nearest mark wins, option by option.

    Args:
        tests: nothing; `@agent_task` without parentheses works as any mark does, but has no type of its own.
        options: see :class:`TaskOptions` for meaning, units and defaults.
    """
    mark: pytest.MarkDecorator = getattr(pytest.mark, MARK)
    return mark(*tests, **options)


class TaskOptions(NamedTuple):
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

    @property
    def solvable(self) -> bool:
        """Whether the task declares how it is solved: by commands, by an answer, or by both."""
        return self.solution is not None or self.answer != ""


def _check(name: str, value: Any) -> None:
    if name not in _CHECKS:
        import difflib

        near = difflib.get_close_matches(name, _CHECKS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(_CHECKS)}"
        raise ValueError(f"agent_task has no option {name!r}: {hint}")
    right, expected = _CHECKS[name]
    if not right(value):
        raise ValueError(f"agent_task({name}={value!r}): {name} must be {expected}")


def _amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _commands(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, Sequence) and all(isinstance(command, str) for command in value)
    )


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _or_none(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or right(value)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_cost": (_or_none(_amount), "US dollars above 0"),
    "time_limit": (_or_none(_amount), "seconds above 0, or None for no limit"),
    "token_limit": (_or_none(_whole), "a whole number above 0"),
    "turn_limit": (_or_none(_whole), "a whole number above 0, or None for no limit"),
    "grading_time_limit": (_amount, "seconds above 0"),
    "min_pass_rate": (_share, "a share between 0 and 1"),
    "solution": (_commands, "a shell command or a list of them"),
    "answer": (_text, "text"),
}
