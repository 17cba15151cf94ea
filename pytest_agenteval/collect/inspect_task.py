"""Inspect tasks that a user names in a test file or with `--agent-inspect-task`. Nothing is loaded here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_agenteval.collect.agent_task import agent_task, why_no_option
from pytest_agenteval.collect.fixtures import INSPECT_TASK

if TYPE_CHECKING:
    from typing import Unpack

    from pytest_agenteval.collect.agent_task import _Keywords

__all__ = ["SAMPLE", "TASK_SOLVER", "Asked", "Passes", "asked_in_text", "inspect_task"]

SAMPLE = "inspect_sample"
"""The parameter of a test made from an Inspect task."""
TASK_SOLVER = "task-solver"
"""The name of the scaffold that is an Inspect task's own solver."""
_OF_SCORES = ("scorer", "key", "passes")
"""Options that decide which score counts."""

Passes = float | str | bool | Callable[[Any], bool]
"""Which value of the deciding score passes: a number and everything above it, an exact text or bool, or a function."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An Inspect task, with its selected samples and the score that decides."""

    task: str | Callable[..., Any]
    """A name registered with Inspect, `MODULE@TASK`, `FILE.py@TASK`, or the function itself."""
    folder: Path
    """The folder to which paths are relative."""
    args: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    samples: tuple[str | int, ...] = ()
    scorer: str | None = None
    key: str | None = None
    passes: Passes | None = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.task if isinstance(self.task, str) else self.task.__name__


def inspect_task(
    task: str | Callable[..., Any],
    *,
    args: Mapping[str, Any] | None = None,
    limit: int | None = None,
    samples: Sequence[str | int] = (),
    scorer: str | None = None,
    key: str | None = None,
    passes: Passes | None = None,
    **options: Unpack[_Keywords],
) -> Callable[..., Any]:
    """Make a test of an Inspect task: `test_xyz = inspect_task("inspect_evals/xyz", limit=10)`. Each sample is a task.

    Args:
        task: a registered name (`inspect_evals/xyz`), `MODULE@TASK`, `FILE.py@TASK` (relative to the test file), or the
            function decorated with `inspect_ai.task`.
        args: arguments for that function.
        limit: use only the first `limit` samples.
        samples: use only the samples with these ids.
        scorer: the name of the scorer that decides; not needed if there is only one, or the task has a headline metric.
        key: the key that decides, if that scorer returns several values.
        passes: which of its values passes: a number and everything above it, this text or bool, or a function of the
            value. By default `C`, True and 1 pass; `I`, `P`, `N`, False and 0 do not.
        options: those of :func:`agent_task`. They take precedence over the task's own limits, and `sandbox` over its
            own sandbox.
    """
    for name in options:
        if reason := why_no_option(name, ("args", "limit", "samples", *_OF_SCORES)):
            raise ValueError(f"inspect_task {reason}")
    caller = sys._getframe(1)
    file = Path(caller.f_code.co_filename)
    chosen = (samples,) if isinstance(samples, str | int) else tuple(samples)
    asked = Asked(task, file.parent, dict(args or {}), limit, chosen, scorer, key, passes)
    return _test(asked, options, str(file), caller.f_lineno)


def asked_in_text(text: str, folder: Path) -> Callable[..., Any]:
    """The same from the command line: `TASK[,NAME=VALUE]...`, values as JSON or text, `args.NAME=VALUE` for the task.

    Raises:
        ValueError: the text is wrong; the message says why.
    """
    name, *words = text.split(",")
    given: dict[str, Any] = {}
    args: dict[str, Any] = {}
    for word in words:
        key, equals, raw = word.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"has {word!r} where NAME=VALUE must be, for example limit=10 or args.level=2")
        try:
            value = json.loads(raw)
        except ValueError:
            value = raw
        place, key = (args, key.strip().removeprefix("args.")) if key.strip().startswith("args.") else (given, key)
        place[key.strip()] = value
    if "args" in given or "samples" in given:
        raise ValueError("cannot hold a list: write args.NAME=VALUE for the task, and choose samples with -k")
    for key in given:
        if reason := why_no_option(key, ("limit", *_OF_SCORES, "args.NAME")):
            raise ValueError(reason)
    for key in ("scorer", "key"):
        if key in given:
            given[key] = str(given[key])
    if not name.strip():
        raise ValueError("names no task: write for example inspect_evals/gsm8k or evals/mine.py@my_task")
    own = {key: given.pop(key) for key in ("limit", *_OF_SCORES) if key in given}
    return _test(Asked(name.strip(), folder, args, **own), given, *_written(name.strip(), folder))


def _written(name: str, folder: Path) -> tuple[str, int]:
    """The file and line of a task that is named by its file, for reports and tracebacks."""
    home, _, task = name.rpartition("@")
    path = (folder / home).resolve()
    if not home.endswith(".py") or not path.is_file():
        return f"<{name}>", 1
    definition = re.search(rf"^def {re.escape(task)}\b", path.read_text("utf-8", "replace"), re.MULTILINE)
    return str(path), 1 if definition is None else definition.string.count("\n", 0, definition.start()) + 1


def _test(asked: Asked, options: Mapping[str, Any], file: str, line: int) -> Callable[..., Any]:
    """A test function that claims the position of the user's line, because reports and tracebacks show it."""
    _check(asked)
    body = f"async def inspect_task_sample(agent, {SAMPLE}): await {SAMPLE}.run(agent)"
    made: dict[str, Any] = {"__name__": "inspect_tasks"}
    exec(compile("\n" * (line - 1) + body, file, "exec"), made)
    test = made["inspect_task_sample"]
    test.__doc__ = f"A sample of the Inspect task {asked.name}."
    test.__test__ = True  # even if python_functions does not match
    setattr(test, INSPECT_TASK, asked)
    marked: Callable[..., Any] = agent_task(**options)(test)
    return marked


def _check(asked: Asked) -> None:
    if not isinstance(asked.task, str) and not callable(asked.task):
        what = "a Task that is made already" if type(asked.task).__name__ == "Task" else repr(asked.task)
        raise ValueError(f"inspect_task was given {what}: give the function that makes it, or its name")
    if asked.limit is not None and (not isinstance(asked.limit, int) or asked.limit < 1):
        raise ValueError(f"inspect_task(limit={asked.limit!r}): limit must be a whole number of samples, 1 or more")
