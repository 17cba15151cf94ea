"""The blind solver: a real agent gets the prompt and the files only.

A mistake that a solution and its checks share passes any gate; an agent that does the work by itself does not make it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pytest_agenteval.builder.gate import Candidate, Reason
from pytest_agenteval.builder.place import write_whole
from pytest_agenteval.builder.render import data_files, render_conftest, task_name
from pytest_agenteval.record.digest import digest
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord

__all__ = ["PytestSolver", "Solved", "Solver", "ambiguity"]


@dataclass(frozen=True, slots=True)
class Solved:
    """What the blind attempts at a task came to."""

    passed: int
    counted: int
    """Attempts that count; 0 means that the environment or the budget kept it from being known."""
    messages: tuple[str, ...] = ()
    """Of those that failed."""

    @property
    def rate(self) -> float | None:
        """The share that passed; None if none counted."""
        return self.passed / self.counted if self.counted else None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Solved:
        """From JSON types."""
        return cls(data["passed"], data["counted"], tuple(data["messages"]))


class Solver(Protocol):
    """Solves tasks blindly."""

    @property
    def id(self) -> str:
        """Another id solves again."""

    def solve(
        self, candidates: Sequence[Candidate], left: float | None
    ) -> tuple[Mapping[str, Solved], float | None, int]:
        """Attempts at each task, by the proposal's id; what all of them cost (None if unknown), and their model calls.

        Args:
            candidates: the tasks.
            left: the dollars that may be spent; None without a limit.
        """


def ambiguity(solved: Solved, band: Sequence[float] = ()) -> Reason | None:
    """Why a task is not accepted after blind attempts; None if it is.

    Attempts that fail alike, with one and the same wrong result, say that prompt and checks mean different things.
    """
    if solved.rate is None:
        return Reason("UNDECIDED", "no blind attempt could be evaluated")
    rate = f"{solved.passed} of {solved.counted} blind attempts passed"
    if not solved.passed:
        message, often = Counter(solved.messages).most_common(1)[0] if solved.messages else ("", 0)
        if often >= 2 and often * 2 > solved.counted and message.startswith("AssertionError"):
            return Reason(
                "AMBIGUOUS", f"{often} of {solved.counted} blind attempts agree, and the checks do not", (message,)
            )
        if not band or band[0] > 0:
            return Reason("UNSOLVED", rate, solved.messages)
    if band and solved.rate > band[1]:
        return Reason("TOO_EASY", f"{rate}; asked are {band[0]:g} to {band[1]:g}")
    if band and solved.rate < band[0]:
        return Reason("TOO_HARD", f"{rate}; asked are {band[0]:g} to {band[1]:g}", solved.messages)
    return None


@dataclass(frozen=True, slots=True)
class PytestSolver:
    """Runs the drafts as a suite: with the retries, prices and budget of any run. A killed run is resumed."""

    work: Path
    model: str
    solves: int
    sandbox: str | None = None
    arguments: Sequence[str] = ()
    """More for pytest."""

    @property
    def id(self) -> str:
        """See :class:`Solver`."""
        return f"{self.model} {self.solves} {list(self.arguments)}"

    def solve(
        self, candidates: Sequence[Candidate], left: float | None
    ) -> tuple[Mapping[str, Solved], float | None, int]:
        """See :class:`Solver`."""
        batch = self.work / digest("\n".join([self.id, *(candidate.digest for candidate in candidates)]))
        folder, logs = batch / "tasks", batch / "logs"
        proposals = [candidate.proposal for candidate in candidates]
        files = {task_name(each.proposal).partition("::")[0]: each.test for each in candidates}
        for proposal in proposals:
            files |= data_files(proposal)
        for name, text in {**files, "conftest.py": render_conftest(proposals), "pytest.ini": "[pytest]\n"}.items():
            write_whole(folder / name, text)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_agenteval", "-p", "no:cacheprovider"]
        command += [f"--rootdir={folder}", "-c", str(folder / "pytest.ini"), f"--agent-log-dir={logs}"]
        command += ["--agent-resume"] if _begun(logs) else []
        command += [f"--agent-model={self.model}", f"--k={self.solves}", "--agent-holdout"]
        command += [] if left is None else [f"--max-cost={left:.6f}"]
        command += [] if self.sandbox is None else [f"--agent-sandbox={self.sandbox}"]
        command += [*self.arguments, *(str(folder / name) for name in files if name.startswith("test_"))]
        write_whole(batch / "output.txt", _output(command))
        return self._read(logs, candidates)

    def _read(self, logs: Path, candidates: Sequence[Candidate]) -> tuple[Mapping[str, Solved], float | None, int]:
        from pytest_agenteval.engine.logs.runs import choose_runs
        from pytest_agenteval.errors import NotReady
        from pytest_agenteval.record.merge import merge

        attempts: dict[str, tuple[AttemptRecord, ...]] = {}
        try:
            merged = merge(choose_runs([str(logs)], None).logs, self.solves)
        except NotReady:
            return {candidate.proposal.id: Solved(0, 0) for candidate in candidates}, None, 0
        for record in merged.records:
            attempts[record.task.partition("[")[0]] = record.attempts
        solved, costs, calls = {}, [], 0
        for candidate in candidates:
            found = attempts.get(task_name(candidate.proposal), ())
            counted = [each for each in found if each.outcome.counts]
            failed = tuple(_plain(each.message) for each in counted if each.outcome is not Outcome.PASSED)
            passed = sum(each.outcome is Outcome.PASSED for each in counted)
            solved[candidate.proposal.id] = Solved(passed, len(counted), failed)
            for each in found:
                made = [*each.model_calls, *(call for retry in each.retries for call in retry.model_calls)]
                costs += [call.cost for call in made]
                calls += len(made)
        known = [cost for cost in costs if cost is not None]
        return solved, sum(known) if len(known) == len(costs) else None, calls


def _begun(logs: Path) -> bool:
    """Whether there is a run to resume: an earlier invocation may have been killed before it wrote anything."""
    from pytest_agenteval.engine.logs.files import log_files, try_headers
    from pytest_agenteval.errors import NotReady

    return logs.is_dir() and any(not isinstance(log, NotReady) for log in try_headers(log_files(logs)))


def _plain(message: str) -> str:
    return " ".join(message.split())[:400]


def _output(command: Sequence[str]) -> str:
    """Run pytest; Ctrl-C and SIGTERM reach it first, so that it can end its containers."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ), text=True
    )
    try:
        return process.communicate()[0]
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        raise
