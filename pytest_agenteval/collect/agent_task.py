"""`agent_task`, the mark that makes a test an agent task and sets its options, and the checks of those options."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agenteval.collect.fixtures import MARK
from pytest_agenteval.collect.rules import Rule
from pytest_agenteval.errors import did_you_mean

if TYPE_CHECKING:
    from typing import Literal, Never, TypedDict, Unpack

    class _Keywords(TypedDict, total=False):
        max_cost: float | None
        time_limit: float | None
        token_limit: int | None
        turn_limit: int | None
        grading_time_limit: float
        min_pass_rate: float
        solution: Solution
        answer: str
        files: Sequence[str]
        holdout: Literal["samples", "tasks", "domains"] | bool
        sandbox: str | None
        network: Literal["none", "bridge"] | None
        cpus: float | None
        memory: str | int | None
        user: str | None
        runtime: str | None
        resources: Mapping[str, Mapping[str, str | int]] | None
        leftovers: Literal["keep", "stop"]
        rules: Sequence[Rule]
        variants: str


__all__ = ["HOLDOUTS", "MARK", "Solution", "TaskOptions", "ToolUse", "agent_task", "why_no_option"]

HOLDOUTS = ("samples", "tasks", "domains")
"""What a held-out task can be held out as, from the narrowest claim to the widest."""
ToolUse = tuple[str, Mapping[str, Any]]
"""A call of one of the task's own tools: the tool's name and its arguments."""
Solution = str | Sequence[str | ToolUse]
"""What solves a task, in one or several steps in this order: shell commands for the bash tool, calls of other tools."""


def agent_task(*tests: Never, **options: Unpack[_Keywords]) -> pytest.MarkDecorator:
    """Mark a test (class, module) as an agent task with its own options. For each option, the nearest mark wins.

    Args:
        tests: unused; `@agent_task` works without parentheses, like any mark, but is then not typed.
        options: see :class:`TaskOptions` for meaning, units and defaults.
    """
    mark: pytest.MarkDecorator = getattr(pytest.mark, MARK)
    return mark(*tests, **options)


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Options of one task. Limits are for the agent and per attempt; None means no limit."""

    max_cost: float | None = None
    """US dollars."""
    time_limit: float | None = 600.0
    """Seconds of the agent's work, without waiting for rate limits, provider retries and the run's budget."""
    token_limit: int | None = None
    """Tokens of all kinds together."""
    turn_limit: int | None = 50
    """Model calls."""
    grading_time_limit: float = 300.0
    """Seconds for the set-up of fixtures, and again as many for the checks after the agent."""
    min_pass_rate: float | None = None
    """Share of the attempts that must pass for the test to pass; None means all, unless a gate judges the run."""
    solution: Solution | None = None
    """What the built-in models play."""
    answer: str = ""
    """What the built-in models submit after the solution."""
    files: Sequence[str] = ()
    """Files and folders that the task depends on, relative to its suite's folder; patterns are allowed. If one changes,
    stored attempts are not reused."""
    holdout: str | bool = False
    """Whether it is held out, so that it runs with `--agent-holdout` only. The text says what shall be claimed with it:
    success at other `samples` of open tasks, at other `tasks`, or in other `domains`. True is `samples`."""
    sandbox: str | None = None
    """The sandbox: a name, `image:NAME:TAG`, or the path of a Dockerfile or compose file (`sandbox.asked.choice`)."""
    network: str | None = None
    """`none` or `bridge`. This option and those below change the container; None keeps what the sandbox sets."""
    cpus: float | None = None
    """How many processors it may use; may be a fraction."""
    memory: str | int | None = None
    """The most memory, including swap: bytes, or a text such as `512m` or `4g`."""
    user: str | None = None
    """The user who runs the agent's commands, by name or number."""
    runtime: str | None = None
    """The container runtime, for example `runsc`; in a cluster the runtime class."""
    resources: Mapping[str, Mapping[str, str | int]] | None = None
    """In a cluster: the pod's `limits` and `requests` in Kubernetes' words: `{"limits": {"nvidia.com/gpu": 1}}`."""
    leftovers: str = "keep"
    """What happens to processes that the agent leaves running: `keep`, because a service may be its work, or `stop`, so
    that nothing changes while the test grades."""
    rules: Sequence[Rule] = ()
    """What the agent must keep beside solving the task, made with `rule`. A violation changes no outcome, unless the
    rule must hold."""
    variants: str | None = None
    """The file of its stored prompts, relative to its suite's folder; None means `variants/<name of the test>.toml`."""

    @classmethod
    def from_marks(cls, marks: Iterable[pytest.Mark]) -> TaskOptions:
        """The options from the marks, nearest first.

        Raises:
            ValueError: a mark has an unknown option or an unusable value. The message is one sentence.
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
    def steps(self) -> tuple[str | ToolUse, ...] | None:
        """The solution's shell commands and tool calls, or None where the task declares none."""
        if self.solution is None:
            return None
        return (self.solution,) if isinstance(self.solution, str) else tuple(self.solution)

    @property
    def held_out(self) -> bool:
        """Whether it runs with `--agent-holdout` only."""
        return self.holdout is not False

    @property
    def solvable(self) -> bool:
        """Whether the task declares a solution: steps, an answer, or both."""
        return self.solution is not None or self.answer != ""


