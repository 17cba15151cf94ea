"""The session's exit status, from pytest's own and from what was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agenteval.judge import GateResult
from pytest_agenteval.record.figures import plural
from pytest_agenteval.record.verdict import Verdict

__all__ = ["FAILED", "NO_TESTS", "OK", "UNDECIDED", "USAGE_ERROR", "ExitStatus", "exit_status"]

OK = 0
FAILED = 1
USAGE_ERROR = 4
NO_TESTS = 5
UNDECIDED = 10
"""UNDECIDED or INCOMPLETE: neither a success nor a failure of what was tested."""

_OWN = {2: "interrupted", 3: "an internal error", USAGE_ERROR: "a usage error"}


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """The number the process ends with, and why."""

    code: int
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

    - pytest's own 2, 3 and 4, and a number that is not pytest's, stay.
    - 1: an ordinary test failed, an attempt is broken, a judged task or a gate is FAIL.
    - 10: a judged task or a gate is UNDECIDED, or the run is incomplete.
    - 1 and 5 of pytest, where nothing above explains them.
    - 0.

    pytest's 1 alone does not win over 10: it also stands for tasks that an environment error kept from being judged.
    It never becomes 0.

    Args:
        pytest_status: what pytest would end with.
        ordinary_failures: failures and errors of tests that are no agent tasks, and of collection.
        broken: broken attempts.
        gates: the verdicts of :func:`pytest_agenteval.judge.judge`, judged tasks among them.
        incomplete: why the run did less than was asked of it, a phrase each.
    """
    if pytest_status not in (OK, FAILED, NO_TESTS):
        return ExitStatus(pytest_status, _OWN.get(pytest_status, "set by another plugin"))
    failed = [gate for gate in gates if gate.verdict is Verdict.FAIL]
    undecided = [gate for gate in gates if gate.verdict is Verdict.UNDECIDED]
    if ordinary_failures or broken or failed:
        parts = [f"{plural(ordinary_failures, 'test')} failed"] if ordinary_failures else []
        if broken:
            parts.append(f"{plural(broken, 'attempt')} {'is' if broken == 1 else 'are'} broken")
        return ExitStatus(FAILED, f"FAILED: {'; '.join(parts + _named(failed))}")
    if incomplete or undecided:
        word = "INCOMPLETE" if incomplete else "UNDECIDED"
        named = _named(undecided)
        parts = [*incomplete, "UNDECIDED: " * bool(incomplete) + ", ".join(named)] if named else list(incomplete)
        return ExitStatus(UNDECIDED, f"{word}: {'; '.join(parts)}")
    if pytest_status == FAILED:
        return ExitStatus(FAILED, "FAILED: pytest reported a failure")
    if pytest_status == NO_TESTS:
        return ExitStatus(NO_TESTS, "no test ran")
    return ExitStatus(OK, "all gates and judged tasks passed" if gates else "nothing failed")


def _named(gates: Sequence[GateResult]) -> list[str]:
    """Gates by name, each once; judged tasks by number, or by name where there is one."""
    tasks = [gate for gate in gates if gate.task is not None]
    names = list(dict.fromkeys(gate.name for gate in gates if gate.task is None))
    if len(tasks) == 1:
        names.append(f"{tasks[0].task} ({tasks[0].name})")
    elif tasks:
        names.append(f"{plural(len(tasks), 'task')} ({', '.join(dict.fromkeys(task.name for task in tasks))})")
    return names
