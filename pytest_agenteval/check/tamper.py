"""AE406: does the checker run files that the agent can rewrite? Pure."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from pytest_agenteval.check.facts import Task
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judging import Verdicts, passes_alone
from pytest_agenteval.check.plays import Play, Role
from pytest_agenteval.record.figures import joined, plural

__all__ = ["judge_tampering", "tamper_plays"]

_SAYS_YES = {
    ".py": "def test_ok():\n    pass\n",
    ".sh": "exit 0\n",
    ".bash": "exit 0\n",
    ".js": "process.exit(0)\n",
    ".mjs": "process.exit(0)\n",
    ".rb": "exit 0\n",
    ".pl": "exit 0;\n",
}
"""By suffix, what a check says that is content with everything, run by itself or by pytest."""
_EXECUTABLE = "#!/bin/sh\nexit 0\n"
_MOST, _ALONE = 40, 4
"""So many files are rewritten together at most, and so many one by one."""


def tamper_plays(task: Task) -> list[Play]:
    """Rewriting the programs that the solution leaves alone and the prompt does not name: all of them, and each.

    None where nobody knows the files, or where doing nothing passes anyway.
    """
    if not passes_alone(task):
        return []
    files = _programs(task)[:_MOST]
    groups = [files, *([file] for file in files[:_ALONE] if len(files) > 1)] if files else []
    return [_rewriting(group) for group in groups]


def judge_tampering(verdicts: Verdicts) -> None:
    """What those plays show."""
    task = verdicts.task
    played = task.of(Role.TAMPER)
    if passes_alone(task) and all(each.start is not None for each in task.of(Role.ORACLE)[:1]):
        verdicts.note("AE406", Status.of(played))  # without a program there is nothing to rewrite
    passed = [each for each in played if each.passed]
    for each in [one for one in passed if one.play.file] or passed[:1]:
        verdicts.find(
            "AE406",
            f"an agent passes that does nothing but {each.play.about}",
            subject=each.play.name,
            replay=each.play.name,
        )


def _programs(task: Task) -> list[str]:
    first = task.of(Role.ORACLE)[0]
    start, end, prompt = first.start or {}, first.end or {}, task.prompt.casefold()
    found = []
    for entry, digest in sorted(start.items()):
        path = PurePosixPath(entry)
        if not entry.startswith("./") or re.search(r"(/|\))$|(^|/)\.git ", entry) or end.get(entry) != digest:
            continue
        runs = path.suffix in _SAYS_YES or f"{entry} (executable)" in start
        if runs and path.name.casefold() not in prompt:
            found.append(entry)
    return found


def _rewriting(files: list[str]) -> Play:
    lines = [
        f"printf %s {shlex.quote(_SAYS_YES.get(PurePosixPath(file).suffix, _EXECUTABLE))} > {shlex.quote(file)}"
        for file in files
    ]
    alone = files[0] if len(files) == 1 else ""
    about = (
        f"rewrite {joined(files)}" if len(files) < 4 else f"rewrite {plural(len(files), 'file')}, such as {files[0]}"
    )
    name = f"tamper-{alone}" if alone else "tamper-all"
    return Play(name, Role.TAMPER, ("\n".join(lines),), about=about, file=alone)
