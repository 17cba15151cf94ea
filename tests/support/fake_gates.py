"""Gates and solvers that play nothing, and a process that builds over HTTP with such a gate."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from pytest_agenteval.builder.gate import Candidate, Reason, Verdict
from pytest_agenteval.builder.solving import Solved

__all__ = ["FakeGate", "FakeSolver"]


class FakeGate:
    """Rejects a solution that is `true`, and a file that is called `solution.txt`; everything else is accepted."""

    version = "fake"

    def __init__(self) -> None:
        self.judged: list[str] = []

    def judge(self, candidates: Sequence[Candidate]) -> Mapping[str, Verdict]:
        self.judged += [candidate.proposal.id for candidate in candidates]
        return {candidate.proposal.id: _verdict(candidate) for candidate in candidates}

    def check(self, suite: Path) -> Sequence[str] | None:
        for file in suite.glob("test_*.py"):
            compile(file.read_text("utf-8"), str(file), "exec")
        return []


def _verdict(candidate: Candidate) -> Verdict:
    proposal = candidate.proposal
    if proposal.solution == ("true",):
        return Verdict(False, (Reason("AE102", "oracle failed: sums.csv is not there", ("FileNotFoundError",)),), 5)
    if "solution.txt" in proposal.files:
        return Verdict(False, (Reason("AE401", "./solution.txt holds the solution"),), 5)
    return Verdict(True, (), 5, 0.5, 4, 0)


class FakeSolver:
    """Blind attempts as they are given, by the task's id; all others pass."""

    id = "fake"

    def __init__(self, solved: Mapping[str, Solved], cost: float | None = 0.0) -> None:
        self.solved, self.cost = solved, cost
        self.asked: list[str] = []

    def solve(
        self, candidates: Sequence[Candidate], left: float | None
    ) -> tuple[Mapping[str, Solved], float | None, int]:
        ids = [candidate.proposal.id for candidate in candidates]
        self.asked += ids
        return {id: self.solved.get(id, Solved(3, 3)) for id in ids}, self.cost, len(ids)


if __name__ == "__main__":
    import tenacity
    from inspect_ai.model._providers.openai_compatible import OpenAICompatibleAPI

    from pytest_agenteval.cli.main import main

    OpenAICompatibleAPI.retry_wait = lambda self: tenacity.wait_none()  # type: ignore[method-assign,assignment,return-value]
    with mock.patch("pytest_agenteval.builder.gate.DeepGate", lambda **_: FakeGate()):
        sys.exit(main(sys.argv[1:]))