def why_no_option(name: str, beside: Sequence[str] = ()) -> str | None:
    """Why an option of this name does not exist, worded to follow the name of what lacks it; None if it exists.

    Args:
        name: the name of the option.
        beside: names that are valid options there, in addition to those of :class:`TaskOptions`.
    """
    known = [*beside, *_CHECKS]
    if name in known:
        return None
    hint = did_you_mean(name, known, f"it takes {', '.join(known)}", likeness=0.5)
    return f"has no option {name!r}: {hint}"


def _check(name: str, value: Any) -> None:
    if reason := why_no_option(name):
        raise ValueError(f"agent_task {reason}")
    right, expected = _CHECKS[name]
    if not right(value):
        raise ValueError(f"agent_task({name}={value!r}): {name} must be {expected}")


def _amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _steps(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, Sequence) and all(isinstance(step, str) or _tool_use(step) for step in value)


def _tool_use(step: Any) -> bool:
    if not isinstance(step, tuple) or len(step) != 2:
        return False
    name, arguments = step
    return _some_text(name) and isinstance(arguments, Mapping) and all(isinstance(key, str) for key in arguments)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _some_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(_some_text(each) for each in value)


def _rules(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(each, Rule) for each in value)


def _memory(value: Any) -> bool:
    if not isinstance(value, str):
        return _whole(value)
    from pytest_agenteval.sandbox.docker.containers import parse_bytes

    try:
        return parse_bytes(value) > 0
    except ValueError:
        return False


def _resources(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        kind in ("limits", "requests")
        and isinstance(amounts, Mapping)
        and all(_some_text(name) and (_whole(amount) or _some_text(amount)) for name, amount in amounts.items())
        for kind, amounts in value.items()
    )


def _or_none(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or right(value)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_cost": (_or_none(_amount), "US dollars above 0"),
    "time_limit": (_or_none(_amount), "seconds above 0, or None for no limit"),
    "token_limit": (_or_none(_whole), "a whole number above 0"),
    "turn_limit": (_or_none(_whole), "a whole number above 0, or None for no limit"),
    "grading_time_limit": (_amount, "seconds above 0"),
    "min_pass_rate": (_share, "a share between 0 and 1"),
    "solution": (_steps, "a shell command, or a list of commands and tool calls such as ('cancel', {'id': 7})"),
    "answer": (_text, "text"),
    "files": (_texts, "a list of paths"),
    "holdout": (lambda value: isinstance(value, bool) or value in HOLDOUTS, "a bool, 'samples', 'tasks' or 'domains'"),
    "sandbox": (_or_none(_some_text), "the name of a sandbox, a path, or image:NAME:TAG"),
    "network": (lambda value: value in (None, "none", "bridge"), "'none' or 'bridge'"),
    "cpus": (_or_none(_amount), "a number of processors above 0"),
    "memory": (_or_none(_memory), "an amount of memory, for example '512m' or '4g'"),
    "user": (_or_none(_some_text), "the name or number of a user, as text"),
    "leftovers": (lambda value: value in ("keep", "stop"), "'keep' or 'stop'"),
    "rules": (_rules, "a list of rules, for example [rule.unchanged('tests/')]"),
    "variants": (_some_text, "the path of a file"),
    "resources": (_or_none(_resources), "limits and requests as in a pod: {'limits': {'nvidia.com/gpu': 1}}"),
    "runtime": (_or_none(_some_text), "the name of a container runtime, for example 'runsc'"),
}
