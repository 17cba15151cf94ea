"""The session's exit status, from pytest's own and from the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_agenteval.judge import GateResult
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.verdict import Verdict

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "NO_TESTS",
    "OK",
    "TERMINATED",
    "UNDECIDED",
    "USAGE_ERROR",
    "ExitStatus",
    "RunVerdict",
    "exit_status",
]

OK = 0
FAILED = 1
INTERRUPTED = 2
USAGE_ERROR = 4
NO_TESTS = 5
UNDECIDED = 10
"""UNDECIDED or INCOMPLETE: what was tested neither succeeded nor failed."""
TERMINATED = 143
"""SIGTERM ended the run: 128 and its number, as shells count."""


class RunVerdict(StrEnum):
    """One word for how a run ended."""

    PASS = "PASS"
    """Everything that was judged passed."""
    FAIL = "FAIL"
    """A test, a judged task or a gate failed, or an attempt is broken."""
    UNDECIDED = "UNDECIDED"
    """The attempts at hand leave both PASS and FAIL possible."""
    INCOMPLETE = "INCOMPLETE"
    """The run did less than it was asked to do."""
    NOT_JUDGED = "NOT_JUDGED"
    """Nothing failed, and no gate and no task was judged."""
    NO_TESTS = "NO_TESTS"
    """pytest ran nothing."""
    INTERRUPTED = "INTERRUPTED"
    """pytest's own status 2, or 143 after SIGTERM."""
    ERROR = "ERROR"
    """pytest's own statuses from 3 up, and those of other plugins."""


_OWN = {
    INTERRUPTED: (RunVerdict.INTERRUPTED, "interrupted"),
    TERMINATED: (RunVerdict.INTERRUPTED, "ended by SIGTERM"),
    3: (RunVerdict.ERROR, "an internal error"),
    USAGE_ERROR: (RunVerdict.ERROR, "a usage error"),
}


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """The exit status of the process as a number and as a word, and the reason for it."""

    code: int
    verdict: RunVerdict
    reason: str
    """A phrase, for example `UNDECIDED: --min-pass-k (openai/gpt-5-mini · react)`."""


def exit_status(
    pytest_status: int,
    *,
    ordinary_failures: int = 0,
    broken: int = 0,
    gates: Sequence[GateResult] = (),
    incomplete: Sequence[str] = (),
) -> ExitStatus:
    """The exit status of a session. First match wins.

    - pytest's own 2, 3 and 4, and a number that is not one of pytest's, such as 143 after SIGTERM, stay.
    - 1: an ordinary test failed, an attempt is broken, a judged task or a gate is FAIL.
    - 10: a judged task or a gate is UNDECIDED, or the run is incomplete.
    - pytest's own 1 and 5, if nothing above explains them.
    - 0.

    pytest's 1 alone does not take precedence over 10, because it also stands for tasks that an environment error kept
    from being judged. It never becomes 0.

    Args:
        pytest_status: the status that pytest would end with.
        ordinary_failures: failures and errors of tests that are not agent tasks, and of collection.
        broken: how many attempts are broken.
        gates: the verdicts of :func:`pytest_agenteval.judge.judge`, including those on judged tasks.
        incomplete: why the run did less than it was asked to do, one phrase each.
    """
    if pytest_status not in (OK, FAILED, NO_TESTS):
        return ExitStatus(pytest_status, *_OWN.get(pytest_status, (RunVerdict.ERROR, "set by another plugin")))
    failed = [gate for gate in gates if gate.verdict is Verdict.FAIL]
    undecided = [gate for gate in gates if gate.verdict is Verdict.UNDECIDED]
    if ordinary_failures or broken or failed:
        parts = [f"{plural(ordinary_failures, 'test')} failed"] if ordinary_failures else []
        if broken:
            parts.append(f"{plural(broken, 'attempt')} {'is' if broken == 1 else 'are'} broken")
        word = f"FAILED, and incomplete ({'; '.join(incomplete)})" if incomplete else "FAILED"
        return ExitStatus(FAILED, RunVerdict.FAIL, f"{word}: {'; '.join(parts + _named(failed))}")
    if incomplete or undecided:
        word = RunVerdict.INCOMPLETE if incomplete else RunVerdict.UNDECIDED
        named = _named(undecided)
        parts = [*incomplete, "UNDECIDED: " * bool(incomplete) + ", ".join(named)] if named else list(incomplete)
        return ExitStatus(UNDECIDED, word, f"{word}: {'; '.join(parts)}")
    if pytest_status == FAILED:
        return ExitStatus(FAILED, RunVerdict.FAIL, "FAILED: pytest reported a failure")
    if pytest_status == NO_TESTS:
        return ExitStatus(NO_TESTS, RunVerdict.NO_TESTS, "no test ran")
    if not gates:
        return ExitStatus(OK, RunVerdict.NOT_JUDGED, "nothing failed")
    return ExitStatus(OK, RunVerdict.PASS, "all gates and judged tasks passed")


def _named(gates: Sequence[GateResult]) -> list[str]:
    """The gates by name, each once; judged tasks by their number, or by name if there is only one."""
    tasks = [gate for gate in gates if gate.task is not None]
    names = list(dict.fromkeys(gate.name for gate in gates if gate.task is None))
    if len(tasks) == 1:
        names.append(f"{tasks[0].task} ({tasks[0].name})")
    elif tasks:
        names.append(f"{plural(len(tasks), 'task')} ({', '.join(dict.fromkeys(task.name for task in tasks))})")
    return names
